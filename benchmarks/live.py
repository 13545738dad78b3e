"""The live calendar: what telling a change costs, and how soon everybody knows. Beside stock Strawberry on the same stream."""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks import commits
from benchmarks.audience import Audience, subscription
from benchmarks.commits import COMMIT, EXECUTION, Notes
from benchmarks.cpu import busy_seconds, process_seconds, resident_mb
from benchmarks.population import Population, tomorrow
from benchmarks.rivals import Bookable, Product, Reference, Rival, in_database, new_database
from domain.ids import VISIT_TYPE, node

CLINIC, PROVIDER = 1, 4  # that provider works there
WITHIN_SECONDS = 8.0
PACE_SECONDS = 0.1
SETTLE_SECONDS = 0.7
VISIT_TYPES = 3
ONE_SHAPE, NOBODY, FULL = "one shape", "nobody watches", "all in one process"
ALONE, KAFKA = "one socket, embedded log", "one socket, Kafka"

WATCH = """subscription OpenTimes($filter: AvailabilityFilter!) {
  availability(filter: $filter) {
    __typename
    ... on AvailabilityFrame { cursor serverTime }
    ... on AvailabilitySnapshot { reason timeZone through slots { ...Time } }
    ... on AvailabilityDelta { previousCursor removed opened { ...Time } }
    ... on AvailabilityHeartbeat { previousCursor }
  }
}
fragment Time on OpenSlot { id providerId startsAt endsAt localDate left bookableUntil }"""
HOLD = """mutation ($input: HoldSlotInput!) {
  holdSlot(input: $input) { __typename ... on SlotHeld { hold { id } } }
}"""
RELEASE = "mutation ($input: ReleaseHoldInput!) { releaseHold(input: $input) { __typename } }"


@dataclass(frozen=True)
class LiveSizes:
    sockets: int = 1000
    changes: int = 60
    changes_of_stock: int = 12
    shapes: tuple[int, ...] = (50, 500)
    spread_changes: int = 60
    alone: int = 60
    kafka: bool = True


LIVE_QUICK = LiveSizes(sockets=200, changes=20, changes_of_stock=10, spread_changes=20, alone=20)


@dataclass(frozen=True)
class Told:
    """One round of a case: `last_ms` is, for each change, from its commit to the last who was told."""

    case: str
    side: str
    sockets: int
    changes: int
    frames: int
    told_shapes: int
    executions: int
    cpu_seconds: float
    last_ms: list[float]
    frame_bytes: int
    load: float
    busy: float
    socket_kb: float | None = None


@dataclass
class LiveResults:
    told: list[Told] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Live(Product):
    """The product, noting its commits."""

    name = "live"

    def __init__(self, population: Population, database_url: str, redis_url: str, folder: Path) -> None:
        super().__init__(population, database_url, redis_url, folder)
        notes = folder / f"{self.name}.notes"
        self.notes = Notes(notes)
        self.environment[commits.WHERE] = str(notes)
        self.environment.pop("KAFKA_BOOTSTRAP_SERVERS", None)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "benchmarks.commits"]


class Another(Live):
    """A second process of the product on the same database: there changes come in, here they are told."""

    name = "product"

    def __init__(self, live: Live, redis_url: str) -> None:
        super().__init__(live.population, live.database_url, redis_url, live.folder)
        self.database_url = self.environment["DATABASE_URL"] = live.database_url

    async def start(self) -> None:
        self.process = await self.serve()


class ThroughKafka(Live):
    name = "live_kafka"

    def through(self, address: str) -> None:
        self.environment["KAFKA_BOOTSTRAP_SERVERS"] = address


class Stock(Reference):
    """Stock Strawberry, following the stream of the product's database."""

    def __init__(self, live: Live, redis_url: str) -> None:
        super().__init__(live.population, live.database_url, redis_url, live.folder)
        self.database_url = self.environment["DATABASE_URL"] = live.database_url

    def command(self) -> list[str]:
        return [sys.executable, "-m", "benchmarks.reference.live"]

    async def start(self) -> None:
        self.process = await self.serve()


@dataclass(frozen=True)
class Week:
    """What a subscriber looks at: the week, or only its first `days`. `provider` None is all of the clinic's."""

    number: int
    visit_type: int
    provider: int | None
    days: int = 7

    def sees(self, slot: "Place") -> bool:
        return slot.week == self.number and self.provider in (None, slot.provider)


ONE = Week(0, 1, PROVIDER, days=2)  # more would only make stock Strawberry's snapshots take minutes


@dataclass(frozen=True)
class Place:
    slot: Bookable
    week: int
    provider: int


