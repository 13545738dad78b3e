"""Many at once: one winner for each time, every other one told, no error and no deadlock, with and without the Redis lock."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from adapters.postgres.database import pool
from adapters.redis.locks import SlotLocks
from app.embedded import redis as embedded_redis
from app.embedded.owner import find_owner
from domain.access import Viewer
from domain.outcomes import AppointmentBooked, AppointmentRescheduled, PatientConflict, SlotHeld, SlotTaken
from tests import sizes
from tests.proofs import proof
from tests.world import MONDAY, World, faults, new_key, opening_id, slot_id

pytestmark = pytest.mark.prove
NOON = MONDAY + timedelta(days=1, hours=3)
LOCKS = ["off", "on", "lying", "killed"]
Kill = Callable[[], Awaitable[None]]


@asynccontextmanager
async def own_redis() -> AsyncIterator[embedded_redis.Redis]:
    """A Redis of this test's own, that may be killed."""
    program = embedded_redis.program()
    if program is None:
        pytest.skip("there is no redis-server here")
    with tempfile.TemporaryDirectory(prefix="race-") as name:
        os.chmod(name, 0o711)
        folder = Path(name)
        owner = find_owner(folder, [program])
        owner.give(folder / "sockets", 0o700)
        server = embedded_redis.Redis(folder, folder / "sockets", owner, program)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@dataclass
class Crowded:
    """Three processes' worth of services on one database, what is killed in the middle, and what went wrong."""

    worlds: list[World]
    kill: Kill
    deadlocks_before: int
    errors: int = 0

    async def all(self, asked: list[Awaitable[Any]]) -> list[Any]:
        """Every answer; the first time with the kill in between."""
        *answers, killed = await asyncio.gather(*asked, self.kill(), return_exceptions=True)
        assert killed is None, killed
        self.kill = _nobody
        self.errors += sum(isinstance(one, BaseException) for one in answers)
        return answers

    async def wrong(self) -> dict[str, int]:
        """Counts of what must not be. A deadlock would be an error too: its victim is told Unavailable."""
        deadlocked = await deadlocks(self.worlds[0]) - self.deadlocks_before
        found = {"errors": self.errors, "deadlocks": deadlocked, "faults": len(await faults(self.worlds[0]))}
        assert found == {"errors": 0, "deadlocks": 0, "faults": 0}
        return found


@pytest.fixture(params=LOCKS)
async def crowded(
    request: pytest.FixtureRequest, connections: asyncpg.Pool, database_url: str
) -> AsyncIterator[Crowded]:
    others = [await pool(database_url, size=5) for _ in range(2)]

    async def crowd(lock: Any, kill: Kill) -> Crowded:
        found = [World.on(one, lock) for one in (connections, *others)]
        await found[0].clock(MONDAY)
        return Crowded(found, kill, await deadlocks(found[0]))

    try:
        if request.param == "off":
            yield await crowd(None, _nobody)
        else:
            async with own_redis() as server:
                client = redis.asyncio.from_url(server.url, socket_timeout=1.0)

                async def kill() -> None:
                    await asyncio.sleep(0.05)
                    assert server._process is not None
                    server._process.kill()
                    await asyncio.to_thread(server._process.wait)

                locks = SlotLocks(client, lying=request.param == "lying")
                yield await crowd(locks, kill if request.param == "killed" else _nobody)
                await client.aclose()
    finally:
        for one in others:
            await one.close()


async def _nobody() -> None:
    """Nobody is killed."""


async def deadlocks(world: World) -> int:
    await world.run("SELECT pg_stat_force_next_flush()")
    found: int = await world.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return found


async def place(world: World, minutes: list[int], **kind: Any) -> tuple[int, int, list[int]]:
    clinic = await world.clinic()
    kinds = [await world.visit_type(length, every=5, **kind) for length in minutes]
    return clinic, await world.provider([clinic], kinds), kinds


async def test_two_hundred_at_one_slot(crowded: Crowded, request: pytest.FixtureRequest) -> None:
    worlds = crowded.worlds
    tried = 0
    for _ in range(sizes.RACE_ROUNDS):
        clinic, provider, [kind] = await place(worlds[0], [30])
        people = await worlds[0].patients(sizes.RACE_CALLERS)
        slot = slot_id(provider, clinic, kind, NOON)
        asked = [worlds[n % 3].booking.book(who, slot, None, None, new_key()) for n, who in enumerate(people)]
        answers = await crowded.all(asked)
        said = Counter(type(one) for one in answers)
        assert said == {AppointmentBooked: 1, SlotTaken: len(people) - 1}
        assert all(len(one.alternatives) == 3 for one in answers if isinstance(one, SlotTaken))
        tried += len(people)
    proof(request.node.name, callers=tried, winners=sizes.RACE_ROUNDS, **await crowded.wrong())


async def test_holds_and_bookings_of_one_slot_at_once(crowded: Crowded, request: pytest.FixtureRequest) -> None:
    worlds = crowded.worlds
    clinic, provider, [kind] = await place(worlds[0], [30])
    people = await worlds[0].patients(100)
    slot = slot_id(provider, clinic, kind, NOON)

    async def hold_then_book(world: World, who: Viewer) -> Any:
        held = await world.booking.hold(who, slot, new_key())
        if not isinstance(held, SlotHeld):
            return held
        await asyncio.sleep(0.05)
        return await world.booking.book(who, slot, None, None, new_key())

    answers = await crowded.all([hold_then_book(worlds[n % 3], who) for n, who in enumerate(people)])
    assert Counter(type(one) for one in answers) == {AppointmentBooked: 1, SlotTaken: 99}
    proof(request.node.name, callers=len(people), winners=1, **await crowded.wrong())


