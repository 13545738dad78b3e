"""The calendar file of a letter: one UID an appointment, SEQUENCE rising, cancelled by METHOD:CANCEL (rule 51)."""

from datetime import UTC
from typing import Final

from icalendar import Calendar, Event, vCalAddress

from domain.letters import Letter
from domain.messages import MessageRule

# Reminders have none: what they remind of is in the calendar already.
WITH_CALENDAR: Final = frozenset({MessageRule.CONFIRMATION, MessageRule.MOVED, MessageRule.CANCELLED})


def method(letter: Letter) -> str:
    return "CANCEL" if letter.rule is MessageRule.CANCELLED else "REQUEST"


def calendar(letter: Letter, organizer: str) -> bytes:
    """`organizer` is an address that stays the same: programs take changes from nobody else."""
    event = Event()
    event.add("uid", f"{letter.calendar_uid}@appointments")
    event.add("sequence", letter.sequence)
    event.add("dtstamp", letter.written_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", letter.starts_at)
    event.add("dtend", letter.ends_at)
    event.add("summary", f"Appointment at {letter.clinic_name}")
    event.add("location", ", ".join(part for part in (letter.clinic_name, letter.clinic_address) if part))
    event.add("status", "CANCELLED" if method(letter) == "CANCEL" else "CONFIRMED")
    event.add("organizer", vCalAddress(f"mailto:{organizer}"))
    attendee = vCalAddress(f"mailto:{letter.to}")
    attendee.params["PARTSTAT"] = "ACCEPTED"
    attendee.params["RSVP"] = "FALSE"
    event.add("attendee", attendee)
    found = Calendar()
    found.add("prodid", "-//Appointments//EN")
    found.add("version", "2.0")
    found.add("method", method(letter))
    found.add_component(event)
    found.add_missing_timezones()
    written: bytes = found.to_ical()
    return written