class Changes:
    """Holds a time and gives it back, by turns, through the product's own API."""

    def __init__(self, live: Live, places: Sequence[Place]) -> None:
        self._live = live
        self._places = cycle(places)
        self._patients = cycle(live.ids.tokens.values())
        self._name = uuid4().hex
        self._count = 0
        self._held: tuple[Place, str, str] | None = None

    async def make(self) -> Place:
        self._count += 1
        if self._held is None:
            place, token = next(self._places), next(self._patients)
            wanted = {"slotId": place.slot.slot_id, "idempotencyKey": f"hold {self._name} {self._count}"}
            answer = (await self._live.ask(HOLD, token, input=wanted))["holdSlot"]
            if answer["__typename"] != "SlotHeld":
                raise SystemExit(f"a hold was answered with {answer}")
            self._held = place, token, answer["hold"]["id"]
            return place
        (place, token, hold), self._held = self._held, None
        given = {"holdId": hold, "idempotencyKey": f"release {self._name} {self._count}"}
        answer = (await self._live.ask(RELEASE, token, input=given))["releaseHold"]
        if answer["__typename"] != "HoldReleased":
            raise SystemExit(f"a release was answered with {answer}")
        return place


@dataclass
class Stage:
    live: Live
    audience: Audience
    results: LiveResults
    say: Callable[[str], None]

    def filter(self, week: Week) -> dict[str, Any]:
        ids, first = self.live.ids, self.live.population.first_day + timedelta(days=7 * week.number)
        asked = {
            "clinicId": ids.clinics[CLINIC],
            "visitTypeId": node(VISIT_TYPE, week.visit_type),
            "from": first.isoformat(),
            "to": (first + timedelta(days=week.days - 1)).isoformat(),
        }
        return asked if week.provider is None else {**asked, "providerIds": [ids.providers[week.provider]]}

    async def places(self, weeks: int) -> list[Place]:
        """Free times of every provider in each week, in no order but always the same."""
        found = []
        for week, weekday in product(range(weeks), range(2)):
            day = self.live.population.first_day + timedelta(days=7 * week + weekday)
            for provider, slots in (await self.live.bookable([CLINIC], day, 4)).items():
                found += [Place(slot, week, provider) for slot in slots]
        random.Random("places").shuffle(found)
        return found

    async def tell(
        self, case: str, rival: Rival, seats: Sequence[Week], changes: Changes, count: int, *, weigh: bool = False
    ) -> Told:
        """So many changes, each awaited until everybody whom it concerns has heard of it."""
        assert rival.process
        pid, before = rival.process.pid, 0.0
        told_by = rival.notes if isinstance(rival, Live) else self.live.notes
        self.say(
            f"{case}: {len(seats)} sockets at {'stock Strawberry' if rival.name == 'reference' else 'the product'}"
        )
        half = len(seats) // 2 if weigh else 0
        if weigh:
            # A server that has just started has room left over: only what comes on top of the first half is weighed.
            await self._take_seats(rival, seats[:half])
            await self._changed(changes, seats[:half])
            await self._changed(changes, seats[:half])
            before = resident_mb(pid)
        await self._take_seats(rival, seats[half:], more=weigh)
        for _ in range(2):
            await self._changed(changes, seats)
        cpu, busy, began = process_seconds(pid), busy_seconds(), time.monotonic()
        spans, heard, load = [], [], []
        with self.live.notes.read() as noted, told_by.read() as made:
            for _ in range(count):
                span, arrivals = await self._changed(changes, seats)
                spans.append(span)
                heard.append(arrivals)
                load.append(os.getloadavg()[0])
        cpu, seconds = process_seconds(pid) - cpu, time.monotonic() - began
        told = Told(
            case=case, side=rival.name, sockets=len(seats), changes=count, frames=sum(map(len, heard)),
            told_shapes=sum(len({seats[number] for _, number in arrivals}) for arrivals in heard),
            executions=len(made[EXECUTION]), cpu_seconds=cpu, last_ms=list(_latencies(spans, heard, noted[COMMIT])),
            frame_bytes=self._frame_bytes, load=statistics.mean(load), busy=(busy_seconds() - busy) / seconds,
            socket_kb=(resident_mb(pid) - before) * 1024 / (len(seats) - half) if weigh else None,
        )  # fmt: skip
        self.results.told.append(told)
        return told

    async def _take_seats(self, rival: Rival, seats: Sequence[Week], *, more: bool = False) -> None:
        wanted = [subscription(WATCH, {"filter": self.filter(week)}) for week in seats]
        await asyncio.to_thread(self.audience.open, rival.port, wanted, more=more)
        await asyncio.sleep(SETTLE_SECONDS)

    async def _changed(
        self, changes: Changes, seats: Sequence[Week]
    ) -> tuple[tuple[float, float], list[tuple[float, int]]]:
        """When it was asked for and answered, and who heard of it."""
        asked = time.monotonic()
        place = await changes.make()
        answered = time.monotonic()
        expected = [number for number, week in enumerate(seats) if week.sees(place)]
        heard = await asyncio.to_thread(self.audience.hear, len(expected), WITHIN_SECONDS)
        if sorted(number for _, number in heard.arrivals) != expected:
            raise SystemExit(
                f"{len(expected)} sockets had to hear of a change, {len(heard.arrivals)} did\n{self.live.last_words()}"
            )
        self._frame_bytes = heard.frame_bytes
        # By chance, so that no clock of the product's is met at the same moment each time.
        await asyncio.sleep(max(0.0, asked + PACE_SECONDS * random.uniform(0.8, 1.6) - time.monotonic()))
        return (asked, answered), heard.arrivals

    _frame_bytes = 0


