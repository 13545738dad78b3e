/** @jsxImportSource preact */
// Our own page for who found no time that suits them: it tells them when one opens.
import "./style.css";
import { render } from "preact";
import { Page } from "./view";
import { Waiting } from "./waiting";

const main = document.getElementById("wait") as HTMLElement;
const asked = new URLSearchParams(location.search);
const waiting = new Waiting({
  clinic: asked.get("clinic") ?? "",
  visitType: asked.get("visitType") ?? "",
  provider: asked.get("provider") ?? "",
  earlier: asked.has("earlier"),
});
main.replaceChildren();
render(<Page waiting={waiting} development={main.dataset.mode === "development"} />, main);
void waiting.begin();
