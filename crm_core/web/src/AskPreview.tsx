import { day, duration, label, language } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { Loading } from "../ui/pieces";
import type { Recipient, Terms } from "./api";
import { field } from "./desk";
import { t } from "./words";

/** What is put together: field ids, a recipient of the catalogue or ourselves (empty), the last day, the notice's words. */
export interface Draft {
  readonly purpose: string;
  readonly fields: readonly string[];
  readonly recipient: string;
  readonly until: string;
  readonly language: string;
  readonly notice: string;
}

interface Props {
  readonly draft: Draft;
  readonly of: Terms;
  readonly recipient: Recipient | undefined;
}

/** The request as a wallet shows it: who, what for, which fields, how long, to whom, where, and the notice as worded. */
export function AskPreview({ draft, of, recipient }: Props) {
  const place = recipient?.jurisdiction;
  const where = place
    ? (new Intl.DisplayNames(language.value, { type: "region" }).of(place) ?? place)
    : t("ask.preview.home");
  return (
    <section class="preview" aria-labelledby="preview">
      <h2 id="preview" class="faint">
        <Icon name="eye" />
        {t("ask.preview")}
      </h2>
      <div class="phone card">
        <p class="faint">{t("ask.preview.asks", { who: location.host })}</p>
        <ul class="wanted">
          {draft.fields.map((id) => (
            <li key={id}>
              <i aria-hidden="true" />
              <span>
                {label(field(id)?.labels ?? { en: id })}
                {of.necessity[id] === "required" && <small class="faint">{t("ask.preview.needed")}</small>}
              </span>
            </li>
          ))}
        </ul>
        <p class="faint">
          <small>{draft.fields.length === 0 ? t("ask.fields.none") : t("ask.preview.tick")}</small>
        </p>
        <dl>
          <div>
            <dt>{t("ask.preview.for")}</dt>
            <dd>{label(of.labels)}</dd>
          </div>
          <div>
            <dt>{t("ask.preview.consent")}</dt>
            <dd>{draft.until ? day(draft.until) : "—"}</dd>
          </div>
          <div>
            <dt>{t("ask.preview.data")}</dt>
            <dd>{duration(of.duration)}</dd>
          </div>
          <div>
            <dt>{t("ask.preview.recipient")}</dt>
            <dd>{recipient ? label(recipient.labels) : t("ask.us")}</dd>
          </div>
          <div>
            <dt>{t("ask.preview.place")}</dt>
            <dd>{where}</dd>
          </div>
        </dl>
        <details open>
          <summary>{t("ask.preview.notice")}</summary>
          {draft.notice ? (
            <p class="notice" lang={draft.language}>
              {draft.notice}
            </p>
          ) : (
            <Loading lines={5} />
          )}
        </details>
      </div>
    </section>
  );
}
