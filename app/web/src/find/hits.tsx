/** @jsxImportSource preact */
// One result: one provider at one clinic, with the next open times. A time that is taken while it has the focus stays until that leaves.
import { useEffect, useRef } from "preact/hooks";
import { clock, dayParts, zoneName } from "../times";
import { type Hit, keyOf } from "./answers";
import type { Finding } from "./finding";
import type { Time } from "./times";
import { distance, inOneLine, initialOf, languageName } from "./words";

const IN_SIGHT = "400px";
const PAUSE_MS = 150;

export function Hits({ finding }: { finding: Finding }) {
  const hits = finding.hits.value;
  const list = useRef<HTMLOListElement>(null);
  const keys = hits.map(keyOf).join("\n");
  useEffect(() => watched(list.current as HTMLOListElement, finding), [keys]);
  useEffect(() => {
    const first = finding.added.value;
    if (first) list.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(first)}"] h3`)?.focus();
  }, [finding.added.value]);
  return (
    <ol class="hits" role="list" ref={list}>
      {hits.map((hit) => (
        <li key={keyOf(hit)}>
          <Result hit={hit} finding={finding} />
        </li>
      ))}
    </ol>
  );
}

/** Tells which results are in sight, a moment after it changes. */
function watched(list: HTMLElement, finding: Finding): () => void {
  const seen = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const key = (target as HTMLElement).dataset.key as string;
        if (isIntersecting) seen.add(key);
        else seen.delete(key);
      }
      clearTimeout(timer);
      timer = setTimeout(() => finding.see(new Set(seen)), PAUSE_MS);
    },
    { rootMargin: IN_SIGHT },
  );
  for (const one of list.querySelectorAll("[data-key]")) observer.observe(one);
  return () => {
    clearTimeout(timer);
    observer.disconnect();
  };
}

function Result({ hit, finding }: { hit: Hit; finding: Finding }) {
  const { provider, clinic } = hit;
  const id = `hit-${provider.id}-${clinic.id}`;
  const languages = provider.languages.map(languageName).join(", ");
  return (
    <article class="hit" data-key={keyOf(hit)} data-provider-id={provider.id} data-clinic-id={clinic.id} aria-labelledby={id}>
      <div class="who">
        <span class="initial" aria-hidden="true">
          {initialOf(provider.name)}
        </span>
        <div>
          <h3 id={id} tabIndex={-1}>
            {provider.name}
          </h3>
          {provider.specialties.length > 0 && <p>{provider.specialties.join(", ")}</p>}
        </div>
      </div>
      <div class="where">
        <p>
          <b>{clinic.name}</b>
          {hit.distanceKm !== null && <span class="away">{distance(hit.distanceKm)}</span>}
        </p>
        <p class="quiet">{inOneLine(clinic.address)}</p>
        {languages && <p class="quiet">Speaks {languages}</p>}
        <p class="quiet">{provider.acceptingNewPatients ? "Takes new patients" : "Takes only patients who have been there before"}</p>
        {hit.matched.length > 0 && <p class="quiet matched">Matches your words: {hit.matched.join(" · ")}</p>}
      </div>
      <Next hit={hit} finding={finding} />
    </article>
  );
}

function Next({ hit, finding }: { hit: Hit; finding: Finding }) {
  const times = finding.times.of(hit);
  const { provider, clinic, nextSlot } = hit;
  if (!nextSlot || times.length === 0) {
    return (
      <div class="next" data-state="none">
        <p>No open time at the moment.</p>
        {clinic.phone && (
          <p>
            You can call: <a href={`tel:${clinic.phone}`}>{clinic.phone}</a>
          </p>
        )}
      </div>
    );
  }
  const { id, name, durationMinutes } = nextSlot.visitType;
  const all = new URLSearchParams({ clinic: clinic.id, "visit-type": id, provider: provider.id });
  return (
    <div class="next">
      <p>
        {times.length > 1 ? "Next open times" : "Next open time"}: <b>{name}</b>
        {durationMinutes ? `, ${durationMinutes} minutes` : ""}
      </p>
      <ul class="times" role="list">
        {times.map((time) => (
          <li key={time.id}>
            <Link time={time} hit={hit} finding={finding} />
          </li>
        ))}
      </ul>
      <p class="quiet zone">On the clinic's clock: {zoneName(clinic.timeZone)}</p>
      <p>
        <a class="all" href={`/calendar?${all}`}>
          All times<span class="unseen"> of {provider.name}</span>
        </a>
      </p>
    </div>
  );
}

function Link({ time, hit, finding }: { time: Time; hit: Hit; finding: Finding }) {
  const { weekday, day } = dayParts(time.localDate);
  const gone = time.gone;
  useEffect(() => {
    if (gone) finding.say("This time has just been taken.");
  }, [gone]);
  return (
    <a
      class="time"
      // It keeps the focus without its address, too.
      tabIndex={0}
      href={gone ? undefined : `/book?slot=${encodeURIComponent(time.id)}`}
      role={gone ? "link" : undefined}
      aria-disabled={gone ? true : undefined}
      onFocus={() => (finding.times.focused.value = { key: keyOf(hit), time })}
      onBlur={() => (finding.times.focused.value = null)}
    >
      <span>
        {weekday} {day}
      </span>{" "}
      <b>{clock(time.startsAt, hit.clinic.timeZone)}</b>
      {gone && <span>&nbsp;just taken</span>}
      <span class="unseen"> with {hit.provider.name}</span>
    </a>
  );
}
