"""What a used idempotency key answers: the same outcome, its objects as they are now (rule 14)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from adapters.postgres import appointments, changes, holds, waitlist
from adapters.postgres.changes import Request
from adapters.postgres.database import Reader, answering
from domain import ids, zones
from domain.access import Viewer
from domain.appointments import Appointment, Hold, Slot, SlotStatus
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    HoldReleased,
    IdempotencyMismatch,
    NotFound,
    OfferAccepted,
    OfferDeclined,
    SlotHeld,
    WaitlistEntryUpdated,
    WaitlistJoined,
    WaitlistLeft,
)
from domain.streams import Position
from domain.waitlist import Entry

_OF_ENTRIES: Final[dict[str, Callable[[Entry], Any]]] = {
    one.__name__: one for one in (WaitlistJoined, WaitlistEntryUpdated, WaitlistLeft, OfferDeclined)
}
Remembered = tuple[str, bytes, dict[str, Any]]


def held(hold: Hold) -> dict[str, Any]:
    return {
        "type": "SlotHeld",
        "hold": hold.key,
        "slot": hold.slot_id,
        "expires": hold.expires_at.timestamp(),
        "zone": str(hold.expires_at.tzinfo),
    }


def released(stored: holds.StoredHold) -> dict[str, Any]:
    return {
        "type": "HoldReleased",
        "slot": stored.hold.slot_id,
        "starts": stored.starts_at.timestamp(),
        "ends": stored.ends_at.timestamp(),
        "zone": str(stored.starts_at.tzinfo),
    }


def changed(outcome: str, appointment: Appointment) -> dict[str, Any]:
    return {"type": outcome, "appointment": appointment.key, "clinic": appointment.clinic_key}


def slot_of(stored: holds.StoredHold) -> Slot:
    """The slot that a released hold was for."""
    return _slot(stored.hold.slot_id, stored.slot, stored.starts_at, stored.ends_at)


def _slot(slot_id: str, slot: ids.SlotKey, starts_at: datetime, ends_at: datetime) -> Slot:
    return Slot(
        slot_id, slot.provider_id, slot.clinic_id, slot.visit_type_id, starts_at, ends_at, starts_at.date(),
        SlotStatus.FREE, 1,
    )  # fmt: skip


async def replay_or_not_found(reader: Reader, viewer: Viewer, request: Request) -> Any:
    """For what can't be found any more: the key may say what became of it."""
    async with answering():
        remembered = await changes.remembered(reader, viewer.subject, request.key)
        return NotFound() if remembered is None else await replay(reader, viewer, request, remembered)


async def replay(reader: Reader, viewer: Viewer, request: Request, remembered: Remembered) -> Any:
    """The outcome again, or IdempotencyMismatch where the key came with another request."""
    operation, digest, outcome = remembered
    if operation != request.operation or digest != request.digest:
        return IdempotencyMismatch()
    kind = outcome["type"]
    if kind == "SlotHeld":
        return SlotHeld(await _hold(reader, viewer, outcome), _cursor(outcome))
    if kind == "HoldReleased":
        return _released(outcome)
    if "entry" in outcome:
        return await _waiting(reader, outcome)
    key = outcome["appointment"]
    appointment = (await appointments.appointments(reader, [key]))[key]
    if kind == "AppointmentStatusSet":
        return AppointmentStatusSet(appointment)
    made = {
        "AppointmentBooked": AppointmentBooked,
        "AppointmentRescheduled": AppointmentRescheduled,
        "AppointmentCancelled": AppointmentCancelled,
    }[kind]
    return made(appointment, _cursor(outcome))


def waiting(outcome: str, entry_key: int, appointment: Appointment | None = None) -> dict[str, Any]:
    """What a change of the waitlist leaves under its key."""
    plain: dict[str, Any] = {"type": outcome, "entry": entry_key}
    return plain if appointment is None else {**plain, "appointment": appointment.key}


async def _waiting(reader: Reader, outcome: dict[str, Any]) -> Any:
    key = outcome["entry"]
    entry = (await waitlist.entries(reader, [key]))[key]
    if outcome["type"] == "OfferAccepted":
        visit = outcome["appointment"]
        return OfferAccepted((await appointments.appointments(reader, [visit]))[visit], entry)
    return _OF_ENTRIES[outcome["type"]](entry)


async def _hold(reader: Reader, viewer: Viewer, outcome: dict[str, Any]) -> Hold:
    key = outcome["hold"]
    stored = (await holds.holds(reader, [key])).get(key)
    if stored is not None:
        return stored.hold
    ended_at = datetime.fromtimestamp(outcome["expires"], zones.named(outcome["zone"]))
    return Hold(key, viewer.subject, outcome["slot"], ended_at)


def _released(outcome: dict[str, Any]) -> HoldReleased:
    slot = ids.slot(outcome["slot"])
    assert slot is not None
    zone = zones.named(outcome["zone"])
    starts_at, ends_at = datetime.fromtimestamp(outcome["starts"], zone), datetime.fromtimestamp(outcome["ends"], zone)
    return HoldReleased(_slot(outcome["slot"], slot, starts_at, ends_at), _cursor(outcome))


def _cursor(outcome: dict[str, Any]) -> str:
    clinic = outcome.get("clinic")
    if clinic is None:
        slot = ids.slot(outcome["slot"])
        assert slot is not None
        clinic = slot.clinic_id
    return str(Position(str(outcome["epoch"]), clinic, int(outcome["xid"]), int(outcome["outbox"])))