async def test_visits_of_different_lengths_that_overlap(crowded: Crowded, request: pytest.FixtureRequest) -> None:
    worlds = crowded.worlds
    winners = 0
    for _ in range(sizes.RACE_ROUNDS):
        clinic, provider, kinds = await place(worlds[0], [10, 25, 45, 90], before=5, after=10)
        people = await worlds[0].patients(sizes.RACE_CALLERS)
        asked = [
            worlds[n % 3].booking.book(
                who,
                slot_id(provider, clinic, kinds[n % 4], NOON + timedelta(minutes=5 * (n * 7 % 24))),
                None,
                None,
                new_key(),
            )
            for n, who in enumerate(people)
        ]
        said = Counter(type(one) for one in await crowded.all(asked))
        assert set(said) == {AppointmentBooked, SlotTaken}, said
        assert 1 <= said[AppointmentBooked] <= 8
        winners += said[AppointmentBooked]
    proof(request.node.name, callers=sizes.RACE_ROUNDS * 200, winners=winners, **await crowded.wrong())


async def test_an_opening_of_n_places_has_n_winners(crowded: Crowded, request: pytest.FixtureRequest) -> None:
    worlds = crowded.worlds
    clinic, kind = await worlds[0].clinic(), await worlds[0].visit_type(None, notice=0)
    provider = await worlds[0].provider([clinic], [kind], pool=True)
    opening = await worlds[0].opening(provider, clinic, NOON, capacity=17)
    slot = opening_id(provider, clinic, kind, opening)
    people = await worlds[0].patients(sizes.RACE_CALLERS)
    asked = [worlds[n % 3].booking.book(who, slot, None, None, new_key()) for n, who in enumerate(people)]
    said = Counter(type(one) for one in await crowded.all(asked))
    assert said == {AppointmentBooked: 17, SlotTaken: len(people) - 17}
    proof(request.node.name, callers=len(people), winners=17, **await crowded.wrong())


async def test_swaps_that_cross_each_other(crowded: Crowded, request: pytest.FixtureRequest) -> None:
    """Four people move round a circle of taken times, and to one free time, all at once, again and again."""
    worlds = crowded.worlds
    clinic, first, [kind] = await place(worlds[0], [30])
    second = await worlds[0].provider([clinic], [kind])
    slots = [slot_id(one, clinic, kind, NOON + timedelta(hours=h)) for one in (first, second) for h in (0, 1)]
    slots.append(slot_id(first, clinic, kind, NOON + timedelta(hours=2)))
    people = await worlds[0].patients(4)
    where = list(range(4))
    made = [await worlds[0].booking.book(who, slots[n], None, None, new_key()) for n, who in enumerate(people)]
    at = [one.appointment for one in made]
    moved = 0
    for number in range(sizes.SWAP_ROUNDS):
        empty = next(slot for slot in range(5) if slot not in where)
        targets = [(where[n] + 1 + number) % 5 if number % 2 else empty for n in range(4)]
        asked = [
            worlds[n % 3].changing.reschedule(people[n], at[n].id, slots[targets[n]], at[n].version, new_key())
            for n in range(4)
        ]
        for n, answer in enumerate(await crowded.all(asked)):
            assert isinstance(answer, AppointmentRescheduled | SlotTaken | PatientConflict), answer
            if isinstance(answer, AppointmentRescheduled):
                at[n], where[n] = answer.appointment, targets[n]
                moved += 1
        assert len(set(where)) == 4
    assert moved >= sizes.SWAP_ROUNDS // 2
    proof(request.node.name, moves_tried=4 * sizes.SWAP_ROUNDS, moved=moved, **await crowded.wrong())


async def test_a_patient_wanted_in_many_places_at_once(crowded: Crowded, request: pytest.FixtureRequest) -> None:
    worlds = crowded.worlds
    clinic, _, [kind] = await place(worlds[0], [30])
    providers = [await worlds[0].provider([clinic], [kind]) for _ in range(6)]
    people = await worlds[0].patients(20)
    asked = [
        worlds[(n + k) % 3].booking.book(
            who, slot_id(provider, clinic, kind, NOON + timedelta(hours=n % 5, minutes=5 * k)), None, None, new_key()
        )
        for n, who in enumerate(people)
        for k, provider in enumerate(providers)
    ]
    answers = await crowded.all(asked)
    said = Counter(type(one) for one in answers)
    assert set(said) <= {AppointmentBooked, SlotTaken, PatientConflict}, said
    assert said[AppointmentBooked] <= len(people)
    keys = [who.patient_key for who in people]
    booked = await worlds[0].fetch("SELECT patient_id FROM appointments WHERE patient_id = any($1::bigint[])", keys)
    assert len({row["patient_id"] for row in booked}) == len(booked) == said[AppointmentBooked]
    proof(request.node.name, attempts=len(asked), patients=len(people), **await crowded.wrong())
