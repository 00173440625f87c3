/** One value's story in few nodes: who brought it, what allowed its use, what it was used for, and how it ended. */

export interface Told {
  readonly id: string;
  readonly kind: "value" | "event" | "agent" | "credential";
  readonly type?: string;
  readonly time?: string;
  readonly leaf?: number;
  readonly place?: number;
  readonly decision?: "released" | "withheld";
  readonly reason?: string;
  readonly purpose?: string;
  readonly role?: string;
}

export interface Story {
  readonly subject: string;
  readonly field: string;
  readonly nodes: readonly Told[];
  readonly edges: readonly { readonly kind: string; readonly from: string; readonly to: string }[];
  readonly events: readonly Told[];
  readonly whole: boolean;
}

export type Part = "origin" | "ground" | "value" | "purpose" | "end" | "other";

/** One node of the drawing: `count` events of one sort, from `first` to `last`; `leads` to those nodes. */
export interface Node {
  readonly id: string;
  readonly part: Part;
  /** What it is: a type of event, an IRI of a purpose, the field; `ground` for one that the whole organisation declared. */
  readonly name: string;
  readonly count: number;
  readonly withheld: number;
  readonly first: string;
  readonly last: string;
  /** The newest event of it, to look at. */
  readonly event: Told;
  readonly leads: readonly string[];
}

const PARTS: Readonly<Record<string, Part>> = {
  release: "purpose",
  refusal: "purpose",
  "import.completed": "origin",
  "value.collected": "origin",
  "value.corrected": "origin",
  "value.restored": "origin",
  "ask.made": "ground",
  "consent.given": "ground",
  "consent.narrowed": "ground",
  "ground.declared": "ground",
  "ground.approved": "ground",
  "ground.resumed": "ground",
  "consent.withdrawn": "end",
  "consent.revoked": "end",
  "consent.expired": "end",
  "consent.shut": "end",
  "ground.ended": "end",
  "ground.excluded": "end",
  "value.sealed": "end",
  "value.shredded": "end",
  "value.destroyed": "end",
  "value.deleted": "end",
};

/** In which group an event stands. */
export const part = (type: string): Part => PARTS[type] ?? "other";

interface Group {
  readonly node: Omit<Node, "leads">;
  /** What its events rest on or tell of. */
  readonly names: ReadonlySet<string>;
}

/** The nodes, by when they began; the value itself is always among them. */
export function tell(story: Story): readonly Node[] {
  const events = new Map<string, Told[]>();
  for (const event of story.events) {
    const type = event.type ?? "";
    const mine = part(type);
    const key = `${mine} ${mine === "purpose" ? (event.purpose ?? type) : type}`;
    events.set(key, [...(events.get(key) ?? []), event]);
  }
  const rests = credentials(story);
  const groups = [...events].map(([key, mine]) => gathered(key, mine, rests));
  const told = new Set(groups.filter(({ node }) => node.part === "ground").flatMap(({ names }) => [...names]));
  const declared = undeclared(groups, told, story, rests);
  const all = [...groups, ...declared, ...value(story)];
  return all.map((one) => ({ ...one.node, leads: leads(one, all) }));
}

/** The credentials of each event. */
function credentials(story: Story): ReadonlyMap<string, readonly string[]> {
  const papers = new Set(story.nodes.filter((one) => one.kind === "credential").map((one) => one.id));
  const found = new Map<string, string[]>();
  for (const { kind, from, to } of story.edges) {
    if (kind === "wasInfluencedBy" && papers.has(to)) found.set(from, [...(found.get(from) ?? []), to]);
  }
  return found;
}

function gathered(key: string, events: readonly Told[], rests: ReadonlyMap<string, readonly string[]>): Group {
  const [first] = events;
  const last = events.at(-1);
  if (!first || !last) throw new Error("a group has an event");
  const node = {
    id: key,
    part: part(first.type ?? ""),
    name: key.slice(key.indexOf(" ") + 1),
    count: events.length,
    withheld: events.filter((one) => one.type === "refusal" || one.decision === "withheld").length,
    first: first.time ?? "",
    last: last.time ?? "",
    event: last,
  };
  return { node, names: new Set(events.flatMap((one) => rests.get(one.id) ?? [])) };
}

/** Reads under grounds of which no event here tells: those that were declared for everybody. */
function undeclared(
  groups: readonly Group[],
  told: ReadonlySet<string>,
  story: Story,
  rests: ReadonlyMap<string, readonly string[]>,
): Group[] {
  const reads = groups.filter(({ node }) => node.part === "purpose");
  const names = new Set(reads.flatMap((one) => [...one.names]).filter((name) => !told.has(name)));
  const under = story.events.filter((event) => part(event.type ?? "") === "purpose");
  const mine = under.filter((event) => rests.get(event.id)?.some((name) => names.has(name)));
  if (mine.length === 0) return [];
  const { node } = gathered("ground ground", mine, rests);
  return [{ node: { ...node, part: "ground", count: names.size, withheld: 0 }, names }];
}

function value(story: Story): Group[] {
  const [first] = story.events;
  const event = story.events.at(-1);
  if (!first || !event) return [];
  const count = story.nodes.filter((one) => one.kind === "value").length;
  const told = { id: "value", part: "value", name: story.field, count, withheld: 0 } as const;
  return [{ node: { ...told, first: first.time ?? "", last: event.time ?? "", event }, names: new Set() }];
}

const LIVING = ["consent.given", "consent.narrowed", "ground.approved", "ground"];

function leads(one: Group, all: readonly Group[]): string[] {
  const { part: mine, name } = one.node;
  const to = (wanted: Part, fits: (other: Group) => boolean = () => true): string[] =>
    all.filter((other) => other !== one && other.node.part === wanted && fits(other)).map((other) => other.node.id);
  const shares = (other: Group): boolean => [...one.names].some((each) => other.names.has(each));
  const living = (other: Group): boolean => LIVING.includes(other.node.name) && shares(other);
  if (mine === "origin") return to("value");
  if (mine === "value") return to("purpose", (other) => other.node.count > other.node.withheld);
  if (mine === "end") return name.startsWith("value.") ? to("value") : to("ground", living);
  if (mine === "ground") return name === "ask.made" ? to("ground", living) : to("purpose", shares);
  return [];
}
