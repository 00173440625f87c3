import type { ComponentChildren } from "preact";
import { Frame } from "../ui/Frame";
import { label } from "../ui/i18n";
import { Note, Select } from "../ui/pieces";
import { route, to } from "../ui/route";
import { answering, importing, overseeing, purpose, purposes, readFor, watching } from "./desk";
import { connected, lost } from "./live";
import { t } from "./words";

/** What stands around every screen, and whether the page hears of changes. */
export function Shell({ children }: { readonly children: ComponentChildren }) {
  const here = route.value.path[0] ?? "customers";
  const screens = [
    "customers",
    "asks",
    ...(answering.value ? (["rights"] as const) : []),
    ...(overseeing.value ? (["grounds", "catalogue"] as const) : []),
    ...(importing.value ? (["import"] as const) : []),
    ...(watching.value ? (["board"] as const) : []),
  ] as const;
  return (
    <Frame
      where={route.value.path.join("/")}
      screens={screens.map((one) => ({ name: t(one), address: to([one]), here: here === one }))}
      status={
        <p class={`live ${connected.value === false ? "off" : ""}`} role="status">
          <i aria-hidden="true" />
          {t(connected.value === false ? "live.not" : "live")}
        </p>
      }
    >
      {connected.value === false && (
        <Note tone="warn" icon="alert">
          {t(lost.value ? "live.lost" : "live.note")}
        </Note>
      )}
      {children}
    </Frame>
  );
}

/** What is read for: in sight wherever there are values. */
export function PurposePicker() {
  return (
    <div class="purpose">
      <Select
        label={t("reading_for")}
        value={purpose.value?.key}
        title={t("reading_for.hint")}
        onChange={(event) => readFor(event.currentTarget.value)}
      >
        {purposes.value.map((one) => (
          <option key={one.key} value={one.key}>
            {label(one.labels)}
          </option>
        ))}
      </Select>
    </div>
  );
}
