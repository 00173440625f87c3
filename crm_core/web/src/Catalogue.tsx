import { useSignal } from "@preact/signals";
import { useAct } from "../ui/act";
import { Problem } from "../ui/http";
import { ago, day, moment } from "../ui/i18n";
import { Button, Chip, Dialog, Empty, ErrorNote, Field, Loading, Note, Table } from "../ui/pieces";
import { session } from "../ui/session";
import * as api from "./api";
import { Editor } from "./CatalogueEditor";
import { Changes, Review } from "./CatalogueReview";
import { ct, working } from "./catalogue";
import { type Reading, useReading } from "./reading";
import {
  type Draft,
  differences,
  drafts,
  madeBy,
  rollBack,
  type Status,
  status,
  type Version,
  version,
  versions,
} from "./versions";
import { t } from "./words";

/** The catalogue's versions, the drafts that wait, and the way to a new one. */
export function Catalogue() {
  const now = useReading((stop) => status({ stop }));
  const waiting = useReading((stop) => drafts({ stop }));
  const all = useReading((stop) => versions({ stop }));
  const me = useReading(() => api.me());
  const officer = session.value?.role === "dpo";
  const current = now.data.value;
  const again = () => {
    for (const one of [now, waiting, all]) one.again();
  };
  if (working.value && officer) return <Editor onDone={again} />;
  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{t("catalogue")}</h1>
          <p class="soft">{ct("lead")}</p>
        </div>
        {officer && current && <Begin number={current.number} />}
      </header>
      <Failed of={[now, waiting, all]} />
      {current && <Standing now={current} />}
      <section class="stack" aria-labelledby="drafts">
        <h2 id="drafts">{ct("drafts")}</h2>
        {!waiting.data.value && waiting.error.value === null && <Loading lines={3} />}
        {waiting.data.value?.items.length === 0 && (
          <div class="card">
            <Empty title={ct("drafts.none")} icon="pen">
              <p>{ct("drafts.none.more")}</p>
            </Empty>
          </div>
        )}
        {waiting.data.value?.items.map((one) => (
          <DraftCard
            key={one.id}
            draft={one}
            own={madeBy(one) === me.data.value?.did}
            next={(current?.number ?? 0) + 1}
            onDone={again}
          />
        ))}
      </section>
      <div class="card">
        <header class="headed">
          <h2>{ct("versions")}</h2>
        </header>
        {all.data.value ? (
          <Versions all={all.data.value.items} now={current?.number} officer={officer} onDone={again} />
        ) : (
          all.error.value === null && <Loading lines={4} />
        )}
      </div>
    </>
  );
}

function Failed({ of }: { readonly of: readonly Reading<unknown>[] }) {
  const bad = of.find((one) => one.error.value !== null);
  return bad ? <ErrorNote error={bad.error.value} onAgain={bad.again} /> : null;
}

function Standing({ now }: { readonly now: Status }) {
  const words = ct("now", { version: now.version, number: now.number });
  return now.settled ? (
    <Note tone="good" icon="check">
      {words}
    </Note>
  ) : (
    <Note tone="warn" icon="clock">
      {words} {ct("now.compiling", { done: now.done ?? 0, of: now.of ?? 0 })}
    </Note>
  );
}

