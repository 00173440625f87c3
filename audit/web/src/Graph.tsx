import { useEffect, useState } from "preact/hooks";
import { day } from "../../../crm_core/web/ui/i18n";
import { to } from "../../../crm_core/web/ui/route";
import type { Node, Part, Story } from "../core/tale";
import { counted, nameOf } from "./tellings";
import { t } from "./words";

const WIDTH = 216;
const HEIGHT = 66;
const GAP = 14;
const HEAD = 26;
const AISLE = 92;
const NARROW = "(max-width: 58rem)";

interface Placed extends Node {
  readonly x: number;
  readonly y: number;
}

interface Heading {
  readonly part: Part;
  readonly x: number;
  readonly y: number;
}

const ORDER: readonly Part[] = ["origin", "value", "end", "ground", "purpose", "other"];

/** Where a node leads: the events that it stands for. */
export function address(one: Node, story: Story): string {
  const words = { person: story.subject, field: story.field };
  if (one.part === "purpose") return to(["search"], one.name.includes(":") ? { ...words, purpose: one.name } : words);
  if (one.name === "ground") return to(["record", String(one.event.leaf), String(one.event.place ?? 0)]);
  return to(["search"], one.part === "value" ? words : { ...words, type: one.name });
}

/** The story drawn: what it came by and how it ended on the left, the value and its grounds between, its uses on the right. */
export function Graph({ nodes, story }: { readonly nodes: readonly Node[]; readonly story: Story }) {
  const narrow = useNarrow();
  const { placed, headings, width, height } = narrow ? stacked(nodes) : aside(nodes);
  const at = new Map(placed.map((one) => [one.id, one]));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a drawing is no set of inputs
    <svg
      class="graph"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      role="group"
      aria-label={t("provenance.drawn")}
    >
      <defs>
        <marker
          id="head"
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth="7"
          markerHeight="7"
          orient="auto-start-reverse"
        >
          <path d="M1 1 7 4 1 7" />
        </marker>
      </defs>
      {/* biome-ignore lint/a11y/noAriaHiddenOnFocusable: nothing in it can be focused */}
      <g aria-hidden="true">
        {placed.flatMap((one) =>
          one.leads.map((id) => {
            const other = at.get(id);
            return (
              other && <path key={`${one.id} ${id}`} class="edge" d={way(one, other, narrow)} marker-end="url(#head)" />
            );
          }),
        )}
        {headings.map((one) => (
          <text key={one.part} class="column" x={one.x} y={one.y}>
            {t(`part.${one.part}`)}
          </text>
        ))}
      </g>
      {ORDER.filter((part) => placed.some((one) => one.part === part)).map((part) => (
        // biome-ignore lint/a11y/useSemanticElements: nodes of a drawing are no set of inputs
        // biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: a group in SVG is not interactive
        <g key={part} role="group" aria-label={t(`part.${part}`)}>
          {placed
            .filter((one) => one.part === part)
            .map((one) => (
              <Box key={one.id} one={one} to={address(one, story)} />
            ))}
        </g>
      ))}
    </svg>
  );
}

/** A node: what it is in one line or two, and how often. */
function Box({ one, to: where }: { readonly one: Placed; readonly to: string }) {
  const lines = wrapped(nameOf(one));
  const top = lines.length > 1 ? 20 : 26;
  return (
    <a href={where} class={`node ${one.part}`}>
      <rect x={one.x} y={one.y} width={WIDTH} height={HEIGHT} rx="8" />
      {lines.map((line, at) => (
        <text key={line} x={one.x + 14} y={one.y + top + 16 * at}>
          {`${line} `}
        </text>
      ))}
      <text class="more" x={one.x + 14} y={one.y + top + 16 * lines.length + 3}>
        {when(one)}
      </text>
    </a>
  );
}

/** How often, and when last. */
const when = (one: Node): string => (one.part === "value" ? counted(one) : `${counted(one)} · ${day(one.last)}`);

const ROOM = 27;
const room = (text: string): number => [...text].reduce((used, letter) => used + (letter > "\u2e80" ? 1.8 : 1), 0);

/** In two lines at most, broken between words, or between Chinese letters. */
function wrapped(text: string): string[] {
  const pieces = text.match(/[\u2e80-\uffff]|[^\s\u2e80-\uffff]+\s*/g) ?? [text];
  const lines = [""];
  for (const piece of pieces) {
    const last = lines.at(-1) ?? "";
    if (last && lines.length < 2 && room(last + piece.trim()) > ROOM) lines.push(piece);
    else lines[lines.length - 1] = last + piece;
  }
  return lines.map((line) => line.trim());
}

function way(one: Placed, other: Placed, narrow: boolean): string {
  if (narrow) {
    const down = other.y > one.y;
    const [from, to] = down ? [one.y + HEIGHT, other.y] : [one.y, other.y + HEIGHT];
    const near = Math.abs(to - from) <= HEAD + GAP + 4;
    if (near) return `M${one.x + WIDTH / 2} ${from}V${to}`;
    const [y1, y2] = [one.y + HEIGHT / 2, other.y + HEIGHT / 2];
    const x = one.x + WIDTH;
    return `M${x} ${y1}C${x + 46} ${y1} ${x + 46} ${y2} ${x} ${y2}`;
  }
  if (one.x === other.x) {
    const up = one.y > other.y;
    return `M${one.x + WIDTH / 2} ${up ? one.y : one.y + HEIGHT}V${up ? other.y + HEIGHT : other.y}`;
  }
  const right = other.x > one.x;
  const [x1, x2] = right ? [one.x + WIDTH, other.x] : [one.x, other.x + WIDTH];
  const [y1, y2] = [one.y + HEIGHT / 2, other.y + HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

const of = (nodes: readonly Node[], part: Part) => nodes.filter((one) => one.part === part);

/** Three columns: where it came from and how it ended, the value and what allows its use, what it was used for. */
function aside(nodes: readonly Node[]) {
  const columns: readonly (readonly Part[])[] = [
    ["origin", "end"],
    ["value", "ground"],
    ["purpose", "other"],
  ];
  const placed: Placed[] = [];
  const headings: Heading[] = [];
  let height = 0;
  columns.forEach((parts, column) => {
    const x = 1 + column * (WIDTH + AISLE);
    let y = 0;
    for (const part of parts) {
      const mine = of(nodes, part);
      if (mine.length === 0) continue;
      headings.push({ part, x, y: y + 13 });
      y += HEAD;
      for (const one of mine) {
        placed.push({ ...one, x, y });
        y += HEIGHT + GAP;
      }
      y += GAP;
    }
    height = Math.max(height, y - 2 * GAP + 2);
  });
  return { placed, headings, width: 3 * WIDTH + 2 * AISLE + 2, height };
}

/** One column, from where it came to where it ended. */
function stacked(nodes: readonly Node[]) {
  const placed: Placed[] = [];
  const headings: Heading[] = [];
  let y = 0;
  for (const part of ORDER) {
    const mine = of(nodes, part);
    if (mine.length === 0) continue;
    headings.push({ part, x: 1, y: y + 13 });
    y += HEAD;
    for (const one of mine) {
      placed.push({ ...one, x: 1, y });
      y += HEIGHT + GAP;
    }
    y += GAP;
  }
  return { placed, headings, width: WIDTH + 52, height: y - 2 * GAP + 2 };
}

function useNarrow(): boolean {
  const [narrow, set] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const media = matchMedia(NARROW);
    const told = () => set(media.matches);
    media.addEventListener("change", told);
    return () => media.removeEventListener("change", told);
  }, []);
  return narrow;
}
