// The parts of the API's answers that the booking page uses.
interface Address {
  lines: string[];
  city: string;
  region: string | null;
  postalCode: string | null;
}

export interface Slot {
  id: string;
  startsAt: string;
  endsAt: string;
  localDate: string;
  provider: { id: string; name: string; kind: "PERSON" | "POOL" };
  clinic: { id: string; name: string; phone: string | null; timeZone: string; address: Address };
  visitType: { id: string; name: string; modality: Modality };
}
export type Modality = "IN_PERSON" | "VIDEO" | "PHONE";

export interface Alternative {
  id: string;
  startsAt: string;
  localDate: string;
  provider: { name: string; acceptingNewPatients: boolean };
  clinic: { timeZone: string };
}

export interface Appointment {
  id: string;
  startsAt: string;
  endsAt: string;
  changeableUntil: string | null;
  provider: { name: string };
  clinic: Omit<Slot["clinic"], "id">;
  visitType: { name: string; modality: Modality };
}

export interface Hold {
  id: string;
  expiresAt: string;
}

export type Refusal =
  | { __typename: "SlotTaken"; message: string; alternatives: Alternative[] }
  | { __typename: "PolicyViolation"; message: string; rule: string }
  | { __typename: "PatientConflict"; message: string; other?: Appointment | null }
  | { __typename: "IdempotencyMismatch"; message: string }
  | { __typename: "NotFound"; message: string };

export type HoldResult = { __typename: "SlotHeld"; hold: Hold } | Refusal;
export type BookResult = { __typename: "AppointmentBooked"; appointment: Appointment } | Refusal;
