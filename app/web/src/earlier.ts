// Which appointment somebody wants to have earlier, from one of our pages to the next: an address names no appointment.
const KEPT = "appointments:earlier";

export function keepEarlier(appointment: string): void {
  sessionStorage.setItem(KEPT, appointment);
}

export function keptEarlier(): string | null {
  return sessionStorage.getItem(KEPT);
}
