"""What became of a visit: booked some days before; then kept, missed, cancelled, or still to come."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Final

from adapters.postgres.bulk import History
from app.demo.visit_types import REASONS
from app.demo.visits import Visit, around, instant
from domain import ids
from domain.access import Role
from domain.appointments import Appointment, AppointmentChange, AppointmentEvent, AppointmentStatus
from domain.schedules import TICK_MINUTES

STAFF: Final = "demo-staff"
_AHEAD: Final = (0.05, 18)  # Days: the least, and what is spread from there. A good fifth is booked within the last.


def histories(random: Random, visits: Iterable[Visit], keys: list[int], now: datetime) -> list[History]:
    return [_history(random, visit, key, now) for visit, key in zip(visits, keys, strict=True)]


def _history(random: Random, visit: Visit, key: int, now: datetime) -> History:
    """The draws do not depend on `now`, so that only the states do."""
    fate, by_patient, ahead = random.random(), random.random() < 0.6, _AHEAD[0] + _AHEAD[1] * random.random() ** 2
    why = random.choice(REASONS[visit.kind]) if random.random() < 0.45 else None
    starts_at = instant(visit.start, visit.zone)
    ends_at = starts_at + timedelta(minutes=visit.visit_type.duration_minutes or 0)
    booked_at = min(starts_at, now) - timedelta(days=ahead)
    by, subject = (Role.PATIENT, ids.node(ids.PATIENT, visit.patient_key)) if by_patient else (Role.STAFF, STAFF)
    booked, change = AppointmentStatus.BOOKED, AppointmentChange.BOOKED
    events = [AppointmentEvent(booked_at, by, change, 1, booked, None, starts_at, None)]
    subjects = [subject]
    then = _then(fate, starts_at, ends_at, booked_at, now)
    if then is not None:
        status, at = then
        if status is AppointmentStatus.CANCELLED:
            reason = "Something came up" if fate < 0.03 else None
            events.append(AppointmentEvent(at, by, AppointmentChange.CANCELLED, 2, status, None, starts_at, reason))
            subjects.append(subject)
        else:
            marked = AppointmentChange.STATUS_SET
            events.append(AppointmentEvent(at, Role.STAFF, marked, 2, status, None, starts_at, None))
            subjects.append(STAFF)
    appointment = Appointment(
        key, len(events), events[-1].status, visit.patient_key, visit.provider_key, visit.clinic_key,
        visit.visit_type.key, None, starts_at, ends_at, why,
    )  # fmt: skip
    before, after = around(visit.visit_type)
    end = visit.start * TICK_MINUTES + after
    from_at = starts_at - timedelta(minutes=before)
    return History(appointment, events, subjects, from_at, instant(end // TICK_MINUTES, visit.zone))


def _then(
    fate: float, starts_at: datetime, ends_at: datetime, booked_at: datetime, now: datetime
) -> tuple[AppointmentStatus, datetime] | None:
    """The state after booked and since when, by a number from 0 to 1; None: still booked."""
    if fate < 0.06:
        return AppointmentStatus.CANCELLED, booked_at + (min(starts_at, now) - booked_at) * (0.4 + fate * 8)
    if now < starts_at:
        return None
    if now < ends_at:
        return AppointmentStatus.ARRIVED if fate < 0.3 else AppointmentStatus.CHECKED_IN, starts_at
    if fate < 0.13:
        return AppointmentStatus.NOSHOW, min(starts_at + timedelta(minutes=15), now)
    return AppointmentStatus.FULFILLED, ends_at
