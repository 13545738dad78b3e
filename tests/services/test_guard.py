"""With the application's own checks switched off, the database alone refuses a second owner of any time."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from adapters.postgres.allocations import CLAIM
from adapters.postgres.bookings import Facts, Wanted
from domain.outcomes import AppointmentBooked, AppointmentRescheduled, PatientConflict, SlotTaken
from services import booking, changing
from services.claims import Granted, Purpose
from tests.proofs import proof
from tests.world import MONDAY, World, faults, new_key, opening_id, slot_id

NOON = MONDAY + timedelta(days=1, hours=3)


async def always_granted(
    _tx: Any, _known: Any, _viewer: Any, wanted: Wanted, facts: Facts, _purpose: Purpose
) -> Granted:
    """A decision that forgot every check: the time is yours, whoever has it."""
    if facts.opening is not None:
        starts_at, ends_at, *_ = facts.opening
        return Granted(starts_at, ends_at, starts_at, ends_at, wanted.opening_key or 0, 0, None)
    assert wanted.start is not None
    assert facts.visit_type is not None
    ends_at = wanted.start + timedelta(minutes=facts.visit_type.duration_minutes or 0)
    return Granted(
        wanted.start.astimezone(facts.zone), ends_at.astimezone(facts.zone), wanted.start, ends_at,
        wanted.provider_key, 0, None,
    )  # fmt: skip


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking.claims, "decide", always_granted)
    assert changing.claims.decide is always_granted


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No advisory lock at all: every transaction begins without asking anybody."""
    monkeypatch.setattr("adapters.postgres.locks.opening", lambda _caller_and_key, _keys: "BEGIN")


