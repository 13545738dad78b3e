// What a calendar knows and does: the clinic, one week of open times, how fresh they are, what is to be said.
import { computed, signal } from "@preact/signals";
import { addDays, clock, daysBetween, longDay, span, today } from "../times";
import { type Facts, type Person, type Subject, factsOf, laterDate, peopleOf } from "./clinic";
import { type Frame, type OpenSlot, type Slots, after } from "./frames";
import { type Filter, Subscription } from "./live";

export type Phase = "loading" | "ready" | "failed" | "refused";
export type Freshness = "fresh" | "stale" | "offline";
export interface Day {
  date: string;
  slots: OpenSlot[];
}

const STALE_MS = 40_000;
const UNUSABLE_MS = 60_000;
const SPEAK_EVERY_MS = 10_000;
const AGAIN_MS = 2_000;
const AGAIN_MS_MAX = 60_000;
const WEEK = 7;

function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function isSame(one: Day, other: Day): boolean {
  return (
    one.date === other.date &&
    one.slots.length === other.slots.length &&
    one.slots.every((slot, index) => slot === other.slots[index])
  );
}

export class Calendar {
  readonly phase = signal<Phase>("loading");
  readonly reading = signal(true);
  readonly facts = signal<Facts | null>(null);
  readonly people = signal<ReadonlyMap<string, Person>>(new Map());
  readonly week = signal(0);
  readonly freshness = signal<Freshness>("fresh");
  readonly usable = signal(true);
  readonly slots = signal<Slots>(new Map());
  /** A time that went while the reader was on it: it stays until the focus leaves. */
  readonly gone = signal<OpenSlot | null>(null);
  readonly through = signal("9999-12-31");
  readonly later = signal<string | null | undefined>(undefined);
  readonly notice = signal("");
  readonly problem = signal("");
  readonly spoken = signal("");
  readonly heardAt = signal(0);
  /** The time in each day that the Tab key reaches: where the reader last was. */
  readonly stops = signal<ReadonlyMap<string, string>>(new Map());

