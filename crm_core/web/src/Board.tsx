import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { language, number } from "../ui/i18n";
import { ErrorNote, Field, Loading, Note, Select, Table } from "../ui/pieces";
import * as api from "./api";
import { COUNTS, type Counts, type Link, type Took } from "./api";
import { useReading } from "./reading";
import { said, t } from "./words";

const EVERY = 5_000; // ms
const THRESHOLD = 15; // s
const WIDTH = 610;
const HEIGHT = 96;

/** How the house ran in the last hour; read anew every few seconds. */
export function Board() {
  const threshold = useSignal(THRESHOLD);
  const tick = useSignal(0);
  const reading = useReading((stop) => {
    tick.value;
    return api.board(threshold.value, { stop });
  });
  useSignalEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) tick.value = tick.peek() + 1;
    }, EVERY);
    return () => clearInterval(timer);
  });
  const board = reading.data.value;
  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{t("board")}</h1>
          <p class="soft">{t("board.lead")}</p>
        </div>
        <Threshold threshold={threshold} />
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!board && reading.error.value === null && (
        <div class="card">
          <Loading lines={9} />
        </div>
      )}
      {board && (
        <>
          <div role="status">
            {board.alerts.length === 0 && (
              <Note tone="good" icon="check">
                {t("board.calm")}
              </Note>
            )}
            <ul class="stack tight">
              {board.alerts.map((one) => (
                <li key={`${one.code} ${one.link ?? ""}`}>
                  <Note tone="warn" icon="alert">
                    {said(`alert.${one.code}`, "board.failed", {
                      link: nameOf(one.link, [...board.touchpoints, ...board.recipients]),
                      value: one.code === "link_failing" ? share(one.value) : seconds(one.value),
                    })}
                  </Note>
                </li>
              ))}
            </ul>
          </div>
          <dl class="tiles">
            {COUNTS.map((one) => (
              <Tile key={one} name={t(`board.${one}`)} value={number(board.totals[one])} />
            ))}
            <Time name={t("board.shut")} took={board.shut} />
            <Time name={t("board.disposition")} took={board.disposition} />
            <Tile
              name={t("board.queue")}
              value={number(board.queue.open)}
              more={[
                board.queue.oldest === null ? "" : t("board.oldest", { age: seconds(board.queue.oldest) }),
                board.queue.failing ? t("board.failing", { n: board.queue.failing }) : "",
              ]}
            />
          </dl>
          <Chart minutes={board.minutes} />
          <Links links={[...board.touchpoints, ...board.recipients]} />
        </>
      )}
    </>
  );
}

function Threshold({ threshold }: { readonly threshold: Signal<number> }) {
  return (
    <div class="threshold">
      <Field
        label={t("board.threshold")}
        type="number"
        min={1}
        max={86_400}
        value={threshold.value}
        onChange={(event) => {
          const wanted = event.currentTarget.valueAsNumber;
          if (wanted >= 1 && wanted <= 86_400) threshold.value = wanted;
        }}
      />
    </div>
  );
}

interface TileProps {
  readonly name: string;
  readonly value: string;
  /** What is said below the number; a tile with it is wider. */
  readonly more?: readonly string[];
}

function Tile({ name, value, more }: TileProps) {
  return (
    <div class={`card tile ${more ? "wide" : ""}`}>
      <dt>{name}</dt>
      <dd class="tabular">{value}</dd>
      {more?.filter(Boolean).map((one) => (
        <dd key={one} class="faint more">
          {one}
        </dd>
      ))}
    </div>
  );
}

function Time({ name, took }: { readonly name: string; readonly took: Took }) {
  const { median, longest, open } = took;
  const more =
    median === null || longest === null
      ? t("board.not_yet")
      : t("board.took", { median: seconds(median), longest: seconds(longest) });
  return (
    <Tile
      name={name}
      value={longest === null ? "—" : seconds(longest)}
      more={[more, open ? t("board.open", { n: open }) : ""]}
    />
  );
}

