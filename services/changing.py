"""Moving, cancelling and marking an appointment. It keeps its id; its version rises by one with every change."""

from datetime import timedelta
from typing import Any, Final

from adapters.postgres import allocations, appointments, bookings, changes, locks
from adapters.postgres.appointments import Locked
from adapters.postgres.changes import By, Change, Request, Told
from adapters.postgres.database import Connection, answering
from domain import access, ids
from domain.access import Viewer
from domain.appointments import (
    CANCELLABLE_BY_PATIENT,
    CANCELLABLE_BY_STAFF,
    Appointment,
    AppointmentChange,
    AppointmentStatus,
    may_set,
)
from domain.faults import Unavailable
from domain.ids import SlotKey
from domain.outcomes import (
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    IdempotencyMismatch,
    InvalidTransition,
    NotFound,
    PatientConflict,
    PolicyRule,
    PolicyViolation,
    SlotTaken,
    VersionConflict,
)
from services import claims, offering, replays, requests
from services.claims import Granted, Purpose, Taken
from services.desk import Desk, LockMissing, RolledBack, conflict, end_meeting, wanted

TRIES: Final = 3
Refused = VersionConflict | InvalidTransition | IdempotencyMismatch | NotFound
RescheduleOutcome = AppointmentRescheduled | SlotTaken | PolicyViolation | PatientConflict | Refused
CancelOutcome = AppointmentCancelled | PolicyViolation | Refused
StatusOutcome = AppointmentStatusSet | PolicyViolation | Refused


