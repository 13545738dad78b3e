// What each refusal means to a patient, and what they can do about it.
import type { Refusal } from "./answers";

interface Words {
  title: string;
  text: string;
}

const RULES: Record<string, Words> = {
  PAST: { title: "This time is over", text: "It has already begun. Please choose a later one." },
  NOT_OFFERED: { title: "This time is not offered", text: "The clinic's hours may have changed. Please choose another time." },
  MINIMUM_NOTICE: {
    title: "This time is too soon",
    text: "The clinic needs more notice for this kind of visit. Please choose a later time, or call.",
  },
  BOOKING_WINDOW: {
    title: "This time is too far ahead",
    text: "The clinic does not take bookings for that day yet. Please choose an earlier time, or call.",
  },
  HOLD_LIMIT: {
    title: "You are holding too many times",
    text: "You can hold five times at once. Book or leave one of the others, or wait until it ends, then try again.",
  },
  NOT_ACCEPTING_NEW_PATIENTS: {
    title: "No new patients at the moment",
    text: "This provider takes only people who have been there before. Please choose another provider, or call the clinic.",
  },
};

export function wordsFor(refusal: Refusal): Words {
  switch (refusal.__typename) {
    case "SlotTaken":
      return refusal.alternatives.length > 0
        ? { title: "Somebody was faster", text: "This time has just been taken. These are free and close to it:" }
        : { title: "Somebody was faster", text: "This time has just been taken, and nothing close to it is free." };
    case "PatientConflict":
      return { title: "You have another appointment then", text: "You can't be in two places at once. Please choose another time." };
    case "PolicyViolation":
      return RULES[refusal.rule] ?? { title: "This time can't be booked", text: refusal.message };
    case "IdempotencyMismatch":
      return { title: "Something got mixed up", text: "Nothing was booked by this page. Please start again." };
    case "NotFound":
      return { title: "There is no such time", text: "The link may be old or incomplete. Please choose a time again." };
  }
}
