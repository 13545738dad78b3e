// The demo host page: what is chosen is shown at once, and stands in the address so that it can be shared.
import "./style.css";

const form = document.querySelector("form") as HTMLFormElement;
const calendar = document.querySelector("clinic-calendar");
const snippet = document.querySelector("pre code");
document.documentElement.classList.add("scripted");

form.addEventListener("change", ({ target }) => {
  const { name, value } = target as HTMLSelectElement;
  // Another clinic has other kinds of visits and providers: the server writes the page anew.
  if (name === "clinic" || !calendar) {
    for (const box of form.querySelectorAll("select")) box.disabled = box.name !== "clinic";
    form.submit();
    return;
  }
  if (value) calendar.setAttribute(name, value);
  else calendar.removeAttribute(name);
  const entries = [...new FormData(form)].filter(([, one]) => one !== "") as [string, string][];
  history.replaceState(null, "", `?${new URLSearchParams(entries)}`);
  if (snippet) {
    const attributes = entries.map(([attribute, one]) => `${attribute}="${one}"`).join(" ");
    snippet.textContent = (snippet.textContent ?? "").replace(/<clinic-calendar.*>/, `<clinic-calendar ${attributes}></clinic-calendar>`);
  }
});
// After going back, boxes that a submit had turned off are wanted again.
addEventListener("pageshow", () => {
  for (const box of form.querySelectorAll("select")) box.disabled = false;
});
