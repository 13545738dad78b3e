"""Deciding on a claim, under its locks: may this caller have this time, and what has to be written for it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from adapters.postgres import allocations
from adapters.postgres.allocations import Claim, Confirmation
from adapters.postgres.bookings import Facts, Meeting, Wanted
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Connection
from domain import booking, zones
from domain.access import Viewer
from domain.outcomes import NotFound, PolicyViolation
from domain.streams import Closed, Span


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the time is wanted for. `own_allocation`: the one that a move gives up; `past_deadline`: it is too late to move;
    `offered` False: the slot is of another visit type than the appointment that is to be moved; `taking_up`: an offer of this
    time to the patient is as good as a free time."""

    hold: bool = False
    taking_up: bool = False
    offered: bool = True
    own_allocation: int | None = None
    past_deadline: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The visit (clinic's zone) and what to write: confirm the caller's own hold, or claim; `expired` holds are taken over."""

    starts_at: datetime
    ends_at: datetime
    from_at: datetime
    to_at: datetime
    resource_key: int
    lane: int
    own: Meeting | None
    expired: list[Meeting] = field(default_factory=list)

    @property
    def keeps_own(self) -> bool:
        """Whether the own hold's time is what is wanted now: the visit type may have been changed since it was taken."""
        return self.own is not None and (self.own.starts, self.own.ends) == span(self.from_at, self.to_at)

    @property
    def opened(self) -> list[Span]:
        """What this claim gives up: expired holds that it takes over, and an own hold of another length."""
        given_up = [(one.starts, one.ends) for one in self.expired]
        if self.own is not None and not self.keeps_own:
            given_up.append((self.own.starts, self.own.ends))
        return given_up

    def claim(self, *, expires_at: datetime | None = None, appointment_key: int | None = None) -> Claim:
        return Claim(self.resource_key, self.from_at, self.to_at, self.lane, expires_at, appointment_key)


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody has the time. `holder` is who, where it is one caller and every patient would be told the same;
    `starts_at` is what was wanted."""

    starts_at: datetime
    holder: str | None
    resource_key: int


@dataclass(frozen=True, slots=True)
class Offered:
    """The waitlist has offered this very time to the patient: booking it accepts the offer."""

    offer_key: int
    starts_at: datetime


async def decide(
    tx: Connection, known: KnownSchedules, viewer: Viewer, wanted: Wanted, facts: Facts, purpose: Purpose
) -> Granted | NotFound | PolicyViolation | Taken | Offered | int:
    """Granted, or the first refusal in the order of rule 10; an int is the appointment that the patient has at that time.

    Offered: the time is the patient's already, by an offer that was judged when it was made (rule 47).
    """
    if not facts.known or (viewer.is_staff and not viewer.works_at(wanted.clinic_key)):
        return NotFound()
    if wanted.patient_key is not None and not facts.patient_known:
        return NotFound()
    offer_key = next((one.offer_key for one in facts.meeting if one.offer_key is not None), None)
    if offer_key is not None and purpose.taking_up:
        return Offered(offer_key, _start(wanted, facts))
    own = next((one for one in facts.meeting if one.own and not one.expired), None)
    asked = await _asked(tx, known, viewer, wanted, facts, purpose, own)
    rule = next(booking.policies(asked), None)
    if rule is not None:
        return PolicyViolation(rule)
    granted = _room(wanted, facts, purpose, own)
    if isinstance(granted, Granted) and facts.patient_meets is not None and not purpose.hold:
        return facts.patient_meets
    return granted


async def _asked(
    tx: Connection,
    known: KnownSchedules,
    viewer: Viewer,
    wanted: Wanted,
    facts: Facts,
    purpose: Purpose,
    own: Meeting | None,
) -> booking.Asked:
    starts_at = _start(wanted, facts)
    judged_at = facts.now
    if own is not None and facts.own_hold is not None:
        judged_at = datetime.fromtimestamp(facts.own_hold.taken_at, facts.now.tzinfo)
    offered = purpose.offered and await is_offered(tx, known, wanted, facts)
    holds_max = booking.HOLDS_OF_PATIENT_MAX if viewer.is_patient else booking.HOLDS_OF_STAFF_MAX
    return booking.Asked(
        starts_at=starts_at,
        judged_at=judged_at,
        zone=facts.zone,
        visit_type=facts.visit_type,
        offered=offered,
        binding=viewer.is_patient,
        past_deadline=purpose.past_deadline,
        at_hold_limit=purpose.hold and own is None and facts.live_holds >= holds_max,
        refuses_newcomer=viewer.is_patient and not facts.accepting_new_patients and not facts.established,
    )


def _start(wanted: Wanted, facts: Facts) -> datetime:
    return wanted.start or (facts.opening[0] if facts.opening else facts.now + timedelta(minutes=1))


async def is_offered(tx: Connection, known: KnownSchedules, wanted: Wanted, facts: Facts) -> bool:
    """Whether provider, clinic and hours offer that time to anybody, taken or not."""
    if not facts.offered:
        return False
    if wanted.opening_key is not None:
        return facts.opening is not None and facts.opening[3]
    if facts.visit_type is None or wanted.start is None:
        return False
    pair = (wanted.provider_key, wanted.clinic_key)
    schedule = (await known.at(tx, {pair: facts.schedule_version}))[pair]
    return booking.offered_start(schedule, facts.zone, facts.visit_type, zones.minutes(wanted.start))


def _room(wanted: Wanted, facts: Facts, purpose: Purpose, own: Meeting | None) -> Granted | Taken:
    """Whether the time is free but for what is expired, the caller's own, or given up by the move itself."""
    assert facts.visit_type is not None
    expired = [one for one in facts.meeting if one.expired]
    others = [one for one in facts.meeting if not one.expired and one is not own and one.key != purpose.own_allocation]
    if facts.opening is not None:
        starts_at, ends_at, capacity, _ = facts.opening
        from_at, to_at, resource_key = starts_at, ends_at, wanted.opening_key or 0
        used = {one.lane for one in others} | {one.lane for one in ([own] if own else [])}
        lane = next(number for number in range(len(used) + 1) if number not in used)
        full = len(others) >= capacity
    else:
        assert wanted.start is not None
        kind = facts.visit_type
        starts_at, ends_at = wanted.start, wanted.start + timedelta(minutes=kind.duration_minutes or 0)
        from_at = starts_at - timedelta(minutes=kind.buffer_before_minutes)
        to_at = ends_at + timedelta(minutes=kind.buffer_after_minutes)
        resource_key, lane, full = wanted.provider_key, 0, bool(others)
    if full:
        holders = {one.holder for one in others} if facts.accepting_new_patients else set()
        return Taken(starts_at, holders.pop() if len(holders) == 1 else None, resource_key)
    zone = facts.zone
    return Granted(
        starts_at.astimezone(zone), ends_at.astimezone(zone), from_at, to_at, resource_key, lane, own, expired
    )


async def write(
    tx: Connection,
    granted: Granted,
    *,
    release: list[int],
    expires_at: datetime | None = None,
    appointment_key: int | None = None,
) -> int | None:
    """Takes the time: the own hold changes owner, or a new claim is made. The owner's key, or None where the guard refused."""
    gone = [one.key for one in granted.expired] + release
    if granted.own is not None and not granted.keeps_own:
        gone.append(granted.own.key)
    elif granted.own is not None and expires_at is None:
        confirm = Confirmation(granted.own.key, appointment_key)
        return (await allocations.occupy(tx, release=gone, confirm=confirm))[0]
    claim = granted.claim(expires_at=expires_at, appointment_key=appointment_key)
    return (await allocations.occupy(tx, release=gone, claim=[claim]))[0]


def payload(opened: list[Span], closed: list[Closed]) -> dict[str, Any]:
    """What a stream event tells of a resource: spans in UTC seconds, buffers included. It opens first, then closes."""
    return {"opened": [list(span) for span in opened], "closed": [list(span) for span in closed]}


def span(from_at: datetime, to_at: datetime) -> Span:
    return int(from_at.timestamp()), int(to_at.timestamp())


def until(taken: Span, expires_at: datetime | None = None) -> Closed:
    """The span with when its hold runs out, rounded up as it is where calendars are read; 0 for what stays."""
    return *taken, 0 if expires_at is None else ceil(expires_at.timestamp())
