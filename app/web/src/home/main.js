// The live demonstration on the start page: asks our own API, without a token, for a clinic's next open times.
import "./style.css";
import clinicsQuery from "./clinics.graphql";
import openTimesQuery from "./open-times.graphql";

const DAYS_AHEAD = 14;
const TIMES_SHOWN = 12;
const demo = document.getElementById("demo");
const [form, status, times] = ["form", "[role=status]", ".times"].map((selector) => demo.querySelector(selector));
const { clinic: clinicBox, visitType: visitTypeBox } = form.elements;
const again = demo.querySelector(".again");
let clinics = [];
let asked = new AbortController();

async function ask(query, variables, signal) {
  const response = await fetch("/graphql", {
    method: "POST",
    credentials: "omit",
    headers: { accept: "application/graphql-response+json", "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
    signal,
  });
  const { data, errors } = await response.json();
  if (errors?.length) throw new Error(errors[0].message);
  return data;
}

function dateIn(timeZone, daysAhead) {
  const parts = { timeZone, year: "numeric", month: "2-digit", day: "2-digit" };
  const today = new Date(`${new Intl.DateTimeFormat("en-CA", parts).format(new Date())}T00:00:00Z`);
  today.setUTCDate(today.getUTCDate() + daysAhead);
  return today.toISOString().slice(0, 10);
}

function zoneName(timeZone) {
  const parts = new Intl.DateTimeFormat(undefined, { timeZone, timeZoneName: "long" }).formatToParts(new Date());
  return parts.find(({ type }) => type === "timeZoneName").value;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function choices(box, entries, label) {
  box.replaceChildren(...entries.map((entry) => element("option", { value: entry.id, textContent: label(entry) })));
  box.disabled = entries.length === 0;
}

function say(text, kind) {
  status.textContent = text;
  demo.dataset.state = kind;
  demo.setAttribute("aria-busy", String(kind === "loading"));
  again.hidden = kind === "loading";
  again.textContent = kind === "error" ? "Try again" : "Look again";
}

function earliest(provider) {
  return (provider.slots ?? []).map((slot) => ({ ...slot, by: provider.name }));
}

function dayOf(date, slots, timeZone) {
  const day = new Date(`${date}T00:00:00Z`);
  const heading = day.toLocaleDateString(undefined, { timeZone: "UTC", weekday: "long", day: "numeric", month: "long" });
  const clock = { timeZone, hour: "numeric", minute: "2-digit" };
  const items = slots.map(({ startsAt, by }) =>
    element(
      "li",
      {},
      element("time", { dateTime: startsAt, textContent: new Date(startsAt).toLocaleTimeString(undefined, clock) }),
      element("span", { textContent: by }),
    ),
  );
  return element("section", {}, element("h3", { textContent: heading }), element("ul", {}, ...items));
}

function show(slots, clinic) {
  const days = groupByDay(slots);
  times.replaceChildren(...[...days].map(([date, those]) => dayOf(date, those, clinic.timeZone)));
  const zone = `Times are on the clinic's clock: ${zoneName(clinic.timeZone)} (${clinic.timeZone}).`;
  const clock = new Date().toLocaleTimeString();
  say(`The next ${slots.length} open ${slots.length === 1 ? "time" : "times"}, as of ${clock}. ${zone}`, "ready");
}

function groupByDay(slots) {
  const days = new Map();
  for (const slot of slots) days.set(slot.localDate, [...(days.get(slot.localDate) ?? []), slot]);
  return days;
}

async function showTimes() {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  const clinic = clinics.find(({ id }) => id === clinicBox.value);
  if (!visitTypeBox.value) {
    times.replaceChildren();
    return say("This clinic offers no visits at the moment. Choose another one.", "empty");
  }
  say("Looking for open times …", "loading");
  const [from, to] = [dateIn(clinic.timeZone, 0), dateIn(clinic.timeZone, DAYS_AHEAD - 1)];
  const variables = { clinicId: clinic.id, visitTypeId: visitTypeBox.value, from, to };
  try {
    const { node } = await ask(openTimesQuery, variables, signal);
    const open = (node?.providers.edges ?? []).flatMap((edge) => earliest(edge.node));
    open.sort((a, b) => Date.parse(a.startsAt) - Date.parse(b.startsAt));
    if (open.length > 0) return show(open.slice(0, TIMES_SHOWN), clinic);
    times.replaceChildren();
    return say(`Nothing is open in the next ${DAYS_AHEAD} days. Try another kind of visit or another clinic.`, "empty");
  } catch (error) {
    if (signal.aborted) return undefined;
    times.replaceChildren();
    return say(`The times could not be read: ${error.message}`, "error");
  }
}

function showVisitTypes() {
  const clinic = clinics.find(({ id }) => id === clinicBox.value);
  const label = ({ name, durationMinutes }) => (durationMinutes ? `${name}, ${durationMinutes} minutes` : name);
  const before = visitTypeBox.selectedOptions[0]?.textContent;
  choices(visitTypeBox, clinic.visitTypes, label);
  for (const option of visitTypeBox.options) if (option.textContent === before) option.selected = true;
  return showTimes();
}

async function start() {
  say("Reading the clinics …", "loading");
  try {
    const page = (await ask(clinicsQuery, {})).clinics;
    clinics = page.edges.map(({ node }) => node);
    if (clinics.length === 0) return say("There are no clinics yet. `appointments demo` makes some up.", "empty");
    choices(clinicBox, clinics, ({ name, address }) => [name, address.city, address.region].filter(Boolean).join(", "));
    demo.querySelector(".more").hidden = !page.pageInfo.hasNextPage;
    return await showVisitTypes();
  } catch (error) {
    return say(`The clinics could not be read: ${error.message}`, "error");
  }
}

form.addEventListener("submit", (event) => event.preventDefault());
clinicBox.addEventListener("change", showVisitTypes);
visitTypeBox.addEventListener("change", showTimes);
again.addEventListener("click", () => (clinics.length > 0 ? showTimes() : start()));
demo.hidden = false;
start();
