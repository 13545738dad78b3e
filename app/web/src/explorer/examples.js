// The eight worked examples, and the values that travel from one tab's answer into the next tab's variables.
import clinicWeek from "./examples/3-clinic-week.graphql";
import clinicWeekVariables from "./examples/3-clinic-week.json";
import daySheet from "./examples/6-day-sheet.graphql";
import daySheetVariables from "./examples/6-day-sheet.json";
import findClinics from "./examples/1-find-clinics.graphql";
import findClinicsVariables from "./examples/1-find-clinics.json";
import holdAndBook from "./examples/4-hold-and-book.graphql";
import holdAndBookVariables from "./examples/4-hold-and-book.json";
import moveAndCancel from "./examples/5-move-and-cancel.graphql";
import moveAndCancelVariables from "./examples/5-move-and-cancel.json";
import openTimes from "./examples/2-open-times.graphql";
import openTimesVariables from "./examples/2-open-times.json";
import search from "./examples/8-search.graphql";
import searchVariables from "./examples/8-search.json";
import watchTimes from "./examples/7-watch-times.graphql";
import watchTimesVariables from "./examples/7-watch-times.json";

const FILLED = "appointments:filled";
const EXAMPLES = [
  { query: findClinics, variables: findClinicsVariables },
  { query: openTimes, variables: openTimesVariables },
  { query: clinicWeek, variables: clinicWeekVariables },
  { query: holdAndBook, variables: holdAndBookVariables },
  { query: moveAndCancel, variables: moveAndCancelVariables },
  { query: daySheet, variables: daySheetVariables },
  { query: watchTimes, variables: watchTimesVariables },
  { query: search, variables: searchVariables },
].map((example) => ({ ...example, name: nameOf(example.query) }));

const UNKNOWN = {
  clinicId: "a clinic's id: run tab 1 first",
  providerId: "a provider's id: run tab 1 first",
  visitTypeId: "a visit type's id: run tab 1 first",
  slotId: "an open time's id: run tab 2 first",
  newSlotId: "another open time's id: run tab 2 first",
  appointmentId: "an appointment's id: book one in tab 4 first",
  version: 1,
  versionAfterMove: 2,
};

let values = {};
// What this page itself wrote into which variable: only that is ever replaced, not what somebody typed.
let filled = JSON.parse(sessionStorage.getItem(FILLED) ?? "{}");
const listeners = new Set();

function nameOf(query) {
  return /^(?:query|mutation|subscription)\s+(\w+)/m.exec(query ?? "")?.[1];
}

function localDate(daysAhead) {
  const day = new Date();
  day.setDate(day.getDate() + daysAhead);
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `try-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Values of the demo, or nothing where the server gives none. */
export function startWith(known) {
  values = { from: localDate(0), to: localDate(6) };
  for (const key of ["holdKey", "bookKey", "moveKey", "cancelKey"]) values[key] = randomKey();
  learn(known);
}

function learn(known) {
  const news = Object.entries(known).filter(([key, value]) => value != null && values[key] !== value);
  if (news.length === 0) return;
  values = { ...values, ...Object.fromEntries(news) };
  for (const listener of listeners) listener();
}

export function onValues(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function currentValues() {
  return values;
}

function wanted(example) {
  const value = (template) => {
    const key = /^\{\{(\w+)\}\}$/.exec(template)?.[1];
    return key ? (values[key] ?? UNKNOWN[key]) : template;
  };
  return Object.fromEntries(Object.entries(example.variables).map(([name, template]) => [name, value(template)]));
}

function remember(example, variables) {
  filled = { ...filled, [example.name]: variables };
  sessionStorage.setItem(FILLED, JSON.stringify(filled));
}

export function exampleTabs() {
  return EXAMPLES.map((example) => {
    const variables = wanted(example);
    if (!sessionStorage.getItem("graphiql:tabState")) remember(example, variables);
    return { query: example.query, variables: JSON.stringify(variables, null, 2) };
  });
}

/** The variables of a tab with what has become known since; untouched where somebody changed them. */
export function refilled(query, text) {
  const example = EXAMPLES.find(({ name }) => name === nameOf(query));
  if (!example) return text;
  let present;
  try {
    present = JSON.parse(text);
  } catch {
    return text;
  }
  const before = filled[example.name] ?? {};
  const next = wanted(example);
  let changed = false;
  for (const [name, value] of Object.entries(next)) {
    const ours = JSON.stringify(present[name]) === JSON.stringify(before[name]);
    if (!ours) next[name] = before[name];
    else if (JSON.stringify(present[name]) !== JSON.stringify(value)) {
      present[name] = value;
      changed = true;
    }
  }
  if (!changed) return text;
  remember(example, next);
  return JSON.stringify(present, null, 2);
}

/** Takes the ids that later tabs need from an answer. What the server gave at the start stays. */
export function learnFrom({ data }) {
  if (!data) return;
  const known = {};
  for (const { node: clinic } of data.clinics?.edges ?? []) {
    const provider = clinic.providers?.edges.map(({ node }) => node).find(({ visitTypes }) => visitTypes?.length);
    if (!provider || values.clinicId) continue;
    Object.assign(known, { clinicId: clinic.id, providerId: provider.id, visitTypeId: provider.visitTypes[0].id });
    break;
  }
  const open = data.node?.slots ?? [];
  if (open.length > 1 && !values.slotId) Object.assign(known, { slotId: open[0].id, newSlotId: open[1].id });
  const booked = data.bookAppointment?.appointment;
  if (booked) Object.assign(known, { appointmentId: booked.id, version: booked.version, versionAfterMove: booked.version + 1 });
  learn(known);
}
