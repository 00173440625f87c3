import "fake-indexeddb/auto";
import { readFileSync } from "node:fs";
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { random, utf8 } from "../../wallet/web/core/bytes";
import { EMPTY } from "../../wallet/web/core/holding";
import { freshSecret, Keyring } from "../../wallet/web/core/keystore";
import { seal, unseal } from "../../wallet/web/core/sealed";
import * as session from "../../wallet/web/core/session";
import * as store from "../../wallet/web/core/store";
import { fromWords, toWords } from "../../wallet/web/core/words";

const FEW = 100_000; // the least that is taken back, so that the tests are quick
const PASS = "correct horse 电池";

const list = readFileSync(new URL("../../wallet/web/public/words.txt", import.meta.url), "utf8");
beforeAll(() => {
  vi.stubGlobal("fetch", async (path: string) => new Response(path === "/words.txt" ? list : "", { status: 200 }));
});

describe("a sealed box", () => {
  it("opens with its passphrase alone, in whatever form it was typed", async () => {
    const sealed = await seal("kind", "Ångström!", utf8("secret"), FEW);
    expect(JSON.stringify(sealed)).not.toContain("secret");
    expect(new TextDecoder().decode(await unseal("kind", "A\u030angstro\u0308m!", sealed))).toBe("secret");
    await expect(unseal("kind", "Angstrom!", sealed)).rejects.toMatchObject({ code: "wrong_passphrase" });
  });

  it.each([
    ["another kind", (one: object) => ({ ...one, kind: "other" })],
    ["cheap to guess", (one: { kdf: object }) => ({ ...one, kdf: { ...one.kdf, iterations: 1000 } })],
    ["hours of work", (one: { kdf: object }) => ({ ...one, kdf: { ...one.kdf, iterations: 1e9 } })],
    ["no box", (one: object) => ({ ...one, box: "" })],
    ["not base64", (one: object) => ({ ...one, iv: "!" })],
    ["nothing", () => null],
  ])("that is %s is refused before any work", async (_, changed) => {
    const sealed = await seal("kind", PASS, utf8("secret"), FEW);
    await expect(unseal("kind", PASS, changed(sealed as never))).rejects.toMatchObject({ code: "bad_wallet" });
  });

  it("refuses a short passphrase", async () => {
    await expect(seal("kind", "seven77", utf8("x"), FEW)).rejects.toMatchObject({ code: "weak_passphrase" });
  });
});

describe("recovery words", () => {
  it("are BIP-39's, both ways", async () => {
    for (let round = 0; round < 50; round++) {
      const secret = random(32);
      const words = await toWords(secret);
      expect(words.join(" ")).toBe(entropyToMnemonic(secret, wordlist));
      expect(await fromWords(`  ${words.join("\n ").toUpperCase()} `)).toEqual(
        mnemonicToEntropy(words.join(" "), wordlist),
      );
    }
  });

  it("come out of the standard's list or not at all", async () => {
    expect(list.trimEnd().split("\n")).toEqual(wordlist);
    vi.stubGlobal("fetch", async () => new Response(list.replace("zoo", "zoot")));
    await expect(toWords(random(32))).rejects.toMatchObject({ code: "no_words" });
    vi.stubGlobal("fetch", async () => new Response(list));
  });

  it("say which word is wrong, and notice two that changed places", async () => {
    const words = await toWords(new Uint8Array(32).map((_, at) => at));
    const typo = words.with(4, "fieldgrant");
    await expect(fromWords(typo.join(" "))).rejects.toMatchObject({ code: "bad_words", message: /word 5/ });
    await expect(fromWords(words.slice(1).join(" "))).rejects.toMatchObject({ code: "bad_words" });
    const swapped = words.with(0, words[1] as string).with(1, words[0] as string);
    await expect(fromWords(swapped.join(" "))).rejects.toMatchObject({ code: "bad_words" });
  });
});

