// What the auditors' page checks by itself: that a log only grew, and how a value's story is told in few nodes.

import { describe, expect, test } from "vitest";
import { CHECKS, type Check, complete } from "../../audit/web/core/bundle";
import { fingerprint, grew, type Head, head } from "../../audit/web/core/growth";
import { part, type Story, type Told, tell } from "../../audit/web/core/tale";
import en from "../../audit/web/src/en.json";
import zh from "../../audit/web/src/zh-CN.json";
import { type Bytes, base64, CoreError, concat, sha256, utf8 } from "../../wallet/web/core/bytes";

const ORIGIN = "log.example/audit";
const node = (left: Bytes, right: Bytes) => sha256(concat(Uint8Array.of(1), left, right));
const leaf = (text: string) => sha256(concat(Uint8Array.of(0), utf8(text)));
const split = (size: number) => 2 ** Math.ceil(Math.log2(size) - 1);

/** RFC 6962, section 2.1, as it is written there: slow, and another way than the one under test. */
async function root(leaves: readonly Bytes[]): Promise<Bytes> {
  if (leaves.length === 1) return leaves[0] as Bytes;
  const at = split(leaves.length);
  return node(await root(leaves.slice(0, at)), await root(leaves.slice(at)));
}

async function proof(old: number, leaves: readonly Bytes[], whole = true): Promise<Bytes[]> {
  if (old === leaves.length) return whole ? [] : [await root(leaves)];
  const at = split(leaves.length);
  if (old <= at) return [...(await proof(old, leaves.slice(0, at), whole)), await root(leaves.slice(at))];
  return [...(await proof(old - at, leaves.slice(at), false)), await root(leaves.slice(0, at))];
}

const leaves = (count: number, from = 0, name = "leaf") =>
  Promise.all(Array.from({ length: count }, (_, at) => leaf(at < from ? `leaf ${at}` : `${name} ${at}`)));

const told = async (all: readonly Bytes[]): Promise<Head> => ({
  origin: ORIGIN,
  size: all.length,
  root: base64(await root(all)),
  note: "",
});

const shown = async (old: number, all: readonly Bytes[]) => (await proof(old, all)).map(base64);
const code = (doing: Promise<unknown>) =>
  doing.then(
    () => "ok",
    (error: unknown) => (error instanceof CoreError ? error.code : String(error)),
  );

/** A key, its verifier key as C2SP has it, and what signs a note with it. */
async function signer(origin = ORIGIN) {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const key = concat(Uint8Array.of(1), new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
  const id = (await sha256(concat(utf8(`${origin}\n`), key))).slice(0, 4);
  const hex = [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const sign = async (text: string) => {
    const made = new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, utf8(text)));
    return `${text}\n— ${origin} ${base64(concat(id, made))}\n`;
  };
  return { vkey: `${origin}+${hex}+${base64(key)}`, sign };
}

describe("a log only grows", () => {
  test("every smaller log is the beginning of every larger one, up to 20", async () => {
    const all = await leaves(20);
    for (let size = 1; size <= 20; size += 1) {
      const now = await told(all.slice(0, size));
      for (let old = 1; old <= size; old += 1) {
        const before = await told(all.slice(0, old));
        expect(await code(grew(before, now, await shown(old, all.slice(0, size)))), `${old} of ${size}`).toBe("ok");
      }
    }
  });

  test("another history is a fork, whatever proof comes with it", async () => {
    for (const [old, size] of [
      [1, 2],
      [5, 8],
      [6, 13],
      [8, 20],
    ] as const) {
      const before = await told(await leaves(old));
      const other = await leaves(size, old - 1, "other"); // it differs in the last leaf that was seen
      const mine = await leaves(size);
      const now = await told(other);
      expect(await code(grew(before, now, await shown(old, other)))).toBe("log_forked");
      expect(await code(grew(before, now, await shown(old, mine)))).toBe("log_forked");
      expect(await code(grew(before, now, []))).toBe("log_forked");
    }
  });

  test("a proof that was cut, lengthened or bent proves nothing", async () => {
    const all = await leaves(13);
    const [before, now] = [await told(all.slice(0, 6)), await told(all)];
    const good = await shown(6, all);
    const stranger = base64(await leaf("stranger"));
    for (const bad of [good.slice(1), good.slice(0, -1), [...good, stranger], [stranger, ...good.slice(1)], ["AA=="]]) {
      expect(await code(grew(before, now, bad))).toBe("log_forked");
    }
    expect(await code(grew(before, now, ["?"]))).toBe("bad_checkpoint");
  });

  test("a shorter log, another log of the same size and another log's name are told apart", async () => {
    const all = await leaves(9);
    const [small, large] = [await told(all.slice(0, 4)), await told(all)];
    expect(await code(grew(large, small, []))).toBe("log_shorter");
    expect(await code(grew(large, await told(await leaves(9, 8, "other")), []))).toBe("log_forked");
    expect(await code(grew(small, { ...large, origin: "other" }, await shown(4, all)))).toBe("log_forked");
    expect(await code(grew(large, large, []))).toBe("ok");
  });

  test("a head counts only when the key signed it, and is the log's own", async () => {
    const [ours, other] = [await signer(), await signer("other.example/audit")];
    const text = `${ORIGIN}\n7\n${base64(await leaf("root"))}\n`;
    const note = await ours.sign(text);
    expect(await head(note, ours.vkey)).toMatchObject({ origin: ORIGIN, size: 7, note });
    expect(await code(head(note.replace("\n7\n", "\n8\n"), ours.vkey))).toBe("bad_note");
    expect(await code(head(note, (await signer()).vkey))).toBe("bad_note");
    expect(await code(head(await other.sign(text), other.vkey))).toBe("bad_checkpoint");
    expect(await code(head(await ours.sign(text.replace("\n7\n", "\n07\n")), ours.vkey))).toBe("bad_checkpoint");
    expect(await code(head(note, "nonsense"))).toBe("bad_vkey");
  });

  test("the fingerprint is the digest of the key, in groups", async () => {
    const { vkey } = await signer();
    const print = await fingerprint(`${vkey}\n`);
    expect(print).toMatch(/^([0-9a-f]{4} ){15}[0-9a-f]{4}$/);
    expect(await fingerprint((await signer()).vkey)).not.toBe(print);
  });
});

