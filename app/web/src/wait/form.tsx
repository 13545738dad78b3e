/** @jsxImportSource preact */
// What is wished for: days, times of the day, with whom, how soon, and whether to be asked.
import { useEffect, useRef } from "preact/hooks";
import { when } from "../book/facts";
import { zoneName } from "../times";
import type { Place, Waiting } from "./waiting";
import type { Hours } from "./windows";

const NOTICES: [number, string][] = [
  [60, "1 hour"],
  [180, "3 hours"],
  [720, "12 hours"],
  [1_440, "1 day"],
  [2_880, "2 days"],
];

interface Props {
  waiting: Waiting;
  place: Place;
}

export function Wishes({ waiting, place }: Props) {
  const submit = (event: Event) => {
    event.preventDefault();
    void waiting.join();
  };
  return (
    <form class="booking" onSubmit={submit} onInput={() => waiting.changed()}>
      {waiting.movable.length > 0 && <Instead waiting={waiting} />}
      <Days waiting={waiting} place={place} />
      <Times waiting={waiting} />
      <div class="pair">
        <label>
          Provider
          <select value={waiting.provider.value} onChange={({ currentTarget }) => (waiting.provider.value = currentTarget.value)}>
            <option value="">Any provider</option>
            {place.providers.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Notice that I need
          <select value={String(waiting.notice.value)} onChange={({ currentTarget }) => (waiting.notice.value = Number(currentTarget.value))}>
            {NOTICES.map(([minutes, name]) => (
              <option key={minutes} value={String(minutes)}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <label class="check">
        <input type="checkbox" checked={waiting.autoBook.value} onChange={({ currentTarget }) => (waiting.autoBook.value = currentTarget.checked)} />
        Book it for me without asking
      </label>
      <General waiting={waiting} />
      <p class="actions">
        <button type="submit" class="button">
          Join the waitlist
        </button>
      </p>
    </form>
  );
}

/** Whether the time takes the place of an appointment that the patient has. */
function Instead({ waiting }: { waiting: Waiting }) {
  const here = waiting.asked.clinic;
  return (
    <fieldset class="choice">
      <legend>What would you like?</legend>
      <label class="check">
        <input type="radio" name="moves" value="" checked={waiting.moves.value === ""} onChange={() => waiting.choose("")} />A new appointment
      </label>
      {waiting.movable.map(({ id, startsAt, provider, clinic }) => (
        <label key={id} class="check">
          <input type="radio" name="moves" value={id} checked={waiting.moves.value === id} onChange={() => waiting.choose(id)} />
          <span>
            An earlier time than {when(startsAt, null, clinic.timeZone)} with {provider.name}
            {clinic.id === here ? "" : ` at ${clinic.name}`}
          </span>
        </label>
      ))}
      {waiting.moves.value && <p class="quiet">Your appointment stays yours until you take an earlier time.</p>}
    </fieldset>
  );
}

function Days({ waiting, place }: Props) {
  return (
    <div class="pair">
      <Day waiting={waiting} name="from" label="First day" />
      <Day waiting={waiting} name="to" label="Last day" />
      <p class="quiet">Days and times are on the clinic's clock: {zoneName(place.clinic.timeZone)}.</p>
    </div>
  );
}

function Day({ waiting, name, label }: { waiting: Waiting; name: "from" | "to"; label: string }) {
  const value = name === "from" ? waiting.first : waiting.last;
  const fault = waiting.fault.value?.field === name ? waiting.fault.value.text : "";
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (fault) box.current?.focus();
  }, [fault]);
  return (
    <div class="field">
      <label>
        {label}
        <input
          ref={box}
          type="date"
          required
          min={waiting.today}
          max={waiting.furthest}
          value={value.value}
          aria-invalid={fault !== ""}
          aria-describedby={`${name}-fault`}
          onInput={({ currentTarget }) => (value.value = currentTarget.value)}
        />
      </label>
      <p id={`${name}-fault`} class="fault" role="alert">
        {fault}
      </p>
    </div>
  );
}

function Times({ waiting }: { waiting: Waiting }) {
  return (
    <div class="pair">
      <label>
        Time of day
        <select value={waiting.hours.value} onChange={({ currentTarget }) => (waiting.hours.value = currentTarget.value as Hours)}>
          <option value="any">Any time</option>
          <option value="mornings">Mornings, before noon</option>
          <option value="afternoons">Afternoons, from noon</option>
        </select>
      </label>
      <label class="check">
        <input type="checkbox" checked={waiting.weekdays.value} onChange={({ currentTarget }) => (waiting.weekdays.value = currentTarget.checked)} />
        Weekdays only
      </label>
    </div>
  );
}

/** What the server says no to that no box of this form is about. */
function General({ waiting }: { waiting: Waiting }) {
  const fault = waiting.fault.value;
  return (
    <p class="fault" role="alert">
      {fault && fault.field !== "from" && fault.field !== "to" ? fault.text : ""}
    </p>
  );
}
