/** Screens that come when they are wanted: each a script of its own, checked against its digest. */

import { part } from "../ui/parts";

export const AskBuilder = part(
  "AskBuilder",
  () => import("./AskBuilder"),
  (all) => all.AskBuilder,
);
export const Asks = part(
  "Asks",
  () => import("./Asks"),
  (all) => all.Asks,
);
export const Board = part(
  "Board",
  () => import("./Board"),
  (all) => all.Board,
);
export const Catalogue = part(
  "Catalogue",
  () => import("./Catalogue"),
  (all) => all.Catalogue,
);
export const Grounds = part(
  "Grounds",
  () => import("./Grounds"),
  (all) => all.Grounds,
);
export const Rights = part(
  "Rights",
  () => import("./Rights"),
  (all) => all.Rights,
);
export const Import = part(
  "Import",
  () => import("./Import"),
  (all) => all.Import,
);
