"""Open times of many providers at once: one statement for what is neither known nor cached, arithmetic for the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final, Protocol

from adapters.postgres import calendars, soonest
from adapters.postgres.calendars import KnownSchedules, Offering, Pair, Triple
from adapters.postgres.database import Reader
from domain import availability, slots, zones
from domain.appointments import Slot
from domain.calendars import CHUNK_TICKS, Calendar, chunks, join, whole
from domain.schedules import Schedule

OPENINGS_MAX: Final = 20_000
DAY_TICKS: Final = 288
ZONE_TICKS: Final = 14 * 12  # No zone is further from UTC than 14 hours.
FIRST_DATE: Final = date(1971, 1, 1)
LAST_DATE: Final = date(2300, 1, 1)  # Further than anybody may book; the ends of the calendar have no next day.
_EPOCH: Final = date(1970, 1, 1)


class CalendarCache(Protocol):
    """Calendars of chunks by (resource, chunk), shared or not. What it says counts only where its version does.

    `peek` answers chunks; `keep` takes calendars of all the chunks `numbers` by resource.

    `exact`: only the very version counts, for a view of one moment; else that version or a newer one. `worth_from`: how many
    resources it is asked for at least: the statement that names the versions brings a few calendars sooner by itself.
    """

    exact: bool
    worth_from: int

    async def peek(self, epoch: str, wanted: Sequence[Pair]) -> Mapping[Pair, Calendar]: ...

    def keep(self, epoch: str, numbers: range, fresh: Mapping[int, Calendar]) -> None: ...


class Nothing:
    """A cache that knows nothing."""

    exact = False
    worth_from = 1

    async def peek(self, _epoch: str, _wanted: Sequence[Pair]) -> Mapping[Pair, Calendar]:
        return {}

    def keep(self, _epoch: str, _numbers: range, _fresh: Mapping[int, Calendar]) -> None:
        return


@dataclass(slots=True)
class Looked:
    """All that decides the open times of one offering, at `now`."""

    offering: Offering
    schedule: Schedule | None
    calendar: Calendar
    now: datetime

    @property
    def triple(self) -> Triple:
        return self.offering.provider_key, self.offering.clinic_key, self.offering.visit_type.key


class OwnCalendars(Protocol):
    """Calendars in this process that the streams keep true, with all that decides open times beside them.

    `ticket` is had before a read of the primary, and given with what it answered; None where nothing would be kept.
    """

    primary: Reader

    def now(self) -> datetime | None: ...

    def peek(self, keys: Sequence[Triple], numbers: range) -> Mapping[Triple, Looked | None]:
        """What is known over all chunks `numbers`: None for what is not offered."""
        ...

    def ticket(self) -> int | None: ...

    def hull(self, keys: Sequence[Triple], numbers: range) -> range:
        """The chunks to be read, so that what was known before is known after."""
        ...

    def learn(self, ticket: int | None, keys: Sequence[Triple], numbers: range, looked: Sequence[Looked]) -> None: ...


class OpenTimes:
    """`known` keeps schedules by version, `cache` calendars; `own` may answer by itself, and learns from the primary's answers."""

    def __init__(
        self, known: KnownSchedules, cache: CalendarCache | None = None, own: OwnCalendars | None = None
    ) -> None:
        self.known = known
        self._cache: CalendarCache = Nothing() if cache is None else cache
        self._own = own
        self._epoch = ""

    def now(self) -> datetime | None:
        """The database's clock, while this process keeps calendars and can be sure of them: then ask with the primary."""
        return None if self._own is None else self._own.now()

    async def free(
        self, reader: Reader, keys: Sequence[Triple], first: date, last: date, *, binding: bool, limit: int
    ) -> dict[Triple, list[Slot]]:
        """At most `limit` free slots each, by start, of the clinic dates `first` to `last`; `binding`: the patients' limits.

        What is not offered at all is left out.
        """
        found, pools = self._free(await self.look(reader, keys, first, last), first, last, binding, limit)
        if pools:
            found.update(await self._openings(reader, pools, first, last, binding, limit))
        return found

    def _free(
        self, looked: Sequence[Looked], first: date, last: date, binding: bool, limit: int
    ) -> tuple[dict[Triple, list[Slot]], list[Looked]]:
        """Slots of those with hours; and the pools, whose openings have to be read."""
        found: dict[Triple, list[Slot]] = {}
        pools = []
        for one in looked:
            offering = one.offering
            if offering.open and offering.visit_type.duration_minutes is None:
                pools.append(one)
            elif offering.open:
                starts = self._starts(one, first, last, binding, limit)
                found[one.triple] = list(
                    slots.of_starts(
                        offering.provider_key, offering.clinic_key, offering.visit_type, offering.zone, starts
                    )
                )
            else:
                found[one.triple] = []
        return found, pools

    async def nearest(
        self, reader: Reader, keys: Sequence[Triple], wanted: datetime, days: int, *, binding: bool, count: int
    ) -> list[Slot]:
        """The `count` free slots nearest to `wanted`, up to so many days away; where equal those of the first key (rule 10)."""
        first, last = wanted.date() - timedelta(days=days), wanted.date() + timedelta(days=days)
        minute = zones.minutes(wanted)
        candidates: list[Slot] = []
        pools = []
        for one in await self.look(reader, keys, first, last):
            offering = one.offering
            if not offering.open:
                continue
            if offering.visit_type.duration_minutes is None:
                pools.append(one)
                continue
            starts = self._starts(one, first, last, binding, None)
            close = sorted(starts, key=lambda start: abs(start - minute))[:count]
            candidates += slots.of_starts(
                offering.provider_key, offering.clinic_key, offering.visit_type, offering.zone, close
            )
        if pools:
            times = await self._openings(reader, pools, first, last, binding, OPENINGS_MAX)
            candidates += [slot for some in times.values() for slot in some]
        return slots.nearest(candidates, wanted, keys[0][0], count)

    async def look(self, reader: Reader, keys: Sequence[Triple], first: date, last: date) -> list[Looked]:
        """What decides the open times of the clinic dates `first` to `last`: caches first, then one statement.

        Where the primary would be asked, this process answers what it keeps itself; another reader's view may be of another moment.
        """
        keys = list(dict.fromkeys(keys))
        numbers = weeks(first, last)
        if self._own is None or reader is not self._own.primary:
            return await self._read(reader, keys, numbers)
        ticket = self._own.ticket()
        known = self._own.peek(keys, numbers)
        missing = [key for key in keys if key not in known]
        read: list[Looked] = []
        if missing:
            numbers = self._own.hull(missing, numbers)
            read = await self._read(reader, missing, numbers)
            self._own.learn(ticket, missing, numbers, read)
        return [*(one for one in known.values() if one is not None), *read]

    async def _read(self, reader: Reader, keys: Sequence[Triple], numbers: range) -> list[Looked]:
        epoch = self._epoch
        cached = await self._cached(epoch, {one[0] for one in keys}, numbers)
        read = await calendars.times(
            reader,
            keys,
            {(one[0], one[1]): self.known.latest((one[0], one[1])) for one in keys},
            {key: calendar.version for key, calendar in cached.items()},
            (numbers.start * CHUNK_TICKS, numbers.stop * CHUNK_TICKS),
            epoch,
            exact=self._cache.exact,
        )
        if read and self._has_changed(epoch, next(iter(read.values())).offering.epoch):
            return await self._read(reader, keys, numbers)
        fresh: dict[int, Calendar] = {}
        looked = [await self._looked(reader, one, cached, numbers, fresh) for one in read.values()]
        if len(fresh) >= self._cache.worth_from:
            self._cache.keep(self._epoch, numbers, fresh)
        return looked

    async def _cached(self, epoch: str, resource_keys: set[int], numbers: range) -> dict[int, Calendar]:
        """Calendars of resources whose every chunk is there."""
        if not epoch or len(resource_keys) < self._cache.worth_from:
            return {}
        wanted = [(key, number) for key in resource_keys for number in numbers]
        parts = await self._cache.peek(epoch, wanted)
        found = {}
        for key in resource_keys if parts else ():
            some = [parts[key, number] for number in numbers if (key, number) in parts]
            if len(some) == len(numbers):
                found[key] = join(some)
        return found

    async def _looked(
        self,
        reader: Reader,
        times: calendars.Times,
        cached: Mapping[int, Calendar],
        numbers: range,
        fresh: dict[int, Calendar],
    ) -> Looked:
        one = times.offering
        schedule = await self._schedule(
            reader, (one.provider_key, one.clinic_key), one.schedule_version, times.schedule
        )
        if times.taken is None:
            return Looked(one, schedule, cached[one.provider_key], times.now)
        fresh[one.provider_key] = calendar = whole(one.resource_version, numbers, times.taken)
        return Looked(one, schedule, calendar, times.now)

    async def _schedule(self, reader: Reader, pair: Pair, version: int, read: Schedule | None) -> Schedule | None:
        if read is not None:
            self.known.learn(read)
        schedule = read or self.known.version(pair, version)
        if schedule is None:  # Somebody else's answer was newer, or it was pushed out meanwhile.
            schedule = (await self.known.at(reader, {pair: version})).get(pair)
        return schedule

    async def look_widely(
        self, reader: Reader, wanted: Mapping[Pair, Sequence[int]], first: date, last: date
    ) -> list[Looked]:
        """`look` over many kinds of visit of many providers: each provider's time is read once, past the caches of calendars.

        What this process keeps learns from it.
        """
        own = self._own if self._own is not None and reader is self._own.primary else None
        epoch = self._epoch
        keys, numbers = [(*pair, kind) for pair, kinds in wanted.items() for kind in kinds], weeks(first, last)
        ticket = own.ticket() if own else None
        numbers = own.hull(keys, numbers) if own else numbers
        kinds = await soonest.visit_types_now(reader, sorted({key[2] for key in keys}))
        known = {pair: self.known.latest(pair) for pair in wanted}
        read = await soonest.pair_times(
            reader, list(wanted), known, (numbers.start * CHUNK_TICKS, numbers.stop * CHUNK_TICKS)
        )
        if read and self._has_changed(epoch, read[0].epoch):
            return await self.look_widely(reader, wanted, first, last)
        times = {one.pair[0]: whole(one.resource_version, numbers, one.taken) for one in read if one.taken is not None}
        looked, untold = [], []
        for one in read:
            if one.pair[0] not in times:  # It was to be told with a pair of the provider's that is none any more.
                untold.append(one.pair)
                continue
            schedule = await self._schedule(reader, one.pair, one.schedule_version, one.schedule)
            offered = [kinds[key] for key in wanted[one.pair] if key in one.visit_type_keys and key in kinds]
            looked += [Looked(one.offering(kind), schedule, times[one.pair[0]], one.now) for kind in offered]
        if own:
            own.learn(ticket, [key for key in keys if key[:2] not in untold], numbers, looked)
        if untold:
            looked += await self.look(reader, [key for key in keys if key[:2] in untold], first, last)
        return looked

    def _has_changed(self, before: str, epoch: str) -> bool:
        """Whether the database lives another life than the one by whose versions was asked: then ask again.

        What was known of the one before does not count, and versions begin anew.
        """
        if epoch == before:
            return False
        if before:
            self.known.forget()
        self._epoch = epoch
        return bool(before)

    def _starts(self, one: Looked, first: date, last: date, binding: bool, most: int | None) -> list[int]:
        offering = one.offering
        if one.schedule is None:
            return []
        bound = availability.limits(offering.visit_type, offering.zone, one.now, binding=binding)
        return availability.open_starts(
            one.schedule, offering.zone, offering.visit_type, one.calendar, first, last, bound, one.now,
            most=most, offers_of=self.known.offers,
        )  # fmt: skip

    async def _openings(
        self, reader: Reader, pools: Sequence[Looked], first: date, last: date, binding: bool, limit: int
    ) -> dict[Triple, list[Slot]]:
        spans = {one.triple: _span(one, first, last, binding) for one in pools}
        begin, end = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
        if begin >= end:
            return {key: [] for key in spans}
        rows = await calendars.openings(reader, list(spans), begin, end, OPENINGS_MAX)
        found = {}
        for one in pools:
            kind, zone = one.offering.visit_type, one.offering.zone
            earliest, before = spans[one.triple]
            fitting = (
                opening for opening in rows[one.triple] if opening.left > 0 and earliest <= opening.starts_at < before
            )
            found[one.triple] = list(islice((slots.of_opening(one, kind.key, zone) for one in fitting), limit))
        return found


