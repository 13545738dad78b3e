"""Open times of many providers at once: one statement for versions, one for what no cache has, arithmetic for the rest."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Protocol

from adapters.postgres import calendars
from adapters.postgres.calendars import KnownSchedules, Offering, Pair, Triple
from adapters.postgres.database import Reader
from domain import availability, slots, zones
from domain.appointments import Slot
from domain.availability import Limits
from domain.calendars import Calendar, chunks, join

OPENINGS_MAX = 20_000


class CalendarSource(Protocol):
    """Calendars of chunks by (resource, chunk), each at or above the version asked for, of this epoch of the database."""

    async def __call__(self, reader: Reader, epoch: str, wanted: Mapping[Pair, int]) -> dict[Pair, Calendar]: ...


async def from_postgres(reader: Reader, epoch: str, wanted: Mapping[Pair, int]) -> dict[Pair, Calendar]:
    return await calendars.busy(reader, list(wanted))


class OpenTimes:
    """`known` keeps schedules by version; `source` says where calendars come from."""

    def __init__(self, known: KnownSchedules, source: CalendarSource = from_postgres) -> None:
        self.known = known
        self._source = source

    async def free(
        self,
        reader: Reader,
        offerings: Sequence[Offering],
        first: date,
        last: date,
        *,
        binding: bool,
        limit: int,
    ) -> dict[Triple, list[Slot]]:
        """At most `limit` free slots each, by start, of the clinic dates `first` to `last`; `binding`: the patients' limits."""
        found: dict[Triple, list[Slot]] = {_triple(one): [] for one in offerings}
        usable = [one for one in offerings if one.open]
        if not usable:
            return found
        # Nobody may book before today or past 730 days, and the ends of the calendar have no next day to reckon with.
        todays = [zones.today(one.now, one.zone) for one in usable]
        first, last = max(first, min(todays)), min(last, max(todays) + timedelta(days=availability.DAYS_AHEAD_MAX))
        if last < first:
            return found
        people = [one for one in usable if one.visit_type.duration_minutes is not None]
        pools = [one for one in usable if one.visit_type.duration_minutes is None]
        if people:
            for one, starts in await self._starts(reader, people, first, last, binding, limit):
                made = slots.of_starts(one.provider_key, one.clinic_key, one.visit_type, one.zone, starts)
                found[_triple(one)] = list(made)
        if pools:
            await self._openings(reader, pools, first, last, binding, limit, found)
        return found

    async def nearest(
        self, reader: Reader, offerings: Sequence[Offering], wanted: datetime, days: int, *, binding: bool, count: int
    ) -> list[Slot]:
        """The `count` free slots nearest to `wanted` (another time than it) up to so many days before and after (rule 10)."""
        provider_key = offerings[0].provider_key
        zone = offerings[0].zone
        today, day = zones.today(offerings[0].now, zone), wanted.astimezone(zone).date()
        first, last = max(today, day - timedelta(days=days)), day + timedelta(days=days)
        people = [one for one in offerings if one.open and one.visit_type.duration_minutes is not None]
        pools = [one for one in offerings if one.open and one.visit_type.duration_minutes is None]
        candidates: list[Slot] = []
        if people and first <= last:
            minute = zones.minutes(wanted)
            for one, starts in await self._starts(reader, people, first, last, binding, None):
                close = sorted(starts, key=lambda start: abs(start - minute))[:count]
                candidates += slots.of_starts(one.provider_key, one.clinic_key, one.visit_type, zone, close)
        if pools:
            times = await self.free(reader, pools, first, last, binding=binding, limit=OPENINGS_MAX)
            candidates += [slot for some in times.values() for slot in some]
        return slots.nearest(candidates, wanted, provider_key, count)

    async def _starts(
        self,
        reader: Reader,
        people: Sequence[Offering],
        first: date,
        last: date,
        binding: bool,
        most: int | None,
    ) -> list[tuple[Offering, list[int]]]:
        planes = await self._calendars(reader, people, first, last)
        known = await self.known.at(
            reader, {(one.provider_key, one.clinic_key): one.schedule_version for one in people}
        )
        found = []
        for one in people:
            bound = availability.limits(one.visit_type, one.zone, one.now, binding=binding)
            schedule = known.get((one.provider_key, one.clinic_key))
            calendar = planes.get(one.provider_key)
            if schedule is not None and calendar is not None:
                starts = availability.open_starts(
                    schedule, one.zone, one.visit_type, calendar, first, last, bound, one.now,
                    most=most, offers_of=self.known.offers,
                )  # fmt: skip
                found.append((one, starts))
        return found

    async def _calendars(
        self, reader: Reader, people: Sequence[Offering], first: date, last: date
    ) -> dict[int, Calendar]:
        wanted: dict[Pair, int] = {}
        for one in people:
            earliest = max(first, zones.today(one.now, one.zone))
            latest = min(last, earliest + timedelta(days=availability.DAYS_AHEAD_MAX))
            if earliest > latest:
                continue
            base, end = availability.window(one.zone, earliest, latest)
            for number in chunks(base, end):
                wanted[one.provider_key, number] = one.resource_version
        parts: dict[int, list[Calendar]] = {}
        if wanted:
            for (resource_key, _), calendar in (await self._source(reader, people[0].epoch, wanted)).items():
                parts.setdefault(resource_key, []).append(calendar)
        return {key: join(some) for key, some in parts.items()}

    async def _openings(
        self,
        reader: Reader,
        pools: Sequence[Offering],
        first: date,
        last: date,
        binding: bool,
        limit: int,
        found: dict[Triple, list[Slot]],
    ) -> None:
        spans = [_span(one, first, last, binding) for one in pools]
        begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
        if begin >= end:
            return
        keys = [_triple(one) for one in pools]
        rows = await calendars.openings(reader, keys, begin, end, OPENINGS_MAX)
        for one, (earliest, before) in zip(pools, spans, strict=True):
            fitting = (
                opening for opening in rows[_triple(one)] if opening.left > 0 and earliest <= opening.starts_at < before
            )
            made = (slots.of_opening(opening, one.visit_type.key, one.zone) for opening in fitting)
            found[_triple(one)] = list(islice(made, limit))


def _triple(one: Offering) -> Triple:
    return one.provider_key, one.clinic_key, one.visit_type.key


def _span(one: Offering, first: date, last: date, binding: bool) -> tuple[datetime, datetime]:
    """First instant and end of what may be booked on these clinic dates."""
    bound: Limits = availability.limits(one.visit_type, one.zone, one.now, binding=binding)
    begin = max(zones.instant(one.zone, first, 0), bound.earliest)
    end = zones.instant(one.zone, min(last, bound.last_date), zones.MINUTES_A_DAY)
    return zones.at(begin, one.zone), zones.at(end, one.zone)
