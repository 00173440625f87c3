/** What the organisation signed: receipts of decisions, certificates of what became of fields. Each verified here. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { day, moment } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Loading, Note } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import type { JsonObject } from "../core/jcs";
import * as learning from "../core/learning";
import type { Certificate, Receipt } from "../core/verify";
import { OfOrganisation } from "./Organisations";
import { download, useFetched } from "./pieces";
import { unlocked } from "./state";
import { fieldName, list, problem, purposeName, recipientName, said, t } from "./words";

interface Found {
  readonly receipts: readonly Receipt[];
  readonly certificates: readonly Certificate[];
  /** Why they come out of the wallet alone, where the organisation did not answer. */
  readonly old: unknown;
}

export const Receipts = () => (
  <OfOrganisation title={t("place.receipts")} lead={t("receipts.lead")} icon="check">
    {(holding) => <Documents key={holding.controller} holding={holding} />}
  </OfOrganisation>
);

function Documents({ holding }: { readonly holding: Holding }) {
  const { value, error, load } = useFetched(() => fetched(holding.controller), [holding.controller]);
  const found = value.value;
  return (
    <>
      {error.value !== null && (
        <Note tone="warn" icon="alert">
          <p>{t("receipts.bad", { why: problem(error.value) })}</p>
          <Button onClick={() => void load()}>{t("again")}</Button>
        </Note>
      )}
      {found && found.old !== null && (
        <Note tone="warn" icon="alert">
          {t("data.old", { why: problem(found.old) })}
        </Note>
      )}
      <section aria-labelledby="certificates">
        <div class="head">
          <h2 id="certificates">{t("receipts.certificates")}</h2>
        </div>
        <div class="card">
          {found === undefined && error.value === null && <Loading lines={2} />}
          {found?.certificates.length === 0 && <p class="quiet">{t("receipts.certificates.none")}</p>}
          <ul class="rows">
            {found?.certificates.map((one) => (
              <CertificateRow key={one.id} holding={holding} certificate={one} />
            ))}
          </ul>
        </div>
      </section>
      <section aria-labelledby="receipts">
        <div class="head">
          <h2 id="receipts">{t("receipts.receipts")}</h2>
        </div>
        <div class="card">
          {found === undefined && error.value === null && <Loading lines={4} />}
          {found?.receipts.length === 0 && <p class="quiet">{t("receipts.none")}</p>}
          <ul class="rows">
            {found?.receipts.map((one) => (
              <ReceiptRow key={one.id} holding={holding} receipt={one} />
            ))}
          </ul>
        </div>
      </section>
    </>
  );
}

function ReceiptRow({ holding, receipt }: { readonly holding: Holding; readonly receipt: Receipt }) {
  const purposes = receipt.processes.map((one) => purposeName(holding, one.purpose));
  const fields = [...new Set(receipt.processes.flatMap((one) => one.fields))];
  return (
    <li>
      <details class="entry">
        <summary class="row">
          <span>
            <strong>
              {said("receipt", receipt.event)}
              {purposes.length > 0 && <span class="by"> · {list(purposes)}</span>}
            </strong>
            {fields.length > 0 && <span class="soft">{list(fields.map((field) => fieldName(holding, field)))}</span>}
          </span>
          <time class="faint when" dateTime={receipt.at.toISOString()}>
            {moment(receipt.at)}
          </time>
          <Icon name="down" />
        </summary>
        <div class="more">
          <dl class="facts small">
            {receipt.shutAt && <Pair term={t("receipts.shut")}>{moment(receipt.shutAt)}</Pair>}
            {receipt.consent && <Pair term={t("receipts.consent")}>{receipt.consent.id}</Pair>}
            <Pair term={t("receipts.id")}>{receipt.id}</Pair>
          </dl>
          <Signed document={receipt.document} name="receipt" />
        </div>
      </details>
    </li>
  );
}

function CertificateRow({ holding, certificate }: { readonly holding: Holding; readonly certificate: Certificate }) {
  const { busy, run } = useAct();
  const proved = useSignal("");
  const prove = () =>
    run(async () => {
      const found = await provedIn(holding, certificate);
      proved.value =
        found.missing === null
          ? t("receipts.proved", { n: found.proved })
          : t("receipts.unproved", { n: found.proved, all: certificate.events.length, why: problem(found.missing) });
    });
  return (
    <li>
      <details class="entry">
        <summary class="row">
          <span>
            <strong>{list(certificate.items.map((one) => fieldName(holding, one.field)))}</strong>
            <span class="soft">
              {list([...new Set(certificate.items.map((one) => said("disposition", one.disposition)))])}
            </span>
          </span>
          <time class="faint when" dateTime={certificate.at.toISOString()}>
            {moment(certificate.at)}
          </time>
          <Icon name="down" />
        </summary>
        <div class="more">
          <ul class="lines">
            {certificate.items.map((one) => (
              <li key={one.field}>
                {fieldName(holding, one.field)}: {said("disposition", one.disposition)}
                {one.destroyBy && ` · ${t("fates.by", { when: day(one.destroyBy) })}`}
              </li>
            ))}
            {certificate.told.map((one) => (
              <li key={one.recipient}>
                {recipientName(holding, one.recipient)}: {said("told", one.acknowledged ? "acknowledged" : "delivered")}
              </li>
            ))}
          </ul>
          <Signed document={certificate.document} name="certificate" />
          {proved.value ? (
            <p class="small">{proved.value}</p>
          ) : (
            certificate.events.length > 0 && (
              <Button busy={busy.value} icon="search" onClick={() => void prove()}>
                {t("history.prove")}
              </Button>
            )
          )}
        </div>
      </details>
    </li>
  );
}

function Signed({ document, name }: { readonly document: JsonObject; readonly name: string }) {
  return (
    <p class="signed">
      <Chip tone="good" icon="check">
        {t("receipts.signed")}
      </Chip>
      <Button
        icon="falling"
        onClick={() => download(`${name}-${String(document.id).slice(9, 17)}.json`, JSON.stringify(document, null, 2))}
      >
        {t("receipts.download")}
      </Button>
    </p>
  );
}

const Pair = ({ term, children }: { readonly term: string; readonly children: string }) => (
  <div>
    <dt>{term}</dt>
    <dd class="mono">{children}</dd>
  </div>
);

async function fetched(controller: string): Promise<Found> {
  const open = unlocked();
  let old: unknown = null;
  const either = async <T,>(online: () => Promise<T>, kept: () => Promise<T>): Promise<T> => {
    try {
      return await online();
    } catch (error) {
      old = error;
      return kept();
    }
  };
  const receipts = await either(
    () => learning.receipts(open, controller),
    () => learning.receipts(open, controller, false),
  );
  const certificates = await either(
    () => learning.certificates(open, controller),
    () => learning.certificates(open, controller, false),
  );
  return { receipts, certificates, old };
}

/** How many of a certificate's events the log proves, and what stood in the way of the rest. */
async function provedIn(holding: Holding, certificate: Certificate): Promise<{ proved: number; missing: unknown }> {
  let proved = 0;
  let missing: unknown = null;
  for (const event of certificate.events) {
    try {
      await learning.prove(unlocked(), holding.controller, event);
      proved += 1;
    } catch (error) {
      missing = error;
    }
  }
  return { proved, missing };
}
