"""The earliest times a patient can book of a provider at a clinic, over several kinds of visit, and how long that holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from domain import availability, slots, zones
from domain.appointments import Slot
from domain.availability import Offers
from domain.calendars import Calendar
from domain.clinics import Modality, VisitType
from domain.openings import Opening
from domain.schedules import ExceptionKind, Schedule

MOST: Final = 8  # Times kept of each pair: as the first ones pass, the next are there.
NEAR_DAYS: Final = (7, 28)  # Most have a time within the first, so more need not be worked out.
FOREVER: Final = 1 << 60
_HALF_MICROSECOND: Final = 5e-7  # Clocks tell whole ones.

Opens = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which times count: between two clinic dates, both included, and of one modality; without either all."""

    opens: Opens | None = None
    modality: Modality | None = None

    def within(self, first: date, last: date) -> Opens:
        """What both allow; nothing where the first date is after the last."""
        return (first, last) if self.opens is None else (max(first, self.opens[0]), min(last, self.opens[1]))


class AlikeHours:
    """`availability.offers`, remembered by what decides it: many work the same hours in the same zone."""

    LIMIT: Final = 5_000

    def __init__(self) -> None:
        self._planes: dict[tuple[Any, ...], int] = {}

    def __call__(self, schedule: Schedule, zone: ZoneInfo, kind: VisitType, first: date, last: date) -> int:
        if schedule.exceptions:
            return availability.offers(schedule, zone, kind, first, last)
        named = kind.key if any(row.visit_type_keys for row in schedule.hours) else 0
        key = (schedule.hours, zone, kind.duration_minutes, kind.start_every_minutes, named, first, last)
        plane = self._planes.get(key)
        if plane is None:
            if len(self._planes) >= self.LIMIT:
                self._planes.clear()
            plane = self._planes[key] = availability.offers(schedule, zone, kind, first, last)
        return plane


@dataclass(frozen=True, slots=True)
class Start:
    """A time that can be booked: `at` in UTC minutes. Patients can take it before `until`, UTC seconds."""

    at: int
    visit_type: VisitType
    zone: ZoneInfo
    until: float = 0.0
    opening: Opening | None = None

    @property
    def visit_type_key(self) -> int:
        return self.visit_type.key

    @property
    def order(self) -> tuple[int, str, int]:
        """The earlier first; of those that start together the kind of visit first by name (rule 53)."""
        return self.at, self.visit_type.name.lower(), self.visit_type.key

    def slot(self, provider_key: int, clinic_key: int) -> Slot:
        if self.opening is not None:
            return slots.of_opening(self.opening, self.visit_type.key, self.zone)
        return slots.of_starts(provider_key, clinic_key, self.visit_type, self.zone, [self.at])[0]


@dataclass(slots=True)
class Earliest:
    """The earliest starts, the very first at the end of the list: as good as a look into the calendar while the clock shows `since`
    to `until` (UTC seconds, the end excluded) and nothing was written. `none`: there is no time at all, rather than no more here.
    """

    since: float
    until: float
    starts: list[Start]
    none: bool

    def holds(self, seconds: float) -> bool:
        return self.since <= seconds < self.until

    def now(self, seconds: float) -> Start | None:
        """The first as it was remembered, where it holds: the quick way. None tells nothing."""
        if self.since <= seconds < self.until and self.starts:
            start = self.starts[-1]
            if seconds < start.until:
                return start
        return None

    def first(self, seconds: float) -> Start | None:
        """The first that can still be booked then. None: none at all, or those kept have passed."""
        starts = self.starts
        while starts and starts[-1].until <= seconds:
            starts.pop()
            self.since = seconds  # Should the clock be set back, what has been left out would count again.
        return starts[-1] if starts else None


@dataclass(frozen=True, slots=True)
class _Part:
    """The first starts of one kind of visit. All up to the UTC minute `complete` are there; from `grows` on more may come by
    themselves, as each new day lets one more into the booking window."""

    visit_type: VisitType
    starts: Sequence[int]
    complete: int = FOREVER
    grows: int = FOREVER


