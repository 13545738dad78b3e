/** @jsxImportSource preact */
// What a visit is: when, on which clock, what, with whom, where.
import type { ComponentChildren } from "preact";
import { clock, fullDay, localDate, longDay, zoneOn } from "../times";
import type { Appointment, Slot } from "./answers";

export type Visit = Pick<Slot, "startsAt" | "endsAt"> & Pick<Appointment, "provider" | "clinic" | "visitType">;

export function Facts({ startsAt, endsAt, provider, clinic, visitType }: Visit) {
  const { lines, city, region, postalCode } = clinic.address;
  const place = [...lines, city, [region, postalCode].filter(Boolean).join(" ")].filter(Boolean).join(", ");
  return (
    <dl class="facts">
      <Fact name="When">
        <time dateTime={startsAt}>
          <b>{fullDay(localDate(startsAt))}</b>
          <br />
          <b>{when(startsAt, endsAt, clinic.timeZone).replace(/^.*?, (?=\d)/, "")}</b>
        </time>
        <br />
        <span class="quiet">{zoneOn(clinic.timeZone, [localDate(startsAt)])}, the clinic's clock</span>
      </Fact>
      <Fact name="What">{visitType.name}{{ IN_PERSON: "", VIDEO: ", by video", PHONE: ", by phone" }[visitType.modality]}</Fact>
      <Fact name="With">{provider.name}</Fact>
      <Fact name="Where">
        {clinic.name}
        <br />
        <span class="quiet">{place}</span>
      </Fact>
    </dl>
  );
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const ARRIVAL = {
  IN_PERSON: "Come to the clinic at the address above.",
  VIDEO: "The visit is by video: the clinic tells you how to join.",
  PHONE: "The visit is by phone: the clinic calls you.",
};

export function Confirmation({ appointment }: { appointment: Appointment }) {
  const { clinic, changeableUntil, visitType } = appointment;
  return (
    <>
      <Facts {...appointment} />
      <h2>What comes next</h2>
      <ul class="next">
        <li>{ARRIVAL[visitType.modality]}</li>
        <li>
          {changeableUntil
            ? `You can move or cancel it until ${when(changeableUntil, null, clinic.timeZone)}, the clinic's clock.`
            : "It is too close to be moved or cancelled online."}
        </li>
        {clinic.phone && (
          <li>
            Questions? Call the clinic: <a href={`tel:${clinic.phone}`}>{clinic.phone}</a>
          </li>
        )}
      </ul>
      <p class="quiet">You can close this page now.</p>
    </>
  );
}

export function when(startsAt: string, endsAt: string | null, timeZone: string): string {
  const end = endsAt ? ` to ${clock(endsAt, timeZone)}` : "";
  return `${longDay(localDate(startsAt))}, ${clock(startsAt, timeZone)}${end}`;
}
