/** @jsxImportSource preact */
// The waitlist's page. The heading says where one is, and takes the focus when the step was the reader's own.
import { useEffect, useRef } from "preact/hooks";
import { Fact, when } from "../book/facts";
import { SignIn } from "../book/sign-in";
import { fullDay, span } from "../times";
import { Wishes } from "./form";
import { List } from "./list";
import type { Entry, Step, Waiting } from "./waiting";
import { inWords } from "./windows";

interface Props {
  waiting: Waiting;
}

export function Page({ waiting, development }: Props & { development: boolean }) {
  const [step, place, patient] = [waiting.step.value, waiting.place.value, waiting.patient.value];
  return (
    <>
      <Heading waiting={waiting} />
      {place && (
        <p class="lead">
          {place.visitType.name} at {place.clinic.name}
        </p>
      )}
      <div class="card step" data-step={step} aria-busy={step === "loading" || step === "sending"}>
        <Content waiting={waiting} development={development} />
      </div>
      {development && patient && (
        <p class="quiet">
          Development: acting as {patient.name}.{" "}
          <button type="button" class="link" onClick={() => waiting.signOut()}>
            Be somebody else
          </button>
        </p>
      )}
      <p class="unseen" role="status">
        {waiting.spoken.value}
      </p>
    </>
  );
}

const TITLES: Partial<Record<Step, string>> = {
  missing: "There is nothing to wait for here",
  unread: "The clinic's calendar could not be read",
  waiting: "You are on the waitlist",
  booked: "You are booked",
  left: "You are no longer waiting",
  unknown: "No answer yet",
};

function Heading({ waiting }: Props) {
  const [step, entry] = [waiting.step.value, waiting.entry.value];
  const offered = step === "waiting" && entry?.offer;
  const usual = waiting.listing ? "What you wait for" : waiting.moves.value && step === "form" ? "Tell me when an earlier time opens" : "Tell me when a time opens";
  const title = offered ? "A time has opened for you" : (TITLES[step] ?? usual);
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef<Step>(step);
  useEffect(() => {
    document.title = `${title} · Appointments`;
    if (before.current === "sending" && step !== "form") heading.current?.focus();
    before.current = step;
  }, [step, title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {title}
    </h1>
  );
}

function Content({ waiting, development }: Props & { development: boolean }) {
  const [place, entry] = [waiting.place.value, waiting.entry.value];
  switch (waiting.step.value) {
    case "loading":
      return <p>Reading the clinic's calendar …</p>;
    case "missing":
      return (
        <>
          <p>The link may be old or incomplete.</p>
          <p class="actions">
            <a class="button" href="/calendar">
              Choose a clinic
            </a>
          </p>
        </>
      );
    case "unread":
      return <Again text="The clinic's calendar did not answer." waiting={waiting} />;
    case "unknown":
      return <Again text="The clinic did not answer, so we don't know the outcome yet. Trying again is safe: nothing happens twice." waiting={waiting} />;
    case "sign-in":
      return (
        <SignIn
          clinic={place?.clinic ?? null}
          development={development}
          action={waiting.listing ? "Sign in and see what you wait for" : "Sign in and choose what to wait for"}
          signIn={(one) => waiting.signIn(one)}
        />
      );
    case "list":
      return <List waiting={waiting} />;
    case "form":
      return place && <Wishes waiting={waiting} place={place} />;
    case "sending":
      return <p>One moment …</p>;
    case "waiting":
      return entry && <Waited waiting={waiting} entry={entry} />;
    case "booked":
      return <Booked entry={entry} waiting={waiting} />;
    case "left":
      return <Left waiting={waiting} />;
  }
}

function Waited({ waiting, entry }: Props & { entry: Entry }) {
  const zone = waiting.place.value?.clinic.timeZone ?? "UTC";
  const suspended = entry.status === "SUSPENDED";
  return (
    <>
      {entry.offer && (
        <div class="hold" data-state="held">
          <p>
            <b>{when(entry.offer.slot.startsAt, null, zone)}</b> is kept for you until {when(entry.offer.expiresAt, null, zone)}.
          </p>
          <a class="button" href={`/offer/${entry.offer.id}`}>
            See the offer
          </a>
        </div>
      )}
      {suspended && <p>Three offers in a row were not taken, so we have stopped sending you more.</p>}
      {!suspended && !entry.offer && (
        <p>
          {entry.autoBook
            ? "As soon as a time that suits you is given up, we book it for you."
            : "As soon as a time that suits you is given up, we offer it to you first. You can leave this page open."}
        </p>
      )}
      <dl class="facts">
        {entry.appointment && (
          <Fact name="Earlier than">
            {when(entry.appointment.startsAt, null, entry.appointment.clinic.timeZone)}
            <br />
            <span class="quiet">This appointment stays yours until you take an earlier time.</span>
          </Fact>
        )}
        <Fact name="Days">{span(entry.from, entry.to)}</Fact>
        <Fact name="Times">{inWords(entry.windows)}</Fact>
        <Fact name="With">{entry.providers.map(({ name }) => name).join(", ") || "Any provider"}</Fact>
        <Fact name="When a time opens">{entry.autoBook ? "Book it for me without asking" : "Ask me first"}</Fact>
      </dl>
      <p class="actions">
        {suspended && (
          <button type="button" class="button" onClick={() => void waiting.resume()}>
            Wait again
          </button>
        )}
        <button type="button" onClick={() => void waiting.leave()}>
          Leave the waitlist
        </button>
      </p>
      {waiting.fault.value && (
        <p class="fault" role="alert">
          {waiting.fault.value.text}
        </p>
      )}
    </>
  );
}

function Booked({ waiting, entry }: Props & { entry: Entry | null }) {
  const zone = waiting.place.value?.clinic.timeZone ?? "UTC";
  const at = entry?.appointment?.startsAt;
  return (
    <>
      <p>{at ? `Your appointment: ${fullDay(at.slice(0, 10))}, ${when(at, null, zone).replace(/^.*?, (?=\d)/, "")}, the clinic's clock.` : "The time is yours."}</p>
      <p class="quiet">You can close this page now.</p>
    </>
  );
}

function Left({ waiting }: Props) {
  return (
    <>
      <p>We will not tell you of times that open here.</p>
      <p class="actions">
        <button type="button" class="button" onClick={() => waiting.anew()}>
          Wait again
        </button>
        <a href={`/calendar?${new URLSearchParams({ clinic: waiting.asked.clinic, "visit-type": waiting.asked.visitType })}`}>See all open times</a>
      </p>
    </>
  );
}

function Again({ text, waiting }: Props & { text: string }) {
  return (
    <>
      <p>{text}</p>
      <p class="actions">
        <button type="button" class="button" onClick={() => void waiting.again()}>
          Try again
        </button>
      </p>
    </>
  );
}
