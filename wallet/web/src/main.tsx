import "../../../crm_core/web/ui/tokens.css";
import "../../../crm_core/web/ui/base.css";
import "./wallet.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { language } from "../../../crm_core/web/ui/i18n";
import { Loading } from "../../../crm_core/web/ui/pieces";
import { Closed, Unlock } from "./Door";
import { Home } from "./Home";
import { AskScreen, Data, Enrol, History, Receipts, Requests, Settings, Start } from "./later";
import { type Screen, screen } from "./route";
import { Shell } from "./Shell";
import { look, phase } from "./state";
import { learn, ready, t } from "./words";
import { keepOffline } from "./worker";

const SCREENS: Readonly<Record<Screen, () => preact.ComponentChildren>> = {
  home: () => <Home />,
  data: () => <Data />,
  history: () => <History />,
  requests: () => <Requests />,
  receipts: () => <Receipts />,
  settings: () => <Settings />,
  enrol: () => <Enrol />,
  ask: () => <AskScreen />,
};

function Page() {
  if (!ready.value || phase.value === "looking") {
    return (
      <main class="door">
        <Loading />
      </main>
    );
  }
  switch (phase.value) {
    case "new":
      return <Start />;
    case "locked":
      return <Unlock />;
    case "open":
      return <Shell>{SCREENS[screen.value]()}</Shell>;
    default:
      return <Closed />;
  }
}

effect(() => {
  const place = screen.value === "enrol" || screen.value === "ask" ? "home" : screen.value;
  document.title = phase.value === "open" ? `${t(`place.${place}`)} · ${t("product")}` : t("product");
});

effect(() => {
  void learn(language.value).catch(() => setTimeout(() => location.reload(), 5_000));
});

render(<Page />, document.getElementById("app") as HTMLElement);
void look();
keepOffline();