describe("the keys", () => {
  it("are another for each organisation, and the same again from the same secret", async () => {
    const secret = freshSecret();
    const one = await Keyring.open(secret.slice());
    const again = await Keyring.open(secret.slice());
    const shop = (await one.signer("did:web:shop.example")).did;
    expect((await again.signer("did:web:shop.example")).did).toBe(shop);
    expect((await one.signer("did:web:bank.example")).did).not.toBe(shop);
  });

  it("do not change between versions: what was backed up once opens for ever", async () => {
    const keyring = await Keyring.open(new Uint8Array(32).fill(7));
    expect((await keyring.signer("did:web:crm.example.com")).did).toMatchInlineSnapshot(
      `"did:key:z6MkmWwsP3R4arooCfk3tEvspXk1YrLKp8piTB9e662U1184"`,
    );
  });

  it("wipe the secret that they came from", async () => {
    const secret = freshSecret();
    await Keyring.open(secret);
    expect(secret.every((byte) => byte === 0)).toBe(true);
  });
});

describe("a wallet in the browser", () => {
  beforeEach(() => store.erase());

  it("opens with its passphrase, and tells of wrong ones once", async () => {
    await session.create(PASS, FEW);
    await expect(session.open("wrong passphrase")).rejects.toMatchObject({ code: "wrong_passphrase" });
    const first = await session.open(PASS);
    expect(first.tries).toHaveLength(1);
    expect(first.content).toEqual(EMPTY);
    expect((await session.open(PASS)).tries).toEqual([]);
  });

  it("is never made over another", async () => {
    await session.create(PASS, FEW);
    await expect(session.create(PASS, FEW)).rejects.toMatchObject({ code: "wallet_exists" });
    await expect(session.fromRecovery((await session.words(PASS)).join(" "), PASS, FEW)).rejects.toMatchObject({
      code: "wallet_exists",
    });
  });

  it("leaves nothing readable in the store", async () => {
    const opened = await session.create(PASS, FEW);
    const holding = { controller: "did:web:clinic.example" };
    await store.put({ content: await opened.keyring.seal(utf8(JSON.stringify(holding))) });
    const kept = JSON.stringify([await store.get("key"), await store.get("content")]);
    expect(kept).not.toContain("clinic");
    expect(kept).not.toContain(PASS);
  });

  it("comes back whole from its backup file, in an empty browser", async () => {
    const made = await session.create(PASS, FEW);
    const did = (await made.keyring.signer("did:web:shop.example")).did;
    const content = { ...EMPTY, lockAfter: 3 };
    const file = await session.toFile(content, PASS, FEW);
    expect(file).not.toContain("lockAfter");
    await store.erase();
    await expect(session.fromFile(file, "wrong passphrase", FEW)).rejects.toMatchObject({ code: "wrong_passphrase" });
    await expect(session.fromFile("{}", PASS, FEW)).rejects.toMatchObject({ code: "bad_wallet" });
    const back = await session.fromFile(file, PASS, FEW);
    expect(back.content.lockAfter).toBe(3);
    expect((await back.keyring.signer("did:web:shop.example")).did).toBe(did);
    expect((await session.open(PASS)).content.lockAfter).toBe(3);
  });

  it("comes back with the same keys from its words, under a new passphrase", async () => {
    const made = await session.create(PASS, FEW);
    const did = (await made.keyring.signer("did:web:shop.example")).did;
    const words = await session.words(PASS);
    await store.erase();
    const back = await session.fromRecovery(words.join(" "), "another passphrase", FEW);
    expect((await back.keyring.signer("did:web:shop.example")).did).toBe(did);
    expect(back.content.backup?.how).toBe("words");
    await expect(session.open(PASS)).rejects.toMatchObject({ code: "wrong_passphrase" });
  });

  it("takes a new passphrase, and the old one opens it no more", async () => {
    await session.create(PASS, FEW);
    await expect(session.change("wrong passphrase", "new passphrase", FEW)).rejects.toMatchObject({
      code: "wrong_passphrase",
    });
    await session.change(PASS, "new passphrase", FEW);
    await expect(session.open(PASS)).rejects.toMatchObject({ code: "wrong_passphrase" });
    expect((await session.open("new passphrase")).content).toEqual(EMPTY);
  });
});
