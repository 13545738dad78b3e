// Waiting for a time that somebody gives up: what is wished for, joining, what comes of it, leaving.
import { signal } from "@preact/signals";
import { attempt, newKey } from "../book/attempts";
import { type Patient, keep, kept } from "../book/patient";
import { keptEarlier } from "../earlier";
import { Refused, ask } from "../graphql";
import { followMine } from "../mine";
import { addDays, today } from "../times";
import changeMutation from "./change.graphql";
import joinMutation from "./join.graphql";
import leaveMutation from "./leave.graphql";
import mineQuery from "./mine.graphql";
import placeQuery from "./place.graphql";
import { type Hours, type Window, windowsOf } from "./windows";

export interface Place {
  clinic: { id: string; name: string; phone: string | null; timeZone: string };
  visitType: { id: string; name: string; bookableDaysAhead: number };
  providers: { id: string; name: string }[];
}
export interface Entry {
  id: string;
  version: number;
  status: "ACTIVE" | "OFFERED" | "FULFILLED" | "EXPIRED" | "WITHDRAWN" | "SUSPENDED";
  from: string;
  to: string;
  minimumNoticeMinutes: number;
  autoBook: boolean;
  windows: Window[];
  clinic: { id: string; name: string; timeZone: string };
  visitType: { id: string; name: string };
  providers: { id: string; name: string }[];
  /** The one to be moved earlier while it waits; the one it led to afterwards. */
  appointment: { id: string; startsAt: string; clinic: { timeZone: string } } | null;
  offer: { id: string; expiresAt: string; slot: { startsAt: string } } | null;
}
/** A coming appointment of the patient's. */
export interface Own {
  id: string;
  startsAt: string;
  provider: { name: string };
  clinic: { id: string; name: string; timeZone: string };
  visitType: { id: string; name: string };
}
export type Step = "loading" | "list" | "missing" | "unread" | "sign-in" | "form" | "sending" | "waiting" | "booked" | "left" | "unknown";

type Outcome =
  | { __typename: "WaitlistJoined" | "WaitlistEntryUpdated" | "WaitlistLeft"; entry: Entry }
  | { __typename: "PolicyViolation"; message: string; rule: string }
  | { __typename: "InvalidInput"; message: string; field: string }
  | { __typename: "StaleVersion" | "IdempotencyMismatch" | "NotFound"; message: string };
type Found = { clinic: (Partial<Place["clinic"]> & { providers?: Edges }) | null; visitType: Partial<Place["visitType"]> | null };
interface Edges {
  edges: { node: { id: string; name: string; visitTypes: { id: string }[] } }[];
}

interface Mine {
  waitlistEntries: Entry[];
  appointments: { edges: { node: Own }[] };
}

const WAITS = new Set(["ACTIVE", "OFFERED", "SUSPENDED"]);
const DAYS_ASKED = 30;

export class Waiting {
  readonly step = signal<Step>("loading");
  readonly patient = signal<Patient | null>(kept());
  readonly place = signal<Place | null>(null);
  readonly entry = signal<Entry | null>(null);
  /** In the list: all that is waited for. */
  readonly entries = signal<Entry[]>([]);
  readonly own = signal<Own[]>([]);
  readonly fault = signal<{ field: string; text: string } | null>(null);
  readonly spoken = signal("");

  readonly first = signal("");
  readonly last = signal("");
  readonly hours = signal<Hours>("any");
  readonly weekdays = signal(false);
  readonly provider = signal("");
  readonly notice = signal(180);
  readonly autoBook = signal(false);
  /** The appointment that is to be moved earlier; empty: none, a new one. */
  readonly moves = signal("");

  #key = newKey();
  #unknown: () => Promise<void> = () => this.begin();
  #stop = () => {};
  #asked = 0;
  #shown = 0;

  /** `earlier`: an appointment of that kind is to be moved, the soonest if none was chosen before. Without clinic and kind of visit: the list. */
  constructor(readonly asked: { clinic: string; visitType: string; provider: string; earlier: boolean }) {}

