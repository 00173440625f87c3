import { useSignal, useSignalEffect } from "@preact/signals";
import { Chip } from "../../../crm_core/web/ui/pieces";
import { list } from "../../../wallet/web/core/did";
import type { Json, JsonObject } from "../../../wallet/web/core/jcs";
import type { Paper } from "./api";
import { Fact, Id, Raw, Who } from "./parts";
import { type Signed, verifyPaper } from "./proving";
import { exact, named, purposeName, said, t } from "./words";

interface PaperProps {
  readonly paper: Paper;
  readonly controller: JsonObject;
  /** When the event happened that rests on it. */
  readonly at: string;
}

const SIGNED_BY_WALLET = ["consent", "withdrawal", "refusal"];

/** A signed credential: who signed it, what it covers, until when, and whether its proof holds. */
export function PaperCard({ paper, controller, at }: PaperProps) {
  const signed = useSignal<Signed | null>(null);
  useSignalEffect(() => {
    let mine = true;
    void verifyPaper(paper, controller, at).then((found) => {
      if (mine) signed.value = found;
    });
    return () => {
      mine = false;
    };
  });
  const { issuer, validFrom, validUntil, credentialSubject } = paper.document;
  const fields = [...new Set(all(credentialSubject, "hasPersonalData"))];
  const purposes = [...new Set(all(credentialSubject, "hasPurpose"))];
  return (
    <article class="card paper" id={paper.id} tabIndex={-1} aria-label={said(`kind.${paper.kind}`, "kind.other")}>
      <header>
        <h3>{said(`kind.${paper.kind}`, "kind.other")}</h3>
        <Verified signed={signed.value} />
      </header>
      <dl>
        <Fact name={t("paper.issuer")}>
          {SIGNED_BY_WALLET.includes(paper.kind) ? <b>{t("wallet")}</b> : <Who did={String(issuer)} />}
          <Id id={String(issuer)} what={t("paper.issuer")} />
        </Fact>
        {fields.length > 0 && <Fact name={t("paper.fields")}>{fields.map(named).join(" · ")}</Fact>}
        {purposes.length > 0 && (
          <Fact name={t("paper.purposes")}>{purposes.map(whole).map(purposeName).join(" · ")}</Fact>
        )}
        {all(credentialSubject, "hasLegalBasis").map((one) => (
          <Fact key={one} name={t("paper.basis")}>
            {one.replace("dpv:", "")}
          </Fact>
        ))}
        {all(credentialSubject, "citation").map((one) => (
          <Fact key={one} name={t("paper.citation")}>
            {one}
          </Fact>
        ))}
        <Fact name={t("paper.valid")}>
          {validUntil === undefined
            ? exact(String(validFrom))
            : t("paper.valid.span", { from: exact(String(validFrom)), to: exact(String(validUntil)) })}
          {validUntil !== undefined && (
            <Chip tone={then(at, paper.document) ? "good" : "warn"}>
              {t(then(at, paper.document) ? "paper.then" : "paper.not_then")}
            </Chip>
          )}
        </Fact>
        <Fact name={t("paper.proof")}>
          {list(paper.document.proof)
            .map((one) => String((one as JsonObject).cryptosuite))
            .join(" · ")}
        </Fact>
        <Fact name={t("paper.id")}>
          <Id id={paper.id} what={t("paper.id")} whole />
        </Fact>
      </dl>
      <details>
        <summary>{t("paper.raw")}</summary>
        <Raw label={t("paper.raw")}>{JSON.stringify(paper.document, null, 2)}</Raw>
      </details>
    </article>
  );
}

function Verified({ signed }: { readonly signed: Signed | null }) {
  if (signed === null) return <Chip icon="clock">{t("paper.wait")}</Chip>;
  if (signed === "good")
    return (
      <Chip tone="good" icon="check">
        {t("paper.good")}
      </Chip>
    );
  return (
    <Chip tone={signed === "bad" ? "bad" : "warn"} icon="alert">
      {t(signed === "bad" ? "paper.bad" : "paper.rdfc")}
    </Chip>
  );
}

const then = (at: string, document: JsonObject): boolean =>
  new Date(String(document.validFrom)).getTime() <= new Date(at).getTime() + 10_000 &&
  new Date(at) < new Date(String(document.validUntil));

const whole = (purpose: string): string => purpose.replace(/^dpv:/, "https://w3id.org/dpv#");

/** Every text under this name, however deep. */
function all(node: Json | undefined, name: string): string[] {
  if (Array.isArray(node)) return node.flatMap((one) => all(one, name));
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === name ? list(value).filter((one): one is string => typeof one === "string") : all(value, name),
  );
}
