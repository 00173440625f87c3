// What the organisation's API answers (openapi.json), as far as this page asks.

import { call, file, type Way } from "../ui/http";
import type { Labels } from "../ui/i18n";

export type Value = string | number | boolean | readonly string[] | null;
export type FieldType = "text" | "email" | "phone" | "url" | "tags" | "boolean" | "number" | "date" | "datetime";

export interface FieldEntry {
  readonly id: string;
  readonly category: string;
  readonly sensitive: boolean;
  readonly type: FieldType;
  readonly many: boolean;
  readonly item: string | null;
  readonly labels: Labels;
  readonly disposition: "seal" | "shred";
}

export interface PurposeEntry {
  readonly key: string;
  readonly iri: string;
  readonly labels: Labels;
  readonly fields: readonly string[];
  readonly roles: readonly string[];
  readonly allowed: boolean;
}

export interface Catalogue {
  readonly version: string;
  readonly fields: readonly FieldEntry[];
  readonly purposes: readonly PurposeEntry[];
}

/** What the public catalogue says of a purpose besides. */
export interface Terms {
  readonly iri: string;
  readonly labels: Labels;
  readonly necessity: Readonly<Record<string, "required" | "optional">>;
  readonly separate_consent: boolean;
  readonly consent_only: boolean;
  readonly duration: string;
  readonly consent_life: string;
  readonly recipients: readonly string[];
  readonly jurisdictions: readonly string[];
  readonly notice: string;
}

export interface Recipient {
  readonly did: string;
  readonly labels: Labels;
  readonly jurisdiction: string;
}

export interface PublicCatalogue {
  readonly version: string;
  readonly purposes: Readonly<Record<string, Terms>>;
  readonly recipients: Readonly<Record<string, Recipient>>;
}

export interface Customer {
  readonly subject: string;
  readonly fields: Readonly<Record<string, Value>>;
  readonly withheld: Readonly<Record<string, string>>;
  readonly unreadable?: readonly string[];
}

export interface Page {
  readonly items: readonly Customer[];
  readonly next: string | null;
}

export interface Condition {
  readonly field: string;
  readonly operator: string;
  readonly value?: string | number | boolean;
}

export interface Query {
  readonly purpose: string;
  readonly select: readonly string[];
  readonly filters?: readonly (Condition | { readonly any: readonly Condition[] })[];
  readonly search?: string;
  readonly sort?: readonly string[];
  readonly limit: number;
  readonly cursor?: string;
}

export interface Item {
  readonly item: string;
  readonly kind: string;
  readonly fields: Readonly<Record<string, Value>>;
}

export interface Feed {
  readonly items: readonly Item[];
  readonly withheld: Readonly<Record<string, string>>;
  readonly next: string | null;
}

export type AskStanding = "living" | "answered" | "refused" | "superseded" | "expired" | "withdrawn" | "revoked";

interface Process {
  readonly hasPurpose: string;
  readonly hasPersonalData: readonly string[];
  readonly hasRecipient: readonly string[];
  readonly hasJurisdiction: readonly string[];
  readonly hasStorageCondition?: { readonly hasDuration?: string };
}

export interface Ask {
  readonly id: string;
  /** Whom was asked: in the list over all customers. */
  readonly subject?: string;
  readonly standing: AskStanding;
  readonly at: string;
  readonly valid_until: string | null;
  readonly ended_at: string | null;
  readonly credential: {
    readonly credentialSubject: {
      readonly requestsConsent: { readonly hasProcess: readonly Process[]; readonly latestUntil: string };
    };
  };
}

export interface Wish {
  readonly subject: string;
  readonly processes: readonly {
    readonly purpose: string;
    readonly fields: readonly string[];
    readonly recipients?: readonly string[];
    readonly jurisdictions?: readonly string[];
  }[];
  readonly latest_until?: string;
  readonly language: string;
}

export interface Ground {
  readonly id: string;
  readonly standing: "draft" | AskStanding;
  readonly ended_at: string | null;
  readonly credential: {
    /** The DID of the officer who declared it. */
    readonly issuer: string;
    readonly validUntil: string;
    readonly credentialSubject: {
      readonly declaresGround: {
        readonly groundKey: string;
        readonly hasLegalBasis: string;
        readonly citation: string;
        readonly coversSubject: readonly string[];
        readonly untilEnrolled: boolean;
        readonly groundEvidence: { readonly evidenceText: string };
        readonly hasProcess: readonly Process[];
      };
    };
  };
}

export interface Declaration {
  readonly key: string;
  readonly basis: string;
  readonly citation: string;
  readonly evidence: string;
  readonly processes: readonly { readonly purpose: string; readonly fields: readonly string[] }[];
  readonly subjects: readonly string[] | "*";
  readonly until_enrolled: boolean;
  readonly valid_until: string;
}