def _latencies(
    spans: Sequence[tuple[float, float]], heard: Sequence[list[tuple[float, int]]], noted: Sequence[float]
) -> Iterator[float]:
    """Milliseconds from each commit to the last who heard of it."""
    for (asked, answered), arrivals in zip(spans, heard, strict=True):
        own = [at for at in noted if asked <= at <= answered]
        if own and arrivals:
            yield (max(arrivals)[0] - own[-1]) * 1000


def spread(population: Population, shapes: int) -> list[Week]:
    """So many different calendars of one clinic: other weeks, providers and visit types."""
    weeks = 2 if shapes <= 100 else 8
    there = [n for n in range(1, population.providers + 1) if CLINIC in population.places(n)]
    several = product((None, *there), range(1, VISIT_TYPES + 1), range(weeks))
    return [Week(number, visit_type, provider) for provider, visit_type, number in islice(several, shapes)]


async def measure_live(
    database_url: str, redis_url: str, folder: Path, sizes: LiveSizes, say: Callable[[str], None]
) -> LiveResults:
    results = LiveResults()
    population = Population(tomorrow(), clinics=4, providers=40, patients=200)
    async with AsyncExitStack() as stack:
        audience = Audience()
        stack.callback(audience.close)
        live = await _started(stack, Live(population, database_url, redis_url, folder))
        stage = Stage(live, audience, results, say)
        others = [Another(live, redis_url), Stock(live, redis_url)]
        another, stock = await asyncio.gather(*(_started(stack, one, fill=False) for one in others))
        await _side_by_side(stage, another, stock, sizes)
        await _spread_out(stage, another, sizes)
        await _alone(stage, ALONE, sizes)
    if not sizes.kafka:
        return results
    try:
        await _through_kafka(population, database_url, redis_url, folder, sizes, results, say)
    except NoKafka as missing:
        results.notes.append(str(missing))
    return results


async def _started(stack: AsyncExitStack, rival: Any, *, fill: bool = True) -> Any:
    if fill:
        await new_database(in_database(rival.database_url, "postgres"), f"bench_{rival.name}")
        await rival.fill()
    stack.push_async_callback(rival.stop)
    await rival.start()
    return rival


async def _side_by_side(stage: Stage, another: Another, stock: Stock, sizes: LiveSizes) -> None:
    """One provider's next two days, the same for everybody."""
    places = [place for place in await stage.places(1) if place.provider == PROVIDER]
    changes = Changes(stage.live, places)
    seats = [ONE] * sizes.sockets
    await stage.tell(ONE_SHAPE, another, seats, changes, sizes.changes, weigh=True)
    await stage.tell(ONE_SHAPE, stock, seats, changes, sizes.changes_of_stock, weigh=True)
    await stock.stop()
    await stage.tell(ONE_SHAPE, another, seats, changes, sizes.changes)
    await stage.tell(NOBODY, another, [], changes, sizes.changes)
    await stage.tell(FULL, stage.live, seats, changes, sizes.changes)


async def _spread_out(stage: Stage, another: Another, sizes: LiveSizes) -> None:
    for shapes in sizes.shapes:
        weeks = spread(stage.live.population, shapes)
        seats = list(islice(cycle(weeks), sizes.sockets))
        seen = {(week.number, week.provider) for week in weeks}
        places = [one for one in await stage.places(8) if (one.week, one.provider) in seen]
        await stage.tell(f"{shapes} shapes", another, seats, Changes(stage.live, places), sizes.spread_changes)


async def _alone(stage: Stage, case: str, sizes: LiveSizes) -> None:
    places = [place for place in await stage.places(1) if place.provider == PROVIDER]
    await stage.tell(case, stage.live, [ONE], Changes(stage.live, places), sizes.alone)


class NoKafka(Exception):
    """Says why."""


async def _through_kafka(
    population: Population,
    database_url: str,
    redis_url: str,
    folder: Path,
    sizes: LiveSizes,
    results: LiveResults,
    say: Callable[[str], None],
) -> None:
    say("starting Kafka")
    async with AsyncExitStack() as stack:
        address = await asyncio.to_thread(stack.enter_context, _broker())
        audience = Audience()
        stack.callback(audience.close)
        live = ThroughKafka(population, database_url, redis_url, folder)
        live.through(address)
        await _started(stack, live)
        await _alone(Stage(live, audience, results, say), KAFKA, sizes)


@contextmanager
def _broker() -> Iterator[str]:
    import pytest

    from tests.kafka import broker

    with ExitStack() as stack:
        try:
            kafka = stack.enter_context(broker())
        except pytest.skip.Exception as skipped:
            raise NoKafka(str(skipped)) from None
        except (OSError, RuntimeError, subprocess.SubprocessError) as fault:
            raise NoKafka(f"no Kafka: {fault}") from None
        yield kafka.address
