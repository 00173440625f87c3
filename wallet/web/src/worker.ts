/** Registers the service worker. The one Trusted Types policy of this page; it lets one address through. */

const PATH = "/sw.js";
export const POLICY = "fieldgrant-worker";

interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): unknown;
  };
}

/** From now on the wallet starts without a network; where the browser cannot do that, it works all the same. */
export function keepOffline(): void {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  const policy = policies?.createPolicy(POLICY, {
    createScriptURL: (url) => {
      if (url !== PATH) throw new TypeError("not our worker");
      return url;
    },
  });
  const url = (policy?.createScriptURL(PATH) ?? PATH) as string;
  navigator.serviceWorker.register(url, { scope: "/", updateViaCache: "none" }).catch(() => undefined);
}
