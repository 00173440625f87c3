/** Dialogs that come when they are wanted. Apart from `later.ts`, so that a screen may open one and be a part itself. */

import { part } from "../ui/parts";

export const HandOver = part(
  "HandOver",
  () => import("./HandOver"),
  (all) => all.HandOver,
);
