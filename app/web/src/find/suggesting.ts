// What may be meant by what is typed, and which of it is active. What is typed stays what it is until one is taken.
import { computed, signal } from "@preact/signals";
import { ask } from "../graphql";
import { type Suggestion, plural } from "./answers";
import type { Finding } from "./finding";
import suggestQuery from "./suggest.graphql";

const PAUSE_MS = 120;
const SPEAK_MS = 700;

export class Suggesting {
  readonly offered = signal<readonly Suggestion[]>([]);
  readonly open = signal(false);
  readonly active = signal(-1);
  readonly shown = computed(() => this.open.value && this.offered.value.length > 0);
  #asked = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #speak: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly finding: Finding) {}

  typed(text: string): void {
    this.finding.text.value = text;
    this.active.value = -1;
    this.#stop();
    if (!text.trim()) {
      this.close();
      return;
    }
    this.open.value = true;
    this.#timer = setTimeout(() => void this.#ask(text), PAUSE_MS);
  }

  close(): void {
    this.#stop();
    this.open.value = false;
    this.active.value = -1;
    this.offered.value = [];
  }

  /** Whether the key was meant for the suggestions. */
  pressed(key: string): boolean {
    const count = this.offered.value.length;
    if (key === "Escape" && this.shown.value) {
      this.close();
      return true;
    }
    if (key === "ArrowDown" && !this.shown.value && this.finding.text.value.trim()) {
      this.#stop();
      this.open.value = true;
      void this.#ask(this.finding.text.value, true);
      return true;
    }
    if ((key !== "ArrowDown" && key !== "ArrowUp") || !this.shown.value) return false;
    // One place more than there are suggestions: the box itself.
    const step = key === "ArrowDown" ? 1 : -1;
    this.active.value = ((this.active.value + 1 + step + count + 1) % (count + 1)) - 1;
    return true;
  }

  /** Enter, or a press of the button: the active suggestion, else the words as they stand. */
  submit(): void {
    const chosen = this.offered.value[this.active.value];
    if (chosen && this.shown.value) this.take(chosen);
    else {
      this.close();
      this.finding.change({ text: this.finding.text.value.trim() });
    }
  }

  take(chosen: Suggestion): void {
    this.close();
    const { specialties, clinics } = this.finding.question.value;
    if (chosen.__typename === "SpecialtySuggestion") {
      this.finding.change({ text: "", specialties: [...new Set([...specialties, chosen.name])] });
    } else if (chosen.__typename === "Clinic") {
      this.finding.clinics.value = new Map([...this.finding.clinics.value, [chosen.id, chosen]]);
      this.finding.change({ text: "", clinics: [...new Set([...clinics, chosen.id])] });
    } else this.finding.change({ text: chosen.name });
  }

  async #ask(prefix: string, first = false): Promise<void> {
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    try {
      const { suggest } = await ask<{ suggest: Suggestion[] }>("/graphql", suggestQuery, { prefix, near: this.finding.near }, { signal });
      if (signal.aborted) return;
      this.offered.value = suggest;
      if (first && suggest.length > 0) this.active.value = 0;
      // Who types on is not told of every letter's.
      this.#speak = setTimeout(() => this.#tell(suggest.length), SPEAK_MS);
    } catch {
      // A search without suggestions is one still.
      if (!signal.aborted) this.offered.value = [];
    }
  }

  #tell(count: number): void {
    if (!this.open.value) return;
    this.finding.say(count > 0 ? `${plural(count, "suggestion", "suggestions")}. Arrow keys choose one.` : "No suggestions.");
  }

  #stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#speak);
    this.#asked.abort();
  }
}
