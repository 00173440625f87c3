import { describe, expect, it } from "vitest";
import type { Happened } from "../../wallet/web/core/record";
import { dayOf, lastDay } from "../../wallet/web/src/days";
import { byField, byReader, fieldsIn } from "../../wallet/web/src/groups";

const entry = (told: Partial<Happened>): Happened => ({
  event: "urn:uuid:1",
  time: "2026-11-22T08:00:00.000Z",
  kind: "release",
  reader: "did:key:a",
  role: "marketing",
  purpose: null,
  recipient: null,
  released: [],
  withheld: {},
  fields: [],
  leaf: null,
  ...told,
});

const history = [
  entry({ released: ["contact.email"], withheld: { "contact.phone": "no_ground" } }),
  entry({ withheld: { "contact.email": "withdrawn" } }),
  entry({ reader: "did:key:b", role: "sales", released: ["contact.email", "address.city"] }),
];

describe("the history put together", () => {
  it("by reader tells how often something was read and how often nothing", () => {
    const [first, second] = byReader(history);
    expect([first?.key, first?.role, first?.reads, first?.refusals]).toEqual(["did:key:a", "marketing", 1, 1]);
    expect([second?.key, second?.reads, second?.refusals]).toEqual(["did:key:b", 1, 0]);
  });

  it("by field counts an entry that withheld the field as one that did not read it", () => {
    const found = new Map(byField(history).map((one) => [one.key, one]));
    expect([found.get("contact.email")?.reads, found.get("contact.email")?.refusals]).toEqual([2, 1]);
    expect([found.get("contact.phone")?.reads, found.get("contact.phone")?.refusals]).toEqual([0, 1]);
    expect(found.get("address.city")?.entries).toHaveLength(1);
  });

  it("names each field of an entry once", () => {
    expect(fieldsIn(entry({ released: ["a.b"], fields: ["a.b"], withheld: { "c.d": "role" } }))).toEqual([
      "a.b",
      "c.d",
    ]);
  });
});

describe("a day that somebody chose", () => {
  it("lasts to its end, but never past the last moment that was asked for", () => {
    const latest = new Date(2027, 1, 1, 12, 0);
    expect(dayOf(latest)).toBe("2027-02-01");
    expect(lastDay("2027-02-01", latest)).toBeUndefined();
    expect(lastDay("2027-01-31", latest)?.getTime()).toBe(new Date(2027, 0, 31, 23, 59, 59).getTime());
    expect(lastDay("no day", latest)).toBeUndefined();
  });
});
