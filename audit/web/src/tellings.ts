// How the nodes of a value's story are named and counted, in the drawing and in the table alike.

import type { Node } from "../core/tale";
import { event, named, number, purposeName, t } from "./words";

/** What a node is called. */
export function nameOf(one: Node): string {
  if (one.part === "value") return named(one.name);
  if (one.part === "purpose") return one.name.includes(":") ? purposeName(one.name) : event(one.name);
  return one.name === "ground" ? t("kind.ground") : event(one.name);
}

/** How often. */
export function counted(one: Node): string {
  if (one.part === "value") return one.count ? t("states", { n: one.count }) : t("states_none");
  if (one.name === "ground") return number(one.count);
  if (one.withheld) return t("times.withheld", { n: one.count, withheld: one.withheld });
  return t("times.n", { n: one.count });
}
