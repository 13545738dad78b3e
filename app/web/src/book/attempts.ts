// Questions that change something: one key an attempt, kept over its retries, so that nothing ever happens twice.
import { Refused, ask } from "../graphql";

const RETRIED = new Set(["REQUEST_IN_PROGRESS", "UNAVAILABLE", "TIMEOUT", "RATE_LIMITED", "INTERNAL"]);
const PAUSES_MS = [700, 2_000];

/** randomUUID is there over TLS alone. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The outcome is unknown after a lost answer: the same key is asked again. Throws what the last try threw. */
export async function attempt<T>(query: string, input: object, token: string): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    try {
      return (await ask<{ result: T }>("/graphql", query, { input }, { token })).result;
    } catch (error) {
      const pause = PAUSES_MS[tried];
      if (pause === undefined || (error instanceof Refused && !RETRIED.has(error.code))) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
