// The next open times of each result: of the last answer, and from then on as they change. Past ones hide by themselves.
import { signal } from "@preact/signals";
import { addDays, today } from "../times";
import type { Frame, OpenSlot, Slots } from "../widget/frames";
import { type Hit, type Next, keyOf } from "./answers";
import { Following, type Window } from "./following";

export interface Time {
  id: string;
  startsAt: string;
  localDate: string;
  gone: boolean;
}
type Dates = { from: string; to: string } | null;
interface Heard {
  slots: Slots;
  visitType: string;
  from: string;
  through: string;
}

const SHOWN = 3;
const DAYS_MORE = 6; // after the next open day
const DAYS_MOST = 30;

export class Times {
  /** The time that has the focus: it stays where it is, though it be taken, until the focus leaves. */
  readonly focused = signal<{ key: string; time: Time } | null>(null);
  readonly #live = signal<ReadonlyMap<string, Heard>>(new Map());
  readonly #now = signal(Date.now());
  readonly #following = new Following((key, slots, frame) => this.#heard(key, slots, frame));
  #windows = new Map<string, Window>();
  #next = new Map<string, Next>();
  #ahead = 0; // the server's clock less ours

  /** `changed` is told when open times have changed since the list was read; `urgent`: a result may have none left to show. */
  constructor(private readonly changed: (urgent: boolean) => void) {}

  get alive(): boolean {
    return this.#following.alive;
  }

  /** Follows the results in sight. Where dates are asked for, times between those. */
  watch(hits: readonly Hit[], dates: Dates): void {
    this.#windows = new Map(hits.flatMap((hit) => (hit.nextSlot ? [[keyOf(hit), windowOf(hit, dates)] as const] : [])));
    this.#next = new Map(hits.flatMap((hit) => (hit.nextSlot ? [[keyOf(hit), hit.nextSlot] as const] : [])));
    this.#following.follow(this.#windows);
  }

  /** What is not followed any more, or was heard before the connection was lost: the answer that has just come counts. */
  forget(): void {
    const live = [...this.#live.value].filter(([key]) => this.alive && this.#windows.has(key));
    if (live.length < this.#live.value.size) this.#live.value = new Map(live);
  }

  tick(): void {
    this.#following.tick();
    this.#now.value = Date.now();
  }

  of(hit: Hit): Time[] {
    const [key, open] = [keyOf(hit), this.#open(hit)];
    const shown = open.slice(0, SHOWN);
    const held = this.focused.value;
    if (held?.key !== key || shown.some(({ id }) => id === held.time.id)) return shown;
    const gone = !open.some(({ id }) => id === held.time.id);
    return [...shown, { ...held.time, gone }].sort(byStart);
  }

  #open(hit: Hit): Time[] {
    const next = hit.nextSlot;
    if (!next) return [];
    const live = this.#live.value.get(keyOf(hit));
    const own = { id: next.id, startsAt: next.startsAt, localDate: next.localDate, gone: false };
    if (live?.visitType !== next.visitType.id) return [own];
    const now = this.#now.value + this.#ahead;
    const open = [...live.slots.values()].filter(({ bookableUntil }) => Date.parse(bookableUntil) > now).map(timeOf).sort(byStart);
    if (open.length > 0) return open;
    // Outside of what is followed it still counts.
    return next.localDate < live.from || next.localDate > live.through ? [own] : [];
  }

  #heard(key: string, slots: Slots, frame: Frame): void {
    this.#ahead = Date.parse(frame.serverTime) - Date.now();
    const window = this.#windows.get(key);
    if (!window || frame.__typename === "AvailabilityHeartbeat") return;
    const before = this.#live.value.get(key);
    const through = frame.__typename === "AvailabilitySnapshot" ? frame.through : (before?.through ?? window.to);
    this.#live.value = new Map([...this.#live.value, [key, { slots, visitType: window.visitTypeId, from: window.from, through }]]);
    if (frame.__typename === "AvailabilityDelta" || this.#contradicts(key, slots, through)) this.changed(slots.size === 0);
  }

  /** Between the list's answer and a snapshot something may have changed, which is not told as a change. */
  #contradicts(key: string, slots: Slots, through: string): boolean {
    const next = this.#next.get(key);
    if (!next || next.localDate < (this.#windows.get(key)?.from ?? "") || next.localDate > through) return false;
    const first = Math.min(...[...slots.values()].map(({ startsAt }) => Date.parse(startsAt)));
    return first !== Date.parse(next.startsAt);
  }
}

function windowOf({ provider, clinic, nextSlot }: Hit, dates: Dates): Window {
  const next = nextSlot as NonNullable<Hit["nextSlot"]>;
  const first = today(clinic.timeZone, Date.now());
  const own = next.localDate > addDays(first, DAYS_MOST) ? next.localDate : first;
  const last = addDays(next.localDate, DAYS_MORE);
  const most = addDays(own, DAYS_MOST);
  const span = dates ?? { from: own, to: last < most ? last : most };
  return { clinicId: clinic.id, visitTypeId: next.visitType.id, providerIds: [provider.id], ...span };
}

function timeOf({ id, startsAt, localDate }: OpenSlot): Time {
  return { id, startsAt, localDate, gone: false };
}

function byStart(one: Time, other: Time): number {
  return Date.parse(one.startsAt) - Date.parse(other.startsAt) || (one.id < other.id ? -1 : 1);
}
