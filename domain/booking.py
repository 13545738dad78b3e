"""Whether a time may be taken: the policies in the order in which they are told (rules 6, 10, 11)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from domain import availability, zones
from domain.clinics import VisitType
from domain.outcomes import PolicyRule
from domain.schedules import TICK_MINUTES, Schedule

HOLD_FOR: Final = timedelta(minutes=5)
EXTENDABLE_WITHIN: Final = timedelta(minutes=1)
HOLDS_OF_PATIENT_MAX: Final = 5
HOLDS_OF_STAFF_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What the policies are asked about. `judged_at` is now, or when the caller's own hold of this time was taken.

    `binding`: minimum notice, window and deadlines count, as they do for patients.
    """

    starts_at: datetime
    judged_at: datetime
    zone: ZoneInfo
    visit_type: VisitType | None
    offered: bool
    binding: bool
    past_deadline: bool = False
    at_hold_limit: bool = False
    refuses_newcomer: bool = False


def policies(asked: Asked) -> Iterator[PolicyRule]:
    """The rules that are broken, the one to be told first."""
    if asked.starts_at <= asked.judged_at:
        yield PolicyRule.PAST
    if not asked.offered or asked.visit_type is None:
        yield PolicyRule.NOT_OFFERED
    else:
        bound = availability.limits(asked.visit_type, asked.zone, asked.judged_at, binding=asked.binding)
        if zones.minutes(asked.starts_at) < bound.earliest:
            yield PolicyRule.MINIMUM_NOTICE
        if asked.starts_at.astimezone(asked.zone).date() > bound.last_date:
            yield PolicyRule.BOOKING_WINDOW
    if asked.past_deadline:
        yield PolicyRule.CANCEL_DEADLINE
    if asked.at_hold_limit:
        yield PolicyRule.HOLD_LIMIT
    if asked.refuses_newcomer:
        yield PolicyRule.NOT_ACCEPTING_NEW_PATIENTS


def offered_start(schedule: Schedule, zone: ZoneInfo, visit_type: VisitType, start: int) -> bool:
    """Whether hours and grid offer this start (UTC minute), whatever is booked: the same plane that `find` lists."""
    if visit_type.duration_minutes is None or start % TICK_MINUTES:
        return False
    day = zones.at(start, zone).date()
    base, _ = availability.window(zone, day, day)
    plane = availability.offers(schedule, zone, visit_type, day, day)
    return bool(plane >> (start // TICK_MINUTES - base) & 1)


def instant(minute: int) -> datetime:
    """The instant of a UTC minute, as slot ids carry it."""
    return datetime.fromtimestamp(minute * 60, UTC)