function Chart({ minutes }: { readonly minutes: readonly (Counts & { readonly minute: string })[] }) {
  const what = useSignal<keyof Counts>("releases");
  const counts = minutes.map((one) => one[what.value]);
  const most = Math.max(1, ...counts);
  const step = WIDTH / Math.max(1, counts.length);
  const title = `${t("board.chart")}: ${t(`board.${what.value}`)}`;
  return (
    <section class="card chart" aria-labelledby="chart">
      <header>
        <h2 id="chart">{t("board.chart")}</h2>
        <Select
          label={t("board.chart.what")}
          quietly
          class="small"
          value={what.value}
          onChange={(event) => (what.value = event.currentTarget.value as keyof Counts)}
        >
          {COUNTS.map((one) => (
            <option key={one} value={one}>
              {t(`board.${one}`)}
            </option>
          ))}
        </Select>
      </header>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={title}>
        <title>{title}</title>
        {counts.map((count, at) => {
          const height = count ? Math.max(2, (count / most) * HEIGHT) : 1;
          return (
            <rect
              key={minutes[at]?.minute ?? at}
              class={count ? "" : "none"}
              x={at * step + 1}
              y={HEIGHT - height}
              width={step - 2}
              height={height}
            />
          );
        })}
      </svg>
      <p class="axis faint tabular" aria-hidden="true">
        <span>{clock(minutes[0]?.minute)}</span>
        <span>{t("board.most", { n: most })}</span>
        <span>{clock(minutes.at(-1)?.minute)}</span>
      </p>
      <details>
        <summary>{t("board.chart.table")}</summary>
        <Table label={t("board.chart.table")}>
          <thead>
            <tr>
              <th scope="col">{t("board.minute")}</th>
              {COUNTS.map((one) => (
                <th key={one} scope="col">
                  {t(`board.${one}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {[...minutes].reverse().map((one) => (
              <tr key={one.minute}>
                <th scope="row">{clock(one.minute)}</th>
                {COUNTS.map((name) => (
                  <td key={name} class="tabular">
                    {number(one[name])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </Table>
      </details>
    </section>
  );
}

function Links({ links }: { readonly links: readonly Link[] }) {
  return (
    <div class="card">
      <header class="headed">
        <h2>{t("board.links")}</h2>
      </header>
      {links.length === 0 ? (
        <p class="nothing faint">{t("board.links.none")}</p>
      ) : (
        <Table label={t("board.links")}>
          <thead>
            <tr>
              {(["link", "kind", "per_minute", "delay", "failed", "waiting"] as const).map((one) => (
                <th key={one} scope="col">
                  {t(`board.${one}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {links.map((one) => (
              <tr key={one.id}>
                <th scope="row">{one.name ?? one.id}</th>
                <td>{t(`board.kind.${one.kind}`)}</td>
                <td class="tabular">{number(one.per_minute)}</td>
                <td class="tabular">{one.delay.median === null ? "—" : seconds(one.delay.median)}</td>
                <td class="tabular">{one.failure_rate === null ? "—" : share(one.failure_rate)}</td>
                <td class="tabular">{one.waiting === undefined ? "—" : number(one.waiting)}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </div>
  );
}

const nameOf = (id: string | null, links: readonly Link[]): string =>
  links.find((one) => one.id === id)?.name ?? id ?? "";

/** Seconds as people say them: 12 ms, 3.4 s, 5 min. */
function seconds(value: number): string {
  const [size, unit] =
    value < 1 ? [value * 1000, "millisecond"] : value < 120 ? [value, "second"] : [value / 60, "minute"];
  const how = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: size < 10 ? 1 : 0 } as const;
  return new Intl.NumberFormat(language.value, how).format(size);
}

const share = (value: number): string =>
  new Intl.NumberFormat(language.value, { style: "percent", maximumFractionDigits: 1 }).format(value);

/** The time of day of a minute such as `2026-11-22T08:59Z`. */
const clock = (minute: string | undefined): string =>
  minute
    ? new Intl.DateTimeFormat(language.value, { timeStyle: "short" }).format(new Date(minute.replace(/Z$/, ":00Z")))
    : "";
