"""When a provider works at a clinic: weekly hours and exceptions in the clinic's wall time, turned into spans of time.

Spans are half-open (start, end) pairs in ticks: UTC since 1970 in steps of five minutes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from domain import ids, zones

TICK_MINUTES: Final = 5
Span = tuple[int, int]


class ExceptionKind(Enum):
    CLOSED = "closed"
    OPEN = "open"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Weekday 0 is Monday; `opens` and `closes` are minutes of the wall clock, 1440 the next day's 00:00. No types: all."""

    weekday: int
    opens: int
    closes: int
    valid_from: date | None = None
    valid_to: date | None = None
    visit_type_keys: tuple[int, ...] = ()

    def covers(self, day: date) -> bool:
        return (
            day.weekday() == self.weekday
            and (self.valid_from is None or self.valid_from <= day)
            and (self.valid_to is None or day <= self.valid_to)
        )


@dataclass(frozen=True, slots=True)
class ScheduleException:
    key: int
    provider_key: int
    clinic_key: int
    kind: ExceptionKind
    date: date
    opens: int
    closes: int
    reason: str | None

    @property
    def id(self) -> str:
        return ids.node(ids.EXCEPTION, self.key)

    @property
    def whole_day(self) -> bool:
        return self.opens == 0 and self.closes == zones.MINUTES_A_DAY


@dataclass(frozen=True, slots=True)
class Schedule:
    """Version 0 and no hours where none is set yet."""

    provider_key: int
    clinic_key: int
    version: int
    hours: tuple[WeeklyHours, ...] = ()
    exceptions: tuple[ScheduleException, ...] = ()


def overlapping(hours: Iterable[WeeklyHours]) -> int | None:
    """Index of the first row that overlaps an earlier one for the same visit type (rule 3); rows may touch."""
    rows = list(hours)
    for index, row in enumerate(rows):
        if any(_clash(row, other) for other in rows[:index]):
            return index
    return None


def _clash(one: WeeklyHours, other: WeeklyHours) -> bool:
    types, other_types = set(one.visit_type_keys), set(other.visit_type_keys)
    return (
        one.weekday == other.weekday
        and one.opens < other.closes
        and other.opens < one.closes
        and (one.valid_from or date.min) <= (other.valid_to or date.max)
        and (other.valid_from or date.min) <= (one.valid_to or date.max)
        and (not types or not other_types or bool(types & other_types))
    )


class Rules:
    """The hours of a schedule for one visit type, ready to be asked for many dates."""

    def __init__(self, schedule: Schedule, visit_type_key: int) -> None:
        self._weekdays: list[list[WeeklyHours]] = [[] for _ in range(7)]
        for row in schedule.hours:
            if not row.visit_type_keys or visit_type_key in row.visit_type_keys:
                self._weekdays[row.weekday].append(row)
        self._exceptions: dict[date, list[ScheduleException]] = {}
        for exception in schedule.exceptions:
            self._exceptions.setdefault(exception.date, []).append(exception)

    def walls(self, day: date) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """What opens and what closes on one date (rule 3), in minutes of the wall clock."""
        hours = tuple((row.opens, row.closes) for row in self._weekdays[day.weekday()] if row.covers(day))
        exceptions = self._exceptions.get(day)
        if exceptions is None:
            return hours, ()
        walls: dict[ExceptionKind, list[Span]] = {kind: [] for kind in ExceptionKind}
        for one in exceptions:
            walls[one.kind].append((one.opens, one.closes))
        opened = (*(walls[ExceptionKind.REPLACED] or hours), *walls[ExceptionKind.OPEN])
        return opened, tuple(walls[ExceptionKind.CLOSED])

    def spans(self, zone: ZoneInfo, day: date) -> tuple[list[Span], list[Span]]:
        """The same in ticks.

        Each opening counts its own grid of starts from its beginning; what is closed does not move the grid.
        """
        opened, closed = self.walls(day)
        return list(_ticks(zone, day, opened)), list(_ticks(zone, day, closed))


def spans(schedule: Schedule, zone: ZoneInfo, day: date, visit_type_key: int) -> tuple[list[Span], list[Span]]:
    """`Rules.spans` for a single date."""
    return Rules(schedule, visit_type_key).spans(zone, day)


def _ticks(zone: ZoneInfo, day: date, walls: Iterable[tuple[int, int]]) -> Iterator[Span]:
    for opens, closes in walls:
        start, end = zones.instant(zone, day, opens), zones.instant(zone, day, closes)
        if start < end:  # Hours that lie wholly inside a gap do not exist.
            yield start // TICK_MINUTES, end // TICK_MINUTES
