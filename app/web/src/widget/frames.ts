// What the server sends about open times, and how a calendar takes it in.
export interface OpenSlot {
  readonly id: string;
  readonly providerId: string;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly localDate: string;
  readonly left: number;
  readonly bookableUntil: string;
}

interface Stamped {
  readonly cursor: string;
  readonly serverTime: string;
}

export interface Snapshot extends Stamped {
  readonly __typename: "AvailabilitySnapshot";
  readonly reason: string;
  readonly timeZone: string;
  readonly through: string;
  readonly slots: readonly OpenSlot[];
}

export interface Delta extends Stamped {
  readonly __typename: "AvailabilityDelta";
  readonly previousCursor: string;
  readonly opened: readonly OpenSlot[];
  readonly removed: readonly string[];
}

export interface Heartbeat extends Stamped {
  readonly __typename: "AvailabilityHeartbeat";
  readonly previousCursor: string;
}

export type Frame = Snapshot | Delta | Heartbeat;

/** Open times by id. */
export type Slots = ReadonlyMap<string, OpenSlot>;

/** Whether a frame follows on what we have; one that does not has lost something before it. */
export function follows(frame: Frame, cursor: string | null): boolean {
  return frame.__typename === "AvailabilitySnapshot" || frame.previousCursor === cursor;
}

/** The open times after a frame. Sets: an id may be opened that is there, or removed that never was. */
export function after(slots: Slots, frame: Frame): Slots {
  if (frame.__typename === "AvailabilityHeartbeat") return slots;
  if (frame.__typename === "AvailabilitySnapshot") return new Map(frame.slots.map((slot) => [slot.id, slot]));
  const next = new Map(slots);
  for (const id of frame.removed) next.delete(id);
  for (const slot of frame.opened) next.set(slot.id, slot);
  return next;
}