def earliest(
    kinds: Iterable[VisitType],
    zone: ZoneInfo,
    schedule: Schedule,
    calendar: Calendar,
    known: tuple[date, date],
    asked: Asked,
    now: datetime,
    offers_of: Offers = availability.offers,
) -> Earliest | None:
    """None where the times of all these kinds of visit, if any, begin after the last of the clinic dates that are `known`.

    `known`: the dates, both included, that the calendar tells of; the first is today or before.
    """
    parts = [_part(kind, zone, schedule, calendar, known, asked, now, offers_of) for kind in kinds]
    complete = min((part.complete for part in parts), default=FOREVER)
    starts = sorted(
        (
            Start(at, part.visit_type, zone, _until(at, part.visit_type))
            for part in parts
            for at in part.starts
            if at <= complete
        ),
        key=lambda start: start.order,
    )
    if not starts and complete < FOREVER:
        return None
    starts = _lasting(starts)[:MOST]
    seconds = now.timestamp()
    until = float(min((hold.expires_at for hold in calendar.holds if hold.expires_at > seconds), default=FOREVER))
    if any(not starts or starts[-1].at >= part.grows for part in parts if part.grows < FOREVER):
        until = min(until, zones.instant(zone, zones.today(now, zone), zones.MINUTES_A_DAY) * 60.0)
    starts.reverse()
    return Earliest(seconds, until, starts, none=not starts)


def _part(
    kind: VisitType,
    zone: ZoneInfo,
    schedule: Schedule,
    calendar: Calendar,
    known: tuple[date, date],
    asked: Asked,
    now: datetime,
    offers_of: Offers,
) -> _Part:
    bound = availability.limits(kind, zone, now, binding=True)
    first, last = asked.within(zones.today(now, zone), bound.last_date)
    if not works(schedule, kind, first):
        return _Part(kind, ())
    grows = FOREVER
    if asked.opens is None or bound.last_date < asked.opens[1]:
        grows = zones.instant(zone, bound.last_date, zones.MINUTES_A_DAY)
    begin = first
    for days in (*NEAR_DAYS, availability.DAYS_AHEAD_MAX + 2):
        end = min(first + timedelta(days=days - 1), last, known[1])
        if end < begin:
            continue
        starts = availability.open_starts(
            schedule, zone, kind, calendar, begin, end, bound, now, most=MOST, offers_of=offers_of
        )
        if len(starts) == MOST:
            return _Part(kind, starts, starts[-1], grows)
        if starts and end < last:
            return _Part(kind, starts, _end(zone, end), grows)
        if starts:
            return _Part(kind, starts, grows=grows)
        begin = end + timedelta(days=1)
    return _Part(kind, (), FOREVER if last <= known[1] else _end(zone, known[1]), grows)


def works(schedule: Schedule, kind: VisitType, first: date) -> bool:
    """Whether there are hours for that kind of visit on any date from `first` on."""
    return any(
        (not row.visit_type_keys or kind.key in row.visit_type_keys) and (row.valid_to is None or first <= row.valid_to)
        for row in schedule.hours
    ) or any(one.kind is not ExceptionKind.CLOSED and first <= one.date for one in schedule.exceptions)


def _end(zone: ZoneInfo, day: date) -> int:
    """The day's last minute."""
    return zones.instant(zone, day, zones.MINUTES_A_DAY) - 1


def _until(at: int, kind: VisitType) -> float:
    """With notice the last moment counts still; without it the start is past as it comes."""
    return (at - kind.minimum_notice_minutes) * 60 + (_HALF_MICROSECOND if kind.minimum_notice_minutes else 0.0)


def _lasting(starts: list[Start]) -> list[Start]:
    """Without those that never come first: another kind of visit, before them by name, starts together and as long."""
    kept: list[Start] = []
    for start in starts:
        if not kept or kept[-1].at != start.at or kept[-1].until < start.until:
            kept.append(start)
    return kept


def span(kind: VisitType, zone: ZoneInfo, asked: Asked, now: datetime) -> tuple[datetime, datetime]:
    """First instant and end of what patients may book of published openings."""
    bound = availability.limits(kind, zone, now, binding=True)
    first, last = asked.within(zones.today(now, zone), bound.last_date)
    begin = max(zones.instant(zone, first, 0), bound.earliest)
    return zones.at(begin, zone), zones.at(zones.instant(zone, last, zones.MINUTES_A_DAY), zone)
