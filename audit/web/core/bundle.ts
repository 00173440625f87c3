/** The checks of a bundle in the order in which they are made: what was not reached is said to be so. */

export const CHECKS = [
  "container",
  "manifest",
  "statement",
  "checkpoint",
  "inclusion",
  "chain",
  "controller",
  "credentials",
  "consents",
  "releases",
  "endings",
] as const;

export interface Check {
  readonly name: string;
  readonly outcome: "ok" | "failed" | "incomplete" | "unreached";
  readonly code: string | null;
  readonly detail: string;
}

/** All checks, those that were not made among them. */
export function complete(made: readonly Check[]): readonly Check[] {
  const names = new Set(made.map((one) => one.name));
  const rest = CHECKS.filter((name) => !names.has(name));
  return [...made, ...rest.map((name): Check => ({ name, outcome: "unreached", code: null, detail: "" }))];
}
