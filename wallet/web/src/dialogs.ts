/** Dialogs that come when they are wanted. Apart from `later.ts`, so that a screen may open one and be a part itself. */

import { part } from "../../../crm_core/web/ui/parts";

export const BackupDialog = part(
  "Backup",
  () => import("./Backup"),
  (all) => all.BackupDialog,
);
export const ScanDialog = part(
  "Scan",
  () => import("./Scan"),
  (all) => all.ScanDialog,
);