/** Begin a draft with what is in effect. */
function Begin({ number }: { readonly number: number }) {
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  async function begin() {
    busy.value = true;
    error.value = null;
    try {
      const { catalogue: written } = await version(number);
      working.value = { before: written, after: { ...written, version: "" } };
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  }
  return (
    <>
      {error.value !== null && <ErrorNote error={error.value} />}
      <Button kind="primary" icon="pen" busy={busy.value} onClick={() => void begin()}>
        {ct("begin")}
      </Button>
    </>
  );
}

interface CardProps {
  readonly draft: Draft;
  readonly own: boolean;
  readonly next: number;
  readonly onDone: () => void;
}

function DraftCard({ draft, own, next, onDone }: CardProps) {
  const open = useSignal(false);
  const outdated = draft.number !== next;
  return (
    <article class="card draft">
      <div>
        <h3>{ct("draft.number", { number: draft.number })}</h3>
        <p class="faint" title={moment(draft.at)}>
          {ct(own ? "draft.own" : "draft.other", { ago: ago(draft.at) })}
        </p>
      </div>
      {outdated ? <Chip tone="warn">{ct("draft.outdated")}</Chip> : <Chip>{ct("draft.waits")}</Chip>}
      <Button aria-haspopup="dialog" onClick={() => (open.value = true)}>
        {ct("draft.look")}
      </Button>
      {open.value && (
        <Review draft={draft} own={own} outdated={outdated} onClose={() => (open.value = false)} onDone={onDone} />
      )}
    </article>
  );
}

interface VersionsProps {
  readonly all: readonly Version[];
  readonly now: number | undefined;
  readonly officer: boolean;
  readonly onDone: () => void;
}

function Versions({ all, now, officer, onDone }: VersionsProps) {
  const looked = useSignal<Version | null>(null);
  const back = useSignal<Version | null>(null);
  return (
    <>
      <Table label={ct("versions")}>
        <thead>
          <tr>
            <th scope="col">{ct("version.name")}</th>
            <th scope="col">{ct("version.number")}</th>
            <th scope="col">{ct("version.since")}</th>
            <th scope="col">{ct("version.proof")}</th>
            <th>
              <span class="unseen">{t("asks.do")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {all.map((one) => (
            <tr key={one.number}>
              <th scope="row">
                {one.version ?? "—"} {one.number === now && <Chip tone="good">{ct("version.now")}</Chip>}
              </th>
              <td class="tabular">{one.number}</td>
              <td>{one.in_effect ? day(one.in_effect) : ct("version.packaged")}</td>
              <td>
                {one.proved ? (
                  ct(one.number === 0 ? "version.came" : "version.signed", { n: one.signers?.length ?? 0 })
                ) : (
                  <Chip tone="bad">{ct("version.unproved")}</Chip>
                )}
              </td>
              <td class="do">
                {one.proved && one.number !== now && (
                  <Button kind="quiet" aria-haspopup="dialog" onClick={() => (looked.value = one)}>
                    {ct("compare")}
                  </Button>
                )}
                {officer && one.proved && one.number !== now && (
                  <Button kind="quiet" aria-haspopup="dialog" onClick={() => (back.value = one)}>
                    {ct("back")}
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
      {looked.value && now !== undefined && (
        <Compare one={looked.value} now={now} onClose={() => (looked.value = null)} />
      )}
      {back.value && <BackDialog one={back.value} onClose={() => (back.value = null)} onDone={onDone} />}
    </>
  );
}

interface CompareProps {
  readonly one: Version;
  readonly now: number;
  readonly onClose: () => void;
}

function Compare({ one, now, onClose }: CompareProps) {
  const reading = useReading(async (stop) => {
    const [before, after] = await Promise.all([version(one.number, { stop }), version(now, { stop })]);
    return differences(before.catalogue, after.catalogue);
  });
  return (
    <Dialog title={ct("compare.title", { version: one.version ?? String(one.number) })} onClose={onClose}>
      <Failed of={[reading]} />
      {reading.data.value ? <Changes changes={reading.data.value} /> : reading.error.value === null && <Loading />}
    </Dialog>
  );
}

interface BackProps {
  readonly one: Version;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function BackDialog({ one, onClose, onDone }: BackProps) {
  const { busy, error, run } = useAct();
  const named = error.value instanceof Problem && error.value.field === "version" ? error.value.detail : undefined;
  function go(event: SubmitEvent) {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget as HTMLFormElement).get("version")).trim();
    void run(async () => {
      await rollBack(one.number, name);
      onClose();
      onDone();
    });
  }
  return (
    <Dialog title={ct("back.title", { version: one.version ?? String(one.number) })} onClose={onClose}>
      <form class="stack" onSubmit={go}>
        <p>{ct("back.more")}</p>
        <Field label={ct("name")} hint={ct("name.hint")} name="version" maxLength={64} required problem={named} />
        {error.value !== null && !named && <ErrorNote error={error.value} />}
        <p class="actions">
          <Button kind="primary" type="submit" busy={busy.value}>
            {ct("back.do")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}
