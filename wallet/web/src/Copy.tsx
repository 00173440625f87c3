/** A copy of what is held, opened in this browser: in memory while it is looked at, and nowhere else. */

import { day, label, moment, number } from "../../../crm_core/web/ui/i18n";
import { Button, Dialog, Note } from "../../../crm_core/web/ui/pieces";
import { isObject, list as several } from "../core/did";
import type { Holding } from "../core/holding";
import type { Json, JsonObject } from "../core/jcs";
import { download, stamped } from "./pieces";
import { correctable, fieldName, kindOf, list, said, t } from "./words";

const PARTS = ["items", "recipients", "archived", "waiting", "papers", "history"] as const;

export function CopyDialog({
  holding,
  copy,
  onClose,
  onCorrect,
}: {
  readonly holding: Holding;
  readonly copy: JsonObject;
  readonly onClose: () => void;
  readonly onCorrect: (field: string) => void;
}) {
  const data = isObject(copy.data) ? copy.data : copy;
  const rows = several(copy.fields ?? data.values).filter(isObject);
  const kind = copy.kind === "portability" ? "portability" : "access";
  const counts = PARTS.map((name) => ({ name, n: several(data[name]).length })).filter((one) => one.n > 0);
  const may = new Set(correctable(holding));
  const rights = isObject(copy.rights) ? label(copy.rights as Record<string, string>) : "";
  return (
    <Dialog title={t(`right.${kind}`)} onClose={onClose}>
      <Note icon="lock">{t("copy.lead")}</Note>
      {rows.length === 0 && <p class="soft">{t("copy.none")}</p>}
      <dl class="facts values">
        {rows.map((row) => {
          const field = String(row.field);
          return (
            <div key={field}>
              <dt>{isObject(row.labels) ? label(row.labels as Record<string, string>) : fieldName(holding, field)}</dt>
              <dd>
                {shown(row.value, kindOf(holding, field))}
                <span class="faint small block">
                  {sources(row)}{" "}
                  {kind === "access" && may.has(field) && (
                    <button type="button" class="link" onClick={() => onCorrect(field)}>
                      {t("copy.correct")}
                    </button>
                  )}
                </span>
              </dd>
            </div>
          );
        })}
      </dl>
      {counts.length > 0 && (
        <p class="soft small">
          {t("copy.more")} {counts.map(({ name, n }) => t(`copy.${name}`, { n })).join(" · ")}
        </p>
      )}
      {rights && <p class="faint small">{rights}</p>}
      <div class="actions">
        {typeof copy.vcard === "string" && (
          <Button icon="falling" onClick={() => download(stamped(kind, "vcf"), String(copy.vcard), "text/vcard")}>
            {t("copy.vcard")}
          </Button>
        )}
        <Button
          kind="primary"
          icon="falling"
          onClick={() => download(stamped(kind, "json"), JSON.stringify(copy, null, 2))}
        >
          {t("copy.save")}
        </Button>
      </div>
    </Dialog>
  );
}

function shown(value: Json | undefined, kind: string): string {
  if (typeof value === "number") return number(value);
  if (kind === "date") return day(String(value));
  return kind === "datetime" ? moment(String(value)) : list(several(value).map(String));
}

/** Where a value came from, the newest last. */
function sources(row: JsonObject): string {
  const last = several(row.provenance).filter(isObject).at(-1);
  return last === undefined ? "" : t("copy.from", { source: said("source", String(last.source)) });
}
