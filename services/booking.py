"""Holding, releasing and booking a time. The order of each transaction is rule 17; the guard in the database decides."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from adapters.postgres import allocations, bookings, changes, holds, locks
from adapters.postgres.allocations import Extension
from adapters.postgres.bookings import Facts, Wanted
from adapters.postgres.changes import Change, Request, Told
from adapters.postgres.database import Connection, answering
from domain import access, booking, ids
from domain.access import Viewer
from domain.appointments import Appointment, AppointmentStatus, Hold
from domain.faults import BadInput
from domain.ids import SlotKey
from domain.outcomes import (
    AppointmentBooked,
    HoldReleased,
    IdempotencyMismatch,
    NotFound,
    OfferGone,
    PatientConflict,
    PolicyViolation,
    SlotHeld,
    SlotTaken,
)
from services import accepting, claims, replays, requests
from services.claims import Granted, Offered, Purpose, Taken
from services.desk import Desk, RolledBack, conflict, end_meeting, recorded, told, wanted

HoldOutcome = SlotHeld | SlotTaken | PolicyViolation | IdempotencyMismatch | NotFound
ReleaseOutcome = HoldReleased | IdempotencyMismatch | NotFound
BookOutcome = AppointmentBooked | SlotTaken | PolicyViolation | PatientConflict | IdempotencyMismatch | NotFound
T = TypeVar("T")


class Booking:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def hold(self, viewer: Viewer, slot_id: str, idempotency_key: str) -> HoldOutcome:
        """Five minutes for the caller. The same slot again is the same hold, extended once in its last minute (rule 11)."""
        access.require_signed_in(viewer)
        request = requests.request("holdSlot", idempotency_key, {"slotId": slot_id})
        slot = ids.slot(slot_id)
        if slot is None:
            return await self._desk.unnamed(viewer, request)
        want = wanted(viewer, request, slot, viewer.patient_key)
        keys = [locks.caller(viewer.subject), locks.resource(slot.opening_id or slot.provider_id)]

        async def attempt(tx: Connection, facts: Facts) -> Any:
            found = await claims.decide(tx, self._desk.known, viewer, want, facts, Purpose(hold=True))
            if isinstance(found, Granted):
                if found.own is not None:
                    return await self._held_already(tx, viewer, request, slot, facts, found)
                return await self._take(tx, viewer, request, slot, facts, found)
            return found

        outcome: HoldOutcome = await self._attempt(viewer, request, slot, want, keys, attempt)
        return outcome

    async def book(
        self, viewer: Viewer, slot_id: str, patient_id: str | None, reason: str | None, idempotency_key: str
    ) -> BookOutcome:
        """Books for the viewer, or for the patient whom staff name. Uses the caller's own hold of the slot."""
        access.require_signed_in(viewer)
        fields = {"slotId": slot_id, "patientId": patient_id, "reason": reason}
        request = requests.request("bookAppointment", idempotency_key, fields)
        reason = requests.reason(reason)
        if patient_id is None and viewer.is_staff:
            raise BadInput("patientId", "Staff name the patient.")
        patient_key = viewer.patient_key if patient_id is None else ids.key(patient_id, ids.PATIENT)
        slot = ids.slot(slot_id)
        if slot is None or patient_key is None or (viewer.is_patient and patient_key != viewer.patient_key):
            return await self._desk.unnamed(viewer, request)
        want = wanted(viewer, request, slot, patient_key)
        keys = [locks.patient(patient_key), locks.resource(slot.opening_id or slot.provider_id)]

        async def attempt(tx: Connection, facts: Facts) -> Any:
            found = await claims.decide(tx, self._desk.known, viewer, want, facts, Purpose(taking_up=True))
            if isinstance(found, Granted):
                return await self._book(tx, viewer, request, want, facts, found, reason)
            if isinstance(found, int):
                return await conflict(tx, viewer, found)
            return found

        outcome: Any = await self._attempt(viewer, request, slot, want, keys, attempt)
        if isinstance(outcome, Offered):
            outcome = await self._take_up(viewer, request, slot, outcome, reason)
        return outcome  # type: ignore[no-any-return]

    async def _take_up(
        self, viewer: Viewer, request: Request, slot: SlotKey, offered: Offered, reason: str | None
    ) -> Any:
        """The patient's own offer: it needs locks that only its entry names, so it is taken up in a transaction of its own."""
        wanted = accepting.Wanted(viewer, request, offered.offer_key, booking=True, reason=reason)
        outcome = await accepting.accept(self._desk, wanted)
        if isinstance(outcome, OfferGone):  # It ran out just now, and somebody else is next.
            return await self._desk.elsewhere(viewer, slot, offered.starts_at)
        return outcome

    async def release(self, viewer: Viewer, hold_id: str, idempotency_key: str) -> ReleaseOutcome:
        """Gives the time back. NotFound also for a hold that is expired or used."""
        access.require_signed_in(viewer)
        request = requests.request("releaseHold", idempotency_key, {"holdId": hold_id})
        key = ids.key(hold_id, ids.HOLD)
        database = self._desk.database
        async with answering():
            stored = (await holds.holds(database.primary, [key])).get(key) if key is not None else None
        if key is None or stored is None or stored.hold.caller != viewer.subject:
            outcome: ReleaseOutcome = await replays.replay_or_not_found(database.primary, viewer, request)
            return outcome
        async with database.locked((viewer.subject, request.key), [locks.resource(stored.resource_key)]) as tx:
            remembered = await changes.remembered(tx, viewer.subject, request.key)
            if remembered is not None:
                return await replays.replay(tx, viewer, request, remembered)  # type: ignore[no-any-return]
            stored = (await holds.holds(tx, [key])).get(key)
            if stored is None or stored.hold.expires_at <= stored.now:
                return NotFound()
            cursor = await end_holds(tx, viewer, request, [stored], "released")
        self._desk.shield.released(stored.resource_key)
        await self._desk.wrote([stored.resource_key], request)
        return HoldReleased(replays.slot_of(stored), cursor)

    async def _attempt(
        self,
        viewer: Viewer,
        request: Request,
        slot: SlotKey,
        want: Wanted,
        keys: list[locks.Key],
        attempt: Callable[[Connection, Facts], Awaitable[Any]],
    ) -> Any:
        """One claim from the shield to the answer. What `attempt` answers decides whether anything is committed."""
        desk = self._desk
        async with desk.shield.queued(slot) as contended:
            if viewer.is_patient and want.start and desk.shield.known_taken(slot, viewer.subject, request.key):
                outcome: Any = Taken(want.start, None, slot.provider_id)
            else:
                outcome = await self._transact(viewer, request, slot, want, keys, attempt, contended)
        return await desk.taken(viewer, slot, outcome) if isinstance(outcome, Taken) else outcome

    async def _transact(
        self,
        viewer: Viewer,
        request: Request,
        slot: SlotKey,
        want: Wanted,
        keys: list[locks.Key],
        attempt: Callable[[Connection, Facts], Awaitable[Any]],
        contended: bool,
    ) -> Any:
        desk = self._desk
        try:
            async with (
                desk.shield.locked(slot, contended=contended),
                desk.database.locked((viewer.subject, request.key), keys) as tx,
            ):
                facts = await bookings.facts(tx, want)
                if facts.remembered is not None:
                    return await replays.replay(tx, viewer, request, facts.remembered)
                outcome = await attempt(tx, facts)
        except RolledBack as rolled_back:
            return rolled_back.outcome
        if isinstance(outcome, SlotHeld | AppointmentBooked):
            resource_key = slot.opening_id or slot.provider_id
            desk.shield.used(viewer.subject, request.key)
            if slot.opening_id is None and facts.accepting_new_patients and viewer.is_patient:
                desk.shield.took(slot, viewer.subject, resource_key)
            await desk.wrote([resource_key], request)
        return outcome

    async def _take(
        self, tx: Connection, viewer: Viewer, request: Request, slot: SlotKey, facts: Facts, granted: Granted
    ) -> SlotHeld:
        expires_at = facts.now + booking.HOLD_FOR
        key = await claims.write(tx, granted, release=[], expires_at=expires_at)
        if key is None:
            raise RolledBack(Taken(granted.starts_at, None, granted.resource_key))
        version = facts.resource_version + 1
        await holds.end(tx, [one.hold_key for one in granted.expired if one.hold_key], "expired")
        await holds.take(tx, key, viewer, slot, granted.starts_at, granted.ends_at, facts.now, version)
        hold = Hold(key, viewer.subject, str(slot), expires_at.astimezone(facts.zone))
        events = told(facts, granted, expires_at)
        return SlotHeld(hold, await self._tell(tx, viewer, request, slot, facts, events, hold))

    async def _held_already(
        self, tx: Connection, viewer: Viewer, request: Request, slot: SlotKey, facts: Facts, granted: Granted
    ) -> SlotHeld:
        own, stored = granted.own, facts.own_hold
        assert own is not None
        assert own.hold_key is not None
        assert stored is not None
        expires_at = datetime.fromtimestamp(stored.expires_at, facts.now.tzinfo)
        if stored.extended or expires_at - facts.now > booking.EXTENDABLE_WITHIN:
            at = await changes.of_version(tx, granted.resource_key, stored.resource_version, slot.clinic_id)
            hold = Hold(own.hold_key, viewer.subject, str(slot), expires_at.astimezone(facts.zone))
            return SlotHeld(hold, str(at))
        expires_at = facts.now + booking.HOLD_FOR
        await allocations.occupy(tx, extend=Extension(own.key, expires_at))
        await holds.extend(tx, own.hold_key, facts.resource_version + 1)
        hold = Hold(own.hold_key, viewer.subject, str(slot), expires_at.astimezone(facts.zone))
        # The same time as before, even where the visit type has another length by now: only its end is new.
        payload = claims.payload([], [claims.until((own.starts, own.ends), expires_at)])
        events = changes.told_to(granted.resource_key, facts.told_clinics, payload)
        return SlotHeld(hold, await self._tell(tx, viewer, request, slot, facts, events, hold))

    async def _tell(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        slot: SlotKey,
        facts: Facts,
        events: list[Told],
        hold: Hold,
    ) -> str:
        change = Change(
            viewer, request, facts.now, replays.held(hold), f"hold:{hold.key}", slot.clinic_id, viewer.patient_key
        )
        change.told = events
        return str(await changes.record(tx, change))

    async def _book(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        want: Wanted,
        facts: Facts,
        granted: Granted,
        reason: str | None,
    ) -> AppointmentBooked:
        key = await claims.write(tx, granted, release=[])
        if key is None:
            raise RolledBack(Taken(granted.starts_at, None, granted.resource_key))
        assert want.patient_key is not None
        appointment = Appointment(
            key, 1, AppointmentStatus.BOOKED, want.patient_key, want.provider_key, want.clinic_key,
            want.visit_type_key, want.opening_key, granted.starts_at, granted.ends_at, reason,
        )  # fmt: skip
        await end_meeting(tx, granted)
        change = Change(
            viewer, request, facts.now, replays.changed("AppointmentBooked", appointment), f"appointment:{key}",
            want.clinic_key, want.patient_key, (key, 1), told(facts, granted), made=appointment,
        )  # fmt: skip
        return AppointmentBooked(appointment, str(await recorded(tx, change)))


async def end_holds(tx: Connection, viewer: Viewer, request: Request, ended: list[holds.StoredHold], state: str) -> str:
    """Gives the time of holds of one resource back to everybody."""
    first = ended[0]
    await allocations.occupy(tx, release=[one.allocation_key for one in ended])
    await holds.end(tx, [one.hold.key for one in ended], state)
    payload = claims.payload([claims.span(one.from_at, one.to_at) for one in ended], [])
    clinics = [first.slot.clinic_id]
    if first.slot.opening_id is None:
        clinics = (await holds.told_clinics(tx, [first.resource_key]))[first.resource_key]
    change = Change(
        viewer, request, first.now, replays.released(first), f"hold:{first.hold.key}", first.slot.clinic_id,
        viewer.patient_key, told=changes.told_to(first.resource_key, clinics, payload),
    )  # fmt: skip
    return str(await changes.record(tx, change))
