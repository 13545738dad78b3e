// How many results each value of a filter has. A value keeps its place while the words stay: nothing moves under the reader's hand.
import { signal } from "@preact/signals";
import type { FacetField, Found, Value } from "./answers";
import type { Question } from "./question";

type Shown = Readonly<Record<FacetField, readonly Value[]>>;

const NONE: Shown = { SPECIALTY: [], LANGUAGE: [], CLINIC: [], MODALITY: [] };

export class Facets {
  readonly shown = signal<Shown>(NONE);
  #text: string | null = null;

  take(facets: Found["facets"], question: Question): void {
    const before = this.#text === question.text ? this.shown.value : NONE;
    this.#text = question.text;
    const chosen: Shown = {
      ...NONE,
      SPECIALTY: question.specialties.map(none),
      LANGUAGE: question.languages.map(none),
      CLINIC: question.clinics.map(none),
    };
    const next = { ...NONE };
    for (const { field, values } of facets) next[field] = merged(before[field], values, chosen[field]);
    this.shown.value = next;
  }
}

/** Values that were there in the order they had, then new ones; chosen ones are kept though they fit nobody. */
function merged(before: readonly Value[], now: readonly Value[], chosen: readonly Value[]): Value[] {
  const counts = new Map(now.map(({ value, count }) => [value, count]));
  const wanted = new Set(chosen.map(({ value }) => value));
  const kept = before.filter(({ value }) => counts.has(value) || wanted.has(value));
  const order = new Set([...kept, ...now, ...chosen].map(({ value }) => value));
  return [...order].map((value) => ({ value, count: counts.get(value) ?? 0 }));
}

function none(value: string): Value {
  return { value, count: 0 };
}