  readonly days = computed<Day[]>(() => this.#days());
  readonly count = computed(() => this.slots.value.size);
  readonly start = computed(() => addDays(this.#today.value, this.week.value * WEEK));
  readonly end = computed(() => addDays(this.start.value, WEEK - 1));
  readonly title = computed(() => span(this.start.value, this.end.value));
  readonly last = computed(() => Math.floor((this.facts.value?.bookableDaysAhead ?? 0) / WEEK));

  readonly #today = signal("1970-01-01");
  #subscription: Subscription | null = null;
  #stopped = new AbortController();
  #ahead = 0; // the server's clock less ours
  #timer: ReturnType<typeof setInterval> | undefined;
  #failures = 0; // of begin(), since it last worked
  #againAt = Number.POSITIVE_INFINITY;
  #changed = { gone: 0, opened: 0 };
  #spokeAt = 0;
  #chosen = new Set<string>();
  #shown: Day[] = [];

  constructor(
    private readonly endpoint: string,
    private readonly subject: Subject,
    /** The id of the time that has the focus. */
    private readonly focused: () => string | null,
  ) {}

  /** Our own page for those who find nothing that suits them; who they are, they say there. */
  get waitPage(): string {
    const { clinic, visitType, provider } = this.subject;
    const asked = new URLSearchParams({ clinic, visitType, ...(provider && { provider }) });
    return String(new URL(`/wait?${asked}`, this.endpoint));
  }

  async begin(): Promise<void> {
    this.#timer ??= setInterval(() => this.tick(), 1_000);
    if (this.#failures === 0) this.phase.value = "loading";
    this.problem.value = "";
    this.#againAt = Number.POSITIVE_INFINITY;
    try {
      const facts = await factsOf(this.endpoint, this.subject, this.#stopped.signal);
      this.#failures = 0;
      this.facts.value = facts;
      this.people.value = facts.people;
      this.#today.value = today(facts.timeZone, Date.now());
      this.#open(facts.first ? Math.max(0, Math.floor(daysBetween(this.#today.value, facts.first) / WEEK)) : 0);
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.#fail(error);
      if (this.phase.value !== "failed") return;
      const most = Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** this.#failures++);
      this.#againAt = Date.now() + most * (0.5 + Math.random() / 2); // differs between clients
    }
  }

  stop(): void {
    this.#stopped.abort();
    this.#subscription?.close();
    clearInterval(this.#timer);
  }

  show(week: number): void {
    if (week < 0 || week > Math.max(this.last.value, this.week.value)) return;
    this.#open(week);
  }

  showDate(date: string): void {
    this.#open(Math.floor(daysBetween(this.#today.value, date) / WEEK));
  }

  again(): void {
    if (this.facts.value) this.#open(this.week.value);
    else {
      this.#failures = 0;
      void this.begin();
    }
  }

  online(): void {
    this.tick();
    if (!navigator.onLine) return;
    if (this.phase.value === "failed") this.again();
    else if (this.freshness.value !== "fresh" || Date.now() - this.heardAt.value > STALE_MS / 2) this.#subscription?.hurry();
  }

  chosen(id: string): void {
    this.#chosen.add(id);
    this.notice.value = "";
  }

  /** Words for who presses a time that can't be had. */
  denied(slot: OpenSlot): void {
    const zone = this.facts.value?.timeZone ?? "UTC";
    const text = this.usable.value
      ? `${clock(slot.startsAt, zone)} on ${longDay(slot.localDate)} has just been taken. Please choose another time.`
      : "These times may be out of date. You can choose one again as soon as the connection is back.";
    this.notice.value = "";
    setTimeout(() => (this.notice.value = text));
  }

  left(): void {
    if (this.gone.value) this.gone.value = null;
  }

  tick(): void {
    const now = Date.now();
    if (now >= this.#againAt) void this.begin();
    this.#turnOver(now + this.#ahead);
    const silent = this.heardAt.value ? now - this.heardAt.value : 0;
    const state: Freshness = !navigator.onLine ? "offline" : silent >= STALE_MS ? "stale" : "fresh";
    if (state !== this.freshness.value) {
      this.freshness.value = state;
      if (state === "offline") this.#say("You are offline. The times may be out of date.");
      if (state === "stale") this.#say("The times may be out of date. Trying to reconnect.");
      if (state === "fresh" && silent < STALE_MS) this.#say("The times are up to date again.");
    }
    this.usable.value = silent < UNUSABLE_MS;
    this.#hidePast(now + this.#ahead);
    this.#speakOfChanges(now);
  }

  /** At the clinic's midnight the weeks begin a day later: a page may stay open for days. */
  #turnOver(now: number): void {
    const facts = this.facts.value;
    if (!facts || this.phase.value !== "ready" || this.reading.value) return;
    const date = today(facts.timeZone, now);
    // Dates as text are in order; a device whose clock goes back changes nothing.
    if (date <= this.#today.value) return;
    const shown = this.start.value;
    this.#today.value = date;
    this.#open(Math.max(0, Math.round(daysBetween(date, shown) / WEEK)));
  }

  #open(week: number): void {
    this.#subscription?.close();
    this.week.value = week;
    this.reading.value = true;
    this.phase.value = "ready";
    this.slots.value = new Map();
    this.gone.value = null;
    this.notice.value = "";
    this.later.value = undefined;
    this.heardAt.value = Date.now();
    this.#changed = { gone: 0, opened: 0 };
    const { clinic, visitType, provider } = this.subject;
    const filter: Filter = { clinicId: clinic, visitTypeId: visitType, from: this.start.value, to: this.end.value };
    if (provider) filter.providerIds = [provider];
    this.#subscription = new Subscription(this.endpoint, filter, {
      frame: (frame) => this.#receive(frame),
      refused: (message) => this.#refuse(message),
      lost: () => this.#lost(),
    });
  }

  #receive(frame: Frame): void {
    this.phase.value = "ready";
    this.#ahead = Date.parse(frame.serverTime) - Date.now();
    this.heardAt.value = Date.now();
    const before = this.slots.value;
    if (frame.__typename === "AvailabilitySnapshot") this.through.value = frame.through;
    const next = after(before, frame);
    if (next !== before) this.#replace(next, !this.reading.value);
    if (this.reading.value) {
      this.reading.value = false;
      this.#say(`${this.title.value}: ${plural(this.count.value, "open time", "open times")}.`);
    }
    this.tick();
    void this.#complete();
  }

  #replace(next: Slots, counted: boolean): void {
    const before = this.slots.value;
    const focused = this.focused();
    const lost = focused ? before.get(focused) : undefined;
    if (lost && !next.has(lost.id)) this.gone.value = lost;
    else if (this.gone.value && next.has(this.gone.value.id)) this.gone.value = null;
    if (counted) {
      for (const id of before.keys()) if (!next.has(id) && !this.#chosen.has(id)) this.#changed.gone += 1;
      for (const id of next.keys()) if (!before.has(id)) this.#changed.opened += 1;
    }
    this.slots.value = next;
  }

  /** What a list of times needs besides: names of providers, and where the next times are if there are none here. */
  async #complete(): Promise<void> {
    const facts = this.facts.value;
    if (!facts) return;
    const unknown = new Set<string>();
    for (const { providerId } of this.slots.value.values()) if (!this.people.value.has(providerId)) unknown.add(providerId);
    try {
      if (unknown.size > 0) {
        const found = await peopleOf(this.endpoint, [...unknown], this.#stopped.signal);
        this.people.value = new Map([...this.people.value, ...found]);
      }
      if (this.count.value === 0 && this.later.value === undefined) {
        this.later.value = null;
        const [week, from] = [this.week.value, addDays(this.end.value, 1)];
        const limit = addDays(this.#today.value, facts.bookableDaysAhead);
        const found = await laterDate(this.endpoint, this.subject, from, limit, this.#stopped.signal);
        if (week === this.week.value) this.later.value = found ?? "";
      }
    } catch {
      // Names and hints come again with the next frame; the times themselves are there.
      if (this.later.value === null) this.later.value = undefined;
    }
  }

  #hidePast(now: number): void {
    const over = [...this.slots.value.values()].filter(({ bookableUntil }) => Date.parse(bookableUntil) <= now);
    if (over.length === 0) return;
    const next = new Map(this.slots.value);
    for (const { id } of over) next.delete(id);
    this.#replace(next, false);
  }

  #speakOfChanges(now: number): void {
    const { gone, opened } = this.#changed;
    if (gone + opened === 0 || now - this.#spokeAt < SPEAK_EVERY_MS || document.hidden) return;
    this.#changed = { gone: 0, opened: 0 };
    const parts = [];
    if (gone) parts.push(`${plural(gone, "time is", "times are")} no longer available`);
    if (opened) parts.push(`${plural(opened, "new time has", "new times have")} opened`);
    this.#say(`${parts.join(", ")}.`);
  }

  #say(text: string): void {
    this.#spokeAt = Date.now();
    // The same words twice are two texts to a live region only if they differ.
    this.spoken.value = this.spoken.value === text ? `${text}\u00a0` : text;
  }

  #lost(): void {
    if (this.reading.value && this.phase.value === "ready") this.#fail(null);
  }

  #refuse(message: string): void {
    this.phase.value = "refused";
    this.problem.value = message;
  }

  #fail(error: unknown): void {
    if (error instanceof Error && "code" in error && error.code === "BAD_USER_INPUT") return this.#refuse(error.message);
    this.phase.value = "failed";
  }

  #days(): Day[] {
    const all = [...this.slots.value.values()];
    if (this.gone.value && !this.slots.value.has(this.gone.value.id)) all.push(this.gone.value);
    const starts = new Map(all.map((slot) => [slot, Date.parse(slot.startsAt)]));
    const name = ({ providerId }: OpenSlot) => this.people.value.get(providerId)?.name ?? "";
    all.sort(
      (a, b) =>
        (starts.get(a) as number) - (starts.get(b) as number) || name(a).localeCompare(name(b)) || (a.id < b.id ? -1 : 1),
    );
    const byDate = new Map<string, OpenSlot[]>();
    for (const slot of all) {
      const those = byDate.get(slot.localDate);
      if (those) those.push(slot);
      else byDate.set(slot.localDate, [slot]);
    }
    // A day that did not change is the same object as before, so that it is not drawn again.
    this.#shown = Array.from({ length: WEEK }, (_, index) => {
      const day = { date: addDays(this.start.value, index), slots: byDate.get(addDays(this.start.value, index)) ?? [] };
      const before = this.#shown[index];
      return before && isSame(before, day) ? before : day;
    });
    return this.#shown;
  }
}