def weeks(first: date, last: date) -> range:
    """The chunks that decide the open times of the clinic dates `first` to `last`, in any zone."""
    first, last = min(max(first, FIRST_DATE), LAST_DATE), min(max(last, FIRST_DATE), LAST_DATE)
    begin = ((first - _EPOCH).days * DAY_TICKS) - ZONE_TICKS - availability.TICKS_BEFORE
    end = ((last - _EPOCH).days + 1) * DAY_TICKS + ZONE_TICKS + availability.TICKS_AFTER
    return chunks(begin, end)


@lru_cache(maxsize=256)
def dates(numbers: range) -> tuple[date, date]:
    """The clinic dates, in any zone, whose open times these chunks decide: `weeks` of them lies within."""
    begin = -(-(numbers.start * CHUNK_TICKS + ZONE_TICKS + availability.TICKS_BEFORE) // DAY_TICKS)
    end = (numbers.stop * CHUNK_TICKS - ZONE_TICKS - availability.TICKS_AFTER) // DAY_TICKS - 1
    return _EPOCH + timedelta(days=begin), _EPOCH + timedelta(days=end)


def _span(looked: Looked, first: date, last: date, binding: bool) -> tuple[datetime, datetime]:
    """First instant and end of what may be booked on these clinic dates."""
    one = looked.offering
    bound = availability.limits(one.visit_type, one.zone, looked.now, binding=binding)
    begin = max(zones.instant(one.zone, max(first, zones.today(looked.now, one.zone)), 0), bound.earliest)
    end = zones.instant(one.zone, min(last, bound.last_date), zones.MINUTES_A_DAY)
    return zones.at(begin, one.zone), zones.at(end, one.zone)