describe("a value's story in few nodes", () => {
  const MARKETING = "https://w3id.org/dpv#DirectMarketing";
  const at = (n: number) => `2026-11-22T08:00:${String(n).padStart(2, "0")}Z`;
  const event = (n: number, type: string, more: Partial<Told> = {}): Told => ({
    id: `e${n}`,
    kind: "event",
    type,
    time: at(n),
    leaf: n,
    place: 0,
    ...more,
  });
  const papers = (...pairs: readonly [number, string][]) =>
    pairs.map(([n, id]) => ({ kind: "wasInfluencedBy", from: `e${n}`, to: id }));
  const story = (events: readonly Told[], edges: Story["edges"]): Story => {
    const credentials = [...new Set(edges.map((one) => one.to))];
    return {
      subject: "sub_x",
      field: "contact.email",
      nodes: [
        ...events,
        { id: "value:1", kind: "value" },
        ...credentials.map((id): Told => ({ id, kind: "credential" })),
      ],
      edges,
      events,
      whole: true,
    };
  };
  const whole = story(
    [
      event(1, "value.collected"),
      event(2, "ask.made"),
      event(3, "consent.given"),
      event(4, "release", { purpose: MARKETING, decision: "released" }),
      event(5, "release", { purpose: "other:service", decision: "released" }),
      event(6, "consent.withdrawn"),
      event(7, "refusal", { purpose: MARKETING, decision: "withheld", reason: "withdrawn" }),
      event(8, "value.shredded"),
      event(9, "invitation.sent"),
    ],
    papers([2, "ask"], [3, "ask"], [3, "consent"], [4, "consent"], [5, "ground"], [6, "consent"]),
  );

  test("reads are gathered by purpose, and each node says how many were refused", () => {
    const reads = tell(whole).filter((one) => one.part === "purpose");
    expect(reads.map(({ name, count, withheld }) => [name, count, withheld])).toEqual([
      [MARKETING, 2, 1],
      ["other:service", 1, 0],
    ]);
    expect(reads[0]).toMatchObject({ first: at(4), last: at(7), event: { id: "e7" } });
  });

  test("an arrow stands for what the records say: a consent opens its own purposes alone", () => {
    const leads = Object.fromEntries(tell(whole).map((one) => [one.id, one.leads]));
    expect(leads).toEqual({
      "origin value.collected": ["value"],
      "ground ask.made": ["ground consent.given"],
      "ground consent.given": [`purpose ${MARKETING}`],
      "ground ground": ["purpose other:service"],
      value: [`purpose ${MARKETING}`, "purpose other:service"],
      [`purpose ${MARKETING}`]: [],
      "purpose other:service": [],
      "end consent.withdrawn": ["ground consent.given"],
      "end value.shredded": ["value"],
      "other invitation.sent": [],
    });
  });

  test("nothing that was never released is said to have been used", () => {
    const refused = story([event(1, "refusal", { purpose: MARKETING, decision: "withheld" })], []);
    const nodes = tell(refused);
    expect(nodes.find((one) => one.part === "value")?.leads).toEqual([]);
    expect(tell({ ...refused, events: [] })).toEqual([]);
  });

  test("a type that nobody knows yet is shown, and said to be besides", () => {
    expect(part("something.new")).toBe("other");
    expect(tell(story([event(1, "something.new")], [])).map((one) => one.name)).toContain("something.new");
  });
});

describe("the checks of a bundle", () => {
  const made = (name: string, outcome: Check["outcome"]): Check => ({ name, outcome, code: null, detail: "" });

  test("what was not reached is said to be so", () => {
    const all = complete([made("container", "ok"), made("manifest", "failed")]);
    expect(all.map((one) => one.name)).toEqual(CHECKS);
    expect(all.slice(2).every((one) => one.outcome === "unreached")).toBe(true);
    expect(complete(CHECKS.map((name) => made(name, "ok")))).toHaveLength(CHECKS.length);
  });

  test("each check and each outcome that it can have has its words, in both languages", () => {
    for (const words of [en, zh] as readonly Readonly<Record<string, string>>[]) {
      for (const name of CHECKS) {
        for (const key of [`check.${name}`, `check.${name}.ok`, `check.${name}.failed`])
          expect(words[key]).toBeTruthy();
      }
      for (const key of ["check.bodies.incomplete", "check.endings.incomplete"]) expect(words[key]).toBeTruthy();
    }
  });
});

test("the words are the same in both languages, with the same blanks", () => {
  const plain = (words: object) => Object.keys(words).filter((key) => !key.endsWith("_one"));
  const blanks = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();
  expect(plain(zh).sort()).toEqual(plain(en).sort());
  for (const key of plain(en)) {
    const [one, other] = [en, zh].map((words) => (words as Record<string, string>)[key] ?? "");
    expect(blanks(other ?? ""), key).toEqual(blanks(one ?? ""));
  }
});
