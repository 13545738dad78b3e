// How a calendar looks. A heading and a list of buttons per day; one stop of the Tab key a day, arrow keys between times.
import { clock, dayParts, fullDay, longDay, otherZone, zoneOn } from "../times";
import type { Calendar, Day } from "./calendar";
import type { OpenSlot } from "./frames";
import { neighbour } from "./keys";

type Choose = (slot: OpenSlot) => void;

export function View({ calendar, choose }: { calendar: Calendar; choose: Choose }) {
  return (
    <section class="calendar" part="calendar" lang="en" aria-labelledby="title">
      <Head calendar={calendar} />
      <Weeks calendar={calendar} />
      <Freshness calendar={calendar} />
      <div class="notice" part="notice" role="alert">
        {calendar.notice.value && <p>{calendar.notice.value}</p>}
      </div>
      <div class="body" part="body" aria-busy={calendar.phase.value === "loading" || calendar.reading.value}>
        <Body calendar={calendar} choose={choose} />
      </div>
      <Foot calendar={calendar} />
      <p class="unseen" role="status">
        {calendar.spoken.value}
      </p>
    </section>
  );
}

function Head({ calendar }: { calendar: Calendar }) {
  const facts = calendar.facts.value;
  return (
    <header class="head" part="header">
      <h2 id="title">
        {facts ? facts.visitType : "Open times"}
        {facts?.minutes ? <small> {facts.minutes} minutes</small> : null}
      </h2>
      <p>{facts ? [facts.provider, facts.clinic].filter(Boolean).join(", ") : "\u00a0"}</p>
      {facts?.provider && [...facts.people.values()].some((one) => !one.acceptingNewPatients) && (
        <p>Takes only patients who have been there before.</p>
      )}
    </header>
  );
}

function Weeks({ calendar }: { calendar: Calendar }) {
  const { week, last, facts, title } = calendar;
  const step = (label: string, by: number, possible: boolean) => (
    <button
      type="button"
      class="step"
      part="step"
      data-by={by}
      aria-label={label}
      aria-disabled={!possible}
      onClick={() => possible && calendar.show(week.value + by)}
    />
  );
  return (
    <div class="weeks" role="group" aria-label="Week">
      {step("Previous week", -1, facts.value !== null && week.value > 0)}
      <p class="week">{facts.value ? title.value : "\u00a0"}</p>
      {step("Next week", 1, facts.value !== null && week.value < last.value)}
    </div>
  );
}

function Freshness({ calendar }: { calendar: Calendar }) {
  const state = calendar.freshness.value;
  if (calendar.phase.value !== "ready") return <p class="freshness" />;
  const text = {
    fresh: calendar.reading.value ? "Reading the open times …" : "These times change by themselves as they are taken.",
    stale: "Not up to date: nothing was heard from the clinic's calendar for a while. Reconnecting …",
    offline: "You are offline: these times may be out of date.",
  }[state];
  return (
    <p class="freshness" data-state={state}>
      {text}
      {state !== "fresh" && !calendar.usable.value ? " Times can be chosen again as soon as the connection is back." : ""}
    </p>
  );
}

function Body({ calendar, choose }: { calendar: Calendar; choose: Choose }) {
  const phase = calendar.phase.value;
  if (phase === "refused") return <Message calendar={calendar} text={`This calendar can't be shown: ${calendar.problem.value}`} />;
  if (phase === "failed") return <Failed calendar={calendar} />;
  if (phase === "loading" || calendar.reading.value) return <Skeleton />;
  if (calendar.days.value.every(({ slots }) => slots.length === 0)) return <Empty calendar={calendar} />;
  return (
    <div class="days" part="days">
      <p class="unseen" id="hint">
        Arrow keys move between times.
      </p>
      {calendar.days.value.map((day) => (
        <DayTimes key={day.date} day={day} calendar={calendar} choose={choose} />
      ))}
    </div>
  );
}

function Skeleton() {
  return (
    <div class="days skeleton" aria-hidden="true">
      {Array.from({ length: 7 }, (_, day) => (
        <div class="day" key={day}>
          <span class="bone" />
          <ul>
            {Array.from({ length: 3 + ((day * 5) % 4) }, (_unused, time) => (
              <li class="bone" key={time} />
            ))}
          </ul>
        </div>
      ))}
    </div>
  );
}

function Phone({ calendar, lead }: { calendar: Calendar; lead: string }) {
  const phone = calendar.facts.value?.phone;
  if (!phone) return null;
  return (
    <p>
      {lead} <a href={`tel:${phone}`}>{phone}</a>
    </p>
  );
}

