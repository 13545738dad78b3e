"""Everything that people do with visits, holds, hours and the waitlist at once, beside the sweepers as they run: a random mix."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from adapters.postgres.database import Database, pool
from app.workers.sweeper import sweep
from domain import ids
from domain.appointments import AppointmentStatus
from domain.faults import RequestInProgress, Unavailable
from domain.outcomes import OfferGone, ScheduleSaved
from services.schedules import HoursInput, Schedules
from services.verify import verify
from services.waiting import Joining
from tests import sizes
from tests.proofs import proof
from tests.services.waiters import SOON, TODAY, all_decisions, hasty, unexplained
from tests.world import MONDAY, World, faults, new_key, patient_id, slot_id, staff

ACTORS = 8
PATIENTS = 10
OFFER_SECONDS = 1.0
STARTS = 16  # every 15 minutes from nine on
GIVEN_TWICE = """
SELECT cascade_id, entry_id FROM waitlist_offers GROUP BY cascade_id, entry_id HAVING count(*) > 1
"""
# An offer that moved a visit: the event and the audit row of whoever took it up have the same instant.
MOVED = """
SELECT count(*) AS moved, count(*) FILTER (WHERE e.starts_at >= e.starts_at_before) AS later FROM appointment_events AS e
JOIN audit AS w ON w.at = e.at AND w.entity = 'appointment:' || e.appointment_id
    AND w.operation IN ('acceptOffer', 'bookAppointment')
