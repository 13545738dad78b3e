"""Many cancellations, twenty who wait, several processes, workers killed at random: no gap, nobody twice, all explained."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from adapters.postgres import appointments
from adapters.postgres.database import Database, pool
from adapters.postgres.decisions import Decision
from domain import ids
from domain.appointments import Appointment
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    OfferAccepted,
    OfferDeclined,
    OfferGone,
    SlotTaken,
)
from services.verify import verify
from tests import sizes
from tests.proofs import proof
from tests.services.waiters import Place, all_decisions, hasty, place, unexplained
from tests.world import World, faults, new_key

ROOT = Path(__file__).parents[2]
WAITING = 20
CLINICS = 5
OFFER_SECONDS = 0.25
WORKERS = 2
GIVEN_TWICE = """
SELECT cascade_id, entry_id FROM waitlist_offers GROUP BY cascade_id, entry_id HAVING count(*) > 1
"""


class Workers:
    """Processes of their own; one of them is killed now and then, and another begins."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: list[asyncio.subprocess.Process] = []
        self.kills = 0

    async def start(self) -> None:
        arguments = ["-m", "tests.services.passing_on", self._url, str(OFFER_SECONDS)]
        self._running.append(await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT))

    async def kill_one(self) -> None:
        victim = self._running.pop(random.randrange(len(self._running)))
        assert victim.returncode is None, "a worker ended by itself"
        victim.kill()
        await victim.wait()
        self.kills += 1
        await self.start()

    async def kill_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.8, 2.0))
            await self.kill_one()

    async def stop(self) -> None:
        for one in self._running:
            one.kill()
            await one.wait()


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[World]]:
    """API processes, as it were: each with connections of its own and nothing remembered of the others."""
    opened: list[asyncpg.Pool] = [await pool(database_url, size=6) for _ in range(3)]
    yield [hasty(one, OFFER_SECONDS) for one in opened]
    for one in opened:
        await one.close()


class Clinic:
    """One clinic: a time that is given up again and again, and twenty people who want it."""

    def __init__(self, here: Place, processes: list[World], rng: random.Random, said: Counter[str]) -> None:
        self.here, self.processes, self.rng, self.said = here, processes, rng, said

    async def begin(self) -> Appointment:
        for _ in range(WAITING):
            await self.join()
        self.strangers = await self.here.world.patients(3)
        return await self.here.booked()

    async def join(self) -> None:
        await self.here.join(urgency=self.rng.randrange(4), auto_book=self.rng.random() < 0.3)

    async def again(self, made: Appointment) -> Appointment:
        """One cancellation, raced by strangers; whoever is offered the time answers or does not, until one has it."""
        key = new_key()
        one, *others = self.rng.sample(self.processes, 3)
        answers = await asyncio.gather(
            one.changing.cancel(self.here.clerk, made.id, made.version, None, key), *self.snipe(others)
        )
        assert isinstance(answers[0], AppointmentCancelled), answers[0]
        self.took_nothing(answers[1:])
        while True:
            booked = await self.booked()
            if booked is not None:
                await self.refill()
                return booked
            await self.answer()
            self.took_nothing(await asyncio.gather(*self.snipe(others)))

    def snipe(self, processes: list[World]) -> list[object]:
        return [
            process.booking.book(who, self.here.slot(), None, None, new_key())
            for process, who in zip(processes, self.rng.sample(self.strangers, len(processes)), strict=True)
        ]

    def took_nothing(self, answers: list[object]) -> None:
        assert {type(answer) for answer in answers} == {SlotTaken}, answers
        self.said["strangers refused"] += len(answers)

    async def booked(self) -> Appointment | None:
        rows = await self.here.world.fetch(
            "SELECT id, version FROM appointments WHERE clinic_id = $1 AND status = 'booked'", self.here.clinic
        )
        assert len(rows) <= 1
        if not rows:
            return None
        key = rows[0]["id"]
        return (await appointments.appointments(self.here.world.database.primary, [key]))[key]

    async def answer(self) -> None:
        live = await self.here.live()
        if not live:
            return
        offer = live[0].offer
        process, who = self.rng.choice(self.processes), self.here.who(offer.patient_key)
        way = self.rng.choice(["accept", "accept", "accept", "book", "decline", "decline", "wait"])
        if way == "wait":
            await asyncio.sleep(OFFER_SECONDS)
            return
        asked = {
            "accept": lambda: process.waiting.accept(who, offer.id, new_key()),
            "decline": lambda: process.waiting.decline(who, offer.id, new_key()),
            "book": lambda: process.booking.book(who, self.here.slot(), None, None, new_key()),
        }[way]()
        answer = await asked
        assert isinstance(answer, OfferAccepted | OfferDeclined | OfferGone | AppointmentBooked | SlotTaken), answer
        self.said[type(answer).__name__] += 1

    async def refill(self) -> None:
        """As many who wait as before: the served one is replaced, the suspended begin anew."""
        rows = await self.here.world.fetch(
            "SELECT id, version FROM waitlist_entries WHERE clinic_id = $1 AND status = 'suspended'", self.here.clinic
        )
        for row in rows:
            entry = ids.node(ids.WAITLIST_ENTRY, row["id"])
            await self.here.world.waiting.change(self.here.clerk, entry, row["version"], {}, new_key())
        await self.join()


@pytest.mark.timeout(7200)
async def test_no_time_is_ever_open_while_somebody_waits_for_it(
    world: World, processes: list[World], database_url: str, request: pytest.FixtureRequest
) -> None:
    said: Counter[str] = Counter()
    rng = random.Random(sizes.CANCELLATIONS)
    clinics = [Clinic(await place(world), processes, random.Random(rng.random()), said) for _ in range(CLINICS)]
    workers = Workers(database_url)
    for _ in range(WORKERS):
        await workers.start()
    killing = asyncio.create_task(workers.kill_now_and_then())
    try:

        async def live(one: Clinic) -> None:
            made = await one.begin()
            for _ in range(sizes.CANCELLATIONS // CLINICS):
                made = await one.again(made)

        await asyncio.gather(*(live(one) for one in clinics))
    finally:
        killing.cancel()
        await workers.stop()
    assert not killing.done() or killing.cancelled()
    patient = await pool(database_url, size=1, bounded=False)  # reading all of it takes longer than a booking may
    try:
        decided = await _checked(World.on(patient))
    finally:
        await patient.close()
    proof(
        request.node.name, cancellations=sizes.CANCELLATIONS, decisions=len(decided), kills=workers.kills,
        candidates=sum(len(one.plan.ranks) for one in decided), gaps=0, unexplained=0, **said,
    )  # fmt: skip


async def _checked(world: World) -> list[Decision]:
    """What was decided, after all of it was looked at."""
    assert await unexplained(world) == []
    assert await faults(world) == []
    assert await world.fetch(GIVEN_TWICE) == []
    assert [one async for one in verify(Database(world.database.primary)) if one.broken] == []
    return await all_decisions(world)
