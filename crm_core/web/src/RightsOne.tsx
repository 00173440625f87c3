import type { ComponentChildren } from "preact";
import { roleName } from "../ui/Frame";
import { day, language, moment } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { ErrorNote, Loading, Note } from "../ui/pieces";
import { to } from "../ui/route";
import { catalogue, purposeLabel } from "./desk";
import { RightsActs } from "./RightsActs";
import { StateChip } from "./RightsState";
import { useReading } from "./reading";
import type { Asked, Read, Receipt } from "./rights";
import * as rights from "./rights";
import { rsaid, rt } from "./rights";
import { lock, named, short } from "./words";

/** One request: what is asked, what it is about, every signed word for it, and what the officer can do now. */
export function RightsOne({ id }: { readonly id: string }) {
  const reading = useReading((stop) => rights.one(id, { stop }));
  const asked = reading.data.value;
  return (
    <>
      <a class="back" href={to(["rights"])}>
        <Icon name="back" />
        {rt("back")}
      </a>
      <header class="top">
        <div class="title">
          <h1>{asked ? rsaid(`kind.${asked.kind}`, asked.kind) : rt("rights")}</h1>
          {asked && (
            <p class="facts">
              <StateChip of={asked} />
            </p>
          )}
        </div>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!asked && reading.error.value === null && (
        <div class="card">
          <Loading lines={6} />
        </div>
      )}
      {asked && (
        <>
          <article class="card ground right">
            <p class="soft">{rsaid(`means.${asked.kind}`, "")}</p>
            <Facts asked={asked} />
            {asked.read && <TheRead read={asked.read} />}
            {asked.read === null && <Note tone="warn">{rt("read.gone")}</Note>}
            <RightsActs asked={asked} onDone={reading.again} />
          </article>
          <section class="card group" aria-labelledby="steps">
            <header>
              <h2 id="steps">{rt("steps")}</h2>
            </header>
            <ol class="steps">
              {asked.receipts.map((one) => (
                <StepRow key={one.id} receipt={one} />
              ))}
            </ol>
          </section>
        </>
      )}
    </>
  );
}

const list = (ids: readonly string[]): string => ids.map(named).join(language.value === "en" ? ", " : "、");

function Facts({ asked }: { readonly asked: Asked }) {
  const told = asked.request.credentialSubject.makesRequest;
  return (
    <dl>
      <Fact name={rt("whom")}>
        <a class="mono" href={to(["customers", asked.subject])}>
          {short(asked.subject)}
        </a>
      </Fact>
      <Fact name={rt("received")}>{moment(asked.received_at)}</Fact>
      <Fact name={rt("due")}>{day(asked.due_at)}</Fact>
      {asked.waiting_for && <Fact name={rt("waits")}>{rsaid(`waits.${asked.waiting_for}`, asked.waiting_for)}</Fact>}
      {asked.taken_by && <Fact name={rt("taken")}>{asked.taken_by}</Fact>}
      {told.hasPurpose && <Fact name={rt("purpose")}>{purposeLabel(told.hasPurpose)}</Fact>}
      {told.hasPersonalData && <Fact name={rt("fields")}>{list(told.hasPersonalData)}</Fact>}
      {told.identifiedBy && (
        <Fact name={rt("method")}>
          {rsaid(`method.${told.identifiedBy}`, told.identifiedBy)}
          {told.groundEvidence && <span class="faint"> {told.groundEvidence.evidenceText}</span>}
        </Fact>
      )}
    </dl>
  );
}

/** The read that the customer asks about, as their own history shows it. */
function TheRead({ read }: { readonly read: Read }) {
  const purpose = catalogue.value?.purposes.find((one) => one.key === read.purpose || one.iri === read.purpose);
  const reasons = [...new Set(Object.values(read.withheld))];
  return (
    <section class="named" aria-labelledby="read">
      <h2 id="read">{rt("read")}</h2>
      <dl>
        <Fact name={rt("read.when")}>{moment(read.time)}</Fact>
        <Fact name={rt("read.what")}>{rt(read.kind === "refusal" ? "read.refusal" : "read.release")}</Fact>
        {read.role && <Fact name={rt("read.role")}>{roleName(read.role) || read.role}</Fact>}
        {read.reader && (
          <Fact name={rt("read.reader")}>
            <span class="mono">{read.reader}</span>
          </Fact>
        )}
        {read.purpose && <Fact name={rt("purpose")}>{purpose ? purposeLabel(purpose.iri) : read.purpose}</Fact>}
        {read.released.length > 0 && <Fact name={rt("fields")}>{list(read.released)}</Fact>}
        {reasons.map((reason) => (
          <Fact key={reason} name={rt("read.withheld", { why: lock(reason) })}>
            {list(Object.keys(read.withheld).filter((one) => read.withheld[one] === reason))}
          </Fact>
        ))}
        <Fact name={rt("read.event")}>
          <span class="mono">{read.event}</span>
        </Fact>
      </dl>
    </section>
  );
}

function StepRow({ receipt }: { readonly receipt: Receipt }) {
  const said = receipt.credentialSubject.hasRequestReceipt;
  return (
    <li>
      <p>
        <time class="faint" dateTime={receipt.validFrom}>
          {moment(receipt.validFrom)}
        </time>{" "}
        <b>{rsaid(`state.${said.requestState}`, said.requestState)}</b>
        {said.citation && <span class="faint"> {said.citation}</span>}
      </p>
      {said.refusalReason && <p>{said.refusalReason}</p>}
      {said.explanation && <blockquote>{said.explanation}</blockquote>}
      {said.shutAt && <p class="faint">{rt("shut", { when: moment(said.shutAt) })}</p>}
    </li>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
