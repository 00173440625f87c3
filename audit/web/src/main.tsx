import "../../../crm_core/web/ui/tokens.css";
import "../../../crm_core/web/ui/base.css";
import "../../../crm_core/web/ui/shell.css";
import "./audit.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { Frame } from "../../../crm_core/web/ui/Frame";
import { Icon } from "../../../crm_core/web/ui/icons";
import { ErrorNote, Loading } from "../../../crm_core/web/ui/pieces";
import { route, to } from "../../../crm_core/web/ui/route";
import { SignIn } from "../../../crm_core/web/ui/SignIn";
import { open, session, trouble } from "../../../crm_core/web/ui/session";
import { allowed } from "./audit";
import { ExportScreen, Exports, LogScreen, ProvenanceScreen, RecordScreen, Verify } from "./later";
import { Head } from "./parts";
import { Search } from "./Search";
import { kept, view } from "./watch";
import { number, t } from "./words";

const SCREENS = ["search", "provenance", "exports", "verify", "log"] as const;
const here = () => SCREENS.find((one) => one === route.value.path[0]) ?? "search";

function Page() {
  if (session.value === null) return <SignIn lead={t("sign_in.lead")} />;
  if (session.value === undefined) {
    return (
      <div class="waiting-room">
        {trouble.value ? <ErrorNote error={trouble.value} onAgain={() => void open()} /> : <Loading />}
      </div>
    );
  }
  const screens = allowed.value ? SCREENS : [];
  return (
    <Frame
      where={route.value.path.join("/")}
      screens={screens.map((one) => ({ name: t(one), address: to([one]), here: here() === one }))}
      status={allowed.value && <Badge />}
    >
      {allowed.value ? (
        <>
          <Alarm />
          <Screen />
        </>
      ) : (
        <Refused />
      )}
    </Frame>
  );
}

/** For whoever is signed in but no auditor. */
function Refused() {
  const who = session.value;
  return (
    <>
      <Head title={t("refused")} lead={t("refused.more", { name: who?.name ?? "", account: who?.account ?? "" })} />
      <p>
        <a class="button" href="/desk/">
          {t("refused.desk")}
        </a>
      </p>
    </>
  );
}

/** Whether the log is the one that was seen before, on every screen. */
function Badge() {
  const { state } = view.value;
  const size = kept.value?.head?.size ?? 0;
  return (
    <p class={`live ${state === "good" ? "" : state === "bad" ? "bad" : "off"}`} role="status">
      <i aria-hidden="true" />
      {state === "good" ? t("badge.good", { n: number(size) }) : t(`badge.${state}`)}
    </p>
  );
}

/** A log that does not continue what was seen is nothing to overlook. */
function Alarm() {
  if (view.value.state !== "bad") return null;
  return (
    <div class="note bad alarm" role="alert">
      <Icon name="alert" />
      <p>{t(`bad.${kept.value?.fault?.code ?? "signature"}`)}</p>
      {here() !== "log" && (
        <a class="button" href={to(["log"])}>
          {t("bad.see")}
        </a>
      )}
    </div>
  );
}

function Screen() {
  const [where, first, second] = route.value.path;
  if (where === "record" && first) {
    return <RecordScreen key={`${first} ${second}`} leaf={first} place={second ?? "0"} />;
  }
  if (where === "provenance") return <ProvenanceScreen key={`${first} ${second}`} subject={first} field={second} />;
  if (where === "exports" && first) return <ExportScreen key={first} id={first} />;
  if (where === "exports") return <Exports />;
  if (where === "verify") return <Verify />;
  if (where === "log") return <LogScreen />;
  return <Search />;
}

effect(() => {
  const where = session.value ? t(route.value.path[0] === "record" ? "record" : here()) : "";
  document.title = [where, "Fieldgrant"].filter(Boolean).join(" · ");
});

void open();
render(<Page />, document.getElementById("app") as HTMLElement);
