// What every screen needs: who may look, what fields and purposes are called, and who the staff in the records are.

import { computed, signal } from "@preact/signals";
import { page, session } from "../../../crm_core/web/ui/session";
import type { Actor, Catalogue } from "./api";
import * as api from "./api";

const AUDITORS = ["auditor", "dpo"];

export const catalogue = signal<Catalogue | null>(null);
export const actors = signal<ReadonlyMap<string, Actor>>(new Map());
/** Others are told so, and nothing is asked for in their name: each refusal would be on record. */
export const allowed = computed(() => AUDITORS.includes(session.value?.role ?? ""));

page(
  async (who) => {
    if (!AUDITORS.includes(who.role)) return;
    const [found, staff] = await Promise.all([api.catalogue(), api.actors()]);
    catalogue.value = found;
    actors.value = new Map(staff.items.map((one) => [one.did, one]));
  },
  () => {
    catalogue.value = null;
    actors.value = new Map();
  },
);
