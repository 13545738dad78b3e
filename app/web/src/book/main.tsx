/** @jsxImportSource preact */
// Our own page for booking one time. Nothing about the patient stands in its address.
import "./style.css";
import { render } from "preact";
import { Booking } from "./booking";
import { Page } from "./view";

const main = document.getElementById("booking") as HTMLElement;
const booking = new Booking(new URLSearchParams(location.search).get("slot") ?? "");
main.replaceChildren();
render(<Page booking={booking} development={main.dataset.mode === "development"} />, main);
void booking.begin();
