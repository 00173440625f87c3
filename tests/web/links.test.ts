import "fake-indexeddb/auto";
import { describe, expect, it } from "vitest";
import * as deciding from "../../wallet/web/core/deciding";
import { EMPTY } from "../../wallet/web/core/holding";
import { freshSecret, Keyring } from "../../wallet/web/core/keystore";
import { readAsk } from "../../wallet/web/core/link";
import { Wallet } from "../../wallet/web/core/wallet";
import { DID, json, network, organisation } from "./organisation";

const ID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de";

describe("a link to an ask", () => {
  it("is read whole, alone or as an address, its organisation's port included", () => {
    expect(readAsk(`#/ask/${DID}/${ID}`)).toEqual({ controller: DID, id: ID });
    expect(readAsk(`https://wallet.example.com/#/ask/did:web:localhost%253A8700/${ID}\n`)).toEqual({
      controller: "did:web:localhost%3A8700",
      id: ID,
    });
  });

  it("names an organisation and an ask, or is none", () => {
    const odd = [
      "",
      "#/ask",
      `#/ask/${DID}`,
      `#/ask/did:key:z6Mk/${ID}`,
      `#/ask/${DID}/urn:uuid:x`,
      `#/ask/${DID}/../${ID}`,
      `#/ask/%zz/${ID}`,
      `fieldgrant://enrol?did=${DID}`,
    ];
    for (const text of odd) expect(readAsk(text)).toBeNull();
  });

  it("is looked up only at an organisation that the wallet knows, and says how the ask stands", async () => {
    const they = await organisation();
    let reply: () => Response = () => json({});
    const { client, sent } = network(() => reply());
    const content = { ...EMPTY, organisations: [{ ...they.holding, enrolment: { id: "urn:enrolment" } }] };
    const wallet = new Wallet(await Keyring.open(freshSecret()), content, client);
    const unknown = deciding.found(wallet, "did:web:other.example.com", ID);
    await expect(unknown).rejects.toMatchObject({ code: "not_enrolled" });
    expect(sent).toHaveLength(0);
    for (const standing of ["answered", "refused", "superseded", "expired", "revoked"]) {
      reply = () => json({ ask: {}, standing });
      expect(await deciding.found(wallet, DID, ID)).toEqual({ standing, offer: null });
    }
    reply = () => json({ code: "unknown_ask", detail: "no" }, 404);
    await expect(deciding.found(wallet, DID, ID)).rejects.toMatchObject({ code: "unknown_ask" });
    const forged = await they.issue("ConsentRequestCredential", { id: "did:key:z6MkSomebody", requestsConsent: {} });
    reply = () => json({ ask: forged, standing: "living" });
    await expect(deciding.found(wallet, DID, ID)).rejects.toHaveProperty("code");
  });
});
