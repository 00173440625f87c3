// What all pages share: the words in both languages, and what becomes of an answer of the API.

import { afterEach, describe, expect, test, vi } from "vitest";
import deskEn from "../../crm_core/web/src/en.json";
import deskZh from "../../crm_core/web/src/zh-CN.json";
import en from "../../crm_core/web/ui/en.json";
import { call, keepCsrf, Problem, whenSignedOut } from "../../crm_core/web/ui/http";
import { ago, day, duration, language, number, texts } from "../../crm_core/web/ui/i18n";
import zh from "../../crm_core/web/ui/zh-CN.json";

const plain = (words: object) => Object.keys(words).filter((key) => !key.endsWith("_one"));
const blanks = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

afterEach(() => {
  vi.unstubAllGlobals();
  language.value = "en";
  keepCsrf(null);
});

describe("the words", () => {
  test.each([
    ["ui", en, zh],
    ["desk", deskEn, deskZh],
  ])("%s says the same in both languages, with the same blanks", (_name, english, chinese) => {
    expect(plain(chinese).sort()).toEqual(plain(english).sort());
    for (const key of plain(english)) {
      const [one, other] = [english, chinese].map((words) => (words as Record<string, string>)[key] ?? "");
      expect(blanks(other ?? ""), key).toEqual(blanks(one ?? ""));
    }
  });

  test("one is said in the singular where a language has one", () => {
    const t = texts({ rows: "{n} rows", rows_one: "{n} row" }, { rows: "{n} 行" });
    expect([t("rows", { n: 1 }), t("rows", { n: 2_000 })]).toEqual(["1 row", "2,000 rows"]);
    language.value = "zh-CN";
    expect(t("rows", { n: 1 })).toBe("1 行");
  });

  test("durations, days and numbers follow the language", () => {
    expect([duration("P180D"), duration("P3Y"), duration("soon")]).toEqual(["180 days", "3 years", "soon"]);
    expect(day("2026-11-22")).toBe("Nov 22, 2026");
    expect(ago("2026-11-22T08:00:00Z", Date.parse("2026-11-22T11:00:00Z"))).toBe("3 hours ago");
    language.value = "zh-CN";
    expect(duration("P180D")).toBe("180天");
    expect(day("2026-11-22")).toBe("2026年11月22日");
    expect(number(1234.5)).toBe("1,234.5");
  });
});

describe("calls to the API", () => {
  const answer = (status: number, body: string, headers: Record<string, string> = {}) => {
    const fetched = vi.fn(async () => new Response(body, { status, headers }));
    vi.stubGlobal("fetch", fetched);
    return fetched;
  };
  const failed = async (): Promise<Problem> => {
    const found = await call("POST", "/x", {}).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(Problem);
    return found as Problem;
  };
  const headersOf = (fetched: ReturnType<typeof answer>) =>
    (fetched.mock.calls as unknown as [string, RequestInit][])[0]?.[1].headers as Record<string, string>;

  test("what changes something carries the CSRF token, what reads does not", async () => {
    keepCsrf("token");
    const posted = answer(200, "{}");
    await call("POST", "/x", {});
    expect(headersOf(posted)["X-CSRF-Token"]).toBe("token");
    const got = answer(200, "{}");
    await call("GET", "/x");
    expect(headersOf(got)["X-CSRF-Token"]).toBeUndefined();
  });

  test("a problem keeps its code, its field and how long to wait", async () => {
    const body = JSON.stringify({ code: "bad_filter", detail: "no", field: "filters[0]" });
    answer(400, body, { "content-type": "application/problem+json", "retry-after": "7" });
    const { status, code, field, retryAfter } = await failed();
    expect([status, code, field, retryAfter]).toEqual([400, "bad_filter", "filters[0]", 7]);
  });

  test("an answer that is none of ours is a problem of the server", async () => {
    answer(502, "<html>", { "content-type": "text/html" });
    expect((await failed()).code).toBe("server");
    answer(200, "<html>");
    expect((await failed()).code).toBe("server");
  });

  test("no answer at all is told", async () => {
    vi.stubGlobal("fetch", vi.fn().mockRejectedValue(new TypeError("down")));
    expect((await failed()).code).toBe("unreachable");
  });

  test("a session that ended is told once to the page", async () => {
    const told = vi.fn();
    whenSignedOut(told);
    answer(401, JSON.stringify({ code: "not_signed_in" }), { "content-type": "application/problem+json" });
    expect((await failed()).status).toBe(401);
    await call("GET", "/x", undefined, { quiet: true }).catch(() => {});
    expect(told).toHaveBeenCalledTimes(1);
  });
});
