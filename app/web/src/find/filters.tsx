/** @jsxImportSource preact */
// The filters beside the results, and what of them is on above those.
import { useState } from "preact/hooks";
import { addDays, longDay, today } from "../times";
import type { FacetField, Value } from "./answers";
import type { Finding } from "./finding";
import { FURTHEST, MODALITIES, type Many, NOTHING, type Question, WHEN, WITHIN, filtersIn } from "./question";
import { languageName, placeName } from "./words";

interface Props {
  finding: Finding;
}

const SHORT = 6;
const SPECIALTY = { field: "SPECIALTY", list: "specialties", title: "Specialty" } as const;
const LANGUAGE = { field: "LANGUAGE", list: "languages", title: "Language" } as const;
const CLINIC = { field: "CLINIC", list: "clinics", title: "Clinic" } as const;
const LISTS = [SPECIALTY, LANGUAGE, CLINIC];
const NO_FILTERS: Partial<Question> = (({ text: _, near: __, sort: ___, ...filters }) => filters)(NOTHING);

export function Filters({ finding }: Props) {
  const [open, setOpen] = useState(false);
  const question = finding.question.value;
  const count = filtersIn(question);
  return (
    <section class="filters" aria-labelledby="filters-title" data-open={open}>
      <h2 id="filters-title">Filters</h2>
      <button type="button" class="fold" aria-expanded={open} aria-controls="filters" onClick={() => setOpen(!open)}>
        Filters{count > 0 ? ` (${count} on)` : ""}
      </button>
      <div id="filters">
        <label class="check">
          <input type="checkbox" checked={question.accepting} onChange={({ currentTarget }) => finding.change({ accepting: currentTarget.checked })} />
          Takes new patients
        </label>
        <Facet finding={finding} {...SPECIALTY} />
        {finding.near && <Choice label="Distance" value={question.within} offered={WITHIN} choose={(within) => finding.change({ within })} />}
        <Open finding={finding} />
        <Modality finding={finding} />
        <Facet finding={finding} {...LANGUAGE} />
        <Facet finding={finding} {...CLINIC} />
      </div>
    </section>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  offered: readonly (readonly [string, string])[];
  choose: (value: string) => void;
}

/** One of several. Not a select: the page has one combobox and its options, as those who look for them by role expect. */
export function Choice({ label, value, offered, choose }: ChoiceProps) {
  return (
    <fieldset>
      <legend>{label}</legend>
      {offered.map(([one, name]) => (
        <label class="check" key={one}>
          <input type="radio" name={label} value={one} checked={one === value} onChange={() => choose(one)} />
          <span>{name}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Modality({ finding }: Props) {
  const values = finding.facets.shown.value.MODALITY;
  const { modality } = finding.question.value;
  const counts = new Map(values.map(({ value, count }) => [value, count]));
  const offered = Object.entries(MODALITIES).map(([value, name]) => [value, `${name} (${counts.get(value) ?? 0})`] as const);
  return <Choice label="Kind of visit" value={modality} offered={[["", "Any"], ...offered]} choose={(value) => finding.change({ modality: value })} />;
}

function Open({ finding }: Props) {
  const { when, from, to } = finding.question.value;
  const first = today(Intl.DateTimeFormat().resolvedOptions().timeZone, Date.now());
  const date = (label: string, value: string, least: string, most: string | undefined, choose: (value: string) => void) => (
    <label>
      {label}
      <input type="date" value={value} min={least} max={most} onChange={({ currentTarget }) => choose(currentTarget.value)} />
    </label>
  );
  return (
    <div class="group">
      <Choice label="Has an open time" value={when} offered={WHEN} choose={(value) => finding.change({ when: value, from: "", to: "" })} />
      {when === "dates" && (
        <div class="dates">
          {date("From", from, first, to || undefined, (value) => finding.change({ from: value }))}
          {date("To", to, from || first, from ? addDays(from, FURTHEST) : undefined, (value) => finding.change({ to: value }))}
        </div>
      )}
    </div>
  );
}

function Facet({ finding, field, list, title }: Props & { field: FacetField; list: Many; title: string }) {
  const [all, setAll] = useState(false);
  const values = finding.facets.shown.value[field];
  const chosen = finding.question.value[list];
  if (values.length === 0) return null;
  const shown = all ? values : values.filter(({ value }, index) => index < SHORT || chosen.includes(value));
  const toggle = (value: string) =>
    finding.change({ [list]: chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value] });
  return (
    <fieldset>
      <legend>{title}</legend>
      {shown.map(({ value, count }) => (
        <label class="check" key={value}>
          <input type="checkbox" value={value} checked={chosen.includes(value)} onChange={() => toggle(value)} />
          <span>{nameOf(finding, field, value)}</span> <span class="count">{count}</span>
        </label>
      ))}
      {(values.length > SHORT || all) && (
        <button type="button" class="link" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show all ${values.length}`}
          <span class="unseen"> of {title}</span>
        </button>
      )}
    </fieldset>
  );
}

function nameOf(finding: Finding, field: FacetField, value: Value["value"]): string {
  if (field === "LANGUAGE") return languageName(value);
  if (field !== "CLINIC") return value;
  const clinic = finding.clinics.value.get(value);
  return clinic ? placeName(clinic) : "…";
}

/** What is on, each with a button that takes it away. */
export function Chosen({ finding, leave }: Props & { leave: () => void }) {
  const question = finding.question.value;
  const on: [string, Partial<Question>][] = [];
  for (const { field, list } of LISTS) {
    for (const value of question[list]) on.push([nameOf(finding, field, value), { [list]: question[list].filter((one) => one !== value) }]);
  }
  if (question.modality) on.push([MODALITIES[question.modality] as string, { modality: "" }]);
  if (question.accepting) on.push(["Takes new patients", { accepting: false }]);
  if (question.when) on.push([inWords(question), { when: "", from: "", to: "" }]);
  if (question.within && finding.near) on.push([`Within ${question.within} km`, { within: "" }]);
  if (on.length === 0) return null;
  const change = (less: Partial<Question>) => {
    leave();
    finding.change(less);
  };
  return (
    <ul class="chosen" role="list" aria-label="Filters that are on">
      {on.map(([name, less]) => (
        <li key={name}>
          <button type="button" onClick={() => change(less)}>
            <span class="unseen">Remove filter: </span>
            {name}
            <span class="cross" aria-hidden="true">
              ×
            </span>
          </button>
        </li>
      ))}
      {on.length > 1 && (
        <li>
          <button type="button" class="link" onClick={() => change(NO_FILTERS)}>
            Remove all
          </button>
        </li>
      )}
    </ul>
  );
}

function inWords({ when, from, to }: Question): string {
  if (when !== "dates") return `Open: ${WHEN.find(([value]) => value === when)?.[1].toLowerCase()}`;
  return `Open${from ? ` from ${longDay(from)}` : ""}${to ? ` to ${longDay(to)}` : ""}${from || to ? "" : " between two dates"}`;
}

export function withoutFilters(finding: Finding): void {
  finding.change(NO_FILTERS);
}
