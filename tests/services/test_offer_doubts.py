"""Offers after the world has moved on since they were made: nobody is booked twice, moved later, or blamed without being asked."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from domain import ids
from domain.appointments import AppointmentStatus
from domain.outcomes import (
    AppointmentBooked,
    AppointmentRescheduled,
    AppointmentStatusSet,
    OfferGone,
    WaitlistJoined,
)
from domain.ranking import Reason
from domain.schedules import ExceptionKind
from domain.waitlist import EntryStatus, OfferStatus
from services.schedules import ExceptionInput, Schedules
from tests.services.waiters import SOON, Place, place, unexplained
from tests.world import World, faults, new_key, opening_id, slot_id

GONE = OfferGone(OfferStatus.SUPERSEDED)


async def two_offers(world: World, *, auto_book: bool = False) -> tuple[Place, Place, int]:
    """One visit in ten days, waited for at two clinics: offered on the next day here, on the fifth there."""
    here, there = await place(world), await place(world)
    await world.run("INSERT INTO provider_visit_types VALUES ($1, $2)", there.provider, here.kind)
    who = await world.patient(here.clinic, there.clinic)
    mine = await here.booked(who, days=10)
    wishes: dict[str, Any] = {"appointment_id": mine.id, "auto_book": auto_book}
    await here.join(who, **wishes)
    joined = await world.waiting.join(who, there.asked(kind=here.kind, **wishes), new_key())
    assert isinstance(joined, WaitlistJoined)
    await here.cancel(await here.booked(days=1))
    await there.cancel(await there.booked(kind=here.kind, days=5))
    return here, there, mine.key


async def test_a_second_acceptance_moves_no_visit_later(world: World) -> None:
    here, there, _ = await two_offers(world)
    late = await there.only()
    done = await here.accepted(await here.only())
    assert await there.accept(late) == GONE
    assert await there.live() == []
    assert done.appointment.starts_at == SOON + timedelta(days=1)
    rows = await world.fetch(
        "SELECT starts_at FROM appointments WHERE patient_id = $1 AND status = 'booked'", done.appointment.patient_key
    )
    assert [row["starts_at"] for row in rows] == [SOON + timedelta(days=1)]
    assert await world.value("SELECT status FROM waitlist_entries WHERE id = $1", late.offer.entry_key) == "active"
    assert await faults(world) == []
    assert await unexplained(world) == []


async def test_consent_at_two_clinics_moves_no_visit_later(world: World) -> None:
    here, there, mine = await two_offers(world, auto_book=True)
    while await world.sweeping.take_up_consented():
        pass
    assert await here.live() + await there.live() == []
    moves = await world.fetch(
        "SELECT starts_at_before, starts_at FROM appointment_events WHERE appointment_id = $1 AND change = 'moved'",
        mine,
    )
    assert len(moves) >= 1
    assert all(row["starts_at"] < row["starts_at_before"] for row in moves)
    assert await faults(world) == []


async def test_who_has_gone_earlier_by_themselves_is_not_moved_back(world: World) -> None:
    here = await place(world)
    who, other = await world.patient(here.clinic), await world.patient(here.clinic)
    mine = await here.booked(who, days=10)
    entry = await here.join(who, appointment_id=mine.id)
    await here.cancel(await here.booked(days=5))
    offer = await here.only()
    moved = await world.changing.reschedule(who, mine.id, here.slot(days=2), mine.version, new_key())
    assert isinstance(moved, AppointmentRescheduled)
    next_one = await here.join(other)
    key = new_key()
    assert await world.waiting.accept(who, offer.offer.id, key) == GONE
    assert await world.waiting.accept(who, offer.offer.id, key) == GONE
    assert (await here.entry(entry)).status is EntryStatus.ACTIVE
    assert (await here.only()).offer.entry_key == next_one.key
    assert await world.value("SELECT version FROM appointments WHERE id = $1", mine.key) == 2
    assert await faults(world) == []


async def test_who_has_arrived_gets_no_second_visit(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    await world.clock(SOON - timedelta(hours=2))
    mine = await here.booked(who, hours=1)
    await here.join(who, appointment_id=mine.id)
    await here.cancel(await here.booked())
    offer = await here.only()
    arrived = await world.changing.set_status(here.clerk, mine.id, 1, AppointmentStatus.ARRIVED, None, new_key())
    assert isinstance(arrived, AppointmentStatusSet)
    assert await here.accept(offer) == GONE
    assert await world.value("SELECT count(*) FROM appointments WHERE patient_id = $1", who.patient_key) == 1
    assert await faults(world) == []


async def closed_day(here: Place) -> None:
    asked = ExceptionInput(ExceptionKind.CLOSED, (SOON + timedelta(days=5)).date())
    provider = ids.node(ids.PROVIDER, here.provider)
    await Schedules(here.world.database).add_exception(here.clerk, provider, here.clinic_id, asked, new_key())


async def gone_provider(here: Place) -> None:
    await here.world.run("UPDATE providers SET active = false WHERE id = $1", here.provider)


@pytest.mark.parametrize("closed", [closed_day, gone_provider])
@pytest.mark.parametrize("auto_book", [False, True])
async def test_no_offer_is_taken_of_a_time_that_is_offered_no_more(
    closed: Callable[[Place], Awaitable[None]], auto_book: bool, world: World
) -> None:
    here = await place(world)
    first, second = await here.wait(how_many=2, auto_book=auto_book)
    await here.cancel(await here.booked(days=5))
    offer = await here.only()
    await closed(here)
    if auto_book:
        await world.sweeping.take_up_consented()
    else:
        assert await here.accept(offer) == GONE
    assert await here.live() == []
    for entry in (first, second):
        now = await here.entry(entry)
        assert (now.status, now.misses) == (EntryStatus.ACTIVE, 0)
    assert await world.value("SELECT count(*) FROM appointments WHERE patient_id = $1", first.patient_key) == 0
    assert await faults(world) == []
    assert await unexplained(world) == []


async def test_reasons_of_several_starts_are_written_down_in_one_order(world: World) -> None:
    """An hour frees several starts: the first meets another visit, a later one is outside the window."""
    here = await place(world, kinds=[{"minutes": 60}])
    who = await world.patient(here.clinic)
    elsewhere = await world.provider([here.clinic], [here.kind])
    busy_at = SOON - timedelta(minutes=15)
    made = await world.booking.book(who, slot_id(elsewhere, here.clinic, here.kind, busy_at), None, None, new_key())
    assert isinstance(made, AppointmentBooked)
    entry = await here.join(who, windows=[(None, 540, 570)])
    await here.cancel(await here.booked(kind=here.kinds[0]))
    (receipt,) = await here.receipts(entry)
    assert receipt.reasons == [Reason.WINDOWS.value, Reason.BUSY.value]
    assert await unexplained(world) == []


async def test_a_decision_is_explained_by_the_zone_of_then(world: World) -> None:
    here = await place(world)
    await here.wait(windows=[(None, 480, 1080)])
    await here.cancel(await here.booked())
    await world.run(
        "UPDATE clinics SET time_zone = 'America/Los_Angeles', version = version + 1 WHERE id = $1", here.clinic
    )
    assert await unexplained(world) == []


async def test_an_older_decision_without_its_zone_is_read_with_the_clinics(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    await here.cancel(await here.booked())
    await world.run("UPDATE waitlist_decisions SET freed = freed - 5 WHERE clinic_id = $1", here.clinic)
    assert await unexplained(world) == []
    assert len(await here.receipts(entry)) == 1


@pytest.mark.parametrize(("hours", "offered"), [(4, True), (2, False)])
async def test_a_visit_inside_a_time_to_arrive_in_keeps_nobody_from_it(hours: int, offered: bool, world: World) -> None:
    """Rule 13, as bookAppointment has it: openings of more than two hours meet nothing but themselves."""
    clinic = await world.clinic()
    arrival, short = await world.visit_type(None, notice=0), await world.visit_type(30, notice=0)
    pool, doctor = await world.provider([clinic], [arrival], pool=True), await world.provider([clinic], [short])
    here = Place(world, clinic, arrival, pool)
    opening = await world.opening(pool, clinic, SOON, minutes=60 * hours, capacity=1)
    first, who = await world.patient(clinic), await world.patient(clinic)
    slot = opening_id(pool, clinic, arrival, opening)
    made = await world.booking.book(first, slot, None, None, new_key())
    entry = await here.join(who)
    inside = slot_id(doctor, clinic, short, SOON + timedelta(minutes=60))
    assert isinstance(await world.booking.book(who, inside, None, None, new_key()), AppointmentBooked)
    assert isinstance(made, AppointmentBooked)
    await here.cancel(made.appointment)
    assert [one.offer.entry_key for one in await here.live()] == ([entry.key] if offered else [])
    assert isinstance(await world.booking.book(who, slot, None, None, new_key()), AppointmentBooked) is offered
    assert await unexplained(world) == []
    assert await faults(world) == []


async def test_an_offer_of_a_time_to_arrive_in_keeps_nobody_from_a_short_one(world: World) -> None:
    clinic = await world.clinic()
    arrival, short = await world.visit_type(None, notice=0), await world.visit_type(30, every=15, notice=0)
    pool, doctor = await world.provider([clinic], [arrival], pool=True), await world.provider([clinic], [short])
    wide, narrow = Place(world, clinic, arrival, pool), Place(world, clinic, short, doctor)
    opening = await world.opening(pool, clinic, SOON, minutes=240, capacity=1)
    first, who = await world.patient(clinic), await world.patient(clinic)
    made = await world.booking.book(first, opening_id(pool, clinic, arrival, opening), None, None, new_key())
    assert isinstance(made, AppointmentBooked)
    entries = [await wide.join(who), await narrow.join(who)]
    await wide.cancel(made.appointment)
    await narrow.cancel(await narrow.booked(minutes=60))
    assert {one.offer.entry_key for one in await wide.live()} == {one.key for one in entries}
    for one in await wide.live():
        await wide.accepted(one)
    assert await faults(world) == []


async def test_offers_that_nobody_was_told_of_suspend_nobody(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    for _ in range(4):
        await here.cancel(await here.booked(days=1))
        await world.clock((await here.only()).offer.expires_at)
        await world.sweeping.expire_offers()
    now = await here.entry(entry)
    assert (now.status, now.misses) == (EntryStatus.ACTIVE, 0)


@pytest.mark.parametrize(("minutes", "misses"), [(9, 0), (11, 1)])
async def test_an_offer_too_short_to_answer_is_no_miss(minutes: int, misses: int, world: World) -> None:
    """The notice that the patient needs ends it that early."""
    here = await place(world)
    who = await world.patient(here.clinic)
    entry = await here.join(who, minimum_notice_minutes=120)
    made = await here.booked()
    await world.clock(SOON - timedelta(minutes=120 + minutes))
    await here.cancel(made)
    offer = await here.only()
    await here.told_of(offer)
    await world.clock(offer.offer.expires_at)
    await world.sweeping.expire_offers()
    assert (await here.entry(entry)).misses == misses


async def test_who_has_booked_such_a_visit_is_asked_before_another_is_booked(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    entry = await here.join(who, auto_book=True)
    mine = await here.booked(who, days=3)
    await here.cancel(await here.booked(days=5))
    await world.sweeping.take_up_consented()
    offer = await here.only()
    assert (offer.offer.entry_key, offer.consented) == (entry.key, False)
    assert await world.value("SELECT count(*) FROM appointments WHERE patient_id = $1", who.patient_key) == 1
    await here.cancel(mine, who)
    await world.sweeping.take_up_consented()
    assert (await here.entry(entry)).status is EntryStatus.FULFILLED
    assert await faults(world) == []


async def test_consent_to_be_moved_counts_beside_the_visit_that_is_to_be_moved(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    mine = await here.booked(who, days=3)
    await here.join(who, auto_book=True, appointment_id=mine.id)
    await here.cancel(await here.booked(days=1))
    await world.sweeping.take_up_consented()
    starts_at = await world.value("SELECT starts_at FROM appointments WHERE id = $1", mine.key)
    assert starts_at == SOON + timedelta(days=1)
