"""What frames are made of, read through the open times of this process or the primary: nothing here is older than its caller."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from adapters.postgres import calendars, stream_heads
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import Looked, OpenTimes
from adapters.postgres.standing import Standing
from adapters.postgres.stream_heads import Heads
from domain import availability, ids, slots, touched, zones
from domain.appointments import OpenSlot, Slot
from domain.clinics import VisitType
from domain.faults import BadInput
from domain.openings import Opening
from domain.schedules import TICK_MINUTES
from domain.shapes import TIMES_MAX, Shape
from domain.streams import CalendarEvent, Span


@dataclass(frozen=True, slots=True)
class Facts:
    """What a shape is about. An `invalidated` event may have changed them."""

    zone: ZoneInfo
    zone_name: str
    visit_type: VisitType
    provider_keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class Content:
    """`through`: the last date whose times are all there."""

    through: date
    slots: list[OpenSlot]


@dataclass(slots=True)
class Change:
    opened: list[OpenSlot] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.opened) + len(self.removed)


class Reading:
    """Applies the patients' limits for everyone (rule 6). Raises Unavailable where the database does not answer."""

    def __init__(
        self, database: Database, open_times: OpenTimes, at_once: int = 8, standing: Standing | None = None
    ) -> None:
        self._database = database
        self._standing = standing or Standing(database)
        self._open_times = open_times
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def _primary(self) -> AsyncIterator[Reader]:
        async with self._turns, answering():
            yield self._database.primary

    async def heads(self, clinic_keys: Sequence[int]) -> Heads:
        async with self._primary() as reader:
            return await stream_heads.heads(reader, clinic_keys)

    async def facts(self, shape: Shape) -> Facts:
        """Raises BadInput for ids that name nothing."""
        async with self._primary() as reader:
            return await facts(reader, shape, self._standing)

    async def everything(self, shape: Shape, about: Facts, last: date) -> Content:
        """All free times up to `last`, or as many whole days as fit (rule 1)."""
        keys = [(one, shape.clinic_key, shape.visit_type_key) for one in sorted(about.provider_keys)]
        async with self._primary() as reader:
            return await content(reader, self._open_times, keys, shape.first, last, about.visit_type)

    async def changed(self, shape: Shape, about: Facts, events: Iterable[CalendarEvent], last: date) -> Change:
        """How all starts and openings up to `last` stand that the events touch; empty where they touch none."""
        spans: dict[int, list[Span]] = {}
        opening_keys: set[int] = set()
        for event in events:
            assert event.provider_key is not None
            if event.opening_key is None:
                spans.setdefault(event.provider_key, []).extend(touched.spans(event))
            else:
                opening_keys.add(event.opening_key)
        if about.visit_type.duration_minutes is None:
            return await self._changed_openings(shape, about, opening_keys, last)
        change = Change()
        keys = [(one, shape.clinic_key, shape.visit_type_key) for one in spans if one in about.provider_keys]
        if not keys or last < shape.first:
            return change
        async with self._primary() as reader:
            looked = await self._open_times.look(reader, keys, shape.first, last)
        for one in looked:
            self._starts(change, one, spans[one.offering.provider_key], shape.first, last)
        change.opened.sort(key=lambda one: (one.starts_at, one.id))
        return change

    def _starts(self, change: Change, one: Looked, spans: list[Span], first: date, last: date) -> None:
        offering, schedule = one.offering, one.schedule
        if not offering.open or schedule is None:
            return
        kind, zone, now = offering.visit_type, offering.zone, one.now
        base, end = availability.window(zone, first, last)
        plane = touched.starts(kind, spans, base, end)
        plane &= self._open_times.known.offers(schedule, zone, kind, first, last)
        plane = _from(plane, zones.minutes(now) // TICK_MINUTES + 1 - base)
        if not plane:
            return
        bound = availability.limits(kind, zone, now, binding=True)
        free = plane & availability.free(kind, one.calendar.busy(now, base, end), end - base)
        free = _from(free, -(-bound.earliest // TICK_MINUTES) - base)
        starts = [(base + bit) * TICK_MINUTES for bit in availability.bits(free)]
        made = slots.of_starts(offering.provider_key, offering.clinic_key, kind, zone, starts)
        change.opened += [slots.as_open(slot, kind) for slot in made]
        prefix = ids.slot_prefix(offering.provider_key, offering.clinic_key, kind.key)
        change.removed += [prefix + ids.suffix((base + bit) * TICK_MINUTES) for bit in availability.bits(plane & ~free)]

    async def _changed_openings(self, shape: Shape, about: Facts, opening_keys: set[int], last: date) -> Change:
        change = Change()
        if not opening_keys:
            return change
        async with self._primary() as reader:
            found = await calendars.openings_by_key(reader, sorted(opening_keys))
            keys = {
                (one.provider_key, shape.clinic_key, shape.visit_type_key)
                for one in found.values()
                if one.provider_key in about.provider_keys and one.clinic_key == shape.clinic_key
            }
            looked = await self._open_times.look(reader, sorted(keys), shape.first, last) if keys else []
        pools = {one.offering.provider_key: one for one in looked if one.offering.open}
        for opening in sorted(found.values(), key=lambda one: (one.starts_at, one.key)):
            pool = pools.get(opening.provider_key)
            if pool is not None and opening.clinic_key == shape.clinic_key:
                _opening(change, opening, pool, shape.first, last)
        return change


async def facts(reader: Reader, shape: Shape, standing: Standing) -> Facts:
    """Raises BadInput for ids that name nothing."""
    clinic = (await standing.clinics(reader, [shape.clinic_key])).get(shape.clinic_key)
    if clinic is None:
        raise BadInput("filter.clinicId", "There is no such clinic.")
    kind = (await standing.visit_types(reader, [shape.visit_type_key])).get(shape.visit_type_key)
    if kind is None:
        raise BadInput("filter.visitTypeId", "There is no such visit type.")
    among = None if shape.provider_keys is None else list(shape.provider_keys)
    if among is not None and len(await standing.providers(reader, among)) < len(among):
        raise BadInput("filter.providerIds", "There is no such provider.")
    found = await standing.offering_providers(reader, clinic.key, kind.key, among)
    return Facts(clinic.zone, clinic.time_zone, kind, frozenset(found))


async def content(
    reader: Reader,
    open_times: OpenTimes,
    keys: Sequence[calendars.Triple],
    first: date,
    last: date,
    kind: VisitType,
) -> Content:
    """Free times by start, as many whole days as fit."""
    if not keys or last < first:
        return Content(last, [])
    times = await open_times.free(reader, keys, first, last, binding=True, limit=TIMES_MAX + 1)
    found = sorted((slot for some in times.values() for slot in some), key=lambda one: (one.starts_at, one.id))
    through, shown = _whole_days(found, first, last)
    return Content(through, [slots.as_open(slot, kind) for slot in shown])


def covers(shape: Shape, about: Facts, through: date, now: datetime) -> date:
    """The last date that a view shows which holds all up to `through`; the day before the first one where it shows none yet."""
    bound = availability.limits(about.visit_type, about.zone, now, binding=True)
    return min(through, max(bound.last_date, date.fromordinal(shape.first.toordinal() - 1)))


def _whole_days(found: list[Slot], first: date, last: date) -> tuple[date, list[Slot]]:
    if len(found) <= TIMES_MAX:
        return last, found
    through = max(first, date.fromordinal(found[TIMES_MAX].local_date.toordinal() - 1))
    return through, [slot for slot in found if slot.local_date <= through]


def _opening(change: Change, opening: Opening, pool: Looked, first: date, last: date) -> None:
    kind, zone, now = pool.offering.visit_type, pool.offering.zone, pool.now
    day = opening.starts_at.astimezone(zone).date()
    if not first <= day <= last or opening.starts_at <= now:
        return
    bound = availability.limits(kind, zone, now, binding=True)
    slot = slots.of_opening(opening, kind.key, zone)
    if opening.left > 0 and day <= bound.last_date and opening.starts_at >= zones.at(bound.earliest, zone):
        change.opened.append(slots.as_open(slot, kind))
    else:
        change.removed.append(slot.id)


def _from(plane: int, bit: int) -> int:
    """The plane without what lies before that bit."""
    return plane >> bit << bit if bit > 0 else plane
