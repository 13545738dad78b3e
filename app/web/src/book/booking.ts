// From a chosen time to an appointment: hold, count down, book; and every way that this can end.
import { signal } from "@preact/signals";
import { Refused, ask } from "../graphql";
import { clock } from "../times";
import type { Alternative, Appointment, BookResult, Hold, HoldResult, Refusal, Slot } from "./answers";
import appointmentQuery from "./appointment.graphql";
import { attempt, newKey } from "./attempts";
import bookMutation from "./book.graphql";
import clockQuery from "./clock.graphql";
import holdMutation from "./hold.graphql";
import { type Patient, keep, kept } from "./patient";
import releaseMutation from "./release.graphql";
import slotQuery from "./slot.graphql";
import { wordsFor } from "./words";

export type Step = "loading" | "missing" | "unread" | "sign-in" | "holding" | "held" | "booking" | "booked" | "refused" | "unknown";

const LEFT = "appointments:left";
const DONE = "appointments:booked:";
export const WARNING_SECONDS = 60;
export const REASON_MAX = 255;

export class Booking {
  readonly step = signal<Step>("loading");
  readonly slot = signal<Slot | null>(null);
  readonly patient = signal<Patient | null>(kept());
  readonly hold = signal<Hold | null>(null);
  readonly seconds = signal(0);
  readonly extendable = signal(true);
  readonly extending = signal(false);
  readonly reason = signal("");
  readonly fault = signal("");
  readonly refusal = signal<Refusal | null>(null);
  /** What the last refusal that named any offered, less what was tried of it. */
  readonly alternatives = signal<Alternative[]>([]);
  readonly appointment = signal<Appointment | null>(null);
  readonly spoken = signal("");

  #ahead = 0; // the server's clock less ours
  #holdKey = newKey();
  #bookKey = newKey();
  #unknown: "hold" | "book" = "hold";

  constructor(private slotId: string) {
    setInterval(() => this.tick(), 500);
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", ({ persisted }) => persisted && void this.begin());
  }

