"""Which visits the demo has: on the times that hours and grids offer, nobody in two places, the near days about half full."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from app.demo.visit_types import WEIGHTS
from domain import availability, zones
from domain.clinics import VisitType
from domain.schedules import TICK_MINUTES, Schedule

DAYS_BEFORE: Final = 7
DAYS_AFTER: Final = 21
_MARGIN: Final = availability.TICKS_BEFORE
_TRIES: Final = 8


@dataclass(slots=True)
class DemoPatient:
    """`times`: start and end in ticks, by the clinic's date. No hours of the demo go past midnight."""

    key: int
    visits: int = 0
    times: dict[date, list[tuple[int, int]]] = field(default_factory=dict)

    def load(self, day: date) -> tuple[int, int]:
        return len(self.times.get(day, ())), self.visits

    def free(self, day: date, start: int, end: int) -> bool:
        return all(end <= other or start >= until for other, until in self.times.get(day, ()))


@dataclass(frozen=True, slots=True)
class Visit:
    """`start` in ticks; `day` is the clinic's date."""

    provider_key: int
    clinic_key: int
    patient_key: int
    visit_type: VisitType
    kind: int
    start: int
    day: date
    zone: ZoneInfo


def fullness(ahead: int) -> float:
    """Share of the open time of a day that is booked, so many days from today."""
    if ahead < 0:
        return 0.17
    return next(share for until, share in ((2, 0.5), (6, 0.25), (13, 0.1), (99, 0.03)) if ahead <= until)


def smear(plane: int, ticks: int) -> int:
    """Every set bit together with the `ticks` - 1 bits above it."""
    have = 1
    while have < ticks:
        shift = min(have, ticks - have)
        plane |= plane << shift
        have += shift
    return plane


class Diary:
    """One provider's time from the first day to the last: places share it, each has offers of its own."""

    def __init__(self, provider_key: int, zone: ZoneInfo, first: date, last: date) -> None:
        self.provider_key = provider_key
        self._zone = zone
        self._first, self._last = first, last
        self._base, _ = availability.window(zone, first, last)
        self._busy = 0

    def fill(
        self,
        random: Random,
        clinic_key: int,
        schedule: Schedule,
        kinds: dict[int, VisitType],
        patients: list[DemoPatient],
        today: date,
    ) -> Iterator[Visit]:
        """Visits at one place, day by day."""
        offers = {
            kind: availability.offers(schedule, self._zone, visit_type, self._first, self._last)
            for kind, visit_type in kinds.items()
        }
        reachable = 0
        for kind, plane in offers.items():
            reachable |= smear(plane, (kinds[kind].duration_minutes or 0) // TICK_MINUTES)
        day = self._first
        while day <= self._last:
            begin = zones.instant(self._zone, day, 0) // TICK_MINUTES - self._base
            length = zones.instant(self._zone, day, zones.MINUTES_A_DAY) // TICK_MINUTES - self._base - begin
            open_ticks = (reachable >> begin & ((1 << length) - 1)).bit_count()
            wanted = open_ticks * fullness((day - today).days) * random.uniform(0.7, 1.3)
            if wanted >= 1:
                chosen = self._day(random, begin, length, wanted, offers, kinds)
                for kind, start in chosen:
                    minutes = kinds[kind].duration_minutes or 0
                    patient = _patient(random, patients, start, start + minutes // TICK_MINUTES, day)
                    if patient is not None:
                        yield Visit(
                            self.provider_key, clinic_key, patient.key, kinds[kind], kind, start, day, self._zone
                        )
            day += timedelta(days=1)

    def _day(
        self,
        random: Random,
        begin: int,
        length: int,
        wanted: float,
        offers: dict[int, int],
        kinds: dict[int, VisitType],
    ) -> Iterator[tuple[int, int]]:
        """Kind and start (ticks) of visits, until about `wanted` ticks are taken."""
        numbers, weights = list(kinds), [WEIGHTS[kind] for kind in kinds]
        taken, tries = 0, 0
        while taken < wanted and tries < _TRIES:
            kind = random.choices(numbers, weights)[0]
            visit_type = kinds[kind]
            local = self._busy >> (begin - _MARGIN)
            free = availability.free(visit_type, local, _MARGIN + length + availability.TICKS_AFTER) >> _MARGIN
            starts = list(availability.bits(offers[kind] >> begin & free & ((1 << length) - 1)))
            if not starts:
                tries += 1
                continue
            start = random.choice(starts)
            before, after = (minutes // TICK_MINUTES for minutes in around(visit_type))
            self._busy |= ((1 << (before + after)) - 1) << (begin + start - before)
            taken += before + after
            yield kind, self._base + begin + start


def booked_kinds(random: Random, offered: list[int]) -> list[int]:
    """Three of what a provider offers, those most asked for above all; more would only take longer to plan."""
    drawn = sorted(offered, key=lambda kind: random.random() ** (1 / WEIGHTS[kind]))
    return sorted(drawn[-3:])


def around(visit_type: VisitType) -> tuple[int, int]:
    """Minutes that a visit takes before and from its start, buffers included."""
    return visit_type.buffer_before_minutes, (visit_type.duration_minutes or 0) + visit_type.buffer_after_minutes


def _patient(random: Random, patients: list[DemoPatient], start: int, end: int, day: date) -> DemoPatient | None:
    """Who has the fewest visits, that day above all, and is nowhere else; it is written into their diary."""
    able = [one for one in patients if one.free(day, start, end)]
    if not able:
        return None
    least = min(one.load(day) for one in able)
    chosen = random.choice([one for one in able if one.load(day) == least])
    chosen.times.setdefault(day, []).append((start, end))
    chosen.visits += 1
    return chosen


def instant(ticks: int, zone: ZoneInfo) -> datetime:
    return zones.at(ticks * TICK_MINUTES, zone)
