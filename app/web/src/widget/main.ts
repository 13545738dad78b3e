// <clinic-calendar clinic="ID" visit-type="ID" provider="ID">: a week of open times that changes by itself.
// It only reads, and as nobody: choosing a time opens our own page, where the patient signs in.
import { h, render } from "preact";
import { Calendar } from "./calendar";
import type { OpenSlot } from "./frames";
import css from "./style.shadow.css";
import { View } from "./view";

const ORIGIN = new URL(import.meta.url).origin;
const ENDPOINT = `${ORIGIN}/graphql`;

class ClinicCalendar extends HTMLElement {
  static readonly observedAttributes = ["clinic", "visit-type", "provider"];
  static #sheet: CSSStyleSheet | undefined;

  #calendar: Calendar | null = null;
  #due = false;
  readonly #awake = () => {
    if (!document.hidden) this.#calendar?.online();
  };

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    // Not a <style> element: pages with a strict policy refuse those, this they let pass.
    ClinicCalendar.#sheet ??= sheet();
    root.adoptedStyleSheets = [ClinicCalendar.#sheet];
  }

  connectedCallback(): void {
    for (const name of ["online", "offline", "pageshow"]) addEventListener(name, this.#awake);
    document.addEventListener("visibilitychange", this.#awake);
    this.#restart();
  }

  disconnectedCallback(): void {
    for (const name of ["online", "offline", "pageshow"]) removeEventListener(name, this.#awake);
    document.removeEventListener("visibilitychange", this.#awake);
    this.#restart();
  }

  attributeChangedCallback(_name: string, before: string | null, now: string | null): void {
    if (before !== now) this.#restart();
  }

  /** Reads everything again. */
  refresh(): void {
    this.#restart();
  }

  // Several attributes are often set one after the other, and elements are moved: once for all of it.
  #restart(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#calendar?.stop();
      this.#calendar = null;
      const root = this.shadowRoot as ShadowRoot;
      const [clinic, visitType] = [this.getAttribute("clinic"), this.getAttribute("visit-type")];
      if (!this.isConnected || !clinic || !visitType) return render(null, root);
      const focused = () => (root.activeElement as HTMLElement | null)?.dataset.slotId ?? null;
      const subject = { clinic, visitType, provider: this.getAttribute("provider") || null };
      const calendar = new Calendar(ENDPOINT, subject, focused);
      this.#calendar = calendar;
      render(h(View, { calendar, choose: (slot: OpenSlot) => this.#choose(calendar, slot) }), root);
      void calendar.begin();
    });
  }

  #choose(calendar: Calendar, { id, providerId, startsAt }: OpenSlot): void {
    calendar.chosen(id);
    const detail = { slotId: id, providerId, startsAt };
    const event = new CustomEvent("cc:slotselect", { bubbles: true, composed: true, cancelable: true, detail });
    if (this.dispatchEvent(event)) open(`${ORIGIN}/book?slot=${encodeURIComponent(id)}`, "_blank", "noopener");
  }
}

function sheet(): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}

if (!customElements.get("clinic-calendar")) customElements.define("clinic-calendar", ClinicCalendar);
