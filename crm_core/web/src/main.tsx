import "../ui/tokens.css";
import "../ui/base.css";
import "../ui/shell.css";
import "./desk.css";
import "./screens.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { Empty, ErrorNote, Loading } from "../ui/pieces";
import { route } from "../ui/route";
import { SignIn } from "../ui/SignIn";
import { open, session, trouble } from "../ui/session";
import { CustomerScreen } from "./Customer";
import { Customers } from "./Customers";
import { answering, importing, overseeing, purpose, watching } from "./desk";
import { AskBuilder, Asks, Board, Catalogue, Grounds, Import, Rights } from "./later";
import { Shell } from "./Shell";
import { t } from "./words";

function Page() {
  if (session.value === null) return <SignIn lead={t("sign_in.lead")} />;
  if (session.value === undefined) {
    return (
      <div class="waiting-room">
        {trouble.value ? <ErrorNote error={trouble.value} onAgain={() => void open()} /> : <Loading />}
      </div>
    );
  }
  return (
    <Shell>
      <Screen />
    </Shell>
  );
}

function Screen() {
  const of = purpose.value;
  const [where, subject, what] = route.value.path;
  if (where === "asks") return <Asks />;
  if (where === "rights" && answering.value) return <Rights />;
  if (where === "board" && watching.value) return <Board />;
  if (where === "grounds" && overseeing.value) return <Grounds />;
  if (where === "catalogue" && overseeing.value) return <Catalogue />;
  if (where === "import" && importing.value) return <Import />;
  if (!of) {
    return (
      <Empty title={t("no_purposes")} icon="lock">
        <p>{t("no_purposes.more")}</p>
      </Empty>
    );
  }
  if (subject && what === "ask") return <AskBuilder key={subject} subject={subject} />;
  if (subject) return <CustomerScreen key={`${subject} ${of.key}`} subject={subject} of={of} />;
  return <Customers key={of.key} of={of} />;
}

const NAMED = ["asks", "rights", "grounds", "catalogue", "import", "board"] as const;

effect(() => {
  const here = NAMED.find((one) => one === route.value.path[0]);
  const where = t(session.value ? (here ?? "customers") : "sign_in");
  document.title = `${where} · ${t("product")}`;
});

void open();
render(<Page />, document.getElementById("app") as HTMLElement);
