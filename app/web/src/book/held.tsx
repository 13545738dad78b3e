/** @jsxImportSource preact */
// A held time: how long it is still held, the reason, the button.
import { type Booking, REASON_MAX, WARNING_SECONDS } from "./booking";

export function Held({ booking }: { booking: Booking }) {
  const busy = booking.step.value === "booking";
  const submit = (event: Event) => {
    event.preventDefault();
    if (!busy) void booking.book();
  };
  return (
    <form class="booking" onSubmit={submit}>
      <Countdown booking={booking} />
      <Reason booking={booking} readOnly={busy} />
      <p class="actions">
        <button type="submit" class="button" aria-disabled={busy}>
          {busy ? "Booking …" : "Book this time"}
        </button>
      </p>
    </form>
  );
}

function Countdown({ booking }: { booking: Booking }) {
  const left = booking.seconds.value;
  if (left === 0) {
    return (
      <div class="hold" data-state="over">
        <p>
          <b>The time is no longer held for you.</b> It may still be free: hold it again, or book it right away.
        </p>
        <button type="button" onClick={() => void booking.take()}>
          Hold it again
        </button>
      </div>
    );
  }
  const warned = left <= WARNING_SECONDS;
  return (
    <div class="hold" data-state={warned ? "ending" : "held"}>
      <p>
        Held for you for{" "}
        <b role="timer" class="timer">
          {Math.floor(left / 60)}:{String(left % 60).padStart(2, "0")}
        </b>
        {warned ? "." : ". Nobody else can book it meanwhile."}
      </p>
      {warned && booking.extendable.value && (
        <button type="button" aria-disabled={booking.extending.value} onClick={() => void booking.extend()}>
          Hold it 5 minutes more
        </button>
      )}
    </div>
  );
}

function Reason({ booking, readOnly }: { booking: Booking; readOnly: boolean }) {
  const length = booking.reason.value.length;
  return (
    <div class="field">
      <label for="reason">Reason for the visit (optional)</label>
      <textarea
        id="reason"
        rows={3}
        maxLength={REASON_MAX}
        readOnly={readOnly}
        aria-describedby="reason-hint reason-fault"
        aria-invalid={booking.fault.value !== ""}
        value={booking.reason.value}
        onInput={({ currentTarget }) => (booking.reason.value = currentTarget.value)}
      />
      <p id="reason-hint" class="quiet">
        Only the clinic sees it. {REASON_MAX - length < 60 ? `${REASON_MAX - length} characters left.` : `At most ${REASON_MAX} characters.`}
      </p>
      <p id="reason-fault" class="fault" role="alert">
        {booking.fault.value}
      </p>
    </div>
  );
}
