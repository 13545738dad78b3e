"""Taking up an offer of the waitlist: by its id, by booking its slot, or for who agreed to be booked without being asked."""

from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.postgres import allocations, appointments, bookings, changes, locks, offers, waitlist
from adapters.postgres.allocations import Confirmation
from adapters.postgres.appointments import Locked
from adapters.postgres.changes import By, Change, Request, Told
from adapters.postgres.database import Connection
from adapters.postgres.offers import StoredOffer
from domain import ids
from domain.access import Role, Viewer
from domain.appointments import Appointment, AppointmentStatus
from domain.faults import Unavailable
from domain.outcomes import (
    AppointmentBooked,
    IdempotencyMismatch,
    NotFound,
    OfferAccepted,
    OfferGone,
    PatientConflict,
)
from domain.streams import Position
from domain.waitlist import EntryStatus, OfferStatus
from services import claims, offering, replays
from services.desk import Desk, Filled, LockMissing, RolledBack, conflict, recorded
from services.desk import wanted as wanted_time

TRIES: Final = 3
AcceptOutcome = OfferAccepted | OfferGone | PatientConflict | IdempotencyMismatch | NotFound


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who takes up which offer. `booking`: by booking its slot, and the answer is that of a booking."""

    viewer: Viewer
    request: Request
    offer_key: int
    booking: bool = False
    reason: str | None = None


async def accept(desk: Desk, wanted: Wanted) -> Any:
    """The appointment, new or moved from its later time; that time is offered on in the same transaction (rule 47)."""
    database = desk.database
    for _ in range(TRIES):
        seen = (await offers.offers(database.primary, [wanted.offer_key])).get(wanted.offer_key)
        if seen is None:
            return NotFound()
        moved = await _to_be_moved(database.primary, seen)
        if moved is not None and wanted.viewer.is_staff and not wanted.viewer.works_at(moved.clinic_key):
            return NotFound()  # It would move an appointment of another clinic.
        keys = [
            locks.patient(seen.offer.patient_key),
            locks.waitlist(seen.offer.clinic_key),
            locks.resource(seen.resource_key),
        ]
        if moved is not None:
            keys += [locks.waitlist(moved.clinic_key), locks.resource(moved.resource_key)]
        key = (wanted.viewer.subject, wanted.request.key) if wanted.request.key else None
        try:
            async with database.locked(key, keys) as tx:
                outcome = await _accept(tx, desk, wanted, moved)
        except LockMissing:
            continue
        except RolledBack as rolled_back:
            return rolled_back.outcome
        await _committed(desk, wanted, seen, moved, outcome)
        return outcome
    raise Unavailable("the offer keeps changing")


async def _committed(desk: Desk, wanted: Wanted, seen: StoredOffer, moved: Appointment | None, outcome: Any) -> None:
    request, touched = wanted.request, [seen.resource_key]
    if isinstance(outcome, OfferAccepted | AppointmentBooked):
        touched += [moved.resource_key] if moved is not None else []
        desk.shield.used(wanted.viewer.subject, request.key)
        if request.versions:  # A replay has changed nothing.
            sooner = None if moved is None else moved.starts_at - outcome.appointment.starts_at
            desk.filled(Filled(seen.now - seen.freed_at, sooner))
    elif not (isinstance(outcome, OfferGone) and request.versions):  # It was not passed on either.
        return
    for resource_key in touched:
        desk.shield.released(resource_key)
    await desk.wrote(touched, request)


async def _to_be_moved(reader: Any, stored: StoredOffer) -> Appointment | None:
    """The appointment that is to go earlier, whatever has become of it; one that was given up is left alone."""
    if stored.appointment_key is None:
        return None
    found = (await appointments.appointments(reader, [stored.appointment_key])).get(stored.appointment_key)
    return found if found is not None and found.status.live else None


async def _accept(tx: Connection, desk: Desk, wanted: Wanted, seen: Appointment | None) -> Any:
    viewer, request = wanted.viewer, wanted.request
    if request.key:
        remembered = await changes.remembered(tx, viewer.subject, request.key)
        if remembered is not None:
            return await replays.replay(tx, viewer, request, remembered)
    stored = (await offers.offers(tx, [wanted.offer_key]))[wanted.offer_key]
    if stored.offer.status is not OfferStatus.LIVE or stored.run_out:
        return OfferGone(OfferStatus.EXPIRED if stored.run_out else stored.offer.status)
    if viewer.role is Role.SYSTEM and not stored.consented:
        return OfferGone(stored.offer.status)  # They changed their mind since it was looked at.
    moved = await _to_be_moved(tx, stored)
    if (moved and (moved.key, moved.resource_key, moved.clinic_key)) != (
        seen and (seen.key, seen.resource_key, seen.clinic_key)
    ):
        raise LockMissing
    if (moved is not None and not _goes_earlier(moved, stored)) or not await _is_offered(tx, desk, wanted, stored):
        await offering.pass_on(tx, desk, stored, OfferStatus.SUPERSEDED, viewer, request)
        return OfferGone(OfferStatus.SUPERSEDED)
    return await _take(tx, desk, wanted, stored, moved)


def _goes_earlier(moved: Appointment, stored: StoredOffer) -> bool:
    """It may have begun, or have gone earlier by itself, since the offer was made."""
    return moved.status is AppointmentStatus.BOOKED and moved.starts_at > stored.offer.starts_at


async def _is_offered(tx: Connection, desk: Desk, wanted: Wanted, stored: StoredOffer) -> bool:
    """Hours may have been closed, and the provider may have left, since the offer was made."""
    want = wanted_time(wanted.viewer, wanted.request, stored.slot, stored.offer.patient_key)
    return await claims.is_offered(tx, desk.known, want, await bookings.facts(tx, want))


async def _take(tx: Connection, desk: Desk, wanted: Wanted, stored: StoredOffer, moved: Appointment | None) -> Any:
    if moved is None:
        return await _book(tx, wanted, stored)
    locked = await appointments.under_lock(tx, moved.key)
    assert locked is not None
    return await _move(tx, desk, wanted, stored, locked)


async def _book(tx: Connection, wanted: Wanted, stored: StoredOffer) -> Any:
    meets = await appointments.meets(tx, _visit(stored, 0, 1, wanted.reason))
    if meets is not None:
        return await conflict(tx, wanted.viewer, meets)
    owners = await allocations.occupy(tx, confirm=Confirmation(stored.allocation_key))
    if owners[0] is None:
        raise Unavailable("an offer without its time")
    made = _visit(stored, owners[0], 1, wanted.reason)
    position = await _record(tx, wanted, stored, made, [await _told(tx, stored)], {})
    await _end(tx, stored, made)
    return await _answer(tx, wanted, stored, made, position)


async def _move(tx: Connection, desk: Desk, wanted: Wanted, stored: StoredOffer, locked: Locked) -> Any:
    before = locked.appointment
    after = replace(_visit(stored, before.key, before.version + 1, before.reason), status=before.status)
    meets = await appointments.meets(tx, after)
    if meets is not None:
        return await conflict(tx, wanted.viewer, meets)
    assert locked.allocation is not None
    old_key, old_resource, starts, ends = locked.allocation
    confirm = Confirmation(stored.allocation_key, before.key)
    if (await allocations.occupy(tx, release=[old_key], confirm=confirm))[0] is None:
        raise Unavailable("an offer without its time")
    if not await appointments.move(tx, before, after, wanted.viewer, stored.now):
        raise RolledBack(PatientConflict(None))
    await _end(tx, stored, after)
    closed = await offering.offer_given_up(tx, desk, locked, By(wanted.viewer, wanted.request.operation))
    freed = (starts, ends)
    own = claims.until(claims.span(stored.from_at, stored.to_at))
    if old_resource == stored.resource_key:
        told = [(old_resource, locked.told_clinics, claims.payload([freed], [own, *closed]))]
    else:
        told = [(old_resource, locked.told_clinics, claims.payload([freed], closed)), await _told(tx, stored)]
    named = {"fromClinic": ids.node(ids.CLINIC, before.clinic_key)} if before.clinic_key != after.clinic_key else {}
    return await _answer(tx, wanted, stored, after, await _record(tx, wanted, stored, after, told, named))


async def _end(tx: Connection, stored: StoredOffer, made: Appointment) -> None:
    """The offer is taken and its entry done, before anything is offered that this gives up."""
    await offers.end(tx, stored.offer.key, OfferStatus.ACCEPTED)
    await waitlist.set_status(tx, stored.offer.entry_key, EntryStatus.FULFILLED, 0, made.key)


async def _record(
    tx: Connection,
    wanted: Wanted,
    stored: StoredOffer,
    visit: Appointment,
    told: list[tuple[int, list[int], dict[str, Any]]],
    named: dict[str, Any],
) -> Position | None:
    outcome = replays.waiting("OfferAccepted", stored.offer.entry_key, visit)
    if wanted.booking:
        outcome = replays.changed("AppointmentBooked", visit)
    events: list[Told] = [event for one in told for event in changes.told_to(*one)]
    change = Change(
        wanted.viewer, wanted.request, stored.now, outcome, f"appointment:{visit.key}", visit.clinic_key,
        visit.patient_key, (visit.key, visit.version), events, named, visit if visit.version == 1 else None,
    )  # fmt: skip
    return await recorded(tx, change)


async def _answer(
    tx: Connection, wanted: Wanted, stored: StoredOffer, visit: Appointment, position: Position | None
) -> OfferAccepted | AppointmentBooked:
    if wanted.booking:
        return AppointmentBooked(visit, str(position))
    entry_key = stored.offer.entry_key
    return OfferAccepted(visit, (await waitlist.entries(tx, [entry_key]))[entry_key])


async def _told(tx: Connection, stored: StoredOffer) -> tuple[int, list[int], dict[str, Any]]:
    """Nothing opens and nothing new is taken: the time stays what it was, a visit's from now on."""
    payload = claims.payload([], [claims.until(claims.span(stored.from_at, stored.to_at))])
    return stored.resource_key, await offering.told_clinics(tx, stored.slot), payload


def _visit(stored: StoredOffer, key: int, version: int, reason: str | None) -> Appointment:
    slot, offer = stored.slot, stored.offer
    return Appointment(
        key, version, AppointmentStatus.BOOKED, offer.patient_key, slot.provider_id, slot.clinic_id,
        slot.visit_type_id, slot.opening_id, offer.starts_at, offer.ends_at, reason,
    )  # fmt: skip
