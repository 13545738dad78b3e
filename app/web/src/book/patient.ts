// Who books. In development one of the demo's patients; the token stays in this tab's storage on our own origin.
const KEPT = "appointments:patient";

export interface Patient {
  id: string;
  name: string;
  token: string;
}

export async function demoPatients(): Promise<Patient[]> {
  const response = await fetch("/dev/patients.json", { credentials: "omit" });
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
