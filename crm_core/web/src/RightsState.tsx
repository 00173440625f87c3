import { Chip } from "../ui/pieces";
import type { Listed } from "./rights";
import { rsaid, rt } from "./rights";

const TONES: Readonly<Record<string, "good" | "warn" | "plain">> = { answered: "good", refused: "plain" };

/** Where a request stands; lateness and a row that somebody else wrote come first. */
export function StateChip({ of }: { readonly of: Listed }) {
  if (of.disputed) return <Chip tone="bad">{rt("disputed")}</Chip>;
  if (of.overdue) return <Chip tone="bad">{rt("late")}</Chip>;
  return <Chip tone={TONES[of.state] ?? "warn"}>{rsaid(`state.${of.state}`, of.state)}</Chip>;
}
