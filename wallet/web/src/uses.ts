/** What is allowed: the owner's living consents, read as "this field, for this purpose, until then". Pure. */

import type { Ticked } from "../core/consent";
import type { Held, Holding } from "../core/holding";
import type { JsonObject } from "../core/jcs";
import { type Ground, type Process, processesIn } from "../core/verify";

/** A consent as the screens show it. */
export interface Given {
  readonly id: string;
  readonly held: Held;
  readonly processes: readonly Process[];
  readonly until: Date;
}

/** One field for one purpose, out of one consent. */
export interface Use {
  readonly consent: Given;
  /** The place of the process in the consent. */
  readonly place: number;
  readonly process: Process;
  readonly field: string;
}

/** The consents that count now, the newest first; those on their way are among them. */
export function living(holding: Holding, now = Date.now()): Given[] {
  return holding.consents
    .filter((held) => held.standing === "living" || held.standing === "sent")
    .map(given)
    .filter((one) => one.until.getTime() > now)
    .reverse();
}

/** A consent out of the wallet, which verified it when it was signed or fetched. */
export function given(held: Held): Given {
  const subject = held.document.credentialSubject as JsonObject;
  return {
    id: String(held.document.id),
    held,
    processes: processesIn(subject.hasConsent as JsonObject),
    until: new Date(String(held.document.validUntil)),
  };
}

/** Every field with all its uses, in the order of the fields. */
export function byField(consents: readonly Given[]): Map<string, Use[]> {
  const found = new Map<string, Use[]>();
  for (const consent of consents) {
    consent.processes.forEach((process, place) => {
      for (const field of process.fields) {
        const use = { consent, place, process, field };
        found.set(field, [...(found.get(field) ?? []), use]);
      }
    });
  }
  return new Map([...found].sort(([one], [other]) => one.localeCompare(other)));
}

/** One field for one purpose by a ground that needs no consent. */
export interface Claim {
  readonly ground: Ground;
  readonly process: Process;
  readonly field: string;
}

/** The same by field of what is used without a consent. */
export function claimed(grounds: readonly Ground[]): Map<string, Claim[]> {
  const found = new Map<string, Claim[]>();
  for (const ground of grounds) {
    for (const process of ground.processes) {
      for (const field of process.fields) found.set(field, [...(found.get(field) ?? []), { ground, process, field }]);
    }
  }
  return found;
}

/** What stays of a consent without one use; null where nothing does. */
export function without(use: Use): Ticked | null {
  const left = new Map<number, ReadonlySet<string>>();
  use.consent.processes.forEach((process, place) => {
    const fields = process.fields.filter((field) => place !== use.place || field !== use.field);
    if (fields.length > 0) left.set(place, new Set(fields));
  });
  return left.size === 0 ? null : left;
}

/** The fields that would be left without any consent if these consents ended, or only this field of one of them. */
export function bare(all: readonly Given[], ending: readonly Given[], field?: string, place?: number): string[] {
  const ends = new Set(ending.map((one) => one.id));
  const lost = new Set<string>();
  const stays = new Set<string>();
  for (const consent of all) {
    consent.processes.forEach((process, at) => {
      for (const one of process.fields) {
        const meant = (field === undefined || one === field) && (place === undefined || at === place);
        (meant && ends.has(consent.id) ? lost : stays).add(one);
      }
    });
  }
  return [...lost].filter((one) => !stays.has(one)).sort();
}
