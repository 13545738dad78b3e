// Times on the clinic's clock. The server's offsets count, not the browser's zone data, which may be older.
const MINUTE = 60_000;
const DAY = 86_400_000;
// The words of our pages are English; the reader's own way of writing dates and hours is kept where it is English too.
const LOCALE = navigator.languages.find((one) => /^en\b/i.test(one)) ?? "en";
const HOURS = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions().hourCycle;

/** The reading of the clinic's clock, as if it were UTC. */
function wall(instant: string): Date {
  return new Date(`${instant.slice(0, 19)}Z`);
}

// Making a formatter costs far more than using it, and a week may show thousands of times.
const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${JSON.stringify(options)}`;
  const made = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, made);
  return made;
}

function formatted(date: Date, options: Intl.DateTimeFormatOptions): string {
  return format(LOCALE, { timeZone: "UTC", ...options }).format(date);
}

/** Minutes east of UTC that an RFC 3339 instant names. */
export function offsetOf(instant: string): number {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(instant) ?? [];
  return sign ? (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) : 0;
}

/** Minutes east of UTC, as the browser's zone data has it; null for a zone that it does not know. */
function offsetIn(timeZone: string, at: number): number | null {
  try {
    const parts = format("en", { timeZone, timeZoneName: "longOffset" }).formatToParts(at);
    return offsetOf(parts.find(({ type }) => type === "timeZoneName")?.value ?? "");
  } catch {
    return null;
  }
}

export function utc(minutes: number): string {
  if (minutes === 0) return "UTC";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

// Whether the clocks change around a date, by zone and date: there are few such days.
const changes = new Map<string, boolean>();

function changesAround(date: string, timeZone: string): boolean {
  const key = `${timeZone} ${date}`;
  let known = changes.get(key);
  if (known === undefined) {
    const day = Date.parse(`${date}T00:00Z`);
    known = offsetIn(timeZone, day - DAY) !== offsetIn(timeZone, day + 2 * DAY);
    changes.set(key, known);
  }
  return known;
}

/** Whether the clinic's clock shows this reading twice, as it does when summer time ends. */
function isRepeated(instant: string, timeZone: string): boolean {
  if (!changesAround(localDate(instant), timeZone)) return false;
  const [at, own] = [Date.parse(instant), offsetOf(instant)];
  return [at - 3 * 60 * MINUTE, at + 3 * 60 * MINUTE].some((near) => {
    const other = offsetIn(timeZone, near);
    return other !== null && other !== own && offsetIn(timeZone, at + (own - other) * MINUTE) === other;
  });
}

/** "9:30 AM"; with its offset in an hour that comes twice. */
export function clock(instant: string, timeZone: string): string {
  const options: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit", ...(HOURS && { hourCycle: HOURS }) };
  const time = formatted(wall(instant), options);
  return isRepeated(instant, timeZone) ? `${time} (${utc(offsetOf(instant))})` : time;
}

export function localDate(instant: string): string {
  return instant.slice(0, 10);
}

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00Z`) + days * DAY).toISOString().slice(0, 10);
}

export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00Z`) - Date.parse(`${from}T00:00Z`)) / DAY);
}

/** Today at the clinic. */
export function today(timeZone: string, now: number): string {
  return new Date(now + (offsetIn(timeZone, now) ?? 0) * MINUTE).toISOString().slice(0, 10);
}

export function longDay(date: string): string {
  return formatted(new Date(`${date}T00:00Z`), { weekday: "long", day: "numeric", month: "long" });
}

export function fullDay(date: string): string {
  return formatted(new Date(`${date}T00:00Z`), { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}

export function dayParts(date: string): { weekday: string; day: string } {
  const at = new Date(`${date}T00:00Z`);
  return { weekday: formatted(at, { weekday: "short" }), day: formatted(at, { day: "numeric", month: "short" }) };
}

export function span(from: string, to: string): string {
  const options = { timeZone: "UTC", day: "numeric", month: "long", year: "numeric" } as const;
  return format(LOCALE, options).formatRange(new Date(`${from}T00:00Z`), new Date(`${to}T00:00Z`));
}

function noon(date: string, timeZone: string): number {
  const at = Date.parse(`${date}T12:00Z`);
  return at - (offsetIn(timeZone, at) ?? 0) * MINUTE;
}

export function zoneName(timeZone: string): string {
  try {
    const parts = new Intl.DateTimeFormat(LOCALE, { timeZone, timeZoneName: "longGeneric" }).formatToParts(0);
    const name = parts.find(({ type }) => type === "timeZoneName")?.value;
    return name && !/^GMT/.test(name) ? `${name} (${timeZone})` : timeZone;
  } catch {
    return timeZone;
  }
}

/** The zone with its offset on these dates; where the clocks change between them, both and the day. */
export function zoneOn(timeZone: string, dates: readonly string[]): string {
  const offsets = dates.map((date) => offsetIn(timeZone, noon(date, timeZone)));
  const first = offsets[0] ?? null;
  if (first === null) return timeZone;
  const changed = offsets.findIndex((one) => one !== first);
  const later = offsets[changed];
  const change = later == null ? "" : `, from ${longDay(dates[changed] as string)} ${utc(later)}`;
  return `${zoneName(timeZone)}, ${utc(first)}${change}`;
}

/** The zone of the reader's device where its clock shows another time than the clinic's. */
export function otherZone(timeZone: string, now: number): string | null {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return offsetIn(own, now) === offsetIn(timeZone, now) ? null : own;
}