  /** Reads the time and, for somebody signed in, holds it at once. */
  async begin(): Promise<void> {
    this.step.value = "loading";
    this.hold.value = null;
    try {
      const { node } = await ask<{ node: Partial<Slot> | null }>("/graphql", slotQuery, { id: this.slotId });
      if (!node?.startsAt) {
        this.step.value = "missing";
        return;
      }
      this.slot.value = node as Slot;
      await this.#readClock(node as Slot);
    } catch {
      this.step.value = "unread";
      return;
    }
    const patient = this.patient.value;
    if (!patient) this.step.value = "sign-in";
    else if (!(await this.#bookedBefore(patient))) await this.take();
  }

  signIn(patient: Patient): void {
    keep(patient);
    this.patient.value = patient;
    void this.take();
  }

  signOut(): void {
    this.#release();
    keep(null);
    this.patient.value = null;
    this.hold.value = null;
    this.step.value = "sign-in";
  }

  /** Holds the time: a new attempt. */
  async take(): Promise<void> {
    [this.#holdKey, this.#bookKey] = [newKey(), newKey()];
    this.extendable.value = true;
    await this.#hold();
  }

  /** One of the times that a refusal offered, instead; what was typed stays. */
  async takeInstead(slotId: string): Promise<void> {
    this.#release();
    this.alternatives.value = this.alternatives.value.filter(({ id }) => id !== slotId);
    this.slotId = slotId;
    history.replaceState(null, "", `/book?slot=${encodeURIComponent(slotId)}`);
    await this.begin();
  }

  /** In the last minute of a hold, with a key of its own, the server gives five minutes more, once. */
  async extend(): Promise<void> {
    const [before, patient] = [this.hold.value, this.patient.value];
    if (!before || !patient || this.extending.value) return;
    this.extending.value = true;
    try {
      const input = { slotId: this.slotId, idempotencyKey: newKey() };
      const result = await attempt<HoldResult>(holdMutation, input, patient.token);
      if (result.__typename !== "SlotHeld") return this.#refuse(result);
      this.hold.value = result.hold;
      this.extendable.value = false;
      this.tick();
      const longer = Date.parse(result.hold.expiresAt) > Date.parse(before.expiresAt);
      this.#say(longer ? "The time is held for 5 more minutes." : "The time can't be held any longer.");
    } catch (error) {
      this.#failed(error, () => this.#say("The clinic's calendar did not answer. Please try again."));
    } finally {
      this.extending.value = false;
    }
  }

  async book(): Promise<void> {
    const patient = this.patient.value;
    if (!patient) return;
    this.step.value = "booking";
    this.fault.value = "";
    // The clinic reads it as one line.
    const reason = this.reason.value.trim().replace(/\s+/g, " ") || null;
    try {
      const input = { slotId: this.slotId, reason, idempotencyKey: this.#bookKey };
      const result = await attempt<BookResult>(bookMutation, input, patient.token);
      if (result.__typename !== "AppointmentBooked") return this.#refuse(result);
      this.hold.value = null;
      this.appointment.value = result.appointment;
      sessionStorage.setItem(DONE + this.slotId, result.appointment.id);
      this.step.value = "booked";
    } catch (error) {
      if (error instanceof Refused && error.code === "BAD_USER_INPUT") {
        this.fault.value = error.message;
        this.step.value = "held";
      } else this.#failed(error, () => this.#doubt("book"));
    }
  }

  /** The same attempt once more, with the same key. */
  async again(): Promise<void> {
    if (this.step.value === "unread") await this.begin();
    else if (this.#unknown === "book") await this.book();
    else await this.#hold();
  }

  tick(): void {
    const hold = this.hold.value;
    if (!hold) return;
    const before = this.seconds.value;
    const left = Math.max(0, Math.ceil((Date.parse(hold.expiresAt) - Date.now() - this.#ahead) / 1_000));
    if (left === before) return;
    this.seconds.value = left;
    if (this.step.value !== "held") return;
    if (left <= WARNING_SECONDS && before > WARNING_SECONDS) {
      this.#say(this.extendable.value ? "One minute left. You can ask for more time." : "One minute left.");
    }
    if (left === 0) this.#say("The time is no longer held for you. It may still be free.");
  }

  async #hold(): Promise<void> {
    const [patient, slot] = [this.patient.value, this.slot.value];
    if (!patient || !slot) return;
    this.step.value = "holding";
    try {
      await this.#releaseLeft(patient);
      const input = { slotId: this.slotId, idempotencyKey: this.#holdKey };
      const result = await attempt<HoldResult>(holdMutation, input, patient.token);
      if (result.__typename !== "SlotHeld") return this.#refuse(result);
      this.seconds.value = 0;
      this.hold.value = result.hold;
      this.step.value = "held";
      this.tick();
      this.#say(`${clock(slot.startsAt, slot.clinic.timeZone)} is held for you for ${Math.round(this.seconds.value / 60)} minutes.`);
    } catch (error) {
      this.#failed(error, () => this.#doubt("hold"));
    }
  }

  async #readClock({ clinic, visitType, provider, localDate: date }: Slot): Promise<void> {
    const filter = { clinicId: clinic.id, visitTypeId: visitType.id, providerIds: [provider.id], from: date, to: date };
    const { availability } = await ask<{ availability: { serverTime: string } | null }>("/graphql", clockQuery, { filter });
    if (availability) this.#ahead = Date.parse(availability.serverTime) - Date.now();
  }

  /** After a reload of a confirmation: the confirmation, not an attempt to book the same time again. */
  async #bookedBefore(patient: Patient): Promise<boolean> {
    const id = sessionStorage.getItem(DONE + this.slotId);
    if (!id) return false;
    type Found = { appointment: Appointment | null };
    const found = await ask<Found>("/graphql", appointmentQuery, { id }, { token: patient.token }).catch(() => null);
    if (!found?.appointment) return false;
    this.appointment.value = found.appointment;
    this.step.value = "booked";
    return true;
  }

  #refuse(refusal: Refusal): void {
    this.#release();
    this.hold.value = null;
    this.refusal.value = refusal;
    if (refusal.__typename === "SlotTaken") this.alternatives.value = refusal.alternatives;
    this.step.value = "refused";
    this.#say(wordsFor(refusal).title);
  }

  #failed(error: unknown, otherwise: () => void): void {
    if (!(error instanceof Refused)) return otherwise();
    if (error.code === "UNAUTHENTICATED" || error.code === "FORBIDDEN") {
      this.signOut();
      this.#say("Please sign in again.");
    } else otherwise();
  }

  #doubt(about: "hold" | "book"): void {
    this.#unknown = about;
    this.step.value = "unknown";
  }

  #say(text: string): void {
    this.spoken.value = this.spoken.value === text ? `${text}\u00a0` : text;
  }

  /** Best effort: what is not released ends by itself within minutes. */
  #release(): void {
    const [hold, patient] = [this.hold.value, this.patient.value];
    if (!hold || !patient) return;
    const left = { holdId: hold.id, idempotencyKey: newKey() };
    sessionStorage.setItem(LEFT, JSON.stringify(left));
    this.hold.value = null;
    void ask("/graphql", releaseMutation, { input: left }, { token: patient.token, keepalive: true }).catch(() => undefined);
  }

  #leave(): void {
    // A booking that is under way needs its hold.
    if (this.step.value !== "booking") this.#release();
  }

  // A page that was just left (or reloaded) released its hold while it went; that is over before a new one begins.
  async #releaseLeft(patient: Patient): Promise<void> {
    const left = sessionStorage.getItem(LEFT);
    if (!left) return;
    sessionStorage.removeItem(LEFT);
    await ask("/graphql", releaseMutation, { input: JSON.parse(left) as object }, { token: patient.token }).catch(() => undefined);
  }
}
