import { describe, expect, it } from "vitest";
import { fresh, type Held } from "../../wallet/web/core/holding";
import type { JsonObject } from "../../wallet/web/core/jcs";
import { bare, byField, given, living, type Use, without } from "../../wallet/web/src/uses";

const process = (purpose: string, ...fields: string[]): JsonObject => ({
  hasPurpose: `https://w3id.org/dpv#${purpose}`,
  hasPersonalData: fields,
  hasProcessing: ["dpv:Use"],
  hasRecipient: ["did:web:crm.example.com"],
  hasJurisdiction: ["CN"],
  hasStorageCondition: { hasDuration: "P180D", hasLocation: ["CN"] },
});

const held = (id: string, until: string, ...processes: JsonObject[]): Held => ({
  document: { id, validUntil: until, credentialSubject: { hasConsent: { hasProcess: processes } } },
  standing: "living",
  notice: "",
});

const letters = held("urn:1", "2027-01-01T00:00:00Z", process("Marketing", "contact.email", "address.city"));
const service = held(
  "urn:2",
  "2027-01-01T00:00:00Z",
  process("Service", "contact.email"),
  process("Calls", "contact.phone"),
);
const all = () => [letters, service].map(given);
const use = (field: string, at: number): Use => byField(all()).get(field)?.[at] as Use;

describe("what is allowed", () => {
  it("counts neither what has ended nor what has run out", () => {
    const holding = {
      ...fresh("did:web:x", "https://x", {}),
      consents: [letters, { ...service, standing: "withdrawn" as const }, held("urn:3", "2026-01-01T00:00:00Z")],
    };
    const dated = { ...holding, consents: holding.consents.slice(0, 2) };
    expect(living(dated, Date.parse("2026-11-22")).map((one) => one.id)).toEqual(["urn:1"]);
    expect(living(dated, Date.parse("2027-11-22"))).toEqual([]);
  });

  it("is told field by field, with every use of each", () => {
    const fields = byField(all());
    expect([...fields.keys()]).toEqual(["address.city", "contact.email", "contact.phone"]);
    expect(fields.get("contact.email")?.map((one) => one.consent.id)).toEqual(["urn:1", "urn:2"]);
  });
});

describe("the consequence named before an end", () => {
  it("is a field without any consent, also when the screen was drawn anew meanwhile", () => {
    expect(bare(all(), [given(letters)])).toEqual(["address.city"]);
    expect(bare(all(), all())).toEqual(["address.city", "contact.email", "contact.phone"]);
    expect(bare(all(), [given(letters)], "address.city", 0)).toEqual(["address.city"]);
  });

  it("is nothing where another consent, or another purpose of the same one, still covers the field", () => {
    expect(bare(all(), [given(letters)], "contact.email", 0)).toEqual([]);
    const twice = given(
      held("urn:4", "2027-01-01T00:00:00Z", process("A", "contact.email"), process("B", "contact.email")),
    );
    expect(bare([twice], [twice], "contact.email", 0)).toEqual([]);
  });
});

describe("what stays when one use is switched off", () => {
  it("is everything else of its consent, purpose by purpose", () => {
    expect(without(use("contact.email", 0))).toEqual(new Map([[0, new Set(["address.city"])]]));
    expect(without(use("contact.email", 1))).toEqual(new Map([[1, new Set(["contact.phone"])]]));
  });

  it("is nothing after the last one, so the consent is withdrawn", () => {
    const last = given(held("urn:5", "2027-01-01T00:00:00Z", process("A", "contact.email")));
    expect(without(byField([last]).get("contact.email")?.[0] as Use)).toBeNull();
  });
});
