/** @jsxImportSource preact */
// The offer page. The heading says where one is, and takes the focus when an answer ended it.
import { useEffect, useRef } from "preact/hooks";
import { Confirmation, Facts, when } from "../book/facts";
import { demoPatients } from "../book/patient";
import { SignIn } from "../book/sign-in";
import { type Answering, type Step, WARNING_SECONDS } from "./answering";
import { overWords } from "./words";

interface Props {
  answering: Answering;
}

export function Page({ answering, development }: Props & { development: boolean }) {
  const [step, offer, patient] = [answering.step.value, answering.offer.value, answering.patient.value];
  return (
    <>
      <Heading answering={answering} />
      <div class="columns">
        {offer && step !== "booked" && (
          <section class="card" aria-label="The time">
            <Facts {...offer.slot} />
          </section>
        )}
        <div class="card step" data-step={step} aria-busy={step === "loading" || step === "answering"}>
          <Content answering={answering} development={development} />
        </div>
      </div>
      {development && patient && (
        <p class="quiet">
          Development: acting as {patient.name}.{" "}
          <button type="button" class="link" onClick={() => answering.signOut()}>
            Be somebody else
          </button>
        </p>
      )}
      <p class="unseen" role="status">
        {answering.spoken.value}
      </p>
    </>
  );
}

const TITLES: Partial<Record<Step, string>> = {
  missing: "There is no such offer for you",
  unread: "The offer could not be read",
  booked: "You are booked",
  conflict: "You have another appointment then",
  mixed: "Something got mixed up",
  unknown: "No answer yet",
};
const ENDS = new Set<Step>(["booked", "over", "conflict", "mixed", "unknown", "missing"]);

function Heading({ answering }: Props) {
  const [step, offer] = [answering.step.value, answering.offer.value];
  const title = step === "over" && offer ? overWords(offer).title : (TITLES[step] ?? "A time for you");
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Appointments`;
    if (ENDS.has(step)) heading.current?.focus();
  }, [step, title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {title}
    </h1>
  );
}

function Content({ answering, development }: Props & { development: boolean }) {
  switch (answering.step.value) {
    case "loading":
      return <p>Reading the offer …</p>;
    case "sign-in":
      return (
        <SignIn
          clinic={null}
          development={development}
          action="Sign in and see the offer"
          signIn={(one) => answering.signIn(one)}
          choice={() => demoPatients(answering.id)}
        />
      );
    case "missing":
      return (
        <>
          <p>It was made to somebody else, or the link is incomplete. Offers can be seen only by the person they were made to.</p>
          <p class="actions">
            <a href="/calendar">See open times</a>
          </p>
        </>
      );
    case "unread":
      return <Again text="The clinic's calendar did not answer." answering={answering} />;
    case "unknown":
      return <Again text="The clinic's calendar did not answer, so we don't know the outcome yet. Trying again is safe: nothing is booked twice." answering={answering} />;
    case "offered":
    case "answering":
      return <Live answering={answering} />;
    case "over":
      return <Over answering={answering} />;
    case "conflict":
      return <Conflict answering={answering} />;
    case "mixed":
      return <Again text="Nothing was booked by this page. Please look at the offer again." answering={answering} />;
    case "booked":
      return answering.appointment.value && <Confirmation appointment={answering.appointment.value} />;
  }
}

function Live({ answering }: Props) {
  const offer = answering.offer.value;
  const busy = answering.step.value === "answering";
  const over = answering.seconds.value === 0;
  if (!offer) return null;
  const { appointment } = offer.entry;
  return (
    <>
      <Countdown answering={answering} />
      {appointment && (
        <p>
          It takes the place of your appointment on {when(appointment.startsAt, null, appointment.clinic.timeZone)}, which stays yours until you say yes.
        </p>
      )}
      <p class="actions">
        <button type="button" class="button" aria-disabled={busy || over} onClick={() => !busy && !over && void answering.accept()}>
          {busy ? "One moment …" : appointment ? "Move my appointment to this time" : "Take this time"}
        </button>
        <button type="button" aria-disabled={busy || over} onClick={() => !busy && !over && void answering.decline()}>
          No, thank you
        </button>
      </p>
      <p class="quiet">If you say no, the time goes to the next person who waits. You stay on the waitlist.</p>
    </>
  );
}

function Countdown({ answering }: Props) {
  const [left, offer] = [answering.seconds.value, answering.offer.value];
  if (!offer) return null;
  const until = when(offer.expiresAt, null, offer.slot.clinic.timeZone);
  if (left === 0) {
    return (
      <div class="hold" data-state="over">
        <p>
          <b>This offer has run out.</b> It was kept for you until {until}.
        </p>
      </div>
    );
  }
  const [hours, minutes, seconds] = [Math.floor(left / 3_600), Math.floor(left / 60) % 60, left % 60];
  const pair = (number: number) => String(number).padStart(2, "0");
  return (
    <div class="hold" data-state={left <= WARNING_SECONDS ? "ending" : "held"}>
      <p>
        Kept for you for{" "}
        <b role="timer" class="timer">
          {hours > 0 ? `${hours}:${pair(minutes)}` : minutes}:{pair(seconds)}
        </b>
        , until {until}. Nobody else can book it meanwhile.
      </p>
    </div>
  );
}

function Over({ answering }: Props) {
  const offer = answering.offer.value;
  if (!offer) return null;
  const words = overWords(offer);
  const { clinic, visitType } = offer.slot;
  return (
    <>
      <p>{words.text}</p>
      <p>{words.waiting}</p>
      <p class="actions">
        <a class="button" href={`/wait?${new URLSearchParams({ clinic: clinic.id, visitType: visitType.id })}`}>
          {offer.entry.status === "ACTIVE" || offer.entry.status === "OFFERED" ? "See what you wait for" : "Wait again"}
        </a>
        <a href={`/calendar?${new URLSearchParams({ clinic: clinic.id, "visit-type": visitType.id })}`}>See all open times</a>
      </p>
    </>
  );
}

function Conflict({ answering }: Props) {
  const other = answering.other.value;
  return (
    <>
      <p>You can't be in two places at once, so this time was not booked. The offer is still yours until it runs out.</p>
      {other && (
        <p>
          You have: {other.visitType.name} with {other.provider.name}, {when(other.startsAt, other.endsAt, other.clinic.timeZone)}.
        </p>
      )}
      <p class="actions">
        <button type="button" class="button" onClick={() => answering.back()}>
          Back to the offer
        </button>
      </p>
    </>
  );
}

function Again({ text, answering }: Props & { text: string }) {
  return (
    <>
      <p>{text}</p>
      <p class="actions">
        <button type="button" class="button" onClick={() => void answering.again()}>
          Try again
        </button>
      </p>
    </>
  );
}
