// The open times of the results in sight, as they change: one socket, one subscription for each. Where it can't be had, the page
// asks again and again instead, so there is no second way here.
import { createClient } from "graphql-ws/client";
import { type Answer, complete } from "../graphql";
import { type Frame, type Slots, after, follows } from "../widget/frames";
import openTimes from "../widget/open-times.graphql";

export interface Window {
  clinicId: string;
  visitTypeId: string;
  providerIds: readonly string[];
  from: string;
  to: string;
}

const AT_ONCE = 18; // a socket carries 20
const SILENCE_MS = 40_000;
const AGAIN_MS = 4_000;
const REFUSED_MS = 60_000;

interface Followed {
  name: string;
  stop(): void;
}

export class Following {
  #heardAt = 0;
  readonly #followed = new Map<string, Followed>();
  readonly #client = createClient({
    url: `${location.origin.replace(/^http/, "ws")}/graphql`,
    lazy: true,
    lazyCloseTimeout: 3_000,
    retryAttempts: 0,
    connectionAckWaitTimeout: 10_000,
  });

  /** `heard` gets all open times of a window each time they are told, and the frame that told them. */
  constructor(private readonly heard: (key: string, slots: Slots, frame: Frame) => void) {}

  /** Whether what was heard can be taken for what is. */
  get alive(): boolean {
    return Date.now() - this.#heardAt < SILENCE_MS;
  }

  /** From now on these and no others; those that are followed already go on as they are. */
  follow(wanted: ReadonlyMap<string, Window>): void {
    const chosen = new Map([...wanted].slice(0, AT_ONCE));
    for (const [key, { name, stop }] of this.#followed) {
      const window = chosen.get(key);
      if (window && JSON.stringify(window) === name) chosen.delete(key);
      else {
        stop();
        this.#followed.delete(key);
      }
    }
    for (const [key, window] of chosen) this.#followed.set(key, { name: JSON.stringify(window), stop: this.#begin(key, window) });
  }

  /** A socket that says nothing may be open on this side only. */
  tick(): void {
    if (this.#followed.size > 0 && this.#heardAt > 0 && !this.alive) this.#client.terminate();
  }

  #begin(key: string, window: Window): () => void {
    const payload = { query: openTimes, variables: { filter: window, after: null as string | null } };
    let [stopped, leave, slots]: [boolean, () => void, Slots] = [false, () => {}, new Map()];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const anew = (ms: number) => {
      clearTimeout(timer);
      // After a moment that differs between clients.
      if (!stopped) timer = setTimeout(listen, ms * (0.5 + Math.random()));
    };
    const next = (answer: Answer<{ availability: Frame }>) => {
      const frame = complete(answer).availability;
      if (!follows(frame, payload.variables.after)) {
        payload.variables.after = null;
        leave();
        anew(0);
        return;
      }
      payload.variables.after = frame.cursor;
      this.#heardAt = Date.now();
      slots = after(slots, frame);
      this.heard(key, slots, frame);
    };
    const listen = () => {
      if (stopped) return;
      const ended = (error?: unknown) => anew(Array.isArray(error) ? REFUSED_MS : AGAIN_MS);
      leave = this.#client.subscribe<{ availability: Frame }>(payload, { next: next as never, error: ended, complete: () => ended() });
    };
    listen();
    return () => {
      stopped = true;
      clearTimeout(timer);
      leave();
    };
  }
}
