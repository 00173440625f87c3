/** Screens that come when they are wanted: each a script of its own, checked against its digest. */

import { part } from "../../../crm_core/web/ui/parts";

export const AskScreen = part(
  "Ask",
  () => import("./Ask"),
  (all) => all.AskScreen,
);
export const Data = part(
  "Data",
  () => import("./Data"),
  (all) => all.Data,
);
export const Enrol = part(
  "Enrol",
  () => import("./Enrol"),
  (all) => all.Enrol,
);
export const History = part(
  "History",
  () => import("./History"),
  (all) => all.History,
);
export const Requests = part(
  "Requests",
  () => import("./Requests"),
  (all) => all.Requests,
);
export const Receipts = part(
  "Receipts",
  () => import("./Receipts"),
  (all) => all.Receipts,
);
export const Settings = part(
  "Settings",
  () => import("./Settings"),
  (all) => all.Settings,
);
export const Start = part(
  "Start",
  () => import("./Start"),
  (all) => all.Start,
);
