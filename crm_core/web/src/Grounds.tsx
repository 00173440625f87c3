import { useSignal } from "@preact/signals";
import { useAct } from "../ui/act";
import { day, language } from "../ui/i18n";
import { useKept } from "../ui/kept";
import { Button, Chip, Dialog, Empty, ErrorNote, Loading } from "../ui/pieces";
import { go, route, to } from "../ui/route";
import { session } from "../ui/session";
import type { Ground } from "./api";
import * as api from "./api";
import { DeclareDialog } from "./DeclareDialog";
import { purposeLabel } from "./desk";
import { useReading } from "./reading";
import { named as labelled, said, short, t } from "./words";

const TONES: Readonly<Record<string, "good" | "warn">> = { draft: "warn", living: "good" };
const SHOWN = 10; // customers whom a ground names
const APPROVERS = ["dpo", "admin"];

/** The statutory grounds: drafts that wait, those in effect, those that ended. */
export function Grounds() {
  const reading = useReading((stop) => api.grounds({ stop }));
  const me = useReading(() => api.me());
  const named = route.value.words.get("subject");
  const declaring = useKept("grounds.declaring", () => false);
  const asked = named !== null && session.value?.role === "dpo";
  const order = ["draft", "living"];
  const place = (one: Ground) => (order.indexOf(one.standing) + order.length + 1) % (order.length + 1);
  const grounds = [...(reading.data.value?.items ?? [])].reverse().sort((one, other) => place(one) - place(other));
  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{t("grounds")}</h1>
          <p class="soft">{t("grounds.lead")}</p>
        </div>
        {session.value?.role === "dpo" && (
          <Button kind="primary" icon="plus" aria-haspopup="dialog" onClick={() => (declaring.value = true)}>
            {t("grounds.declare")}
          </Button>
        )}
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!reading.data.value && reading.error.value === null && (
        <div class="card">
          <Loading lines={6} />
        </div>
      )}
      {reading.data.value && grounds.length === 0 && (
        <div class="card">
          <Empty title={t("grounds.none")}>
            <p>{t("grounds.none.more")}</p>
          </Empty>
        </div>
      )}
      <ul class="stack">
        {grounds.map((one) => (
          <li key={one.id}>
            <GroundCard ground={one} me={me.data.value?.did} onDone={reading.again} />
          </li>
        ))}
      </ul>
      {(declaring.value || asked) && (
        <DeclareDialog
          named={named ? [named] : []}
          onClose={() => {
            declaring.value = false;
            if (named) go(to(["grounds"]), true);
          }}
          onDone={reading.again}
        />
      )}
    </>
  );
}

interface CardProps {
  readonly ground: Ground;
  readonly me: string | undefined;
  readonly onDone: () => void;
}

function GroundCard({ ground, me, onDone }: CardProps) {
  const told = ground.credential.credentialSubject.declaresGround;
  const fields = [...new Set(told.hasProcess.flatMap((one) => one.hasPersonalData))];
  const everybody = told.coversSubject.includes("*");
  const covers = everybody ? t("grounds.everybody") : t("grounds.some", { n: told.coversSubject.length });
  const basis = told.hasLegalBasis.replace(/^dpv:/, "");
  return (
    <article class="card ground">
      <header>
        <h2>{told.hasProcess.map((one) => purposeLabel(one.hasPurpose)).join(" · ")}</h2>
        <Chip tone={TONES[ground.standing] ?? "plain"}>{said(`grounds.${ground.standing}`, "grounds.ended")}</Chip>
      </header>
      <dl>
        <Fact name={t("grounds.basis")}>
          {said(`basis.${basis}`, "grounds.basis")} <span class="mono faint">{told.groundKey}</span>
        </Fact>
        <Fact name={t("grounds.citation")}>{told.citation}</Fact>
        <Fact name={t("grounds.evidence")}>{told.groundEvidence.evidenceText}</Fact>
        <Fact name={t("grounds.fields")}>{fields.map(labelled).join(language.value === "en" ? ", " : "、")}</Fact>
        <Fact name={t("grounds.covers")}>
          {told.untilEnrolled ? t("grounds.covers.until", { who: covers, until: t("grounds.enrolled") }) : covers}
          {!everybody && (
            <span class="whom">
              {told.coversSubject.slice(0, SHOWN).map((one) => (
                <a key={one} class="mono" href={to(["customers", one])}>
                  {short(one)}
                </a>
              ))}
              {told.coversSubject.length > SHOWN && "…"}
            </span>
          )}
        </Fact>
        <Fact name={t("grounds.until")}>{day(ground.ended_at ?? ground.credential.validUntil)}</Fact>
      </dl>
      <Acts ground={ground} me={me} onDone={onDone} />
    </article>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Acts({ ground, me, onDone }: CardProps) {
  const asked = useSignal<"approve" | "end" | null>(null);
  const role = session.value?.role ?? "";
  const own = ground.credential.issuer === me;
  const may = ground.standing === "draft" ? APPROVERS.includes(role) : ground.standing === "living" && role === "dpo";
  if (!may) return null;
  if (ground.standing === "draft" && own) return <p class="faint own">{t("grounds.own")}</p>;
  const act = ground.standing === "draft" ? "approve" : "end";
  return (
    <p class="actions">
      <Button kind={act === "end" ? "danger" : "primary"} aria-haspopup="dialog" onClick={() => (asked.value = act)}>
        {t(`grounds.${act}`)}
      </Button>
      {asked.value && <Confirm ground={ground} act={act} onClose={() => (asked.value = null)} onDone={onDone} />}
    </p>
  );
}

interface ConfirmProps {
  readonly ground: Ground;
  readonly act: "approve" | "end";
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function Confirm({ ground, act, onClose, onDone }: ConfirmProps) {
  const { busy, error, run } = useAct();
  const go = () =>
    run(async () => {
      await (act === "approve" ? api.approveGround(ground.id) : api.endGround(ground.id));
      onClose();
      onDone();
    });
  return (
    <Dialog title={t(`grounds.${act}`)} onClose={onClose}>
      <p>{t(`grounds.${act}.more`)}</p>
      {error.value !== null && <ErrorNote error={error.value} />}
      <p class="actions">
        <Button kind={act === "end" ? "danger" : "primary"} busy={busy.value} onClick={() => void go()}>
          {t(`grounds.${act}`)}
        </Button>
      </p>
    </Dialog>
  );
}
