"""Clinics in memory for tests of the live calendar: commits, the events they leave, and readings that answer from either.

The arithmetic is the product's; only what a database would answer is made up here.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

from adapters.postgres.calendars import KnownSchedules, Offering, Triple
from adapters.postgres.database import Reader
from adapters.postgres.open_times import Looked, OpenTimes
from adapters.postgres.stream_heads import Heads
from domain import availability, zones
from domain.appointments import OpenSlot
from domain.calendars import Calendar, Taken
from domain.clinics import Modality, ProviderKind, VisitType
from domain.faults import BadInput, Unavailable
from domain.frames import Delta, Frame, Heartbeat, Snapshot
from domain.schedules import Schedule, WeeklyHours
from domain.shapes import Shape
from domain.streams import CalendarEvent, Cursor, Position, Pulse
from services.live import reading
from services.live.hub import Calendars, Hub
from services.live.live import Live
from services.live.pace import HubPace
from services.live.reading import Facts, Reading
from services.live.snapshots import Snapshots

ZONE = "America/New_York"
MONDAY = datetime(2027, 3, 1, 14, tzinfo=UTC)
TODAY = date(2027, 3, 1)
WEEK = range(7)


def kind(
    key: int = 1, minutes: int = 30, before: int = 0, after: int = 0, every: int | None = None, days: int = 90
) -> VisitType:
    return VisitType(key, 1, True, f"Visit {key}", minutes, before, after, every, 60, days, 1440, Modality.IN_PERSON)


@dataclass
class Provider:
    key: int
    clinics: tuple[int, ...]
    kinds: tuple[int, ...]
    schedules: dict[int, Schedule]
    version: int = 1
    taken: dict[int, Taken] = field(default_factory=dict)

    def calendar(self, base: int, end: int) -> Calendar:
        booked, holds = 0, []
        for one in self.taken.values():
            first, last = max(one.start, base), min(one.end, end)
            if first < last:
                if one.expires_at:
                    holds.append(Taken(first, last, one.expires_at))
                else:
                    booked |= ((1 << (last - first)) - 1) << (first - base)
        return Calendar(self.version, base, booked, tuple(holds))


class Town:
    """The truth: one relay that numbers each clinic's events in the order of the commits."""

    def __init__(self, kinds: Sequence[VisitType] = (kind(),), clinics: Sequence[int] = (1,)) -> None:
        self.epoch = "epoch-1"
        self.kinds = {one.key: one for one in kinds}
        self.clinics = {key: ZONE for key in clinics}
        self.providers: dict[int, Provider] = {}
        self.heads = dict.fromkeys(clinics, 0)
        self.log: list[CalendarEvent] = []
        self._shift = MONDAY - datetime.now(UTC)
        self._numbers = 1000
        self._outbox = 0

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._shift

    def clock(self, at: datetime) -> None:
        self._shift = at - datetime.now(UTC)

    def provider(
        self, clinics: Sequence[int] = (1,), kinds: Sequence[int] = (1,), opens: int = 540, closes: int = 1020
    ) -> int:
        key = len(self.providers) + 1
        hours = tuple(WeeklyHours(day, opens, closes) for day in WEEK)
        schedules = {clinic: Schedule(key, clinic, 1, hours) for clinic in clinics}
        self.providers[key] = Provider(key, tuple(clinics), tuple(kinds), schedules)
        return key

    # Commits. Each answers the events that it leaves, one for each clinic of the provider.

    def take(
        self, provider: int, day: date, minute: int, length: int = 30, held: float = 0
    ) -> tuple[int, list[CalendarEvent]]:
        start = zones.instant(zones.named(ZONE), day, minute) // 5
        expires_at = int(self.now.timestamp() + held) if held else 0
        return self.take_ticks(provider, Taken(start, start + length // 5, expires_at))

    def take_ticks(self, provider: int, taken: Taken) -> tuple[int, list[CalendarEvent]]:
        self._numbers += 1
        self.providers[provider].taken[self._numbers] = taken
        return self._numbers, self._tell(provider, closed=((taken.start * 300, taken.end * 300, taken.expires_at),))

    def give(self, provider: int, number: int) -> list[CalendarEvent]:
        taken = self.providers[provider].taken.pop(number)
        return self._tell(provider, opened=((taken.start * 300, taken.end * 300),))

    def move(self, provider: int, number: int, to: Taken) -> list[CalendarEvent]:
        before = self.providers[provider].taken[number]
        self.providers[provider].taken[number] = to
        return self._tell(
            provider, ((before.start * 300, before.end * 300),), ((to.start * 300, to.end * 300, to.expires_at),)
        )  # fmt: skip

    def hours(self, provider: int, clinic: int, opens: int, closes: int) -> list[CalendarEvent]:
        one = self.providers[provider]
        hours = tuple(WeeklyHours(day, opens, closes) for day in WEEK)
        one.schedules[clinic] = Schedule(provider, clinic, one.schedules[clinic].version + 1, hours)
        return self._tell(provider, invalidated=True)

    def save_kind(self, changed: VisitType) -> list[CalendarEvent]:
        self.kinds[changed.key] = replace(changed, version=self.kinds[changed.key].version + 1)
        return [self._event(clinic, None, 0, (), (), True) for clinic in self.clinics]

    def touch_everything(self, clinic: int = 1) -> list[CalendarEvent]:
        return [self._event(clinic, None, 0, (), (), True)]

    def restore(self) -> None:
        """Another life: some of the bookings are gone, numbers begin anew."""
        self.epoch = f"epoch-{int(self.epoch.split('-')[1]) + 1}"
        self.heads = dict.fromkeys(self.heads, 0)
        self.log.clear()
        for one in self.providers.values():
            one.taken = dict(list(one.taken.items())[::2])

    def position(self, event: CalendarEvent) -> str:
        return str(Position(event.epoch, event.clinic_key, event.xid, event.outbox_id))

    def pulse(self) -> Pulse:
        return Pulse(self.epoch, self.now, 0.0)

    def _tell(
        self, provider: int, opened: Any = (), closed: Any = (), invalidated: bool = False
    ) -> list[CalendarEvent]:
        one = self.providers[provider]
        one.version += 1
        return [self._event(clinic, provider, one.version, opened, closed, invalidated) for clinic in one.clinics]

    def _event(
        self, clinic: int, provider: int | None, version: int, opened: Any, closed: Any, invalidated: bool
    ) -> CalendarEvent:
        self._outbox += 1
        self.heads[clinic] += 1
        event = CalendarEvent(
            self.epoch, clinic, self.heads[clinic], self.now, self._outbox, self._outbox, provider, None, version,
            opened, closed, invalidated,
        )  # fmt: skip
        self.log.append(event)
        return event


class Primary(OpenTimes):
    """Reads the truth, which may be further than the log."""

    def __init__(self, town: Town) -> None:
        super().__init__(KnownSchedules())
        self.town = town
        self.looks = 0

    async def look(self, _reader: Reader, keys: Sequence[Triple], first: date, last: date) -> list[Looked]:
        self.looks += 1
        return [looked for key in keys if (looked := self._one(key, first, last)) is not None]

    def _one(self, key: Triple, first: date, last: date) -> Looked | None:
        provider_key, clinic, kind_key = key
        one = self.town.providers.get(provider_key)
        if one is None or clinic not in one.clinics or kind_key not in one.kinds:
            return None
        zone, schedule = zones.named(self.town.clinics[clinic]), one.schedules[clinic]
        base, end = availability.window(zone, first, last)
        offering = Offering(
            provider_key, clinic, ProviderKind.PERSON, zone, self.town.kinds[kind_key], one.version, schedule.version, True,
            self.town.epoch,
        )  # fmt: skip
        return Looked(offering, schedule, self._calendar(one, base - 2016, end + 2016), self.town.now)

    def _calendar(self, one: Provider, base: int, end: int) -> Calendar:
        return one.calendar(base, end)


class NoCalendars:
    """Believed once a pulse came, and not while something may be missing."""

    at: datetime | None = None
    doubted = False

    def apply(self, _event: CalendarEvent) -> None:
        return

    def drop(self, _clinic_key: int) -> None:
        return

    def forget(self) -> None:
        return

    def heard(self, pulse: Pulse) -> None:
        self.at = pulse.at

    def now(self) -> datetime | None:
        return None if self.doubted else self.at

    def doubt(self) -> None:
        self.doubted = True

    def settle(self) -> None:
        self.doubted = False

    def is_behind(self, _clinic_key: int, _provider_keys: Iterable[int]) -> bool:
        return False

    def is_behind_anywhere(self) -> bool:
        return False


class Process(NoCalendars, Primary):
    """Answers calendars from what the log brought, as a process does: what is not known is read from the truth."""

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self._known: dict[int, Provider] = {}
        self.reads = 0

    def _calendar(self, one: Provider, base: int, end: int) -> Calendar:
        known = self._known.get(one.key)
        if known is None:
            self.reads += 1
            known = self._known[one.key] = replace(one, taken=dict(one.taken))
        return known.calendar(base, end)

    def apply(self, event: CalendarEvent) -> None:
        known = self._known.get(event.provider_key or 0)
        if known is None or event.version <= known.version:
            return
        if event.version > known.version + 1:
            del self._known[known.key]
            return
        known.version = event.version
        for start, end in event.opened:
            gone = [number for number, one in known.taken.items() if (one.start * 300, one.end * 300) == (start, end)]
            del known.taken[gone[0]]
        for start, end, expires_at in event.closed:
            known.taken[-event.version] = Taken(start // 300, end // 300, expires_at)

    def drop(self, clinic_key: int) -> None:
        self._known = {key: one for key, one in self._known.items() if clinic_key not in one.clinics}

    def forget(self) -> None:
        self._known.clear()


class TownReading(Reading):
    """Counts what is asked, waits a little as I/O does, and fails when told to."""

    def __init__(self, town: Town, times: Primary, chance: random.Random | None = None) -> None:
        super().__init__(None, times)  # type: ignore[arg-type]
        self.town = town
        self.times = times
        self.asked: list[str] = []
        self.down = False
        self.gate: asyncio.Event | None = None  # what was read is held back until it is set
        self._chance = chance

    @asynccontextmanager
    async def _primary(self) -> AsyncIterator[Any]:
        await self._io()
        yield None
        if self.gate is not None:
            await self.gate.wait()
        await self._io()

    async def _io(self) -> None:
        if self.down:
            raise Unavailable("down")
        if self._chance is not None:
            for _ in range(self._chance.randrange(3)):
                await asyncio.sleep(0.003 if self._chance.random() < 0.05 else 0)

    async def heads(self, clinic_keys: Sequence[int]) -> Heads:
        self.asked.append("heads")
        heads = Heads(self.town.epoch, self.town.now, {key: self.town.heads.get(key, 0) for key in clinic_keys})
        await self._io()
        return heads

    async def facts(self, shape: Shape) -> Facts:
        self.asked.append("facts")
        await self._io()
        found = facts(self.town, shape)
        await self._io()
        return found

    async def everything(self, shape: Shape, about: Facts, last: date) -> reading.Content:
        self.asked.append("everything")
        return await super().everything(shape, about, last)

    async def changed(self, shape: Shape, about: Facts, events: Any, last: date) -> reading.Change:
        self.asked.append("changed")
        return await super().changed(shape, about, events, last)


class TownSnapshots(Snapshots):
    def __init__(self, town: Town) -> None:
        self.town = town
        self.times = Primary(town)
        self.asked: list[bool] = []
        self.seconds = 0.0  # that a read takes

    async def read(self, shape: Shape, *, primary: bool) -> Snapshot:
        self.asked.append(primary)
        await asyncio.sleep(self.seconds)
        about = facts(self.town, shape)
        content = await truth(self.town, shape, self.times)
        until = reading.covers(shape, about, content.through, self.town.now)
        cursor = Cursor(self.town.epoch, shape.clinic_key, self.town.heads[shape.clinic_key], until.toordinal())
        return Snapshot(
            str(cursor), self.town.now.astimezone(about.zone), about.zone_name, content.through, content.slots
        )


def facts(town: Town, shape: Shape) -> Facts:
    if shape.clinic_key not in town.clinics:
        raise BadInput("filter.clinicId", "There is no such clinic.")
    offering = {
        one.key for one in town.providers.values()
        if shape.clinic_key in one.clinics and shape.visit_type_key in one.kinds
        and (shape.provider_keys is None or one.key in shape.provider_keys)
    }  # fmt: skip
    zone_name = town.clinics[shape.clinic_key]
    return Facts(zones.named(zone_name), zone_name, town.kinds[shape.visit_type_key], frozenset(offering))


async def truth(town: Town, shape: Shape, times: Primary | None = None) -> reading.Content:
    about = facts(town, shape)
    keys = [(one, shape.clinic_key, shape.visit_type_key) for one in sorted(about.provider_keys)]
    return await reading.content(None, times or Primary(town), keys, shape.first, shape.last, about.visit_type)  # type: ignore[arg-type]


@dataclass
class Server:
    """One process: its hub, and the log as far as it was delivered."""

    town: Town
    hub: Hub
    live: Live
    reading: TownReading
    snapshots: TownSnapshots
    times: Primary

    @classmethod
    def on(
        cls,
        town: Town,
        *,
        process: bool = False,
        chance: random.Random | None = None,
        calendars: Calendars | None = None,
        **pace: Any,
    ) -> "Server":
        times = Process(town) if process else Primary(town)
        read, snapshots = TownReading(town, times, chance), TownSnapshots(town)
        told = calendars or (times if isinstance(times, Process) else NoCalendars())
        hub = Hub(read, snapshots, told, HubPace(**pace))
        return cls(town, hub, Live(hub, snapshots), read, snapshots, times)

    def hear(self, *events: Any) -> None:
        for event in events:
            self.hub.receive(event)


@dataclass
class View:
    """A client: applies frames as a page does, and refuses a broken chain."""

    cursor: str = ""
    times: dict[str, OpenSlot] = field(default_factory=dict)
    frames: int = 0

    def apply(self, frame: Frame) -> None:
        self.frames += 1
        if isinstance(frame, Snapshot):
            self.times = {one.id: one for one in frame.slots}
        else:
            assert frame.previous_cursor == self.cursor, (frame.previous_cursor, self.cursor)
        if isinstance(frame, Delta):
            for slot_id in frame.removed:
                self.times.pop(slot_id, None)
            self.times.update((one.id, one) for one in frame.opened)
        self.cursor = frame.cursor

    def shown(self, now: datetime) -> dict[str, int]:
        """What a page shows at that moment: it hides by itself what can no longer be booked."""
        return {slot_id: one.left for slot_id, one in self.times.items() if one.bookable_until > now}


async def frame(member: Any, seconds: float = 2) -> Any:
    return await asyncio.wait_for(anext(member), seconds)


async def silent(member: Any, seconds: float = 0.03) -> bool:
    """Whether nothing comes for that long."""
    try:
        got = await asyncio.wait_for(anext(member), seconds)
    except TimeoutError:
        return True
    return not isinstance(got, Snapshot | Delta | Heartbeat)


async def settled(check: Any, seconds: float = 5) -> None:
    until = monotonic() + seconds
    while not check():
        assert monotonic() < until, "it did not come about"
        await asyncio.sleep(0.001)


def week(
    clinic: int = 1, kind_key: int = 1, providers: tuple[int, ...] | None = None, days: int = 7, after: int = 1
) -> Shape:
    first = TODAY + timedelta(days=after)
    return Shape(clinic, kind_key, providers, first, first + timedelta(days=days - 1))
