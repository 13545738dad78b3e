/** @jsxImportSource preact */
// Our own page for patients who look for somebody. What they look for stands in its address, where they are does not.
import "./style.css";
import { render } from "preact";
import { Finding } from "./finding";
import { Suggesting } from "./suggesting";
import { Page } from "./view";

const main = document.getElementById("find") as HTMLElement;
const finding = new Finding();
main.replaceChildren();
render(<Page finding={finding} suggesting={new Suggesting(finding)} />, main);
void finding.begin();
