// An offer of the waitlist: read, counted down, taken or passed on; and every way that this can end.
import { signal } from "@preact/signals";
import type { Appointment, Slot } from "../book/answers";
import { attempt, newKey } from "../book/attempts";
import clockQuery from "../book/clock.graphql";
import { type Patient, keep, kept } from "../book/patient";
import { Refused, ask } from "../graphql";
import { followMine } from "../mine";
import acceptMutation from "./accept.graphql";
import declineMutation from "./decline.graphql";
import offerQuery from "./offer.graphql";

export type Status = "LIVE" | "ACCEPTED" | "DECLINED" | "EXPIRED" | "SUPERSEDED";
export interface Offer {
  id: string;
  status: Status;
  expiresAt: string;
  slot: Slot;
  entry: { status: string; appointment: Appointment | null };
}
export type Step = "loading" | "sign-in" | "missing" | "unread" | "offered" | "answering" | "booked" | "over" | "conflict" | "mixed" | "unknown";

type Accepted =
  | { __typename: "OfferAccepted"; appointment: Appointment }
  | { __typename: "OfferGone"; status: Status }
  | { __typename: "PatientConflict"; other: Appointment | null }
  | { __typename: "IdempotencyMismatch" | "NotFound" };
type Declined =
  | { __typename: "OfferDeclined" }
  | { __typename: "OfferGone"; status: Status }
  | { __typename: "IdempotencyMismatch" | "NotFound" };

export const WARNING_SECONDS = 60;
const OVER_MS = 3_000;
const SPOKEN_AT = [300, WARNING_SECONDS];

export class Answering {
  readonly step = signal<Step>("loading");
  readonly patient = signal<Patient | null>(kept());
  readonly offer = signal<Offer | null>(null);
  readonly appointment = signal<Appointment | null>(null);
  readonly other = signal<Appointment | null>(null);
  readonly seconds = signal(0);
  readonly spoken = signal("");

  #ahead = 0; // the server's clock less ours
  // One key for each answer, kept over all its tries: however often it is sent, it happens once.
  readonly #keys = { accept: newKey(), decline: newKey() };
  #unknown: "accept" | "decline" = "accept";
  #stop = () => {};

  constructor(readonly id: string) {
    setInterval(() => this.#tick(), 500);
    addEventListener("pageshow", ({ persisted }) => persisted && void this.begin());
  }

  async begin(): Promise<void> {
    this.step.value = this.patient.value ? "loading" : "sign-in";
    if (!this.patient.value) return;
    this.#stop();
    this.#stop = followMine(this.patient.value.token, () => void this.#look());
    await this.#read();
  }

  signIn(patient: Patient): void {
    keep(patient);
    this.patient.value = patient;
    void this.begin();
  }

  signOut(): void {
    this.#stop();
    keep(null);
    this.patient.value = this.offer.value = this.appointment.value = null;
    this.step.value = "sign-in";
  }

  async accept(): Promise<void> {
    const result = await this.#answer<Accepted>("accept", acceptMutation);
    switch (result?.__typename) {
      case "OfferAccepted":
        this.#booked(result.appointment);
        this.#say("You are booked.");
        break;
      case "PatientConflict":
        this.other.value = result.other;
        this.step.value = "conflict";
        break;
      case "OfferGone":
        await this.#read();
        break;
      case "IdempotencyMismatch":
      case "NotFound":
        this.step.value = result.__typename === "NotFound" ? "missing" : "mixed";
    }
  }

  async decline(): Promise<void> {
    const result = await this.#answer<Declined>("decline", declineMutation);
    if (!result) return;
    if (result.__typename === "NotFound") this.step.value = "missing";
    else if (result.__typename === "IdempotencyMismatch") this.step.value = "mixed";
    else await this.#read();
  }

  /** The same answer once more, with the same key; or the offer itself, if that was not read. */
  async again(): Promise<void> {
    if (this.step.value !== "unknown") await this.begin();
    else if (this.#unknown === "accept") await this.accept();
    else await this.decline();
  }

  /** Another look at the offer after a refusal that leaves it as it was. */
  back(): void {
    void this.#read();
  }

  async #answer<T>(how: "accept" | "decline", mutation: string): Promise<T | null> {
    const patient = this.patient.value;
    if (!patient || this.step.value === "answering") return null;
    this.#unknown = how;
    this.step.value = "answering";
    try {
      return await attempt<T>(mutation, { offerId: this.id, idempotencyKey: this.#keys[how] }, patient.token);
    } catch (error) {
      this.#failed(error, "unknown");
      return null;
    }
  }

  async #read(): Promise<void> {
    const patient = this.patient.value;
    if (!patient) return;
    try {
      const offer = await this.#asked(patient);
      if (!offer) {
        this.step.value = "missing";
        return;
      }
      if (this.offer.value?.id !== offer.id) await this.#readClock(offer.slot);
      this.#show(offer);
    } catch (error) {
      this.#failed(error, "unread");
    }
  }

  /** Something of the patient's has changed; while an answer is under way, that one tells. */
  async #look(): Promise<void> {
    const patient = this.patient.value;
    if (!patient || this.step.value !== "offered") return;
    const offer = await this.#asked(patient).catch(() => null);
    if (offer && this.step.value === "offered" && this.patient.value === patient) this.#show(offer);
  }

  async #asked(patient: Patient): Promise<Offer | null> {
    const { node } = await ask<{ node: Partial<Offer> | null }>("/graphql", offerQuery, { id: this.id }, { token: patient.token });
    return node?.expiresAt ? (node as Offer) : null;
  }

  #show(offer: Offer): void {
    this.offer.value = offer;
    if (offer.status === "ACCEPTED" && offer.entry.appointment) return this.#booked(offer.entry.appointment);
    this.step.value = offer.status === "LIVE" ? "offered" : "over";
    this.#tick();
  }

  #booked(appointment: Appointment): void {
    this.appointment.value = appointment;
    this.step.value = "booked";
  }

  async #readClock({ clinic, visitType, provider, localDate: date }: Slot): Promise<void> {
    const filter = { clinicId: clinic.id, visitTypeId: visitType.id, providerIds: [provider.id], from: date, to: date };
    const asked = ask<{ availability: { serverTime: string } | null }>("/graphql", clockQuery, { filter });
    const found = await asked.catch(() => null); // Our own clock will do: the server's decides anyway.
    if (found?.availability) this.#ahead = Date.parse(found.availability.serverTime) - Date.now();
  }

  #tick(): void {
    const offer = this.offer.value;
    if (!offer || this.step.value !== "offered") return;
    const before = this.seconds.value;
    const left = Math.max(0, Math.ceil((Date.parse(offer.expiresAt) - Date.now() - this.#ahead) / 1_000));
    if (left === before) return;
    this.seconds.value = left;
    const passed = SPOKEN_AT.find((mark) => left <= mark && before > mark);
    if (passed && left > 0) this.#say(`${passed / 60} minute${passed === 60 ? "" : "s"} left to answer.`);
    if (left > 0) return;
    this.#say("The offer has run out.");
    setTimeout(() => void this.#look(), OVER_MS); // What became of it, where no event told us.
  }

  #failed(error: unknown, otherwise: Step): void {
    if (error instanceof Refused && (error.code === "UNAUTHENTICATED" || error.code === "FORBIDDEN")) {
      this.signOut();
      this.#say("Please sign in again.");
    } else this.step.value = otherwise;
  }

  #say(text: string): void {
    this.spoken.value = this.spoken.value === text ? `${text}\u00a0` : text;
  }
}
