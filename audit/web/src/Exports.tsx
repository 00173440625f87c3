import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Problem } from "../../../crm_core/web/ui/http";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Empty, Heads, Loading, Note, Table } from "../../../crm_core/web/ui/pieces";
import { go, route, to } from "../../../crm_core/web/ui/route";
import type { Job } from "./api";
import * as api from "./api";
import { Fact, Facts, Filters, Head, Id, Raw, Trouble, words, Zone } from "./parts";
import { useReading } from "./reading";
import { bytes, exact, named, purposeName, said, short, t } from "./words";

const PAUSE = 400;
const NAMES = ["person", "field", "purpose", "from", "to"] as const;
const TONES = { waiting: "plain", running: "plain", done: "good", failed: "bad", cancelled: "warn" } as const;
const open = (job: Job): boolean => job.state === "waiting" || job.state === "running";

/** Ask for a bundle, and see those that were asked for. */
export function Exports() {
  const reading = useReading((stop) => api.exports({ stop }));
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const problem = useSignal<string | undefined>(undefined);
  const given = Object.fromEntries(route.value.words);

  async function ask(event: SubmitEvent) {
    event.preventDefault();
    const { person, ...rest } = words(event.currentTarget as HTMLFormElement);
    problem.value = person ? undefined : t("exports.needed");
    if (!person) return;
    busy.value = true;
    error.value = null;
    try {
      const made = await api.ask({ subject: person, ...rest });
      go(to(["exports", made.id]));
    } catch (wrong) {
      error.value = wrong;
    } finally {
      busy.value = false;
    }
  }

  const found = reading.data.value;
  return (
    <>
      <Head title={t("exports")} lead={t("exports.lead")} />
      <form
        class="card padded stack tight"
        key={JSON.stringify(given)}
        onSubmit={ask}
        aria-label={t("exports.new")}
        noValidate
      >
        <Filters words={given} names={NAMES} problem={problem.value} />
        <p class="soft hinting">{t("exports.scope")}</p>
        {error.value !== null && <Trouble error={error.value} />}
        <div class="actions">
          <Zone />
          <Button kind="primary" type="submit" busy={busy.value}>
            {t("exports.do")}
          </Button>
        </div>
      </form>
      <div class="card list">
        <h2 class="headed">{t("exports.mine")}</h2>
        {reading.error.value !== null && <Trouble error={reading.error.value} onAgain={reading.again} />}
        {!found && reading.error.value === null && <Loading lines={3} />}
        {found && found.items.length === 0 && <Empty title={t("exports.none")} icon="download" />}
        {found && found.items.length > 0 && <Rows jobs={found.items} />}
      </div>
    </>
  );
}

