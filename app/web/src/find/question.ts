// What is asked: the words, the filters and the order, as they stand in the page's address.
import { addDays, today } from "../times";
import type { Place } from "./nearby";

export type Sort = "BEST" | "SOONEST" | "DISTANCE" | "NAME";
export type Many = "specialties" | "languages" | "clinics";
export interface Question {
  text: string;
  specialties: readonly string[];
  languages: readonly string[];
  clinics: readonly string[];
  modality: string;
  accepting: boolean;
  /** Days from today on, "dates" for those chosen, or empty. */
  when: string;
  from: string;
  to: string;
  /** Where one is stands in no address: only that it was asked for. */
  near: boolean;
  within: string;
  sort: Sort;
}

export const NOTHING: Question = {
  text: "",
  specialties: [],
  languages: [],
  clinics: [],
  modality: "",
  accepting: false,
  when: "",
  from: "",
  to: "",
  near: false,
  within: "",
  sort: "BEST",
};
export const SORTS: readonly [Sort, string][] = [
  ["BEST", "Best"],
  ["SOONEST", "Soonest"],
  ["NAME", "Name"],
  // Last: who goes through these by arrow keys is asked where they are at the end only.
  ["DISTANCE", "Nearest"],
];
export const WHEN: readonly [string, string][] = [
  ["", "At any time"],
  ["1", "Today"],
  ["3", "Within 3 days"],
  ["7", "Within a week"],
  ["14", "Within 2 weeks"],
  ["dates", "Between two dates …"],
];
export const WITHIN: readonly [string, string][] = [
  ["", "Any distance"],
  ["5", "Within 5 km"],
  ["10", "Within 10 km"],
  ["25", "Within 25 km"],
  ["50", "Within 50 km"],
  ["100", "Within 100 km"],
];
export const MODALITIES: Readonly<Record<string, string>> = { IN_PERSON: "In person", VIDEO: "By video", PHONE: "By phone" };
export const FURTHEST = 30; // days between the first date and the last

const LISTS: readonly [Many, string][] = [
  ["specialties", "specialty"],
  ["languages", "language"],
  ["clinics", "clinic"],
];

function isDate(value: string): boolean {
  const at = Date.parse(`${value}T00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === value;
}

/** Of an address, whatever somebody wrote there. */
export function read(search: string): Question {
  const asked = new URLSearchParams(search);
  const one = (name: string, allowed: (value: string) => boolean) => [asked.get(name) ?? ""].filter(allowed)[0] ?? "";
  const among = (offered: readonly (readonly [string, string])[]) => (value: string) => offered.some(([known]) => known === value);
  const when = one("when", among(WHEN));
  const near = asked.get("near") === "me";
  const sort = (one("sort", (value) => among(SORTS)(value.toUpperCase())).toUpperCase() || "BEST") as Sort;
  return {
    text: asked.get("q") ?? "",
    specialties: asked.getAll("specialty"),
    languages: asked.getAll("language"),
    clinics: asked.getAll("clinic"),
    modality: one("modality", (value) => value in MODALITIES),
    accepting: asked.get("new") === "1",
    when,
    from: when === "dates" ? one("from", isDate) : "",
    to: when === "dates" ? one("to", isDate) : "",
    near,
    within: near ? one("within", among(WITHIN)) : "",
    sort: sort === "DISTANCE" && !near ? "BEST" : sort,
  };
}

export function written(question: Question): string {
  const entries: [string, string][] = [["q", question.text]];
  for (const [list, name] of LISTS) for (const value of question[list]) entries.push([name, value]);
  entries.push(["modality", question.modality], ["new", question.accepting ? "1" : ""], ["when", question.when]);
  if (question.when === "dates") entries.push(["from", question.from], ["to", question.to]);
  entries.push(["near", question.near ? "me" : ""], ["within", question.near ? question.within : ""]);
  entries.push(["sort", question.sort === "BEST" ? "" : question.sort.toLowerCase()]);
  const said = new URLSearchParams(entries.filter(([, value]) => value !== ""));
  return said.size > 0 ? `?${said}` : "";
}

/** The dates between which there must be an open time; null for none. A missing one follows from the other. */
export function datesOf({ when, from, to }: Question): { from: string; to: string } | null {
  const first = today(Intl.DateTimeFormat().resolvedOptions().timeZone, Date.now());
  if (when === "dates") {
    if (!from && !to) return null;
    return from ? { from, to: to || addDays(from, FURTHEST) } : { from: to < first ? to : first, to };
  }
  return when === "" ? null : { from: first, to: addDays(first, Number(when) - 1) };
}

/** For the API. Without a place nothing is asked about distances. */
export function filterOf(question: Question, place: Place | null): object {
  const dates = datesOf(question);
  const near = question.near ? place : null;
  return {
    text: question.text.trim() || null,
    specialties: question.specialties,
    languages: question.languages,
    clinicIds: question.clinics,
    modality: question.modality || null,
    acceptingNewPatients: question.accepting,
    near,
    withinKm: near && question.within ? Number(question.within) : null,
    openFrom: dates?.from ?? null,
    openTo: dates?.to ?? null,
  };
}

export function filtersIn({ specialties, languages, clinics, modality, accepting, when, within }: Question): number {
  return specialties.length + languages.length + clinics.length + [modality, accepting, when, within].filter(Boolean).length;
}
