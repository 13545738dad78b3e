"""No search shows a time as next that was taken when it was asked, while everybody books and cancels."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import pytest

from app.embedded import Addresses
from app.settings import Settings
from app.wiring import Product, product
from domain.access import Viewer
from domain.appointments import Appointment, Slot
from domain.faults import RequestInProgress, Unavailable
from domain.outcomes import AppointmentBooked, AppointmentCancelled
from domain.search import Sort
from domain.search_filters import Filter
from services.live.trust import LATE_SECONDS, TRUSTED_SECONDS
from tests import indexed
from tests.conftest import MakeDatabase
from tests.proofs import proof
from tests.sizes import SEARCH_RACE_BOOKINGS
from tests.world import World, new_key

PROVIDERS = 12
A_SECOND = 100
EVERY = Filter()
QUESTIONS = [(EVERY, Sort.SOONEST), (EVERY, Sort.BEST), (EVERY, Sort.NAME)]


@dataclass
class Taken:
    """A live appointment: its commit was acknowledged at `since`; nobody had asked to cancel it before `until`."""

    starts_at: datetime
    ends_at: datetime
    since: float
    until: float = float("inf")


@dataclass
class Book:
    """All that was ever booked, by provider."""

    taken: dict[int, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    live: list[tuple[Viewer, Appointment, Taken]] = field(default_factory=list)
    bookings: int = 0
    refused: int = 0

    def shown_though_taken(self, slot: Slot, asked: float, answered: float) -> float | None:
        """For how long it had been taken when it was asked."""
        ages = [
            asked - one.since
            for one in self.taken[slot.provider_key]
            if one.since <= asked and answered <= one.until
            and one.starts_at < slot.ends_at and slot.starts_at < one.ends_at
        ]  # fmt: skip
        return max(ages) if ages else None


@dataclass
class Crowd:
    """Who books what searches show, so that every next time is contested, and who cancels again."""

    here: Product
    people: list[Viewer]
    chance: random.Random
    book: Book = field(default_factory=Book)
    shown: list[Slot] = field(default_factory=list)
    searches: int = 0
    late: list[float] = field(default_factory=list)

    async def books(self) -> None:
        booking, began = self.here.services.booking, monotonic()
        while self.book.bookings < SEARCH_RACE_BOOKINGS:
            await asyncio.sleep(max(0.001, began + (self.book.bookings + self.book.refused) / A_SECOND - monotonic()))
            if not self.shown:
                continue
            who, slot = self.chance.choice(self.people), self.chance.choice(self.shown)
            try:
                got = await booking.book(who, slot.id, None, None, new_key())
            except (RequestInProgress, Unavailable):
                continue
            if isinstance(got, AppointmentBooked):
                taken = Taken(slot.starts_at, slot.ends_at, monotonic())
                self.book.bookings += 1
                self.book.taken[slot.provider_key].append(taken)
                self.book.live.append((who, got.appointment, taken))
            else:
                self.book.refused += 1

    async def cancels(self) -> None:
        while self.book.bookings < SEARCH_RACE_BOOKINGS:
            await asyncio.sleep(0.02)
            if len(self.book.live) < 60:
                continue
            who, one, taken = self.book.live.pop(self.chance.randrange(len(self.book.live)))
            if taken.starts_at < datetime.now(UTC) + timedelta(minutes=1):
                continue  # What has begun is not cancelled.
            taken.until = monotonic()
            got = await self.here.services.changing.cancel(who, one.id, one.version, None, new_key())
            assert isinstance(got, AppointmentCancelled), got

    async def searches_on(self, there: Product) -> None:
        """Some page further on, so that not everybody looks at the same hits."""
        while self.book.bookings < SEARCH_RACE_BOOKINGS:
            what, sort = self.chance.choice(QUESTIONS)
            asked = monotonic()
            found = await there.services.searching.search(what, sort, 20, None)
            answered = monotonic()
            self.searches += 1
            slots = [hit.next_slot for hit in found.hits if hit.next_slot is not None]
            assert slots
            self.shown = slots
            for slot in slots:
                age = self.book.shown_though_taken(slot, asked, answered)
                if age is not None:
                    self.late.append(age)
            await asyncio.sleep(0.005)


async def crowd(pool: asyncpg.Pool, here: Product) -> Crowd:
    """Providers whom everybody finds, with months of time."""
    world = World.on(pool)
    clinics = [await world.clinic(), await world.clinic("America/Chicago")]
    kinds = [
        await world.visit_type(15, notice=0, cancel=0),
        await world.visit_type(30, before=5, every=15, notice=0, cancel=0),
    ]
    for number in range(PROVIDERS):
        await world.provider(clinics[number % 2 :], kinds, opens=0, closes=1440)
    await indexed.fill(pool)
    return Crowd(here, await world.patients(400), random.Random(5))


@asynccontextmanager
async def processes(
    make_database: MakeDatabase, redis_url: str | None, folder: Path, how: Sequence[dict[str, Any]]
) -> AsyncIterator[tuple[Crowd, list[Product]]]:
    url = await make_database()
    async with AsyncExitStack() as stack:
        made = []
        for number, more in enumerate(how):
            settings = Settings(
                data_dir=folder / str(number), database_url=url, redis_url=redis_url, kafka_bootstrap_servers=None, env="test",
                **more,
            )  # fmt: skip
            made.append(await stack.enter_async_context(product(settings, Addresses(url, None, redis_url))))
        found = await crowd(made[0].database.primary, made[0])
        for one in made:
            await stack.enter_async_context(one.live())
        yield found, made


async def race(found: Crowd, there: Product) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(found.books())
        tasks.create_task(found.cancels())
        for _ in range(2):
            tasks.create_task(found.searches_on(there))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("caches", ["process", "process and redis", "redis", "none"])
async def test_no_time_that_was_taken_when_it_was_asked_is_shown(
    make_database: MakeDatabase, redis_url: str, tmp_path: Path, caches: str
) -> None:
    how = {"process_calendars": "process" in caches, "cache": "redis" in caches, "cache_from": 1}
    async with processes(make_database, redis_url, tmp_path, [how]) as (found, [here]):
        began = monotonic()
        await race(found, here)
        counted = {
            "bookings": found.book.bookings, "refused": found.book.refused, "searches": found.searches,
            "seconds": round(monotonic() - began, 1), "shown_though_taken": len(found.late),
        }  # fmt: skip
    assert found.late == [], counted
    proof(f"search while others book, kept: {caches}", **counted)


@pytest.mark.timeout(400)
async def test_what_another_process_wrote_is_known_with_the_stream(
    make_database: MakeDatabase, redis_url: str, tmp_path: Path
) -> None:
    """Between processes the promise is another one: a pulse that is believed is only so old, and leaves only so much behind."""
    how = {"process_calendars": True, "cache": False}
    async with processes(make_database, None, tmp_path, [how, how]) as (found, [_, there]):
        await race(found, there)
        proof(
            "search in another process than the bookings", bookings=found.book.bookings, searches=found.searches,
            shown_late=len(found.late), latest_ms=round(1000 * max(found.late, default=0)),
        )  # fmt: skip
        assert max(found.late, default=0.0) < 2 * TRUSTED_SECONDS + LATE_SECONDS
