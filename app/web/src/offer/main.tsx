/** @jsxImportSource preact */
// Our own page for one offer of the waitlist. Its address names the offer, and nothing about whose it is.
import "../book/style.css";
import { render } from "preact";
import { Answering } from "./answering";
import { Page } from "./view";

const main = document.getElementById("offer") as HTMLElement;
const answering = new Answering(decodeURIComponent(location.pathname.split("/").at(-1) ?? ""));
main.replaceChildren();
render(<Page answering={answering} development={main.dataset.mode === "development"} />, main);
void answering.begin();
