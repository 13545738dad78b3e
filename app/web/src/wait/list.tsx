/** @jsxImportSource preact */
// All that a patient waits for, and the appointments for which an earlier time can be asked.
import { when } from "../book/facts";
import { keepEarlier } from "../earlier";
import { span } from "../times";
import type { Entry, Own, Waiting } from "./waiting";
import { inWords } from "./windows";

interface Props {
  waiting: Waiting;
}

export function List({ waiting }: Props) {
  const [entries, own] = [waiting.entries.value, waiting.own.value];
  return (
    <>
      {entries.length === 0 ? (
        <p>You are on no waitlist.</p>
      ) : (
        <ul class="mine" role="list" aria-label="Waiting for">
          {entries.map((entry) => (
            <Line key={entry.id} entry={entry} waiting={waiting} />
          ))}
        </ul>
      )}
      {waiting.fault.value && (
        <p class="fault" role="alert">
          {waiting.fault.value.text}
        </p>
      )}
      {own.length > 0 && (
        <>
          <h2>Your appointments</h2>
          <ul class="mine" role="list">
            {own.map((one) => (
              <Coming key={one.id} one={one} waited={entries.find((entry) => isFor(entry, one))} />
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function isFor(entry: Entry, one: Own): boolean {
  return entry.clinic.id === one.clinic.id && entry.visitType.id === one.visitType.id;
}

function pageOf(clinic: string, visitType: string): string {
  return `/wait?${new URLSearchParams({ clinic, visitType })}`;
}

function Line({ entry, waiting }: Props & { entry: Entry }) {
  const { clinic, visitType, appointment, offer } = entry;
  const what = `${visitType.name} at ${clinic.name}`;
  return (
    <li>
      <p>
        <a href={pageOf(clinic.id, visitType.id)}>{what}</a>
        <br />
        {appointment && <>Earlier than {when(appointment.startsAt, null, appointment.clinic.timeZone)}. </>}
        {span(entry.from, entry.to)}, {inWords(entry.windows).toLowerCase()}
      </p>
      {entry.status === "SUSPENDED" && <p>Paused: three offers in a row were not taken.</p>}
      {offer && (
        <p>
          <a href={`/offer/${offer.id}`}>
            {when(offer.slot.startsAt, null, clinic.timeZone)} is kept for you until {when(offer.expiresAt, null, clinic.timeZone)}
          </a>
        </p>
      )}
      <p>
        <button type="button" aria-label={`Leave the waitlist: ${what}`} onClick={() => void waiting.leave(entry)}>
          Leave the waitlist
        </button>
      </p>
    </li>
  );
}

function Coming({ one, waited }: { one: Own; waited: Entry | undefined }) {
  const at = when(one.startsAt, null, one.clinic.timeZone);
  return (
    <li>
      <p>
        <b>{at}</b>
        <br />
        {one.visitType.name} with {one.provider.name}, {one.clinic.name}
      </p>
      {waited ? (
        <p class="quiet">{waited.appointment?.id === one.id ? "You wait for an earlier time." : "You wait for this kind of visit here already."}</p>
      ) : (
        <p>
          <a
            href={`${pageOf(one.clinic.id, one.visitType.id)}&earlier`}
            aria-label={`Ask for an earlier time than ${at}`}
            onClick={() => keepEarlier(one.id)}
          >
            Ask for an earlier time
          </a>
        </p>
      )}
    </li>
  );
}
