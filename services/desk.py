"""What every write of the calendar works with, and the parts that they share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.postgres import appointments, changes, holds
from adapters.postgres.bookings import Facts, Wanted
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.candidates import KnownWishes
from adapters.postgres.changes import Change, ElsewhereThen, Request, Told
from adapters.postgres.database import Connection, Database
from domain import booking, waitlist
from domain.access import Viewer
from domain.ids import SlotKey
from domain.outcomes import IdempotencyMismatch, NotFound, PatientConflict, SlotTaken
from domain.streams import Position
from services import claims
from services.alternatives import Alternatives
from services.claims import Granted, Taken
from services.contention import Shield
from services.own_writes import NOTHING_KEPT, OwnWrites


class LockMissing(Exception):
    """What was seen before the locks is not what stands under them: start again (rule 17)."""


class RolledBack(Exception):
    """Leaves a transaction without committing it; carries what is answered instead."""

    def __init__(self, outcome: Any) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Filled:
    """A time that was given up and has found somebody, `waited` later. `sooner`: how much earlier they come, where they moved."""

    waited: timedelta
    sooner: timedelta | None


def _unobserved(_: Filled) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every write of the calendar works with. `filled` is told once of each time that found somebody, after the commit."""

    database: Database
    known: KnownSchedules
    shield: Shield
    alternatives: Alternatives
    written: Callable[[list[int]], Awaitable[None]]
    own: OwnWrites = NOTHING_KEPT
    offer_max: timedelta = waitlist.OFFER_MAX
    wishes: KnownWishes = field(default_factory=KnownWishes)
    filled: Callable[[Filled], None] = _unobserved

    async def wrote(self, resource_keys: list[int], request: Request) -> None:
        """After a commit: nothing here may go on telling the calendars of before."""
        self.own.wrote(request.versions)
        self.alternatives.forget(resource_keys)
        await self.written(resource_keys)

    async def taken(self, viewer: Viewer, slot: SlotKey, taken: Taken) -> SlotTaken:
        """The refusal with its alternatives; remembers who has the time where every patient would be told the same."""
        if taken.holder is not None and slot.opening_id is None and viewer.is_patient:
            self.shield.took(slot, taken.holder, taken.resource_key)
        return await self.elsewhere(viewer, slot, taken.starts_at)

    async def elsewhere(self, viewer: Viewer, slot: SlotKey, starts_at: datetime) -> SlotTaken:
        found = await self.alternatives.near(
            slot.provider_id, slot.clinic_id, slot.visit_type_id, starts_at, binding=viewer.is_patient
        )
        return SlotTaken(found)

    async def unnamed(self, viewer: Viewer, request: Request) -> IdempotencyMismatch | NotFound:
        """For an id that names nothing: a key that came with another request is told before it (rule 10)."""
        used = await changes.remembered(self.database.primary, viewer.subject, request.key)
        return NotFound() if used is None else IdempotencyMismatch()


def wanted(
    viewer: Viewer, request: Request, slot: SlotKey, patient_key: int | None, moved: int | None = None
) -> Wanted:
    return Wanted(
        caller=viewer.subject,
        idempotency_key=request.key,
        provider_key=slot.provider_id,
        clinic_key=slot.clinic_id,
        visit_type_key=slot.visit_type_id,
        start=None if slot.start is None else booking.instant(slot.start),
        opening_key=slot.opening_id,
        patient_key=patient_key,
        appointment_key=moved,
        clinic_keys=sorted(viewer.clinic_keys) if viewer.is_staff and viewer.clinic_keys is not None else None,
    )


async def end_meeting(tx: Connection, granted: Granted) -> None:
    """The holds that this claim used up or took over."""
    if granted.expired:
        await holds.end(tx, [one.hold_key for one in granted.expired if one.hold_key], "expired")
    if granted.own is not None and granted.own.hold_key is not None:
        await holds.end(tx, [granted.own.hold_key], "used")


def told(facts: Facts, granted: Granted, expires_at: datetime | None = None) -> list[Told]:
    """One event for each clinic whose calendar shows the resource; `expires_at` for a hold."""
    closed = claims.until(claims.span(granted.from_at, granted.to_at), expires_at)
    payload = claims.payload(granted.opened, [closed])
    return changes.told_to(granted.resource_key, facts.told_clinics, payload)


async def recorded(tx: Connection, change: Change) -> Position | None:
    """What `changes.record` answers. Leaves the transaction where the patient of an appointment that is made is somewhere else."""
    try:
        return await changes.record(tx, change)
    except ElsewhereThen:
        raise RolledBack(PatientConflict(None)) from None


async def conflict(tx: Connection, viewer: Viewer, key: int) -> PatientConflict:
    found = (await appointments.appointments(tx, [key])).get(key)
    seen = found is not None and viewer.sees_appointment(found.patient_key, found.clinic_key)
    return PatientConflict(found if seen else None)