WHERE e.change = 'moved'
"""
OFFERS_WITHOUT_TIME = """
SELECT a.id FROM allocations AS a LEFT JOIN waitlist_offers AS o ON o.allocation_id = a.id AND o.status = 'live'
WHERE a.state = 'held' AND a.hold_id IS NULL AND o.id IS NULL
"""
WEIGHTS = {
    "book": 4, "cancel": 4, "move": 3, "join": 4, "accept": 6, "decline": 2, "leave": 1, "change": 1, "hold": 1,
    "release": 1, "error": 1, "hours": 1, "book_offered": 1,
}  # fmt: skip


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[World]]:
    """Two processes, as it were, each with connections of its own."""
    opened: list[asyncpg.Pool] = [await pool(database_url, size=8) for _ in range(2)]
    found = [hasty(one, OFFER_SECONDS) for one in opened]
    await found[0].clock(MONDAY)
    yield found
    for one in opened:
        await one.close()


class Town:
    """Two clinics in two zones, a provider at both and one at each, visits of three lengths, and a few busy patients."""

    def __init__(self, processes: list[World]) -> None:
        self.processes, self.world, self.said = processes, processes[0], Counter[str]()

    async def begin(self) -> None:
        world = self.world
        self.clinics = [await world.clinic(), await world.clinic("Europe/Berlin")]
        self.kinds = [
            await world.visit_type(30, every=15, notice=0, cancel=0),
            await world.visit_type(45, every=15, before=10, after=5, notice=0, cancel=0),
            await world.visit_type(60, every=30, after=10, notice=0, cancel=0),
        ]
        one, other = self.clinics
        self.at = {
            await world.provider(there, self.kinds): there for there in (self.clinics, [one], [other])
        }  # fmt: skip
        self.patients = [await world.patient(*self.clinics) for _ in range(PATIENTS)]
        self.clerk = staff(*self.clinics)

    async def set_hours(self, provider: int, clinic: int, hours: list[HoursInput]) -> object:
        row = await self.world.value(
            "SELECT version FROM schedules WHERE provider_id = $1 AND clinic_id = $2", provider, clinic
        )
        return await Schedules(self.world.database).set_weekly_hours(
            self.clerk, ids.node(ids.PROVIDER, provider), ids.node(ids.CLINIC, clinic), row, hours, new_key()
        )

    async def live(self) -> list[Any]:
        return await self.world.fetch("SELECT * FROM waitlist_offers WHERE status = 'live' ORDER BY id")


class Actor:
    """One action after another, each of what stands there for some patient at that moment."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town, self.rng = town, random.Random(seed)

    async def act(self, times: int) -> None:
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        for _ in range(times):
            name = self.rng.choices(names, weights)[0]
            self.world, self.who = self.rng.choice(self.town.processes), self.rng.choice(self.town.patients)
            self.by = self.rng.choice([self.who, self.who, self.town.clerk])
            action: Callable[[], Awaitable[object]] = getattr(self, name)
            try:
                answer = await action()
            except (Unavailable, RequestInProgress) as fault:
                answer = fault
            if answer is not None:
                self.town.said[f"{name}: {type(answer).__name__}"] += 1

    def slot(self, kind: int | None = None) -> str:
        provider = self.rng.choice(list(self.town.at))
        start = SOON + timedelta(minutes=15 * self.rng.randrange(STARTS))
        return slot_id(
            provider, self.rng.choice(self.town.at[provider]), kind or self.rng.choice(self.town.kinds), start
        )

    def named(self) -> str | None:
        return patient_id(self.who) if self.by is self.town.clerk else None

    async def one_of(self, query: str) -> Any:
        """A row of the patient's, or None."""
        rows = await self.world.fetch(query, self.who.patient_key)
        return self.rng.choice(rows) if rows else None

    async def visit(self) -> Any:
        return await self.one_of("SELECT * FROM appointments WHERE patient_id = $1 AND status = 'booked'")

    async def offer(self) -> Any:
        return await self.one_of("SELECT * FROM waitlist_offers WHERE patient_id = $1 AND status = 'live'")

    async def entry(self) -> Any:
        return await self.one_of(
            "SELECT id, version FROM waitlist_entries WHERE patient_id = $1 AND status IN ('active', 'offered', 'suspended')"
        )

    async def book(self) -> object:
        return await self.world.booking.book(self.by, self.slot(), self.named(), None, new_key())

    async def book_offered(self) -> object:
        one = await self.offer()
        if one is None:
            return None
        slot = slot_id(one["provider_id"], one["clinic_id"], one["visit_type_id"], one["starts_at"])
        return await self.world.booking.book(self.by, slot, self.named(), None, new_key())

    async def cancel(self) -> object:
        one = await self.visit()
        if one is None:
            return None
        appointment = ids.node(ids.APPOINTMENT, one["id"])
        return await self.world.changing.cancel(self.by, appointment, one["version"], None, new_key())

    async def error(self) -> object:
        one = await self.visit()
        if one is None:
            return None
        appointment, status = ids.node(ids.APPOINTMENT, one["id"]), AppointmentStatus.ENTERED_IN_ERROR
        return await self.world.changing.set_status(
            self.town.clerk, appointment, one["version"], status, None, new_key()
        )

    async def move(self) -> object:
        one = await self.visit()
        if one is None:
            return None
        appointment, slot = ids.node(ids.APPOINTMENT, one["id"]), self.slot(one["visit_type_id"])
        return await self.world.changing.reschedule(self.by, appointment, slot, one["version"], new_key())

    async def join(self) -> object:
        one, rng = await self.visit(), self.rng
        one, opens = one if rng.random() < 0.8 else None, 60 * rng.randrange(8, 18)
        earlier = ids.node(ids.APPOINTMENT, one["id"]) if one else None
        kind = one["visit_type_id"] if one else rng.choice(self.town.kinds)
        asked = Joining(
            ids.node(ids.CLINIC, rng.choice(self.town.clinics)), ids.node(ids.VISIT_TYPE, kind),
            TODAY, TODAY + timedelta(days=20), minimum_notice_minutes=0, auto_book=rng.random() < 0.4,
            appointment_id=earlier, patient_id=self.named(), windows=[(None, opens, opens + 120)] if rng.random() < 0.4 else (),
        )  # fmt: skip
        return await self.world.waiting.join(self.by, asked, new_key())

    async def accept(self) -> object:
        one = await self.offer()
        return one and await self.world.waiting.accept(self.by, ids.node(ids.OFFER, one["id"]), new_key())

    async def decline(self) -> object:
        one = await self.offer()
        return one and await self.world.waiting.decline(self.by, ids.node(ids.OFFER, one["id"]), new_key())

    async def leave(self) -> object:
        one = await self.entry()
        return one and await self.world.waiting.leave(self.by, ids.node(ids.WAITLIST_ENTRY, one["id"]), new_key())

    async def change(self) -> object:
        one = await self.entry()
        if one is None:
            return None
        entry, wishes = ids.node(ids.WAITLIST_ENTRY, one["id"]), {"auto_book": self.rng.random() < 0.5}
        return await self.world.waiting.change(self.by, entry, one["version"], wishes, new_key())

    async def hold(self) -> object:
        return await self.world.booking.hold(self.by, self.slot(), new_key())

    async def release(self) -> object:
        rows = await self.world.fetch("SELECT id FROM holds WHERE caller = $1 AND state = 'active'", self.by.subject)
        hold = ids.node(ids.HOLD, self.rng.choice(rows)["id"]) if rows else None
        return hold and await self.world.booking.release(self.by, hold, new_key())

    async def hours(self) -> object:
        provider = self.rng.choice(list(self.town.at))
        hours = [
            HoursInput(day, self.rng.choice([480, 540, 600]), self.rng.choice([720, 1080, 1080])) for day in range(7)
        ]
        return await self.town.set_hours(provider, self.rng.choice(self.town.at[provider]), hours)


