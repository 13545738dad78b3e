/** @jsxImportSource preact */
// The booking page, step by step. The heading says where one is, and takes the focus when the step was the reader's own.
import { useEffect, useRef } from "preact/hooks";
import { keepEarlier } from "../earlier";
import type { Slot } from "./answers";
import type { Booking, Step } from "./booking";
import { Confirmation, Facts, when } from "./facts";
import { Held } from "./held";
import { SignIn } from "./sign-in";
import { wordsFor } from "./words";

interface Props {
  booking: Booking;
}

export function Page({ booking, development }: Props & { development: boolean }) {
  const step = booking.step.value;
  return (
    <>
      <Heading booking={booking} />
      <div class="columns">
        {step === "booked" ? null : <What booking={booking} />}
        <div class="card step" data-step={step} aria-busy={step === "loading" || step === "holding" || step === "booking"}>
          <Content booking={booking} development={development} />
        </div>
      </div>
      {development && booking.patient.value && (
        <p class="quiet">
          Development: acting as {booking.patient.value.name}.{" "}
          <button type="button" class="link" onClick={() => booking.signOut()}>
            Be somebody else
          </button>
        </p>
      )}
      <p class="unseen" role="status">
        {booking.spoken.value}
      </p>
    </>
  );
}

const TITLES: Partial<Record<Step, string>> = {
  missing: "There is no such time",
  unread: "The time could not be read",
  booked: "You are booked",
  unknown: "No answer yet",
};
const ENDS = new Set<Step>(["booked", "refused", "unknown", "missing"]);

function Heading({ booking }: Props) {
  const [step, refusal] = [booking.step.value, booking.refusal.value];
  const title = step === "refused" && refusal ? wordsFor(refusal).title : (TITLES[step] ?? "Book this time");
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

function Content({ booking, development }: Props & { development: boolean }) {
  switch (booking.step.value) {
    case "loading":
      return <p>Reading the time …</p>;
    case "holding":
      return <p>Holding the time for you …</p>;
    case "missing":
      return <Elsewhere text="The link may be old or incomplete." booking={booking} />;
    case "unread":
      return <Again text="The clinic's calendar did not answer." booking={booking} />;
    case "sign-in":
      return (
        <SignIn clinic={booking.slot.value?.clinic ?? null} development={development} action="Sign in and hold this time" signIn={(one) => booking.signIn(one)} />
      );
    case "held":
    case "booking":
      return <Held booking={booking} />;
    case "unknown":
      return <Again text="The clinic's calendar did not answer, so we don't know the outcome yet. Trying again is safe: nothing is booked twice." booking={booking} />;
    case "refused":
      return <RefusedTime booking={booking} />;
    case "booked":
      return (
        booking.appointment.value && (
          <>
            <Confirmation appointment={booking.appointment.value} />
            {booking.slot.value && (
              <p>
                Would you rather come sooner?{" "}
                <a href={`${waitingFor(booking.slot.value)}&earlier`} onClick={() => keepEarlier(booking.appointment.value?.id ?? "")}>
                  Tell me when an earlier time opens
                </a>
              </p>
            )}
          </>
        )
      );
  }
}

function What({ booking }: Props) {
  const slot = booking.slot.value;
  if (!slot) return null;
  return (
    <section class="card" aria-label="The time">
      <Facts {...slot} clinic={slot.clinic} />
    </section>
  );
}

function Phone({ booking }: Props) {
  const clinic = booking.slot.value?.clinic;
  if (!clinic?.phone) return null;
  return (
    <p>
      Or call {clinic.name}: <a href={`tel:${clinic.phone}`}>{clinic.phone}</a>
    </p>
  );
}

function calendarOf(slot: Slot | null): string {
  return slot ? `/calendar?clinic=${slot.clinic.id}&visit-type=${slot.visitType.id}` : "/calendar";
}

function waitingFor({ clinic, visitType }: Slot): string {
  return `/wait?${new URLSearchParams({ clinic: clinic.id, visitType: visitType.id })}`;
}

function Elsewhere({ text, booking }: Props & { text: string }) {
  return (
    <>
      <p>{text}</p>
      <p class="actions">
        <a class="button" href={calendarOf(booking.slot.value)}>
          Choose another time
        </a>
      </p>
      <Phone booking={booking} />
    </>
  );
}

function Again({ text, booking }: Props & { text: string }) {
  return (
    <>
      <p>{text}</p>
      <p class="actions">
        <button type="button" class="button" onClick={() => void booking.again()}>
          Try again
        </button>
      </p>
      <Phone booking={booking} />
    </>
  );
}

function RefusedTime({ booking }: Props) {
  const refusal = booking.refusal.value;
  if (!refusal) return null;
  const other = refusal.__typename === "PatientConflict" ? refusal.other : null;
  const alternatives = booking.alternatives.value;
  const retry = refusal.__typename === "PolicyViolation" && refusal.rule === "HOLD_LIMIT";
  return (
    <>
      <p>{wordsFor(refusal).text}</p>
      {other && (
        <p>
          You have: {other.visitType.name} with {other.provider.name}, {when(other.startsAt, other.endsAt, other.clinic.timeZone)}.
        </p>
      )}
      {alternatives.length > 0 && refusal.__typename !== "SlotTaken" && <p>Still free:</p>}
      {alternatives.length > 0 && (
        <ul class="alternatives" role="list">
          {alternatives.map(({ id, startsAt, provider, clinic }) => (
            <li key={id}>
              <button type="button" data-slot-id={id} onClick={() => void booking.takeInstead(id)}>
                <b>{when(startsAt, null, clinic.timeZone)}</b>{" "}
                <span>
                  {provider.name}
                  {provider.acceptingNewPatients ? "" : ", known patients only"}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <p class="actions">
        {retry && (
          <button type="button" class="button" onClick={() => void booking.take()}>
            Try again
          </button>
        )}
        <a class={alternatives.length > 0 || retry ? undefined : "button"} href={calendarOf(booking.slot.value)}>
          See all open times
        </a>
        {booking.slot.value && <a href={waitingFor(booking.slot.value)}>Tell me when a time opens</a>}
      </p>
      <Phone booking={booking} />
    </>
  );
}
