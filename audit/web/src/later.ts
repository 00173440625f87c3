/** Screens that come when they are wanted: each a script of its own, checked against its digest. */

import { part } from "../../../crm_core/web/ui/parts";

export const Exports = part(
  "Exports",
  () => import("./Exports"),
  (all) => all.Exports,
);
export const ExportScreen = part(
  "Exports",
  () => import("./Exports"),
  (all) => all.ExportScreen,
);
export const LogScreen = part(
  "Log",
  () => import("./Log"),
  (all) => all.LogScreen,
);
export const ProvenanceScreen = part(
  "Provenance",
  () => import("./Provenance"),
  (all) => all.ProvenanceScreen,
);
export const RecordScreen = part(
  "Record",
  () => import("./Record"),
  (all) => all.RecordScreen,
);
export const Verify = part(
  "Verify",
  () => import("./Verify"),
  (all) => all.Verify,
);
