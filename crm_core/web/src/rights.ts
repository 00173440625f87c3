// What customers ask of the organisation by law, as the data protection officer works on it; and these screens' words.

import { call, file, type Way } from "../ui/http";
import { texts } from "../ui/i18n";
import en from "./rights.en.json";
import zh from "./rights.zh-CN.json";

export const rt = texts(en, zh);

/** A text whose key is made at run time, or the word itself. */
export const rsaid = (key: string, otherwise: string): string => (key in en ? rt(key as keyof typeof en) : otherwise);

export const KINDS = [
  "access",
  "explanation",
  "portability",
  "rectification",
  "restriction",
  "objection",
  "erasure",
] as const;
export type Kind = (typeof KINDS)[number];
export const METHODS = ["id_document", "known_person", "call_back", "contract_details", "representative"] as const;

/** A request as the list has it. `waiting_for`: wallet, dpo, second (person), drain; null once it is closed. */
export interface Listed {
  readonly id: string;
  readonly subject: string;
  readonly kind: Kind;
  readonly state: string;
  readonly waiting_for: string | null;
  /** Recorded at the desk, for a customer without a wallet. */
  readonly desk: boolean;
  readonly taken_by: string | null;
  readonly received_at: string;
  readonly due_at: string;
  readonly overdue: boolean;
  readonly closed_at: string | null;
  readonly disputed: boolean;
}

/** The read that an explanation asks about, as the customer's history has it. */
export interface Read {
  readonly event: string;
  readonly time: string;
  readonly kind: string;
  readonly reader: string | null;
  readonly role: string | null;
  readonly purpose: string | null;
  readonly released: readonly string[];
  readonly withheld: Readonly<Record<string, string>>;
}

export interface Receipt {
  readonly id: string;
  readonly validFrom: string;
  readonly credentialSubject: {
    readonly hasRequestReceipt: {
      readonly requestState: string;
      readonly citation?: string;
      readonly refusalReason?: string;
      readonly explanation?: string;
      readonly shutAt?: string;
    };
  };
}

/** One request with what was signed for it. */
export interface Asked extends Listed {
  readonly read?: Read | null;
  /** Of a restriction: whether it holds anything back now. */
  readonly restricts?: boolean;
  /** Of an erasure: contract grounds for the officer to decide on. */
  readonly may_stay?: readonly { readonly id: string; readonly citation: string; readonly fields: readonly string[] }[];
  readonly request: {
    readonly credentialSubject: {
      readonly makesRequest: {
        readonly hasPurpose?: string;
        readonly exceptedGround?: string;
        readonly hasPersonalData?: readonly string[];
        readonly identifiedBy?: string;
        readonly groundEvidence?: { readonly evidenceText: string };
      };
    };
  };
  readonly receipts: readonly Receipt[];
}

export interface Recorded {
  readonly subject: string;
  readonly kind: string;
  readonly method: string;
  readonly evidence: string;
  readonly purpose?: string;
  readonly event?: string;
}

const path = (id: string, act = ""): string => `/issuer/requests/${encodeURIComponent(id)}${act}`;
const answers = (id: string, what: string): string => `/crm/rights/requests/${encodeURIComponent(id)}/${what}`;

export const listed = (state: "open" | "all", way: Way): Promise<{ items: readonly Listed[] }> =>
  call("GET", `/issuer/requests?state=${state}`, undefined, way);
export const one = (id: string, way: Way): Promise<Asked> => call("GET", path(id), undefined, way);
export const record = (body: Recorded): Promise<Asked> => call("POST", "/issuer/requests", body);
export const take = (id: string): Promise<unknown> => call("POST", path(id, "/taking"), {});
export const confirm = (id: string): Promise<unknown> => call("POST", path(id, "/confirmation"), {});
export const extend = (id: string, reason: string): Promise<unknown> =>
  call("POST", path(id, "/extension"), { reason });
export const refuse = (id: string, reason: string, citation: string): Promise<unknown> =>
  call("POST", path(id, "/refusal"), { reason, citation });
export const lift = (id: string, reason: string): Promise<unknown> => call("POST", path(id, "/lifting"), { reason });
export const explain = (id: string, explanation: string): Promise<unknown> =>
  call("POST", path(id, "/answer"), { explanation });
export const grant = (id: string, keep: Readonly<Record<string, string>> = {}): Promise<unknown> =>
  call("POST", path(id, "/answer"), { keep });
export const correct = (id: string): Promise<unknown> => call("POST", answers(id, "correction"), {});
export const answerFile = (id: string): Promise<Blob> => file(answers(id, "file"), {});
export const passphrase = (id: string): Promise<{ passphrase: string }> => call("POST", answers(id, "passphrase"), {});
