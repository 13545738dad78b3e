"""Open times by arithmetic: a window of time is one Python int, a bit a tick of five minutes (design 2).

`find` and `book` ask the same function, `offers`. Rooms and devices come as one more `&` on the free plane.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from domain import zones
from domain.calendars import Calendar
from domain.clinics import VisitType
from domain.schedules import TICK_MINUTES, Rules, Schedule

# Widest reach of one visit around its start: a buffer of 4 h before, 12 h and a buffer of 4 h after.
TICKS_BEFORE: Final = 240 // TICK_MINUTES
TICKS_AFTER: Final = (720 + 240) // TICK_MINUTES
DAYS_AHEAD_MAX: Final = 730
Offers = Callable[[Schedule, ZoneInfo, VisitType, date, date], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """First start that may still be booked (UTC minute, included) and last date (clinic's, included)."""

    earliest: int
    last_date: date


def limits(visit_type: VisitType, zone: ZoneInfo, now: datetime, *, binding: bool) -> Limits:
    """Minimum notice and booking window bind patients; others may go past them, not into the past nor past 730 days (rule 6)."""
    seconds = now.timestamp()
    notice = visit_type.minimum_notice_minutes if binding else 0
    earliest = -int(-(seconds + notice * 60) // 60)
    if earliest * 60 <= seconds:
        earliest += 1
    days = visit_type.bookable_days_ahead if binding else DAYS_AHEAD_MAX
    return Limits(earliest, zones.today(now, zone) + timedelta(days=days))


def runs(plane: int, ticks: int) -> int:
    """Bits from which `ticks` set bits follow without a gap."""
    have = 1
    while have < ticks:
        shift = min(have, ticks - have)
        plane &= plane >> shift
        have += shift
    return plane


def every(start: int, end: int, step: int) -> int:
    """Bits start, start + step, … below end."""
    count = -(-(end - start) // step)
    return (((1 << (step * count)) - 1) // ((1 << step) - 1)) << start


@lru_cache(maxsize=1024)
def window(zone: ZoneInfo, first: date, last: date) -> tuple[int, int]:
    """Ticks [base, end) that decide the starts of the dates `first` to `last`, both included."""
    base = zones.instant(zone, first, 0) // TICK_MINUTES - TICKS_BEFORE
    end = zones.instant(zone, last, zones.MINUTES_A_DAY) // TICK_MINUTES + TICKS_AFTER
    return base, end


def offers(schedule: Schedule, zone: ZoneInfo, visit_type: VisitType, first: date, last: date) -> int:
    """Plane of the starts that hours and grid offer on the dates `first` to `last`, whatever is booked.

    Bit 0 is the first tick of `window(zone, first, last)`. The whole visit lies in open time; buffers need not (rule 5).
    """
    assert visit_type.duration_minutes is not None
    base, _ = window(zone, first, last)
    step = (visit_type.start_every_minutes or visit_type.duration_minutes) // TICK_MINUTES
    rules = Rules(schedule, visit_type.key)
    open_plane, grid = 0, 0
    day = first
    while day <= last + timedelta(days=1):  # The next day's hours may carry on a visit that begins before midnight.
        opened, starts = _day(rules, zone, day, step, base)
        open_plane |= opened
        if day <= last:
            grid |= starts
        day += timedelta(days=1)
    return runs(open_plane, visit_type.duration_minutes // TICK_MINUTES) & grid


def _day(rules: Rules, zone: ZoneInfo, day: date, step: int, base: int) -> tuple[int, int]:
    """Open ticks and grid of starts of one date; bit 0 is tick `base`."""
    if zones.is_plain(zone, day):
        opened, closed = rules.walls(day)
        added, grid = _pattern(opened, step)
        cut, _ = _pattern(closed, step)
        shift = zones.instant(zone, day, 0) // TICK_MINUTES - base
        return (added & ~cut) << shift, grid << shift
    added = cut = grid = 0
    opens, closes = rules.spans(zone, day)
    for start, end in opens:
        added |= ((1 << (end - start)) - 1) << (start - base)
        grid |= every(start - base, end - base, step)
    for start, end in closes:
        cut |= ((1 << (end - start)) - 1) << (start - base)
    return added & ~cut, grid


@lru_cache(maxsize=10_000)
def _pattern(walls: tuple[tuple[int, int], ...], step: int) -> tuple[int, int]:
    """Ticks and grid of these wall times on a day without a change of the clock; bit 0 is midnight. Many days are alike."""
    plane = grid = 0
    for opens, closes in walls:
        start, end = opens // TICK_MINUTES, closes // TICK_MINUTES
        plane |= ((1 << (end - start)) - 1) << start
        grid |= every(start, end, step)
    return plane, grid


def free(visit_type: VisitType, busy: int, length: int) -> int:
    """Plane of the starts whose visit and buffers meet nothing in `busy`, over a window of `length` ticks."""
    assert visit_type.duration_minutes is not None
    before = visit_type.buffer_before_minutes // TICK_MINUTES
    whole = before + (visit_type.duration_minutes + visit_type.buffer_after_minutes) // TICK_MINUTES
    return runs(((1 << length) - 1) & ~busy, whole) << before


def bits(plane: int) -> Iterator[int]:
    """Positions of the set bits, ascending. As a text, because each step of arithmetic would touch the whole plane."""
    digits = bin(plane)[:1:-1]
    at = digits.find("1")
    while at >= 0:
        yield at
        at = digits.find("1", at + 1)


def open_starts(
    schedule: Schedule,
    zone: ZoneInfo,
    visit_type: VisitType,
    calendar: Calendar,
    first: date,
    last: date,
    bound: Limits,
    now: datetime,
    *,
    most: int | None = None,
    offers_of: Offers = offers,
) -> list[int]:
    """UTC minutes of the first `most` starts that can be booked at `now` on the clinic dates `first` to `last`, ascending.

    `offers_of` is `offers`, or one that remembers it.
    """
    last = min(last, bound.last_date)
    first = max(first, zones.today(now, zone))
    if last < first:
        return []
    base, end = window(zone, first, last)
    plane = offers_of(schedule, zone, visit_type, first, last)
    if plane:
        plane &= free(visit_type, calendar.busy(now, base, end), end - base)
    skip = -(-bound.earliest // TICK_MINUTES) - base
    if skip > 0:
        plane = plane >> skip << skip
    return [(base + bit) * TICK_MINUTES for bit in islice(bits(plane), most)]
