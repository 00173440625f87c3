/** The invitation, and the organisation that it pins: only the DID and the digest in it are believed. */

import type { Client } from "./api";
import { CoreError } from "./bytes";
import { Keys, serviceAt, webDid, webDocumentUrl } from "./did";
import { digest, type JsonObject } from "./jcs";

export interface Link {
  readonly issuer: string;
  readonly token: string;
  readonly did: string;
  readonly digest: string;
}

/** `fieldgrant://enrol?issuer=…&token=…&did=…&document=…`, alone, in a letter or behind a page's `#`. `bad_link`. */
export function read(text: string): Link {
  const found = /fieldgrant:\/\/enrol\?(\S+)/.exec(text) ?? /#enrol\?(\S+)/.exec(text);
  if (found === null) throw new CoreError("bad_link", "an invitation begins with fieldgrant://enrol?", "link");
  const params = new URLSearchParams(found[1]);
  const [issuer, token, did, document] = ["issuer", "token", "did", "document"].map((name) => {
    const values = params.getAll(name);
    if (values.length !== 1 || values[0] === "") throw incomplete();
    return values[0] as string;
  }) as [string, string, string, string];
  if (!/^[A-Za-z0-9_-]{16,256}$/.test(token)) throw incomplete();
  return { issuer: issuer.replace(/\/$/, ""), token, did, digest: document };
}

/** What a link to one ask names: who asks, and which ask. Neither is believed before it has been looked up. */
export interface AskLink {
  readonly controller: string;
  readonly id: string;
}

/** `…/#/ask/{did}/{id}`: the link that staff hand over, also behind a QR code; null where a text is no such link. */
export function readAsk(text: string): AskLink | null {
  const found = /#\/ask\/([^/\s]+)\/([^/\s]+)\s*$/.exec(text);
  if (found === null) return null;
  try {
    const [controller, id] = [found[1], found[2]].map((part) => decodeURIComponent(part as string)) as [string, string];
    return controller.startsWith("did:web:") && /^urn:uuid:[0-9a-f-]{36}$/.test(id) ? { controller, id } : null;
  } catch {
    return null;
  }
}

/** The organisation's document, if it is the one that the invitation names in every respect. `document_mismatch`. */
export async function pin(client: Client, link: Link): Promise<JsonObject> {
  if (webDid(link.issuer) !== link.did) throw mismatch("its address is not that of its DID");
  const document = await fetched(client, link.did);
  if ((await digest(document)) !== link.digest) throw mismatch("its document is not the one in the invitation");
  return document;
}

/** The organisation's document as its address shows it today: for a wallet restored from words alone. */
export async function fetched(client: Client, did: string): Promise<JsonObject> {
  const document = await client.get(webDocumentUrl(did));
  if (document.id !== did) throw mismatch("its document is about another DID");
  serviceAt(document, "FieldgrantIssuer");
  new Keys([document]);
  return document;
}

const incomplete = () => new CoreError("bad_link", "the invitation is not whole", "link");
const mismatch = (why: string) => new CoreError("document_mismatch", `not the organisation that invited: ${why}`);