class Changing:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def reschedule(
        self, viewer: Viewer, appointment_id: str, slot_id: str, version: int, idempotency_key: str
    ) -> RescheduleOutcome:
        """Gives up the old time and takes the new one in one transaction; a refusal leaves everything as it was."""
        access.require_signed_in(viewer)
        fields = {"appointmentId": appointment_id, "slotId": slot_id, "version": version}
        request = requests.request("rescheduleAppointment", idempotency_key, fields)
        slot = ids.slot(slot_id)
        for _ in range(TRIES):
            seen = await self._seen(viewer, appointment_id)
            if seen is None or slot is None:
                gone: RescheduleOutcome = await replays.replay_or_not_found(
                    self._desk.database.primary, viewer, request
                )
                return gone
            try:
                outcome: Taken | RescheduleOutcome = await self._move(viewer, request, seen, slot, version)
            except LockMissing:
                continue
            return await self._desk.taken(viewer, slot, outcome) if isinstance(outcome, Taken) else outcome
        raise Unavailable("the appointment keeps moving")

    async def cancel(
        self, viewer: Viewer, appointment_id: str, version: int, reason: str | None, idempotency_key: str
    ) -> CancelOutcome:
        """Frees the time. Patients until the deadline and from BOOKED only; staff also from arrived and checked in."""
        access.require_signed_in(viewer)
        fields = {"appointmentId": appointment_id, "version": version, "reason": reason}
        request = requests.request("cancelAppointment", idempotency_key, fields)
        outcome: CancelOutcome = await self._change(
            viewer, request, appointment_id, version, AppointmentStatus.CANCELLED, requests.reason(reason)
        )
        return outcome

    async def set_status(
        self,
        viewer: Viewer,
        appointment_id: str,
        version: int,
        status: AppointmentStatus,
        reason: str | None,
        idempotency_key: str,
    ) -> StatusOutcome:
        """Arrived, checked in, fulfilled, no-show, entered in error, and undo within 24 hours (rule 16)."""
        access.require_staff(viewer)
        fields = {"appointmentId": appointment_id, "version": version, "status": status.value, "reason": reason}
        request = requests.request("setAppointmentStatus", idempotency_key, fields)
        if status is AppointmentStatus.CANCELLED:  # Only cancelAppointment cancels.
            return await self._refused_cancellation(viewer, request, appointment_id, version)
        outcome: StatusOutcome = await self._change(
            viewer, request, appointment_id, version, status, requests.reason(reason)
        )
        return outcome

    async def _refused_cancellation(
        self, viewer: Viewer, request: Request, appointment_id: str, version: int
    ) -> StatusOutcome:
        seen = await self._seen(viewer, appointment_id)
        async with answering():
            used = await changes.remembered(self._desk.database.primary, viewer.subject, request.key)
        if used is not None:
            return IdempotencyMismatch()
        if seen is None:
            return NotFound()
        if seen.version != version:
            return VersionConflict(seen)
        return InvalidTransition(seen.status, AppointmentStatus.CANCELLED)

    async def _seen(self, viewer: Viewer, appointment_id: str) -> Appointment | None:
        """The appointment as it stands without locks, if the viewer may touch it."""
        key = ids.key(appointment_id, ids.APPOINTMENT)
        if key is None:
            return None
        async with answering():
            found = (await appointments.appointments(self._desk.database.primary, [key])).get(key)
        if found is None or not viewer.sees_appointment(found.patient_key, found.clinic_key):
            return None
        return found

    async def _change(
        self,
        viewer: Viewer,
        request: Request,
        appointment_id: str,
        version: int,
        status: AppointmentStatus,
        reason: str | None,
    ) -> Any:
        for _ in range(TRIES):
            seen = await self._seen(viewer, appointment_id)
            if seen is None:
                return await replays.replay_or_not_found(self._desk.database.primary, viewer, request)
            keys = [locks.patient(seen.patient_key), locks.resource(seen.resource_key)]
            if not status.live:
                keys.append(locks.waitlist(seen.clinic_key))
            try:
                async with self._desk.database.locked((viewer.subject, request.key), keys) as tx:
                    outcome = await self._set(tx, viewer, request, seen, version, status, reason)
            except LockMissing:
                continue
            if not status.live and not isinstance(outcome, Refused | PolicyViolation):
                self._desk.shield.released(seen.resource_key)
                await self._desk.wrote([seen.resource_key], request)
            return outcome
        raise Unavailable("the appointment keeps moving")

    async def _set(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        seen: Appointment,
        version: int,
        status: AppointmentStatus,
        reason: str | None,
    ) -> Any:
        locked = await self._locked(tx, viewer, request, seen, version)
        if not isinstance(locked, Locked):
            return locked
        refusal = _status_refusal(viewer, locked, status)
        if refusal is not None:
            return refusal
        before, cancelled = locked.appointment, status is AppointmentStatus.CANCELLED
        changed_as = AppointmentChange.CANCELLED if cancelled else AppointmentChange.STATUS_SET
        await appointments.set_status(tx, before, status, changed_as, reason, viewer, locked.now)
        told: list[Told] = []
        if not status.live and locked.allocation is not None:
            key, resource_key, starts, ends = locked.allocation
            await allocations.occupy(tx, release=[key])
            closed = await offering.offer_given_up(tx, self._desk, locked, By(viewer, request.operation))
            payload = claims.payload([(starts, ends)], closed)
            told = changes.told_to(resource_key, locked.told_clinics, payload)
        outcome = "AppointmentCancelled" if cancelled else "AppointmentStatusSet"
        change = Change(
            viewer, request, locked.now, replays.changed(outcome, before), f"appointment:{before.key}",
            before.clinic_key, before.patient_key, (before.key, before.version + 1), told,
        )  # fmt: skip
        position = await changes.record(tx, change)
        after = (await appointments.appointments(tx, [before.key]))[before.key]
        return AppointmentCancelled(after, str(position)) if cancelled else AppointmentStatusSet(after)

    async def _locked(
        self, tx: Connection, viewer: Viewer, request: Request, seen: Appointment, version: int
    ) -> Locked | Any:
        """The appointment under its locks, or what is answered before anything is decided on it."""
        remembered = await changes.remembered(tx, viewer.subject, request.key)
        if remembered is not None:
            return await replays.replay(tx, viewer, request, remembered)
        locked = await appointments.under_lock(tx, seen.key)
        if locked is None:
            return NotFound()
        now = locked.appointment
        if not viewer.sees_appointment(now.patient_key, now.clinic_key):
            return NotFound()
        if now.version != version:
            return VersionConflict(now)  # Wherever it was moved to: nothing is written, so no lock is lacking.
        if now.resource_key != seen.resource_key or now.clinic_key != seen.clinic_key:
            raise LockMissing
        return locked

    async def _move(self, viewer: Viewer, request: Request, seen: Appointment, slot: SlotKey, version: int) -> Any:
        desk = self._desk
        target = slot.opening_id or slot.provider_id
        keys = [locks.patient(seen.patient_key), locks.resource(seen.resource_key), locks.resource(target)]
        keys.append(locks.waitlist(seen.clinic_key))
        async with desk.shield.queued(slot) as contended:
            try:
                async with (
                    desk.shield.locked(slot, contended=contended),
                    desk.database.locked((viewer.subject, request.key), keys) as tx,
                ):
                    outcome = await self._moved(tx, viewer, request, seen, slot, version)
            except RolledBack as rolled_back:
                outcome = rolled_back.outcome
        if isinstance(outcome, AppointmentRescheduled):
            desk.shield.used(viewer.subject, request.key)
            desk.shield.released(seen.resource_key)
            await desk.wrote([seen.resource_key, target], request)
        return outcome

    async def _moved(
        self, tx: Connection, viewer: Viewer, request: Request, seen: Appointment, slot: SlotKey, version: int
    ) -> Any:
        locked = await self._locked(tx, viewer, request, seen, version)
        if viewer.is_staff and not viewer.works_at(slot.clinic_id):
            # Told before what the appointment's version and state say; a used key comes before even this.
            return locked if isinstance(locked, IdempotencyMismatch | AppointmentRescheduled) else NotFound()
        want = wanted(viewer, request, slot, seen.patient_key, seen.key)
        facts = await bookings.facts(tx, want)
        if not facts.known and not isinstance(locked, IdempotencyMismatch | AppointmentRescheduled):
            return NotFound()
        if not isinstance(locked, Locked):
            return locked
        before = locked.appointment
        if before.status is not AppointmentStatus.BOOKED:
            return InvalidTransition(before.status, AppointmentStatus.BOOKED)
        own = locked.allocation[0] if locked.allocation else None
        offered = slot.visit_type_id == before.visit_type_key
        purpose = Purpose(own_allocation=own, past_deadline=_past_deadline(viewer, locked), offered=offered)
        found = await claims.decide(tx, self._desk.known, viewer, want, facts, purpose)
        if isinstance(found, int):
            return await conflict(tx, viewer, found)
        if not isinstance(found, Granted):
            return found
        return await self._write_move(tx, viewer, request, locked, slot, facts, found)

    async def _write_move(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        locked: Locked,
        slot: SlotKey,
        facts: bookings.Facts,
        granted: Granted,
    ) -> AppointmentRescheduled:
        before = locked.appointment
        assert locked.allocation is not None
        old_key, old_resource, starts, ends = locked.allocation
        owner = await claims.write(tx, granted, release=[old_key], appointment_key=before.key)
        if owner is None:
            raise RolledBack(Taken(granted.starts_at, None, granted.resource_key))
        after = Appointment(
            before.key, before.version + 1, before.status, before.patient_key, slot.provider_id, slot.clinic_id,
            before.visit_type_key, slot.opening_id, granted.starts_at, granted.ends_at, before.reason,
        )  # fmt: skip
        if not await appointments.move(tx, before, after, viewer, locked.now):
            raise RolledBack(PatientConflict(None))
        await end_meeting(tx, granted)
        opened = granted.opened
        closed = [claims.until(claims.span(granted.from_at, granted.to_at))]
        offered = await offering.offer_given_up(tx, self._desk, locked, By(viewer, request.operation))
        if old_resource == granted.resource_key:
            opened.append((starts, ends))
            closed += offered
            old: list[Told] = []
        else:
            old_payload = claims.payload([(starts, ends)], offered)
            old = changes.told_to(old_resource, locked.told_clinics, old_payload)
        payload = claims.payload(opened, closed)
        told = old + changes.told_to(granted.resource_key, facts.told_clinics, payload)
        change = Change(
            viewer, request, locked.now, replays.changed("AppointmentRescheduled", after), f"appointment:{after.key}",
            after.clinic_key, after.patient_key, (after.key, after.version), told,
            {"fromClinic": ids.node(ids.CLINIC, before.clinic_key)} if before.clinic_key != after.clinic_key else {},
        )  # fmt: skip
        return AppointmentRescheduled(after, str(await changes.record(tx, change)))


def _past_deadline(viewer: Viewer, locked: Locked) -> bool:
    until = locked.appointment.starts_at - timedelta(minutes=locked.cancel_until_minutes)
    return viewer.is_patient and locked.now > until


def _status_refusal(
    viewer: Viewer, locked: Locked, status: AppointmentStatus
) -> InvalidTransition | PolicyViolation | None:
    before = locked.appointment
    if status is AppointmentStatus.CANCELLED:
        allowed = CANCELLABLE_BY_PATIENT if viewer.is_patient else CANCELLABLE_BY_STAFF
        if before.status not in allowed:
            return InvalidTransition(before.status, status)
        return PolicyViolation(PolicyRule.CANCEL_DEADLINE) if _past_deadline(viewer, locked) else None
    if not may_set(before.status, status, locked.status_at, locked.now):
        return InvalidTransition(before.status, status)
    if status is AppointmentStatus.NOSHOW and locked.now < before.starts_at:
        return PolicyViolation(PolicyRule.TOO_EARLY)
    return None
