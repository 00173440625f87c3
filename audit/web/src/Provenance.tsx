import { Button, Chip, Empty, Heads, Loading, Note, Select, Table } from "../../../crm_core/web/ui/pieces";
import { go, to } from "../../../crm_core/web/ui/route";
import { type Node, type Story, type Told, tell } from "../core/tale";
import * as api from "./api";
import { address, Graph } from "./Graph";
import { Filters, fields, Head, Trouble, words, Zone } from "./parts";
import { useReading } from "./reading";
import { counted, nameOf } from "./tellings";
import { event, exact, purposeName, reason, t } from "./words";

const SHOWN = 50;

/** Whose value, and which: then its story. */
export function ProvenanceScreen({
  subject,
  field,
}: {
  readonly subject?: string | undefined;
  readonly field?: string | undefined;
}) {
  return (
    <>
      <Head title={t("provenance")} lead={t("provenance.lead")} />
      <Pick subject={subject} field={field} />
      {subject && field ? (
        <Telling subject={subject} field={field} />
      ) : (
        <div class="card">
          <Empty title={t("provenance.pick")} icon="search">
            <p>{t("provenance.pick.more")}</p>
          </Empty>
        </div>
      )}
    </>
  );
}

function Pick({ subject = "", field = "" }: { subject?: string | undefined; field?: string | undefined }) {
  return (
    <form
      class="card padded pick"
      onSubmit={(event) => {
        event.preventDefault();
        const { person, field: wanted } = words(event.currentTarget);
        if (person && wanted) go(to(["provenance", person, wanted]));
      }}
    >
      <Filters words={{ person: subject }} names={["person"]} />
      <Select label={t("field")} name="field" {...(field ? { value: field } : {})}>
        {fields().map(([id, text]) => (
          <option key={id} value={id}>
            {text}
          </option>
        ))}
      </Select>
      <Button kind="primary" type="submit">
        {t("provenance.do")}
      </Button>
    </form>
  );
}

function Telling({ subject, field }: { readonly subject: string; readonly field: string }) {
  const reading = useReading((stop) => api.story(subject, field, { stop }));
  const story = reading.data.value;
  if (reading.error.value !== null) return <Trouble error={reading.error.value} onAgain={reading.again} />;
  if (!story)
    return (
      <div class="card">
        <Loading lines={10} />
      </div>
    );
  if (story.events.length === 0)
    return (
      <div class="card">
        <Empty title={t("provenance.none")} />
      </div>
    );
  return <Shown story={story} />;
}

function Shown({ story }: { readonly story: Story }) {
  const nodes = tell(story);
  const newest = [...story.events].reverse().slice(0, SHOWN);
  const { subject, field } = story;
  return (
    <>
      {!story.whole && <Note>{t("provenance.part")}</Note>}
      <section class="card drawing" aria-labelledby="drawn">
        <header>
          <h2 id="drawn">{t("provenance.drawn")}</h2>
          <Zone />
          <a class="button" href={to(["exports"], { person: subject, field })}>
            {t("provenance.export")}
          </a>
        </header>
        <Graph nodes={nodes} story={story} />
      </section>
      <div class="card list">
        <h2 class="headed">{t("provenance.table")}</h2>
        <Equal nodes={nodes} story={story} />
      </div>
      <div class="card list">
        <h2 class="headed">{t("provenance.events")}</h2>
        <Events events={newest} />
        <footer class="pages">
          <a class="button quiet" href={to(["search"], { person: subject, field })}>
            {t("provenance.all")}
          </a>
        </footer>
      </div>
    </>
  );
}

/** The drawing as a table: the same nodes, the same counts, the same ways. */
function Equal({ nodes, story }: { readonly nodes: readonly Node[]; readonly story: Story }) {
  const name = new Map(nodes.map((one) => [one.id, nameOf(one)]));
  return (
    <Table label={t("provenance.table")}>
      <Heads
        all={(["part.what", "part", "part.count", "part.first", "part.last", "part.leads"] as const).map((key) =>
          t(key),
        )}
      />
      <tbody>
        {nodes.map((one) => (
          <tr key={one.id}>
            <th scope="row">
              <a href={address(one, story)}>{nameOf(one)}</a>
            </th>
            <td data-label={t("part")}>{t(`part.${one.part}`)}</td>
            <td data-label={t("part.count")}>{counted(one)}</td>
            <td data-label={t("part.first")} class="tabular">
              {exact(one.first)}
            </td>
            <td data-label={t("part.last")} class="tabular">
              {exact(one.last)}
            </td>
            <td data-label={t("part.leads")} class="why">
              {one.leads.map((id) => name.get(id)).join(" · ")}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Events({ events }: { readonly events: readonly Told[] }) {
  return (
    <Table label={t("provenance.events")}>
      <Heads all={(["what", "when", "purpose", "result"] as const).map((key) => t(key))} />
      <tbody>
        {events.map((one) => (
          <tr key={one.id}>
            <th scope="row">
              <a href={to(["record", String(one.leaf), String(one.place ?? 0)])}>{event(one.type ?? "")}</a>
            </th>
            <td data-label={t("when")} class="tabular">
              {exact(one.time ?? "")}
            </td>
            <td data-label={t("purpose")}>{one.purpose ? purposeName(one.purpose) : ""}</td>
            <td data-label={t("result")}>
              {one.decision === "released" && <Chip tone="good">{t("released")}</Chip>}
              {one.decision === "withheld" && <Chip tone="warn">{reason(one.reason ?? "")}</Chip>}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
