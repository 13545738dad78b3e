"""The contract's scalars and weekdays. Instants leave as datetimes: the JSON encoder writes them once, with their offset."""

from datetime import date, datetime
from enum import Enum
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from domain.access import Role
from domain.appointments import AppointmentChange, AppointmentStatus, AppointmentTime, SlotStatus
from domain.clinics import Modality, ProviderKind
from domain.frames import SnapshotReason
from domain.messages import MessageRule, MessageStatus
from domain.outcomes import PolicyRule
from domain.recipients import Channel
from domain.schedules import ExceptionKind
from domain.search import FacetField, Sort
from domain.waitlist import AllocationOutcome, EntryStatus, OfferStatus


class Weekday(Enum):
    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


LocalTime = NewType("LocalTime", int)
StreamCursor = NewType("StreamCursor", str)
YEARS = range(1900, 2201)


def _date(value: Any) -> date:
    # Python would also read "2026-W05-6".
    if not isinstance(value, str) or len(value) != len("2026-01-31") or value[4] != "-" or value[7] != "-":
        raise GraphQLError("A date is written 2026-01-31.")
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise GraphQLError("A date is written 2026-01-31.") from None
    if found.year not in YEARS:
        raise GraphQLError("Years from 1900 to 2200 are taken.")
    return found


def _instant(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else None
    if found is None or found.tzinfo is None:
        raise GraphQLError("An instant is written with its offset: 2026-01-31T09:30:00+01:00.")
    return found


def _minutes(value: Any) -> int:
    """Minutes of the wall clock of "09:30"."""
    if isinstance(value, str) and len(value) == len("09:30") and value[2] == ":":
        hours, minutes = value[:2], value[3:]
        if hours.isascii() and minutes.isascii() and hours.isdigit() and minutes.isdigit():
            total = int(hours) * 60 + int(minutes)
            if int(minutes) < 60 and total <= 1440 and total % 5 == 0:
                return total
    raise GraphQLError('A wall-clock time is written "09:30", in steps of five minutes; "24:00" ends a day.')


def _wall(value: int) -> str:
    return f"{value // 60:02d}:{value % 60:02d}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError("A cursor is a string.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant, RFC 3339 with an offset; never naive.",
        serialize=lambda value: value,
        parse_value=_instant,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A calendar date in the clinic's own zone, 2026-01-31.",
        serialize=date.isoformat,
        parse_value=_date,
    ),
    LocalTime: strawberry.scalar(
        name="LocalTime",
        description='The clinic\'s wall clock, "09:30", multiples of 5 minutes; "24:00" ends a day.',
        serialize=_wall,
        parse_value=_minutes,
    ),
    StreamCursor: strawberry.scalar(
        name="StreamCursor",
        description="Opaque position in one clinic's availability stream; keep it and test equality, nothing else.",
        serialize=str,
        parse_value=_text,
    ),
}


for _enum, _name, _about in (
    (
        ProviderKind,
        "ProviderKind",
        "A pool is a place's shared line of published openings, as in a feed that names no person.",
    ),
    (Modality, "Modality", None),
    (SlotStatus, "SlotStatus", "FHIR slotstatus. Patients see FREE and BUSY; staff of the clinic the finer ones too."),
    (AppointmentStatus, "AppointmentStatus", "FHIR R5 appointmentstatus. PROPOSED and PENDING are not used yet."),
    (AppointmentChange, "AppointmentChange", None),
    (AppointmentTime, "AppointmentTime", "Upcoming: soonest first; past and all: latest first."),
    (
        ExceptionKind,
        "ScheduleExceptionKind",
        "Closed: these hours go; open: these hours come; replaced: the day has these hours only.",
    ),
    (PolicyRule, "PolicyRule", "Where several are broken, the first of this list is told."),
    (
        SnapshotReason,
        "SnapshotReason",
        "Why a whole view is sent. INVALIDATED: a change too big for a delta, or a new day.",
    ),
    (
        EntryStatus,
        "WaitlistStatus",
        "Suspended: three offers in a row were declined or ran out; a change takes it up again.",
    ),
    (OfferStatus, "OfferStatus", None),
    (
        Sort,
        "SearchSort",
        "BEST: text match, then distance, then soonest by the index. SOONEST: by the calendar. Those without a distance or a "
        "time come last.",
    ),
    (FacetField, "SearchFacetField", None),
    (AllocationOutcome, "AllocationOutcome", None),
    (Role, "Role", None),
    (Channel, "Channel", None),
    (
        MessageRule,
        "ReminderRule",
        "DAY_BEFORE: the same wall time in the clinic's zone; TWO_HOURS_BEFORE: elapsed time.",
    ),
    (MessageStatus, "ReminderStatus", "A failure that is reported after SENT shows as FAILED."),
    (Weekday, "Weekday", None),
):
    strawberry.enum(_enum, name=_name, description=_about)