/** Seconds that something took, over the last hour; `open`: what is not over yet. */
export interface Took {
  readonly count: number;
  readonly median: number | null;
  readonly longest: number | null;
  readonly open: number;
  readonly open_longest: number | null;
}

export const COUNTS = ["releases", "refusals", "attempts", "withdrawals"] as const;
export type Counts = Readonly<Record<(typeof COUNTS)[number], number>>;

export interface Link {
  readonly kind: "touchpoint" | "recipient";
  readonly id: string;
  readonly name?: string | null;
  readonly per_minute: number;
  readonly delay: { readonly median: number | null; readonly longest: number | null };
  readonly failure_rate: number | null;
  readonly waiting?: number;
}

export interface Board {
  readonly at: string;
  readonly since: string;
  readonly minutes: readonly (Counts & { readonly minute: string })[];
  readonly totals: Counts;
  readonly shut: Took;
  readonly disposition: Took;
  readonly queue: { readonly open: number; readonly failing: number; readonly oldest: number | null };
  readonly touchpoints: readonly Link[];
  readonly recipients: readonly Link[];
  readonly alerts: readonly {
    readonly code: string;
    readonly link: string | null;
    readonly value: number;
    readonly threshold: number;
  }[];
}

export interface Notice {
  readonly text: string;
  readonly language: string;
}

const at = (subject: string): string => encodeURIComponent(subject);
const asked = (words: Readonly<Record<string, string>>): string => new URLSearchParams(words).toString();

export const catalogue = (): Promise<Catalogue> => call("GET", "/crm/fields");
export const publicCatalogue = (): Promise<PublicCatalogue> => call("GET", "/issuer/catalogue");
export const notice = (purpose: string, version: string, lang: string): Promise<Notice> =>
  call("GET", `/issuer/notices/${at(purpose)}/${at(version)}?${asked({ lang })}`);

export const customers = (query: Query, way: Way): Promise<Page> => call("POST", "/crm/customers/query", query, way);
export type Format = "csv" | "jsonl" | "vcard";
/** A file of all who meet the conditions of a list. */
export const exported = ({ purpose, select, filters, search }: Query, format: Format): Promise<Blob> =>
  file("/crm/exports", { purpose, select, format, ...(filters ? { filters } : {}), ...(search ? { search } : {}) });
export const customer = (subject: string, purpose: string, way: Way): Promise<Customer> =>
  call("GET", `/crm/customers/${at(subject)}?${asked({ purpose })}`, undefined, way);
export const items = (subject: string, purpose: string, cursor: string | null, way: Way): Promise<Feed> =>
  call(
    "GET",
    `/crm/customers/${at(subject)}/items?${asked({ purpose, limit: "50", ...(cursor ? { cursor } : {}) })}`,
    undefined,
    way,
  );

export const asksTo = (subject: string): Promise<{ items: readonly Ask[] }> =>
  call("GET", `/issuer/asks?${asked({ subject })}`);
export const asks = (before: string | null, way: Way): Promise<{ items: readonly Ask[]; next: string | null }> =>
  call("GET", `/issuer/asks${before ? `?${asked({ before })}` : ""}`, undefined, way);
export const askLink = (id: string): Promise<{ link: string }> => call("GET", `/issuer/asks/${at(id)}/link`);
export const endAsk = (id: string): Promise<Ask> => call("POST", `/issuer/asks/${at(id)}/end`, {});
export const enrolled = (subject: string): Promise<{ enrolled: boolean; since: string | null }> =>
  call("GET", `/issuer/enrolments?${asked({ subject })}`);
export const ask = (wish: Wish): Promise<Ask> => call("POST", "/issuer/asks", wish);
export const invite = (subject: string): Promise<{ id: string; expires_at: string }> =>
  call("POST", "/issuer/invitations", { subject });

export const me = (): Promise<{ did: string }> => call("GET", "/staff/me");
export const grounds = (way: Way): Promise<{ items: readonly Ground[] }> =>
  call("GET", "/issuer/grounds", undefined, way);
export const declare = (ground: Declaration): Promise<Ground> => call("POST", "/issuer/grounds", ground);
export const approveGround = (id: string): Promise<Ground> => call("POST", `/issuer/grounds/${at(id)}/approval`, {});
export const endGround = (id: string): Promise<Ground> => call("POST", `/issuer/grounds/${at(id)}/end`, {});
export const board = (threshold: number, way: Way): Promise<Board> =>
  call("GET", `/redaction/board?${asked({ threshold: String(threshold) })}`, undefined, way);
