// Who books. In development one of the demo's patients; the token stays in this tab's storage on our own origin.
const KEPT = "appointments:patient";

export interface Patient {
  id: string;
  name: string;
  token: string;
}

/** With `offer`, those who have an offer of the waitlist, first whose that one is. */
export async function demoPatients(offer?: string): Promise<Patient[]> {
  const query = offer === undefined ? "" : `?${new URLSearchParams({ offer })}`;
  const response = await fetch(`/dev/patients.json${query}`, { credentials: "omit" });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()) as Patient[];
}

export function kept(): Patient | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as Patient | null;
  } catch {
    return null;
  }
}

export function keep(patient: Patient | null): void {
  if (patient) sessionStorage.setItem(KEPT, JSON.stringify(patient));
  else sessionStorage.removeItem(KEPT);
}
