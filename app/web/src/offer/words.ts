// What an offer that can't be taken any more means to a patient.
import type { Offer, Status } from "./answering";

interface Words {
  title: string;
  text: string;
}

const OVER: Record<Exclude<Status, "LIVE">, Words> = {
  ACCEPTED: { title: "You have taken this time", text: "It was booked for you. Your appointment has changed since then." },
  DECLINED: { title: "You have passed this time on", text: "It goes to the next person who waits, or is open to everybody." },
  EXPIRED: { title: "This offer has run out", text: "It was not answered in time, so it went to the next person who waits, or is open to everybody." },
  SUPERSEDED: { title: "This offer was withdrawn", text: "The time can't be given to you any more: it meets another appointment of yours, or the clinic took it back." },
};

const ENTRIES: Record<string, string> = {
  ACTIVE: "You are still on the waitlist: we tell you when the next time opens.",
  OFFERED: "You are still on the waitlist, and another time is offered to you.",
  SUSPENDED: "Three offers in a row were not taken, so we have stopped sending you more. You can wait again whenever you like.",
};

export function overWords({ status, entry }: Offer): Words & { waiting: string } {
  const words = OVER[status === "LIVE" ? "EXPIRED" : status];
  return { ...words, waiting: ENTRIES[entry.status] ?? "You are no longer on the waitlist for it." };
}
