"""The shield before the guard: it saves work, it never decides for its own caller, and it forgets within a second."""

import asyncio
from datetime import timedelta

import pytest

from adapters.postgres.database import pool
from domain import ids
from domain.ids import SlotKey
from domain.outcomes import AppointmentBooked, AppointmentCancelled, PolicyRule, PolicyViolation, SlotTaken
from services import contention
from services.contention import Shield
from tests.world import MONDAY, World, admin, new_key, slot_id

NOON = MONDAY + timedelta(days=1, hours=3)
SLOT = SlotKey(1, 2, 3, 4)


def test_who_has_the_time_and_a_key_seen_before_always_reach_the_database() -> None:
    shield = Shield()
    shield.took(SLOT, "ann", 1)
    shield.used("bob", "his-key")
    assert not shield.known_taken(SLOT, "ann", "any")
    assert not shield.known_taken(SLOT, "bob", "his-key")
    assert shield.known_taken(SLOT, "bob", "another")
    assert not shield.known_taken(SlotKey(1, 2, 3, 5), "bob", "another")


def test_what_is_known_goes_with_a_release_and_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    shield = Shield()
    shield.took(SLOT, "ann", 7)
    shield.released(8)
    assert shield.known_taken(SLOT, "bob", "k")
    shield.released(7)
    assert not shield.known_taken(SLOT, "bob", "k")
    shield.took(SLOT, "ann", 7)
    later = contention.monotonic() + 1.01
    monkeypatch.setattr(contention, "monotonic", lambda: later)
    assert not shield.known_taken(SLOT, "bob", "k")


async def test_one_at_a_time_but_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "QUEUE_SECONDS_MAX", 0.3)
    shield = Shield()
    loop = asyncio.get_running_loop()
    async with shield.queued(SLOT) as wanted_by_others:
        assert not wanted_by_others
        before = loop.time()
        async with shield.queued(SLOT) as contended:
            assert contended
            assert 0.25 < loop.time() - before < 1.0
    assert shield._queues == {}


async def test_who_is_cancelled_while_waiting_leaves_the_queue_in_order() -> None:
    shield = Shield()

    async def wait() -> None:
        async with shield.queued(SLOT):
            await asyncio.sleep(0)

    async with shield.queued(SLOT):
        waiting = [asyncio.create_task(wait()) for _ in range(5)]
        await asyncio.sleep(0.01)
        for one in waiting:
            one.cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in answers)
    async with shield.queued(SLOT):
        assert len(shield._queues) == 1
    assert shield._queues == {}


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_a_cancellation_that_comes_with_the_turn_is_not_lost(steps: int) -> None:
    """As when a client leaves at that moment, or the process ends: who goes on all the same is waited for in vain."""
    shield, end = Shield(), asyncio.Event()

    async def attempt() -> None:
        async with shield.queued(SLOT):
            await end.wait()

    async with shield.queued(SLOT):
        waiting = asyncio.create_task(attempt())
        await asyncio.sleep(0.01)
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await waiting
    assert shield._queues == {}


async def test_a_stampede_costs_few_statements(world: World, database_url: str) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    people = await world.patients(300)
    slot = slot_id(provider, clinic, kind, NOON)
    said: list[str] = []
    one = await pool(database_url, size=1)
    async with one.acquire() as connection:
        connection.add_query_logger(lambda record: said.append(record.query))
    crowded = World.on(one)
    answers = await asyncio.gather(*(crowded.booking.book(who, slot, None, None, new_key()) for who in people))
    await one.close()
    assert sum(isinstance(answer, AppointmentBooked) for answer in answers) == 1
    assert sum(text.startswith("BEGIN") for text in said) <= 3
    assert len(said) < 30


async def test_a_time_given_back_here_is_free_here_at_once(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30, cancel=0)
    provider = await world.provider([clinic], [kind])
    first, second = await world.patients(2)
    slot = slot_id(provider, clinic, kind, NOON)
    booked = await world.booking.book(first, slot, None, None, new_key())
    assert isinstance(await world.booking.book(second, slot, None, None, new_key()), SlotTaken)
    cancelled = await world.changing.cancel(first, booked.appointment.id, 1, None, new_key())
    assert isinstance(cancelled, AppointmentCancelled)
    assert isinstance(await world.booking.book(second, slot, None, None, new_key()), AppointmentBooked)


async def test_ones_own_hold_and_ones_own_key_pass_the_shield(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    first, second = await world.patients(2)
    slot = slot_id(provider, clinic, kind, NOON)
    await world.booking.hold(first, slot, new_key())
    assert isinstance(await world.booking.book(second, slot, None, None, new_key()), SlotTaken)
    booked = await world.booking.book(first, slot, None, None, "again")
    assert isinstance(booked, AppointmentBooked)
    assert await world.booking.book(first, slot, None, None, "again") == booked
    elsewhere = world.again()  # another process, which knows the time as taken and not the key
    assert isinstance(await elsewhere.booking.book(second, slot, None, None, new_key()), SlotTaken)
    assert await elsewhere.booking.book(first, slot, None, None, "again") == booked


async def test_what_staff_take_past_the_patients_limits_is_told_to_patients_as_their_limit(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30, days=10)
    provider = await world.provider([clinic], [kind])
    first, second = await world.patients(2)
    slot = slot_id(provider, clinic, kind, NOON + timedelta(days=20))
    named = ids.node(ids.PATIENT, first.patient_key or 0)
    assert isinstance(await world.booking.book(admin(), slot, named, None, new_key()), AppointmentBooked)
    assert isinstance(await world.booking.book(admin(), slot, named, None, new_key()), SlotTaken)
    assert await world.booking.book(second, slot, None, None, new_key()) == PolicyViolation(PolicyRule.BOOKING_WINDOW)


async def test_who_is_new_to_a_provider_is_told_so_whatever_others_were_told(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    first, second, third = await world.patients(3)
    slot = slot_id(provider, clinic, kind, NOON)
    await world.booking.book(second, slot_id(provider, clinic, kind, NOON + timedelta(hours=1)), None, None, new_key())
    await world.booking.book(first, slot, None, None, new_key())
    await world.run("UPDATE providers SET accepting_new_patients = false WHERE id = $1", provider)
    fresh = world.again()
    assert isinstance(await fresh.booking.book(second, slot, None, None, new_key()), SlotTaken)
    answer = await fresh.booking.book(third, slot, None, None, new_key())
    assert answer == PolicyViolation(PolicyRule.NOT_ACCEPTING_NEW_PATIENTS)
