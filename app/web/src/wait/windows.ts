// Times of the week as the form offers them, and as an entry holds them.
export type Hours = "any" | "mornings" | "afternoons";
export interface Window {
  weekday: string | null;
  opens: string;
  closes: string;
}

const NAMES: Record<string, string> = {
  MONDAY: "Mondays",
  TUESDAY: "Tuesdays",
  WEDNESDAY: "Wednesdays",
  THURSDAY: "Thursdays",
  FRIDAY: "Fridays",
  SATURDAY: "Saturdays",
  SUNDAY: "Sundays",
};
const WORKDAYS = Object.keys(NAMES).slice(0, 5);
const SPANS: Record<Hours, [string, string]> = { any: ["00:00", "24:00"], mornings: ["00:00", "12:00"], afternoons: ["12:00", "24:00"] };

/** None for any time at all. */
export function windowsOf(hours: Hours, weekdays: boolean): Window[] {
  const [opens, closes] = SPANS[hours];
  if (weekdays) return WORKDAYS.map((weekday) => ({ weekday, opens, closes }));
  return hours === "any" ? [] : [{ weekday: null, opens, closes }];
}

export function inWords(windows: Window[]): string {
  if (windows.length === 0) return "Any time";
  const spans = new Map<string, string[]>();
  for (const { weekday, opens, closes } of windows) {
    const hours = hoursInWords(opens, closes);
    spans.set(hours, [...(spans.get(hours) ?? []), weekday ?? ""]);
  }
  return [...spans].map(([hours, days]) => `${daysInWords(days)}${hours}`).join("; ");
}

function hoursInWords(opens: string, closes: string): string {
  if (opens === "00:00" && closes === "24:00") return "any time";
  if (opens === "00:00" && closes === "12:00") return "mornings";
  if (opens === "12:00" && closes === "24:00") return "afternoons";
  return `${opens} to ${closes}`;
}

function daysInWords(days: string[]): string {
  if (days.includes("")) return "Every day, ";
  if (days.length === 5 && WORKDAYS.every((one) => days.includes(one))) return "Weekdays, ";
  return `${days.map((one) => NAMES[one]).join(", ")}, `;
}
