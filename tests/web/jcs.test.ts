import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decode, encode } from "../../wallet/web/core/base58";
import { type Json, jcs } from "../../wallet/web/core/jcs";

const vectors = new URL("../vectors/vc-di-eddsa/", import.meta.url);

describe("the canonical form", () => {
  it("is that of the standard's document", () => {
    const document = JSON.parse(readFileSync(new URL("unsigned.json", vectors), "utf8")) as Json;
    expect(jcs(document)).toBe(readFileSync(new URL("eddsa-jcs-2022/canonDocJCS.txt", vectors), "utf8"));
  });

  it("orders names by UTF-16 code units", () => {
    expect(jcs({ "\u{1f600}": 1, "\ufb33": 2, "\u20ac": 3, 1: 4, "\r": 5 })).toBe(
      '{"\\r":5,"1":4,"\u20ac":3,"\u{1f600}":1,"\ufb33":2}',
    );
  });

  it.each([
    [Number.NaN, "bad_number"],
    [Number.POSITIVE_INFINITY, "bad_number"],
    ["\ud800", "bad_text"],
    [{ "\udc00": 1 }, "bad_text"],
  ])("refuses %s", (value, code) => {
    expect(() => jcs(value as Json)).toThrow(expect.objectContaining({ code }));
  });

  it("refuses what is nested too deep", () => {
    let deep: Json = 1;
    for (let level = 0; level < 40; level++) deep = [deep];
    expect(() => jcs(deep)).toThrow(expect.objectContaining({ code: "too_deep" }));
  });
});

describe("base58btc", () => {
  it("keeps leading zeros and comes back", () => {
    const data = Uint8Array.of(0, 0, 255, 1, 2);
    expect(encode(data)).toMatch(/^z11/);
    expect(decode(encode(data), 5)).toEqual(data);
    expect(decode(encode(new Uint8Array(3)), 3)).toEqual(new Uint8Array(3));
  });

  it.each(["", "abc", "z0", "zI", `z${"1".repeat(300)}`, "z11111"])("refuses %j as four bytes", (text) => {
    expect(() => decode(text, 4)).toThrow(expect.objectContaining({ code: "bad_multibase" }));
  });
});
