"""Open times the slow way: minute by minute over readings of the wall clock. Shares nothing with the code it judges."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from domain import zones
from domain.clinics import Modality, VisitType
from domain.schedules import ExceptionKind, Schedule

FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL_ZONES = sorted(zones.NAMES)
# Half and quarter hours, changes at midnight and by half an hour, Ramadan, both hemispheres, none at all.
SPREAD = [
    "Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/New_York", "America/Nuuk", "America/Phoenix",
    "America/Santiago", "America/Scoresbysund", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Gaza",
    "Asia/Jerusalem", "Asia/Kathmandu", "Asia/Kolkata", "Atlantic/Azores", "Australia/Lord_Howe", "Europe/Dublin",
    "Europe/London", "Pacific/Apia", "Pacific/Chatham", "Pacific/Easter", "Pacific/Kiritimati", "UTC",
]  # fmt: skip


@lru_cache(maxsize=1000)
def transitions(name: str, first: datetime = FIRST, last: datetime = LAST) -> tuple[datetime, ...]:
    """Every instant (to the minute, UTC) at which the zone's offset changes."""
    zone, found, at = ZoneInfo(name), [], first
    while at < last:
        later = at + timedelta(days=1)
        if at.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            low, high = at, later
            while high - low > MINUTE:
                middle = low + (high - low) // 2
                middle -= timedelta(seconds=middle.second, microseconds=middle.microsecond)
                if middle.astimezone(zone).utcoffset() == at.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append(high)
        at = later
    return tuple(found)


@lru_cache(maxsize=256)
def readings(name: str, first: date, days: int, step: int) -> tuple[datetime, list[datetime]]:
    """The clock on the wall (naive) every `step` minutes from UTC `first`; each the highest that was read so far."""
    zone, start = ZoneInfo(name), datetime(first.year, first.month, first.day, tzinfo=UTC)
    read = (
        (start + timedelta(minutes=m)).astimezone(zone).replace(tzinfo=None, fold=0)
        for m in range(0, days * 1440, step)
    )
    return start, list(accumulate(read, max))


def instant(name: str, day: date, minute: int, step: int = 5, first: date | None = None) -> datetime:
    """Rule 4: the first instant at which the wall clock reads that time or a later one."""
    start, read = readings(name, first or day - timedelta(days=1), 6 if first else 4, step)
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 (a reading)
    return start + timedelta(minutes=step * bisect_left(read, wall))


@dataclass(frozen=True)
class Busy:
    starts: datetime
    ends: datetime
    expires: datetime | None = None


def minutes_of(starts: datetime, ends: datetime) -> Iterator[datetime]:
    while starts < ends:
        yield starts
        starts += MINUTE


def _walls(schedule: Schedule, day: date, kind: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Rule 3: what opens and what closes on one date."""
    of_day = [one for one in schedule.exceptions if one.date == day]
    opened = [(one.opens, one.closes) for one in of_day if one.kind is ExceptionKind.REPLACED]
    if not opened:
        for row in schedule.hours:
            begun = row.valid_from is None or day >= row.valid_from
            over = row.valid_to is not None and day > row.valid_to
            if (
                row.weekday == day.weekday()
                and begun
                and not over
                and (not row.visit_type_keys or kind in row.visit_type_keys)
            ):
                opened.append((row.opens, row.closes))
    opened += [(one.opens, one.closes) for one in of_day if one.kind is ExceptionKind.OPEN]
    return opened, [(one.opens, one.closes) for one in of_day if one.kind is ExceptionKind.CLOSED]


def offered(schedule: Schedule, name: str, kind: VisitType, first: date, last: date) -> list[datetime]:
    """Starts by hours and grid alone, ascending (rules 2, 3 and 4)."""
    assert kind.duration_minutes is not None
    open_minutes: set[datetime] = set()
    candidates: set[datetime] = set()
    step, length = (
        timedelta(minutes=kind.start_every_minutes or kind.duration_minutes),
        timedelta(minutes=kind.duration_minutes),
    )
    day = first - timedelta(days=1)
    while day <= last + timedelta(days=2):
        opened, closed = _walls(schedule, day, kind.key)
        here: set[datetime] = set()
        for opens, closes in opened:
            starts, ends = instant(name, day, opens), instant(name, day, closes)
            here.update(minutes_of(starts, ends))
            while first <= day <= last and starts < ends:
                candidates.add(starts)
                starts += step
        for opens, closes in closed:
            here.difference_update(minutes_of(instant(name, day, opens), instant(name, day, closes)))
        open_minutes |= here
        day += timedelta(days=1)
    return sorted(at for at in candidates if open_minutes.issuperset(minutes_of(at, at + length)))


def free(
    schedule: Schedule,
    name: str,
    kind: VisitType,
    busy: list[Busy],
    first: date,
    last: date,
    now: datetime,
    *,
    binding: bool,
) -> list[datetime]:
    """Starts that can be booked at `now`, ascending (rules 2 to 6)."""
    assert kind.duration_minutes is not None
    zone = ZoneInfo(name)
    before, after = timedelta(minutes=kind.buffer_before_minutes), timedelta(minutes=kind.buffer_after_minutes)
    last_date = now.astimezone(zone).date() + timedelta(days=kind.bookable_days_ahead if binding else 730)
    found = []
    for at in offered(schedule, name, kind, first, last):
        begins, ends = at - before, at + timedelta(minutes=kind.duration_minutes) + after
        if at <= now or (binding and at < now + timedelta(minutes=kind.minimum_notice_minutes)):
            continue
        if at.astimezone(zone).date() > last_date:
            continue
        live = (one for one in busy if one.expires is None or one.expires > now)
        if not any(one.starts < ends and begins < one.ends for one in live):
            found.append(at)
    return found


def visit_type(
    minutes: int = 30,
    *,
    before: int = 0,
    after: int = 0,
    every: int | None = None,
    notice: int = 0,
    days: int = 730,
    key: int = 1,
) -> VisitType:
    return VisitType(key, 1, True, "Visit", minutes, before, after, every, notice, days, 0, Modality.IN_PERSON)
