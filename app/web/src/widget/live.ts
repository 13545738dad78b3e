// One subscription that never gives up: over a WebSocket, else server-sent events, else by asking again and again.
import { type Client, createClient } from "graphql-ws/client";
import { type Answer, Refused, ask, complete } from "../graphql";
import { type Frame, type Snapshot, follows } from "./frames";
import openTimes from "./open-times.graphql";
import openTimesNow from "./open-times-now.graphql";

export interface Filter {
  clinicId: string;
  visitTypeId: string;
  providerIds?: string[];
  from: string;
  to: string;
}

export interface Listener {
  frame(frame: Frame): void;
  /** The server says no to the question itself: asking again would not help. */
  refused(message: string): void;
  /** No way leads to the server just now; trying goes on. */
  lost(): void;
}

type Data = { availability: Frame };
type Receive = (answer: Answer<Data>) => void;
interface Attempt {
  endpoint: string;
  payload: { query: string; variables: { filter: Filter; after: string | null } };
  receive: Receive;
  signal: AbortSignal;
}

const FIRST_FRAME_MS = 10_000;
const SILENCE_MS = 40_000;
const ASK_EVERY_MS = 15_000;
const ASKING_MS = 120_000;

// One socket for all calendars of a page; it closes when none needs it any more.
const sockets = new Map<string, Client>();
let socketWorked = false; // a frame has come over it

function socketTo(endpoint: string): Client {
  const known = sockets.get(endpoint);
  if (known) return known;
  const client = createClient({
    url: endpoint.replace(/^http/, "ws"),
    lazy: true,
    lazyCloseTimeout: 3_000,
    retryAttempts: 0,
    connectionAckWaitTimeout: FIRST_FRAME_MS,
  });
  sockets.set(endpoint, client);
  return client;
}

interface Sink {
  next(answer: Answer<Data>): void;
  error(error: unknown): void;
  complete(): void;
}

function listening({ receive, signal }: Attempt, subscribe: (sink: Sink) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = subscribe({ next: receive, error: reject, complete: resolve });
    const aborted = () => {
      leave();
      reject(signal.reason);
    };
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
  });
}

async function overSocket(attempt: Attempt): Promise<void> {
  const client = socketTo(attempt.endpoint);
  const aborted = () => {
    const { reason } = attempt.signal;
    if (!(reason instanceof Silence || reason instanceof Hurry)) return;
    // It may be open on this side only. Another calendar may have begun anew already: that socket is left alone.
    if (sockets.get(attempt.endpoint) === client) sockets.delete(attempt.endpoint);
    client.terminate();
  };
  attempt.signal.addEventListener("abort", aborted, { once: true });
  // The same payload object each time: its `after` moves with every frame.
  await listening(attempt, (sink) => client.subscribe(attempt.payload, sink as never));
}

async function overEvents(attempt: Attempt): Promise<void> {
  const { eventClient } = await import("./events");
  const client = eventClient(attempt.endpoint);
  await listening(attempt, (sink) => client.subscribe(attempt.payload, sink as never));
}

async function byAsking({ endpoint, payload, receive, signal }: Attempt): Promise<void> {
  // Where the socket has worked before, it soon will again.
  const until = Date.now() + (socketWorked ? ASK_EVERY_MS : ASKING_MS);
  do {
    const { filter } = payload.variables;
    const data = await ask<{ availability: Snapshot | null }>(endpoint, openTimesNow, { filter }, { signal });
    if (data.availability) receive({ data: { availability: data.availability } });
    await waited(ASK_EVERY_MS, signal);
  } while (Date.now() < until);
}

function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

const WAYS = [overSocket, overEvents, byAsking];
const FATAL = new Set(["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "FORBIDDEN"]);

class Silence extends Error {}
class Broken extends Error {}
class Hurry extends Error {}
class Closed extends Error {}

function asRefused(error: unknown): Refused | null {
  if (error instanceof Refused) return error;
  // Errors of an operation come as a list over both streams.
  const [first] = Array.isArray(error) ? error : [];
  return first ? new Refused(first.message, first.extensions?.code ?? "INTERNAL") : null;
}

export class Subscription {
  readonly #attempt: Omit<Attempt, "receive" | "signal">;
  readonly #closed = new AbortController();
  #trying = new AbortController();
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(
    endpoint: string,
    filter: Filter,
    private readonly listener: Listener,
  ) {
    this.#attempt = { endpoint, payload: { query: openTimes, variables: { filter, after: null } } };
    void this.#run();
  }

  close(): void {
    this.#closed.abort(new Closed("closed"));
    this.#trying.abort(this.#closed.signal.reason);
    clearTimeout(this.#silence);
  }

  /** Try at once and anew, as when the device comes back from sleep or is online again. */
  hurry(): void {
    this.#trying.abort(new Hurry("again"));
  }

  async #run(): Promise<void> {
    let [way, failures] = [0, 0];
    while (!this.#closed.signal.aborted) {
      const { frames, error } = await this.#try(WAYS[way] as (typeof WAYS)[number]);
      if (this.#closed.signal.aborted) return;
      const refused = asRefused(error);
      if (refused && FATAL.has(refused.code)) return this.listener.refused(refused.message);
      if (error instanceof Broken || error instanceof Hurry) continue;
      failures = frames > 0 ? 0 : failures + 1;
      if (way === 0 && frames > 0) socketWorked = true;
      if (way === 2) {
        // Asking has had its time or has failed as well: begin again with the socket.
        way = 0;
        if (error) {
          this.listener.lost();
          await this.#rest(failures);
        }
      } else if (frames === 0 && (!socketWorked || failures > 2)) way += 1;
      // The same way again after a moment that differs between clients.
      else await this.#rest(failures);
    }
  }

  async #try(way: (attempt: Attempt) => Promise<void>): Promise<{ frames: number; error: unknown }> {
    this.#trying = new AbortController();
    const trying = this.#trying;
    let frames = 0;
    const receive: Receive = (answer) => {
      if (trying.signal.aborted) return;
      try {
        this.#received(complete(answer).availability, trying);
        frames += 1;
      } catch (error) {
        trying.abort(error);
      }
    };
    this.#listen(trying, FIRST_FRAME_MS);
    try {
      await way({ ...this.#attempt, receive, signal: trying.signal });
      return { frames, error: null };
    } catch (error) {
      return { frames, error };
    } finally {
      clearTimeout(this.#silence);
    }
  }

  #received(frame: Frame, trying: AbortController): void {
    const { variables } = this.#attempt.payload;
    if (!follows(frame, variables.after)) {
      variables.after = null;
      throw new Broken("a frame is missing");
    }
    variables.after = frame.cursor;
    this.#listen(trying, SILENCE_MS);
    this.listener.frame(frame);
  }

  #listen(trying: AbortController, ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => trying.abort(new Silence("nothing was heard")), ms);
  }

  async #rest(failures: number): Promise<void> {
    this.#trying = new AbortController();
    const most = Math.min(5_000, 1_000 * 2 ** failures);
    await waited(500 + Math.random() * (most - 500), this.#trying.signal).catch(() => undefined);
  }
}
