import { describe, expect, it } from "vitest";
import { webDid, webDocumentUrl, webName } from "../../wallet/web/core/did";
import { digest } from "../../wallet/web/core/jcs";
import { pin, read } from "../../wallet/web/core/link";
import { anybody, BASE, DID, json, NOW, network, organisation } from "./organisation";

describe("a call", () => {
  it("is signed anew each time, without cookies, redirects or a cache", async () => {
    const { client, sent } = network(() => json({ fine: true }));
    const signer = await anybody();
    await client.call("GET", `${BASE}/x`, signer, { params: { event: "urn:a b" } });
    await client.call("POST", `${BASE}/x`, signer, { body: { b: 1, a: 2 } });
    expect(sent.map((one) => one.url)).toEqual([`${BASE}/x?event=urn%3Aa+b`, `${BASE}/x`]);
    expect(sent[1]?.init).toMatchObject({ credentials: "omit", redirect: "error", cache: "no-store", mode: "cors" });
    expect(new TextDecoder().decode(sent[1]?.init.body as Uint8Array)).toBe('{"a":2,"b":1}');
    const nonces = sent.map((one) => /nonce="([^"]+)"/.exec(one.headers.get("Signature-Input") ?? "")?.[1]);
    expect(nonces[0]).not.toBe(nonces[1]);
    expect(sent[0]?.headers.get("Signature-Input")).toContain(`keyid="${signer.verificationMethod}"`);
  });

  it("goes to https alone, and to this very machine", async () => {
    const { client, sent } = network(() => json({}));
    for (const url of ["http://crm.example.com/x", "ftp://x", "javascript:0", "//crm.example.com", "x"]) {
      await expect(client.get(url)).rejects.toMatchObject({ code: "insecure_url" });
    }
    expect(sent).toEqual([]);
    await client.get("http://localhost:8700/x");
  });

  it("tells a refusal by its code, and a stranger's answer from one", async () => {
    const problem = { code: "wrong_code", detail: "This is not the code.", field: "code" };
    const refused = network(() => json(problem, 403));
    await expect(refused.client.post(BASE, {})).rejects.toMatchObject({
      code: "wrong_code",
      field: "code",
      message: problem.detail,
      status: 403,
    });
    const stranger = network(() => new Response("<html>", { status: 502 }));
    await expect(stranger.client.get(BASE)).rejects.toMatchObject({ code: "refused", status: 502 });
    const marked = network(() => json({ code: "<b>", detail: 7 }, 400));
    await expect(marked.client.get(BASE)).rejects.toMatchObject({ code: "refused" });
    const silent = network(() => Promise.reject(new TypeError("no network")));
    await expect(silent.client.get(BASE)).rejects.toMatchObject({ code: "unreachable" });
    const list = network(() => json([1]));
    await expect(list.client.get(BASE)).rejects.toMatchObject({ code: "bad_answer" });
  });

  it("stops reading an answer that does not end", async () => {
    const endless = new ReadableStream({ pull: (queue) => queue.enqueue(new Uint8Array(1 << 20)) });
    const { client } = network(() => new Response(endless));
    await expect(client.get(BASE)).rejects.toMatchObject({ code: "answer_too_large" });
  });

  it("learns by how much its clock is wrong, and says it once more", async () => {
    const theirs = new Date(NOW.getTime() + 900_000);
    const created = (headers: Headers) => Number(/created=(\d+)/.exec(headers.get("Signature-Input") ?? "")?.[1]);
    const { client, sent } = network(({ headers }) =>
      Math.abs(created(headers) * 1000 - theirs.getTime()) < 120_000
        ? json({ fine: true })
        : json({ code: "stale_signature", detail: "" }, 401, { Date: theirs.toUTCString() }),
    );
    expect(await client.call("GET", `${BASE}/x`, await anybody())).toEqual({ fine: true });
    expect(sent).toHaveLength(2);
    expect(client.now()).toEqual(theirs);
  });

  it("does not go on for ever with somebody who finds every clock wrong", async () => {
    const { client, sent } = network(() =>
      json({ code: "stale_signature", detail: "" }, 401, { Date: new Date(NOW.getTime() + 900_000).toUTCString() }),
    );
    await expect(client.call("GET", `${BASE}/x`, await anybody())).rejects.toMatchObject({ code: "stale_signature" });
    expect(sent).toHaveLength(2);
  });
});

describe("an invitation", () => {
  const query = (changed: Record<string, string> = {}) =>
    new URLSearchParams({ issuer: BASE, token: "a".repeat(43), did: DID, document: "zQm", ...changed });

  it("is read alone, out of a letter, and behind the address of this page", () => {
    const link = { issuer: BASE, token: "a".repeat(43), did: DID, digest: "zQm" };
    expect(read(`fieldgrant://enrol?${query()}`)).toEqual(link);
    expect(read(`Hello,\n\nopen this:\n\nfieldgrant://enrol?${query()}\n\nIt works once.`)).toEqual(link);
    expect(read(`#enrol?${query({ issuer: `${BASE}/` })}`)).toEqual(link);
  });

  it.each([
    "",
    "https://crm.example.com/enrol?token=x",
    `fieldgrant://enrol?${query({ token: "short" })}`,
    `fieldgrant://enrol?${query({ did: "" })}`,
    `fieldgrant://enrol?${query()}&token=${"b".repeat(43)}`,
  ])("that is not whole is refused: %s", (text) => {
    expect(() => read(text)).toThrowError(expect.objectContaining({ code: "bad_link" }));
  });

  it("pins the organisation: another address, document or DID is not the one that invited", async () => {
    const { document } = (await organisation()).holding;
    const link = { issuer: BASE, token: "a".repeat(43), did: DID, digest: await digest(document) };
    const { client, sent } = network(() => json(document));
    expect(await pin(client, link)).toEqual(document);
    expect(sent[0]?.url).toBe(`${BASE}/.well-known/did.json`);
    const wrong = { code: "document_mismatch" };
    await expect(pin(client, { ...link, issuer: "https://evil.example" })).rejects.toMatchObject(wrong);
    await expect(pin(client, { ...link, digest: "zQmOther" })).rejects.toMatchObject(wrong);
    const other = network(() => json({ ...document, id: "did:web:evil.example" }));
    await expect(pin(other.client, link)).rejects.toMatchObject(wrong);
  });
});

describe("a did:web", () => {
  it.each([
    ["https://crm.example.com", "did:web:crm.example.com", "https://crm.example.com/.well-known/did.json"],
    ["http://localhost:8700", "did:web:localhost%3A8700", "http://localhost:8700/.well-known/did.json"],
    ["https://example.com/a/b", "did:web:example.com:a:b", "https://example.com/a/b/did.json"],
  ])("is that of its address: %s", (address, did, document) => {
    expect(webDid(address)).toBe(did);
    expect(webDocumentUrl(did)).toBe(document);
    expect(webDid(`https://${webName(did)}`)).toBe(did);
  });

  it.each(["https://x.example?y", "https://user@x.example", "mailto:x", "https://x.example/a%2Fb"])(
    "cannot be had of %s",
    (address) => expect(() => webDid(address)).toThrowError(expect.objectContaining({ code: "bad_did" })),
  );
});