@pytest.mark.usefixtures("unchecked")
async def test_a_provider_has_one_visit_at_a_time(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    first, *others = await world.patients(4)
    booked = await world.booking.book(first, slot_id(provider, clinic, kind, NOON), None, None, new_key())
    assert isinstance(booked, AppointmentBooked)
    for who, minutes in zip(others, (0, 15, -29), strict=True):
        slot = slot_id(provider, clinic, kind, NOON + timedelta(minutes=minutes))
        assert isinstance(await world.again().booking.book(who, slot, None, None, new_key()), SlotTaken)
        assert isinstance(await world.again().booking.hold(who, slot, new_key()), SlotTaken)
    assert await faults(world) == []


@pytest.mark.usefixtures("unchecked")
async def test_a_patient_is_in_one_place(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    one, other = [await world.provider([clinic], [kind]) for _ in range(2)]
    [who] = await world.patients(1)
    book = world.booking.book
    assert isinstance(await book(who, slot_id(one, clinic, kind, NOON), None, None, new_key()), AppointmentBooked)
    there = NOON + timedelta(minutes=15)
    assert isinstance(await book(who, slot_id(other, clinic, kind, there), None, None, new_key()), PatientConflict)
    later = await book(who, slot_id(other, clinic, kind, NOON + timedelta(hours=1)), None, None, new_key())
    moved = await world.changing.reschedule(
        who, later.appointment.id, slot_id(other, clinic, kind, there), 1, new_key()
    )
    assert isinstance(moved, PatientConflict)
    assert await faults(world) == []


@pytest.mark.usefixtures("unchecked")
async def test_a_patient_comes_once_to_an_opening(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(None)
    provider = await world.provider([clinic], [kind], pool=True)
    opening = await world.opening(provider, clinic, NOON, minutes=300, capacity=9)
    [who] = await world.patients(1)
    slot = opening_id(provider, clinic, kind, opening)
    assert isinstance(await world.booking.book(who, slot, None, None, new_key()), AppointmentBooked)
    await world.run("UPDATE allocations SET lane = 8 WHERE resource_id = $1", opening)
    assert isinstance(await world.booking.book(who, slot, None, None, new_key()), PatientConflict)
    assert await faults(world) == []


@pytest.mark.usefixtures("unchecked", "unlocked")
async def test_two_hundred_without_checks_and_without_locks(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    people = await world.patients(200)
    worlds = [world.again() for _ in people]  # no queue and no memory in common either
    asked = [
        one.booking.book(who, slot_id(provider, clinic, kind, NOON + timedelta(minutes=n % 6)), None, None, new_key())
        for n, (one, who) in enumerate(zip(worlds, people, strict=True))
    ]
    said = Counter(type(one) for one in await asyncio.gather(*asked, return_exceptions=True))
    assert said[AppointmentBooked] == 1
    assert set(said) == {AppointmentBooked, SlotTaken}
    assert await faults(world) == []
    proof("guard alone: no checks, no locks", callers=len(people), winners=said[AppointmentBooked])


@pytest.mark.usefixtures("unchecked", "unlocked")
async def test_moves_without_checks_and_without_locks(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    people = await world.patients(20)
    made = [
        (
            await world.booking.book(
                who, slot_id(provider, clinic, kind, NOON + timedelta(days=n)), None, None, new_key()
            )
        ).appointment
        for n, who in enumerate(people)
    ]
    slot = slot_id(provider, clinic, kind, NOON + timedelta(days=30))
    answers = await asyncio.gather(
        *(
            world.again().changing.reschedule(who, one.id, slot, 1, new_key())
            for who, one in zip(people, made, strict=True)
        )
    )
    said = Counter(type(one) for one in answers)
    assert said == {AppointmentRescheduled: 1, SlotTaken: len(people) - 1}
    assert await faults(world) == []


# --- the same in plain SQL


async def time(world: World, resource: int, starts: datetime, ends: datetime, lane: int = 0) -> None:
    await world.run(
        "INSERT INTO allocations (resource_id, lane, starts_at, ends_at, state) VALUES ($1, $2, $3, $4, 'blocked')",
        resource, lane, starts, ends,
    )  # fmt: skip


async def visit(
    world: World,
    who: int,
    provider: int,
    clinic: int,
    kind: int,
    starts: datetime,
    opening: int | None = None,
    hours: float = 1,
    status: str = "booked",
) -> None:
    await world.run(
        """INSERT INTO appointments (status, patient_id, provider_id, clinic_id, visit_type_id, opening_id, starts_at, ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        status, who, provider, clinic, kind, opening, starts, starts + timedelta(hours=hours),
    )  # fmt: skip


async def test_the_constraint_on_times(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider, other = [await world.provider([clinic], [kind]) for _ in range(2)]
    hour = timedelta(hours=1)
    await time(world, provider, NOON, NOON + hour)
    for starts, ends in (
        (NOON, NOON + hour), (NOON - hour, NOON + 2 * hour), (NOON + hour / 4, NOON + hour / 2),
        (NOON - hour / 60, NOON + timedelta(microseconds=1)),
    ):  # fmt: skip
        with pytest.raises(asyncpg.ExclusionViolationError, match="one_owner_of_a_time"):
            await time(world, provider, starts, ends)
    await time(world, provider, NOON + hour, NOON + 2 * hour)  # touching is no overlap
    await time(world, provider, NOON - hour, NOON)
    await time(world, provider, NOON, NOON + hour, lane=1)
    await time(world, other, NOON, NOON + hour)
    # Nothing slips past: no empty, backward, endless or over-long time, and none without a bound.
    forms: list[tuple[Any, Any, type[Exception]]] = [
        (NOON, NOON, asyncpg.CheckViolationError), (NOON, NOON - hour, asyncpg.CheckViolationError),
        (NOON, NOON + 33 * hour, asyncpg.CheckViolationError), (NOON, None, asyncpg.NotNullViolationError),
        (None, NOON, asyncpg.NotNullViolationError),
    ]  # fmt: skip
    for starts, ends, refusal in forms:
        with pytest.raises(refusal):
            await time(world, other, starts, ends)
    for text in ("'-infinity', '2027-03-02'", "'2027-03-02', 'infinity'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await world.run(
                f"INSERT INTO allocations (resource_id, starts_at, ends_at, state) VALUES ({other}, {text}, 'blocked')"
            )


async def test_a_released_time_is_free_and_cannot_come_back_over_another(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    provider = await world.provider([clinic], [kind])
    await time(world, provider, NOON, NOON + timedelta(hours=1))
    await world.run("UPDATE allocations SET state = 'released' WHERE resource_id = $1", provider)
    await time(world, provider, NOON, NOON + timedelta(hours=1))
    with pytest.raises(asyncpg.ExclusionViolationError):
        await world.run("UPDATE allocations SET state = 'blocked' WHERE resource_id = $1", provider)
    claim = [[provider], [0], [NOON], [NOON + timedelta(minutes=5)], [NOON], [None], [False]]
    assert await world.fetch(CLAIM, *claim) == []  # the form the application writes: refused without an error


async def test_the_constraint_on_patients(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30)
    one, other = [await world.provider([clinic], [kind]) for _ in range(2)]
    pool = await world.provider([clinic], [kind], pool=True)
    window = await world.opening(pool, clinic, NOON, minutes=180, capacity=3)
    short = await world.opening(pool, clinic, NOON, minutes=120, capacity=3)
    [who] = await world.patients(1)
    key = who.patient_key or 0
    await visit(world, key, one, clinic, kind, NOON)
    for status in ("booked", "arrived", "checked-in", "fulfilled", "noshow", "proposed", "pending"):
        with pytest.raises(asyncpg.ExclusionViolationError, match="patient_in_one_place"):
            await visit(world, key, other, clinic, kind, NOON + timedelta(minutes=59), status=status)
    await visit(world, key, other, clinic, kind, NOON, status="cancelled")
    await visit(world, key, other, clinic, kind, NOON, status="entered-in-error")
    await visit(world, key, other, clinic, kind, NOON + timedelta(hours=1))
    await visit(world, key, pool, clinic, kind, NOON, opening=window, hours=3)
    with pytest.raises(asyncpg.UniqueViolationError, match="one_visit_in_an_opening"):
        await visit(world, key, pool, clinic, kind, NOON, opening=window, hours=3)
    with pytest.raises(asyncpg.ExclusionViolationError, match="patient_in_one_place"):
        await visit(world, key, pool, clinic, kind, NOON, opening=short, hours=2)


async def test_neither_constraint_can_be_put_off(world: World) -> None:
    rows = await world.fetch("SELECT conname, condeferrable FROM pg_constraint WHERE contype = 'x' ORDER BY conname")
    assert [tuple(row) for row in rows] == [("one_owner_of_a_time", False), ("patient_in_one_place", False)]