function Rows({ jobs }: { readonly jobs: readonly Job[] }) {
  return (
    <Table label={t("exports.mine")}>
      <Heads all={(["person", "fields", "export.asked", "export.size", "result"] as const).map((key) => t(key))} />
      <tbody>
        {jobs.map((one) => (
          <tr key={one.id}>
            <th scope="row">
              <a href={to(["exports", one.id])}>
                <code>{short(one.subject)}</code>
              </a>
            </th>
            <td data-label={t("fields")}>{one.field ? named(one.field) : t("export.all_fields")}</td>
            <td data-label={t("export.asked")} class="tabular">
              {exact(one.at)}
            </td>
            <td data-label={t("export.size")}>{one.size ? bytes(one.size) : ""}</td>
            <td data-label={t("result")}>
              <Chip tone={TONES[one.state]}>{t(`state.${one.state}`)}</Chip>
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** One export: how far it is, and its bundle. Its id is in the address, so that whoever comes back finds it. */
export function ExportScreen({ id }: { readonly id: string }) {
  const job = useSignal<Job | null>(null);
  const error = useSignal<unknown>(null);
  const acting = useSignal(false);
  const tries = useSignal(0);
  const again = tries.value;

  useEffect(() => {
    const stopping = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    async function watch() {
      try {
        const found = await api.watch(id, { stop: stopping.signal });
        job.value = found;
        error.value = null;
        if (open(found)) timer = setTimeout(watch, PAUSE);
      } catch (wrong) {
        if (stopping.signal.aborted) return;
        error.value = wrong;
        if (wrong instanceof Problem && wrong.status === 0) timer = setTimeout(watch, 10 * PAUSE);
      }
    }
    void watch();
    return () => {
      stopping.abort();
      clearTimeout(timer);
    };
  }, [id, again]);

  async function act(change: (id: string) => Promise<Job>) {
    acting.value = true;
    try {
      job.value = await change(id);
      tries.value += 1;
    } catch (wrong) {
      error.value = wrong;
    } finally {
      acting.value = false;
    }
  }

  const found = job.value;
  const gone = error.value instanceof Problem && error.value.code === "unknown_export";
  return (
    <>
      <a class="back" href={to(["exports"])}>
        <Icon name="back" />
        {t("export.back")}
      </a>
      <Head title={t("export")} />
      {gone && <Note tone="warn">{t("export.gone")}</Note>}
      {error.value !== null && !gone && <Trouble error={error.value} onAgain={() => (tries.value += 1)} />}
      {!found && error.value === null && (
        <div class="card">
          <Loading lines={6} />
        </div>
      )}
      {found && !gone && (
        <>
          <section class="card padded stack job" aria-labelledby="state">
            <h2 id="state">
              <Chip tone={TONES[found.state]}>{t(`state.${found.state}`)}</Chip>
            </h2>
            {open(found) && <Progress job={found} />}
            {found.state === "failed" && (
              <Note tone="warn">{said(`problem.${found.code}`, "problem.other", { code: found.code ?? "" })}</Note>
            )}
            {found.state === "done" && (
              <>
                <p class="soft">{t("export.how")}</p>
                <Raw
                  label={t("verify")}
                >{`fieldgrant audit verify bundle-${found.id.slice(0, 8)}.zip --log-key log.vkey`}</Raw>
              </>
            )}
            <div class="actions">
              <p class="faint grow">{t("export.keep")}</p>
              {open(found) && (
                <Button busy={acting.value} onClick={() => void act(api.cancel)}>
                  {t("export.cancel")}
                </Button>
              )}
              {(found.state === "cancelled" || found.state === "failed") && (
                <Button busy={acting.value} onClick={() => void act(api.resume)}>
                  {t("export.resume")}
                </Button>
              )}
              {found.state === "done" && (
                <>
                  <Button kind="danger" busy={acting.value} onClick={() => void act(api.cancel)}>
                    {t("export.delete")}
                  </Button>
                  <a class="button primary" href={api.bundle(found.id)} download>
                    <Icon name="download" />
                    {t("export.fetch")}
                  </a>
                </>
              )}
            </div>
          </section>
          <Scope job={found} />
        </>
      )}
    </>
  );
}

function Progress({ job }: { readonly job: Job }) {
  const stage = said(`stage.${job.stage}`, "stage.", { count: job.count, total: job.total });
  return (
    <div class="progress">
      <label for="progress">
        <span role="status">{stage}</span>
      </label>
      <progress id="progress" max={Math.max(1, job.total)} value={job.stage === "packing" ? job.total : job.count} />
    </div>
  );
}

function Scope({ job }: { readonly job: Job }) {
  const { purpose, from, to: until } = job.scope;
  return (
    <Facts>
      <Fact name={t("person")}>
        <a href={to(["search"], { person: job.subject })}>{t("customer")}</a>
        <Id id={job.subject} what={t("person")} />
      </Fact>
      <Fact name={t("field")}>{job.field ? named(job.field) : t("export.all_fields")}</Fact>
      <Fact name={t("purpose")}>{purpose ? purposeName(purpose) : t("any")}</Fact>
      <Fact name={t("from")}>{from ? exact(from) : t("any")}</Fact>
      <Fact name={t("to")}>{until ? exact(until) : t("any")}</Fact>
      {job.size > 0 && <Fact name={t("export.size")}>{bytes(job.size)}</Fact>}
      <Fact name={t("export.asked")}>{exact(job.at)}</Fact>
    </Facts>
  );
}
