"""Earliest times worked out of the calendars that this process keeps, remembered until those change or time makes them others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum, auto
from typing import Final

from adapters.postgres.calendars import Offering, Pair
from adapters.postgres.open_times import Looked, dates
from domain import soonest, zones
from domain.calendars import Calendar
from domain.schedules import Schedule
from domain.soonest import FOREVER, AlikeHours, Asked, Earliest
from services.live.calendars import Entry, ProcessCalendars

Kinds = tuple[int, ...]
QUESTIONS_MAX: Final = 8  # Of each pair: the first ones stay, of which others are told.
NEVER: Final = date(2300, 1, 1)  # Nobody may book so far ahead.
_ALIKE: Final = AlikeHours()
_NOTHING: Final = Earliest(float("-inf"), float(FOREVER), [], none=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """`pools`: offered with published openings, which are read each time."""

    earliest: Earliest
    pools: tuple[Offering, ...] = ()


class Unanswered(Enum):
    UNKNOWN = auto()
    LATER = auto()  # No time so far ahead as is known.


@dataclass(frozen=True, slots=True)
class Question:
    """`name` tells it from others; `wider` is without the last date, or without any: its answer mostly tells this one."""

    asked: Asked
    name: str
    wider: "Question | None" = None

    @classmethod
    def of(cls, asked: Asked) -> "Question":
        wider = None
        if asked.opens is not None:
            first, last = asked.opens
            wider = cls.of(replace(asked, opens=None if last == NEVER else (first, NEVER)))
        return cls(asked, repr(asked), wider)


class Remembered:
    """What is remembered lies in the entry of its pair, in a dict that is another one after any change of the entry: of calendar,
    hours, kinds of visit, or of what is offered. So nothing but time can make it wrong, and `Earliest` knows until when it holds.
    """

    def __init__(self, process: ProcessCalendars) -> None:
        self._process = process

    def answer(
        self, pair: Pair, kinds: Kinds, question: Question, now: datetime, seconds: float
    ) -> Answer | Unanswered:
        """`now` as the process tells it just now, so that what it keeps counts; `seconds` the same instant."""
        entry = self._process.kept(pair)
        if entry is None:
            return Unanswered.UNKNOWN
        return self._of(entry, kinds, question, now, seconds)

    def _of(self, entry: Entry, kinds: Kinds, question: Question, now: datetime, seconds: float) -> Answer | Unanswered:
        remembered: Answer | None = entry.derived.get((kinds, question.name))
        if remembered is not None:
            earliest = remembered.earliest
            if earliest.holds(seconds) and (earliest.none or earliest.first(seconds) is not None):
                return remembered
        if question.wider is not None:
            derived = self._between(entry, kinds, question, now, seconds)
            if derived is not None:
                _remember(entry, kinds, question, derived)
                return derived
        offerings = _offerings(entry, kinds)
        if offerings is None:
            return Unanswered.UNKNOWN
        known = dates(entry.numbers)
        if offerings and known[0] > zones.today(now, offerings[0].zone):
            return Unanswered.UNKNOWN
        answer = work_out(offerings, entry.schedule, entry.calendar, known, question.asked, now)
        if answer is None:
            return Unanswered.LATER
        _remember(entry, kinds, question, answer)
        return answer

    def _between(self, entry: Entry, kinds: Kinds, question: Question, now: datetime, seconds: float) -> Answer | None:
        """Out of the earliest time that a wider question finds, where that tells: it lies between the dates, or after them."""
        assert question.wider is not None
        assert question.asked.opens is not None
        answer = self._of(entry, kinds, question.wider, now, seconds)
        if not isinstance(answer, Answer) or answer.earliest.none:
            return answer if isinstance(answer, Answer) else None
        start = answer.earliest.first(seconds)
        if start is None:
            return None
        first, last = question.asked.opens
        begin = zones.instant(start.zone, first, 0)
        end = FOREVER if last == NEVER else zones.instant(start.zone, last, zones.MINUTES_A_DAY)
        if start.at < begin:
            return None
        some = [one for one in answer.earliest.starts if one.at < end]
        return Answer(replace(answer.earliest, starts=some, none=not some), answer.pools)

    def learn(self, pair: Pair, kinds: Kinds, question: Question, looked: Sequence[Looked], answer: Answer) -> None:
        """What was worked out of a read, of what is kept or further ahead: it counts if the entry is of the very same facts.

        A version of a calendar stands for all time, so it changes with it however far ahead a change is.
        """
        entry = self._process.kept(pair)
        offerings = None if entry is None else _offerings(entry, kinds)
        if entry is None or offerings is None or len(offerings) != len(looked):
            return
        if all(_is_same(one, entry) for one in looked):
            _remember(entry, kinds, question, answer)


def work_out(
    offerings: Sequence[Offering],
    schedule: Schedule | None,
    calendar: Calendar | None,
    known: tuple[date, date],
    asked: Asked,
    now: datetime,
) -> Answer | None:
    """None where the calendar does not tell of dates so far ahead as would be needed."""
    some = [one for one in offerings if one.open and asked.modality in (None, one.visit_type.modality)]
    pools = tuple(one for one in some if one.visit_type.duration_minutes is None)
    kinds = [one.visit_type for one in some if one.visit_type.duration_minutes is not None]
    if not kinds or schedule is None or calendar is None:
        return Answer(_NOTHING, pools)
    earliest = soonest.earliest(kinds, some[0].zone, schedule, calendar, known, asked, now, _ALIKE)
    return None if earliest is None else Answer(earliest, pools)


def _offerings(entry: Entry, kinds: Kinds) -> list[Offering] | None:
    """Those that are offered; None where it is not known of all of them."""
    found = []
    for kind in kinds:
        if kind not in entry.offerings:
            return None
        if (offering := entry.offerings[kind]) is not None:
            found.append(offering)
    return None if found and entry.calendar is None else found


def _remember(entry: Entry, kinds: Kinds, question: Question, answer: Answer) -> None:
    key = kinds, question.name
    if len(entry.derived) >= QUESTIONS_MAX and key not in entry.derived:
        entry.derived.popitem()
    entry.derived[key] = answer


def _is_same(looked: Looked, entry: Entry) -> bool:
    """Whether it was read as the entry has it."""
    one = looked.offering
    known = entry.offerings.get(one.visit_type.key)
    return (
        looked.calendar.version == one.resource_version == entry.version
        and known is not None
        and replace(known, resource_version=one.resource_version) == one
    )