@pytest.mark.timeout(7200)
async def test_whatever_people_do_at_once(
    processes: list[World], database_url: str, request: pytest.FixtureRequest
) -> None:
    town = Town(processes)
    await town.begin()
    sweepers = [asyncio.create_task(sweep(one.sweeping)) for one in processes]
    try:
        await asyncio.gather(*(Actor(town, seed).act(sizes.MIX_ACTIONS) for seed in range(ACTORS)))
        await _closed_times_are_not_taken(town)
        assert not any(one.done() for one in sweepers)
    finally:
        for one in sweepers:
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one
    patient = await pool(database_url, size=1, bounded=False)
    try:
        found = await _checked(World.on(patient))
    finally:
        await patient.close()
    assert town.said["accept: OfferAccepted"] > 0
    proof(
        request.node.name, actions=town.said.total(), moved_later=0, given_twice=0, unexplained=0, **found,
        **dict(sorted(town.said.items())),
    )  # fmt: skip


async def _closed_times_are_not_taken(town: Town) -> None:
    """Everything closes: offers that live on are refused, and all end by themselves."""
    for provider, clinics in town.at.items():
        for clinic in clinics:
            assert isinstance(await town.set_hours(provider, clinic, []), ScheduleSaved)
    for row in await town.live():
        who = next(one for one in town.patients if one.patient_key == row["patient_id"])
        answer = await town.world.waiting.accept(who, ids.node(ids.OFFER, row["id"]), new_key())
        assert isinstance(answer, OfferGone), answer
    async with asyncio.timeout(30):
        while await town.live():  # noqa: ASYNC110 - the sweepers tell nobody
            await asyncio.sleep(0.2)


async def _checked(world: World) -> dict[str, int]:
    """What there was, after everything was looked at."""
    assert await unexplained(world) == []
    assert await faults(world) == []
    for query in (GIVEN_TWICE, OFFERS_WITHOUT_TIME):
        assert await world.fetch(query) == []
    assert [one async for one in verify(Database(world.database.primary)) if one.broken] == []
    moves = (await world.fetch(MOVED))[0]
    assert moves["later"] == 0
    return {"decisions": len(await all_decisions(world)), "moved_earlier": moves["moved"]}
