"""Which starts a change can have opened or closed: those whose visit with its buffers overlaps what changed."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from domain import zones
from domain.clinics import VisitType
from domain.schedules import TICK_MINUTES
from domain.streams import CalendarEvent, Span

_TICK_SECONDS: Final = TICK_MINUTES * 60
_DAY_SECONDS: Final = 86_400
ALL_TIME: Final = (-(1 << 62), 1 << 62)


def spans(event: CalendarEvent) -> Iterable[Span]:
    """All that an event opened or closed, in UTC seconds."""
    yield from event.opened
    for start, end, _ in event.closed:
        yield start, end


def starts(visit_type: VisitType, changed: Iterable[Span], base: int, end: int) -> int:
    """Plane of the ticks [base, end) from which a visit with its buffers overlaps a changed span; bit 0 is tick `base`."""
    assert visit_type.duration_minutes is not None
    before = visit_type.buffer_before_minutes // TICK_MINUTES
    after = (visit_type.duration_minutes + visit_type.buffer_after_minutes) // TICK_MINUTES
    plane = 0
    for opens, closes in changed:
        first = max(opens // _TICK_SECONDS - after + 1, base)
        last = min(-(-closes // _TICK_SECONDS) + before - 1, end - 1)
        if first <= last and opens < closes:
            plane |= ((1 << (last - first + 1)) - 1) << (first - base)
    return plane


def reach(zone: ZoneInfo, first: date, last: date) -> Span:
    """UTC seconds outside which nothing can touch a start of the clinic dates `first` to `last`.

    Generous by a day on both sides: a visit with its buffers reaches 16 hours at most.
    """
    begin = zones.instant(zone, first, 0) * 60 - _DAY_SECONDS
    return begin, zones.instant(zone, last, zones.MINUTES_A_DAY) * 60 + _DAY_SECONDS


def extent(event: CalendarEvent) -> Span:
    """From the first to the last that may be touched; everything where the event does not say what changed."""
    if event.invalidated or event.provider_key is None:
        return ALL_TIME
    some = list(spans(event))
    return (min(start for start, _ in some), max(end for _, end in some)) if some else (0, 0)


def within(event: CalendarEvent, begin: int, end: int) -> bool:
    """Whether anything that the event opened or closed lies between (UTC seconds)."""
    for start, stop in event.opened:
        if start < end and begin < stop:
            return True
    return any(start < end and begin < stop for start, stop, _ in event.closed)


def next_day(zone: ZoneInfo, day: date) -> int:
    """UTC seconds of the clinic's midnight that ends `day`."""
    return zones.instant(zone, day + timedelta(days=1), 0) * 60
