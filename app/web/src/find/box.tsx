/** @jsxImportSource preact */
// The search box with its suggestions. The focus never leaves the box: the active suggestion is told by its id.
import { useEffect, useRef } from "preact/hooks";
import type { Suggestion } from "./answers";
import type { Finding } from "./finding";
import type { Suggesting } from "./suggesting";

interface Props {
  finding: Finding;
  suggesting: Suggesting;
}

export function Box({ finding, suggesting }: Props) {
  const [shown, active] = [suggesting.shown.value, suggesting.active.value];
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const pressed = (event: KeyboardEvent) => {
    if (!event.isComposing && suggesting.pressed(event.key)) event.preventDefault();
  };
  return (
    <div class="box">
      <label for="text">Who or what are you looking for?</label>
      <input
        id="text"
        name="q"
        type="text"
        role="combobox"
        aria-autocomplete="list"
        aria-controls="suggestions"
        aria-expanded={shown}
        aria-activedescendant={shown && active >= 0 ? `suggestion-${active}` : undefined}
        aria-describedby="example"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        enterkeyhint="search"
        maxLength={200}
        value={finding.text.value}
        onInput={({ currentTarget }) => suggesting.typed(currentTarget.value)}
        onKeyDown={pressed}
        onBlur={() => suggesting.close()}
      />
      <ul id="suggestions" role="listbox" aria-label="Suggestions" ref={list} hidden={!shown}>
        {shown &&
          suggesting.offered.value.map((one, index) => (
            <li
              key={nameOf(one)}
              id={`suggestion-${index}`}
              role="option"
              aria-selected={index === active}
              // A press must not take the focus out of the box.
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => suggesting.take(one)}
            >
              <Suggested suggestion={one} />
            </li>
          ))}
      </ul>
      <p id="example" class="quiet">
        For example: skin doctor, Dr Osei, speaks Polish, physio Boise
      </p>
    </div>
  );
}

function Suggested({ suggestion }: { suggestion: Suggestion }) {
  const [what, more] = {
    SpecialtySuggestion: () => ["Specialty", (suggestion as { synonym?: string | null }).synonym ?? ""] as const,
    Provider: () => ["Provider", (suggestion as { specialties: readonly string[] }).specialties.join(", ")] as const,
    Clinic: () => ["Clinic", cityOf(suggestion)] as const,
  }[suggestion.__typename]();
  return (
    <>
      <span>
        <b>{suggestion.name}</b>
        {more && <span class="quiet"> {more}</span>}
      </span>
      <span class="kind"> {what}</span>
    </>
  );
}

function cityOf(suggestion: Suggestion): string {
  if (suggestion.__typename !== "Clinic") return "";
  return [suggestion.address.city, suggestion.address.region].filter(Boolean).join(", ");
}

function nameOf(one: Suggestion): string {
  return one.__typename === "SpecialtySuggestion" ? one.name : one.id;
}