  get listing(): boolean {
    return !this.asked.clinic && !this.asked.visitType;
  }

  /** Appointments that could be moved earlier here. */
  get movable(): Own[] {
    return this.own.value.filter(({ visitType }) => visitType.id === this.asked.visitType);
  }

  get today(): string {
    return today(this.place.value?.clinic.timeZone ?? "UTC", Date.now());
  }

  get furthest(): string {
    return addDays(this.today, this.place.value?.visitType.bookableDaysAhead ?? 0);
  }

  get #usually(): string {
    return [addDays(this.today, DAYS_ASKED), this.furthest].sort()[0] as string;
  }

  async begin(): Promise<void> {
    this.step.value = "loading";
    this.#unknown = () => this.begin();
    try {
      if (this.listing) {
        await this.#enter();
        return;
      }
      const { clinic, visitType: visit } = this.asked;
      const found = await ask<Found>("/graphql", placeQuery, { clinic, visitType: visit });
      if (!found.clinic?.name || !found.visitType?.name) {
        this.step.value = "missing";
        return;
      }
      const providers = (found.clinic.providers?.edges ?? [])
        .map(({ node }) => node)
        .filter(({ visitTypes }) => visitTypes.some(({ id }) => id === visit));
      this.place.value = { clinic: found.clinic as Place["clinic"], visitType: found.visitType as Place["visitType"], providers };
      if (providers.some(({ id }) => id === this.asked.provider)) this.provider.value = this.asked.provider;
      this.first.value ||= this.today;
      this.last.value ||= this.#usually;
      await this.#enter();
    } catch (error) {
      this.#failed(error, "unread");
    }
  }

  signIn(patient: Patient): void {
    keep(patient);
    this.patient.value = patient;
    void this.#enter().catch((error) => this.#failed(error, "unread"));
  }

  signOut(): void {
    this.#stop();
    keep(null);
    this.patient.value = this.entry.value = null;
    this.entries.value = this.own.value = [];
    this.moves.value = "";
    this.step.value = "sign-in";
  }

  /** Only times before the appointment count, so no day after it is asked for. */
  choose(id: string): void {
    const until = this.own.value.find((one) => one.id === id)?.startsAt.slice(0, 10);
    this.moves.value = id;
    this.last.value = until && until < this.#usually ? until : this.#usually;
    this.changed();
  }

  /** A form that was changed is another question, so it gets another key. */
  changed(): void {
    this.#key = newKey();
  }

  async join(): Promise<void> {
    const { clinic, visitType } = this.asked;
    await this.#send(joinMutation, () => ({
      clinicId: clinic,
      visitTypeId: visitType,
      from: this.first.value,
      to: this.last.value,
      providerIds: this.provider.value ? [this.provider.value] : null,
      windows: windowsOf(this.hours.value, this.weekdays.value),
      minimumNoticeMinutes: this.notice.value,
      autoBook: this.autoBook.value,
      appointmentId: this.moves.value || null,
    }));
  }

  /** Takes a suspended entry up again as it is, but not with dates that have passed. */
  async resume(): Promise<void> {
    const entry = this.entry.value;
    if (!entry) return;
    const first = entry.from < this.today ? this.today : entry.from;
    await this.#send(changeMutation, () => ({ entryId: entry.id, version: entry.version, from: first }));
  }

  async leave(entry = this.entry.value): Promise<void> {
    if (entry) await this.#send(leaveMutation, () => ({ entryId: entry.id }));
  }

  /** After leaving: the form again. */
  anew(): void {
    this.entry.value = null;
    this.changed();
    this.step.value = "form";
  }

  /** The same question once more, with the same key. */
  async again(): Promise<void> {
    await this.#unknown();
  }

  async #send(mutation: string, input: () => object): Promise<void> {
    const patient = this.patient.value;
    if (!patient || this.step.value === "sending") return;
    const before: Step = this.listing ? "list" : this.entry.value ? "waiting" : "form";
    this.#unknown = () => this.#send(mutation, input);
    this.fault.value = null;
    this.step.value = "sending";
    try {
      const result = await attempt<Outcome>(mutation, { ...input(), idempotencyKey: this.#key }, patient.token);
      this.#key = newKey();
      await this.#told(result, before);
    } catch (error) {
      if (error instanceof Refused && error.code === "BAD_USER_INPUT") {
        this.#fault("", error.message);
        this.step.value = before;
      } else this.#failed(error, "unknown");
    }
  }

  async #told(result: Outcome, before: Step): Promise<void> {
    if (this.listing) {
      await this.#enter();
      this.#say("entry" in result ? `You are no longer waiting for ${result.entry.visitType.name}.` : "It was changed or ended elsewhere.");
      return;
    }
    if ("entry" in result) {
      this.#show(result.entry);
      this.#say(result.__typename === "WaitlistLeft" ? "You are no longer waiting." : "You are on the waitlist.");
      return;
    }
    if (result.__typename === "PolicyViolation" && result.rule === "ALREADY_WAITING") {
      await this.#enter();
      this.#say("You were on the waitlist for this already.");
      return;
    }
    this.step.value = before;
    if (result.__typename === "InvalidInput") this.#fault(result.field, result.message);
    else if (result.__typename === "PolicyViolation") this.#fault("", "Nobody at the clinic offers this kind of visit at the moment.");
    else {
      // It was changed or ended elsewhere: here is how it stands.
      await this.#enter();
      if (result.__typename === "NotFound" && this.step.value === "form") this.#fault("", "This is not offered any more. Please choose another provider, or call.");
    }
  }

  /** The list; or what the patient waits for here already, else the form. */
  async #enter(): Promise<void> {
    const patient = this.patient.value;
    if (!this.place.value && !this.listing) return;
    if (!patient) {
      this.step.value = "sign-in";
      return;
    }
    const found = await this.#mine(patient);
    if (this.listing) this.step.value = "list";
    else if (found) this.#show(found);
    else {
      const meant = this.movable.find(({ id }) => id === keptEarlier()) ?? this.movable[0];
      if (this.asked.earlier && !this.moves.value && meant) this.choose(meant.id);
      this.step.value = "form";
    }
    this.#stop();
    this.#stop = followMine(patient.token, () => void this.#look());
  }

  async #mine(patient: Patient): Promise<Entry | null> {
    const turn = ++this.#asked;
    const { viewer } = await ask<{ viewer: { patient: Mine | null } }>("/graphql", mineQuery, {}, { token: patient.token });
    const all = viewer.patient?.waitlistEntries ?? [];
    if (turn > this.#shown) {
      // What was asked later may be answered first: nothing older takes its place.
      this.#shown = turn;
      this.entries.value = all.filter(({ status }) => WAITS.has(status));
      this.own.value = (viewer.patient?.appointments.edges ?? []).map(({ node }) => node);
    }
    const here = all.filter(
      ({ clinic, visitType }) => clinic.id === this.asked.clinic && visitType.id === this.asked.visitType,
    );
    return here.find(({ id }) => id === this.entry.value?.id) ?? here.find(({ status }) => WAITS.has(status)) ?? null;
  }

  /** Something of the patient's has changed: an offer came, or ended. */
  async #look(): Promise<void> {
    const patient = this.patient.value;
    if (patient && this.step.value === "list") await this.#mine(patient).catch(() => null);
    if (!patient || this.step.value !== "waiting") return;
    const [before, found] = [this.entry.value, await this.#mine(patient).catch(() => null)];
    if (!found || this.step.value !== "waiting" || this.entry.value !== before) return;
    this.#show(found);
    if (found.offer && found.offer.id !== before?.offer?.id) this.#say("A time has opened for you.");
  }

  #show(entry: Entry): void {
    this.entry.value = entry;
    if (WAITS.has(entry.status)) this.step.value = "waiting";
    else this.step.value = entry.status === "FULFILLED" ? "booked" : "left";
  }

  #fault(field: string, text: string): void {
    this.fault.value = { field: field.split(".")[0] as string, text };
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