function Message({ calendar, text }: { calendar: Calendar; text: string }) {
  return (
    <div class="message" part="message">
      <p class="strong">{text}</p>
      <Phone calendar={calendar} lead="You can call the clinic:" />
    </div>
  );
}

function Failed({ calendar }: { calendar: Calendar }) {
  return (
    <div class="message" part="message" role="alert">
      <p class="strong">The open times could not be read.</p>
      <p>Check your connection; we keep trying by ourselves.</p>
      <p>
        <button type="button" class="plain" part="button" onClick={() => calendar.again()}>
          Try again
        </button>
      </p>
      <Phone calendar={calendar} lead="You can also call the clinic:" />
    </div>
  );
}

function Empty({ calendar }: { calendar: Calendar }) {
  const later = calendar.later.value;
  return (
    <div class="message" part="message">
      <p class="strong">No open times this week.</p>
      {later == null && <p>Looking for the next open time …</p>}
      {later === "" && <p>There are no later ones either at the moment.</p>}
      {later && (
        <p>
          <button type="button" class="plain" part="button" onClick={() => calendar.showDate(later)}>
            Go to the next open time: {longDay(later)}
          </button>
        </p>
      )}
      <p>
        <a href={calendar.waitPage} target="_blank" rel="noopener">
          Tell me when a time opens
        </a>
      </p>
      <Phone calendar={calendar} lead="You can also call the clinic:" />
    </div>
  );
}

function DayTimes({ day, calendar, choose }: { day: Day; calendar: Calendar; choose: Choose }) {
  const { date, slots } = day;
  const short = dayParts(date);
  const stop = slots.find(({ id }) => id === calendar.stops.value.get(date)) ?? slots[0];
  return (
    <section class="day" part="day" role="group" aria-labelledby={`day-${date}`} aria-describedby={slots.length > 1 ? "hint" : undefined}>
      <h3 id={`day-${date}`}>
        <span class="long">{longDay(date)}</span>
        <span class="short" aria-hidden="true">
          {short.weekday} <span>{short.day}</span>
        </span>
      </h3>
      {slots.length === 0 ? (
        <p class="none">{date > calendar.through.value ? "Too many times to list" : "No times"}</p>
      ) : (
        <ul role="list">
          {slots.map((slot) => (
            <Time key={slot.id} slot={slot} calendar={calendar} choose={choose} tabIndex={slot === stop ? 0 : -1} />
          ))}
        </ul>
      )}
    </section>
  );
}

interface TimeProps {
  slot: OpenSlot;
  calendar: Calendar;
  choose: Choose;
  tabIndex: number;
}

function Time({ slot, calendar, choose, tabIndex }: TimeProps) {
  const facts = calendar.facts.value;
  const gone = calendar.gone.value?.id === slot.id;
  const unusable = gone || !calendar.usable.value;
  const who = facts?.provider ? null : calendar.people.value.get(slot.providerId);
  const press = () => (unusable ? calendar.denied(slot) : choose(slot));
  return (
    <li>
      <button
        type="button"
        class="slot"
        part={gone ? "slot gone" : "slot"}
        data-slot-id={slot.id}
        aria-disabled={unusable}
        tabIndex={tabIndex}
        onClick={press}
        onFocus={() => (calendar.stops.value = new Map([...calendar.stops.value, [slot.localDate, slot.id]]))}
        onBlur={() => gone && calendar.left()}
        onKeyDown={neighbour}
      >
        <span class="clock">{clock(slot.startsAt, facts?.timeZone ?? "UTC")}</span>
        {who && <span class="who"> {who.name}</span>}
        {who?.acceptingNewPatients === false && <span class="who"> known patients only</span>}
        {slot.left > 1 && !gone && <span class="who"> {slot.left} places</span>}
        {gone && <span class="who"> no longer available</span>}
      </button>
    </li>
  );
}

function Foot({ calendar }: { calendar: Calendar }) {
  const facts = calendar.facts.value;
  if (!facts) return <footer class="foot" part="footer" />;
  const dates = calendar.days.value.map(({ date }) => date);
  const other = otherZone(facts.timeZone, Date.now());
  return (
    <footer class="foot" part="footer">
      <p part="zone">
        <span class="unseen">{fullDay(dates[0] as string)} and after: </span>
        Times are on the clinic's clock: {zoneOn(facts.timeZone, dates)}.
        {other && ` Your device is set to another zone (${other}).`}
      </p>
    </footer>
  );
}
