"""What becomes of freed time, on a real PostgreSQL (rules 46, 47 and 51)."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from math import isnan

import pytest

from adapters.postgres.candidates import KnownWishes
from app.workers.waitlist import accepted_share
from domain import ids
from domain.appointments import AppointmentStatus
from domain.faults import Unavailable
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    NotFound,
    OfferAccepted,
    OfferDeclined,
    OfferGone,
    PatientConflict,
    SlotTaken,
    WaitlistLeft,
)
from domain.ranking import Reason
from domain.waitlist import AllocationOutcome, Entry, EntryStatus, OfferStatus
from services.booking import Booking
from services.changing import Changing
from services.desk import Filled
from services.sweeping import Sweeping
from services.waiting import Waiting
from tests import sizes
from tests.services.waiters import SOON, at, place, unexplained
from tests.world import World, faults, new_key, patient_id


async def test_a_cancelled_time_goes_to_who_waits_and_was_never_open(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    made = await here.booked()
    await here.cancel(made)
    offer = await here.only()
    assert (offer.offer.entry_key, offer.offer.starts_at) == (entry.key, SOON)
    assert (await here.entry(entry)).status is EntryStatus.OFFERED
    told = await here.told(await here.version())
    assert (told["opened"], told["closed"]) == ([[*_span(here)]], [[*_span(here), 0]])
    stranger = await world.patient(here.clinic)
    assert isinstance(await world.booking.book(stranger, here.slot(), None, None, new_key()), SlotTaken)
    assert isinstance(await world.booking.hold(stranger, here.slot(), new_key()), SlotTaken)
    assert isinstance(
        await world.booking.book(here.clerk, here.slot(), patient_id(stranger), None, new_key()), SlotTaken
    )
    done = await here.accepted(offer)
    assert (done.appointment.starts_at, done.entry.status) == (SOON, EntryStatus.FULFILLED)
    assert done.entry.appointment_key == done.appointment.key
    assert await faults(world) == []
    assert await unexplained(world) == []


def _span(here: object, **later: float) -> tuple[int, int]:
    return int(at(**later).timestamp()), int(at(**later).timestamp()) + 1800


async def test_the_figures_count_offers_and_the_times_they_were_of(world: World) -> None:
    here = await place(world)
    await here.wait(how_many=2)
    before = await world.sweeping.figures()
    made, other = await here.booked(), await here.booked(minutes=60)
    await here.cancel(made)
    await here.decline(await here.only())
    await here.accepted(await here.only())
    await here.cancel(other)
    await here.decline(await here.only())
    after = await world.sweeping.figures()
    changed = {name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name, 0)}
    assert changed == {
        ("entries", "active"): -1, ("offers", "declined"): 2, ("offers", "accepted"): 1, ("times", "filled"): 1,
        ("times", "opened"): 1,
    }  # fmt: skip


async def test_a_time_that_found_somebody_is_counted_once_from_when_it_was_given_up(world: World) -> None:
    told: list[Filled] = []
    desk = replace(world.desk, filled=told.append)
    counting = World(world.database, desk, Booking(desk), Changing(desk), Waiting(desk), Sweeping(desk))
    here = await place(counting)
    who = await world.patient(here.clinic)
    late = await here.booked(who, days=2)
    await here.wait(urgency=1)
    await here.join(who, appointment_id=late.id)
    await here.cancel(await here.booked())
    await world.wait(minutes=10)
    await here.decline(await here.only())
    await world.wait(minutes=5)
    offer, key = await here.only(), new_key()
    for _ in range(2):  # The second is a replay.
        assert isinstance(await counting.waiting.accept(who, offer.offer.id, key), OfferAccepted)
    assert len(told) == 1
    assert timedelta(minutes=15) <= told[0].waited < timedelta(minutes=16)
    assert told[0].sooner == timedelta(days=2)


def test_the_share_of_offers_accepted_leaves_out_those_withdrawn_and_live() -> None:
    figures = {("offers", "accepted"): 1, ("offers", "declined"): 2, ("offers", "expired"): 5}
    assert accepted_share(figures | {("offers", "superseded"): 9, ("offers", "live"): 4}) == 1 / 8
    assert isnan(accepted_share({}))


async def test_nobody_eligible_opens_to_all(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait(first_date=SOON.date() + timedelta(days=1))
    made = await here.booked()
    await here.cancel(made)
    assert await here.live() == []
    told = await here.told(await here.version())
    assert (len(told["opened"]), told["closed"]) == (1, [])
    (receipt,) = await here.receipts(entry)
    assert (receipt.outcome, receipt.rank, receipt.reasons) == (
        AllocationOutcome.NOT_ELIGIBLE,
        None,
        [Reason.DATES.value],
    )
    assert receipt.starts_at == SOON
    assert isinstance(
        await world.booking.book(await world.patient(), here.slot(), None, None, new_key()), AppointmentBooked
    )


async def test_sixty_minutes_serve_two_half_hours(world: World) -> None:
    here = await place(world, 60, [{"minutes": 30}])
    (half,) = here.kinds
    first, second, third = await here.wait(how_many=3, kind=half)
    made = await here.booked()
    await here.cancel(made)
    live = await here.live()
    assert [one.offer.entry_key for one in live] == [first.key, second.key]
    assert [one.offer.starts_at for one in live] == [SOON, SOON + timedelta(minutes=30)]
    receipts = await here.receipts(first, second, third)
    assert [(one.rank, one.outcome.name) for one in receipts] == [(1, "OFFERED"), (2, "OFFERED"), (3, "OUTRANKED")]
    assert len({one.cascade_key for one in live}) == 1
    assert isinstance(await here.decline(live[0]), OfferDeclined)
    assert [one.offer.entry_key for one in await here.live()] == [third.key, second.key]
    assert await faults(world) == []
    assert await unexplained(world) == []


async def test_buffers_must_fit(world: World) -> None:
    here = await place(world, 30, [{"minutes": 30, "before": 15, "after": 15}])
    (wide,) = here.kinds
    await here.wait(kind=wide)
    before = await here.booked(minutes=-30)
    made, after = await here.booked(), await here.booked(minutes=30)
    await here.cancel(made)
    assert await here.live() == []
    await here.cancel(after)
    (offer,) = await here.live()
    # From 09:00 to 10:00 it fits once: 09:15 to 09:45 with both buffers.
    assert (offer.from_at, offer.to_at) == (at(), at(minutes=60))
    assert before.starts_at < offer.offer.starts_at
    assert await faults(world) == []


async def test_neighbouring_free_time_counts(world: World) -> None:
    """A freed half hour beside a free one makes room for a whole hour."""
    here = await place(world, 30, [{"minutes": 60, "every": 30}])
    (long,) = here.kinds
    (entry,) = await here.wait(kind=long)
    await here.booked(minutes=-30)
    made = await here.booked()
    await here.cancel(made)
    offer = await here.only()
    assert (offer.offer.entry_key, offer.from_at, offer.to_at) == (entry.key, at(), at(minutes=60))


async def test_the_most_urgent_then_who_waited_longer_then_who_asked_for_this_provider(world: World) -> None:
    here = await place(world)
    old = await here.join()
    await world.wait(days=1, hours=1)
    any_provider = await here.join()
    named = await here.join(provider_ids=[ids.node(ids.PROVIDER, here.provider)])
    urgent = await here.join(urgency=2)
    made = await here.booked()
    await here.cancel(made)
    receipts = await here.receipts(urgent, old, named, any_provider)
    assert [one.rank for one in receipts] == [1, 2, 3, 4]
    assert [one.outcome.name for one in receipts] == ["OFFERED", "OUTRANKED", "OUTRANKED", "OUTRANKED"]
    assert receipts[2].reasons == ["urgency 0", "0 whole days waited", "0 minutes left over", "asked for this provider"]
    assert receipts[0].rule_version == "1"
    order = []
    while live := await here.live():
        order.append(live[0].offer.entry_key)
        await here.decline(live[0])
    assert order == [urgent.key, old.key, named.key, any_provider.key]
    told = await here.told(await here.version())
    assert told["closed"] == []
    assert await unexplained(world) == []


async def test_an_offer_that_ran_out_goes_to_the_next_and_never_back(world: World) -> None:
    here = await place(world)
    entries = await here.wait(how_many=3)
    made = await here.booked()
    await here.cancel(made)
    order = []
    while live := await here.live():
        order.append(live[0].offer.entry_key)
        await here.told_of(live[0])
        assert await world.sweeping.expire_offers() >= 0
        assert [one.offer.key for one in await here.live()] == [live[0].offer.key]
        await world.clock(live[0].offer.expires_at)
        gone = await here.accept(live[0])
        assert isinstance(gone, OfferGone)
        assert gone.status is OfferStatus.EXPIRED
        assert await world.sweeping.expire_offers() >= 1
    assert order == [one.key for one in entries]
    assert [(await here.entry(one)).misses for one in entries] == [1, 1, 1]
    assert isinstance(
        await world.booking.book(await world.patient(), here.slot(), None, None, new_key()), AppointmentBooked
    )
    assert await faults(world) == []


async def test_offers_last_an_eighth_of_what_is_left(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait(minimum_notice_minutes=30)
    made = await here.booked()
    await world.clock(SOON - timedelta(hours=4))
    await here.cancel(made)
    offer = await here.only()
    assert abs(offer.offer.expires_at - (SOON - timedelta(hours=3.5))) < timedelta(seconds=2)
    assert offer.offer.entry_key == entry.key


async def test_who_gave_the_time_up_is_not_offered_it(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    made = await here.booked(who)
    entry = await here.join(who)
    other = await here.join()
    await here.cancel(made, who)
    receipts = await here.receipts(entry, other)
    assert [one.rank for one in receipts] == [None, 1]
    assert receipts[0].reasons == [Reason.GAVE_IT_UP.value]
    await here.decline(await here.only())
    assert await here.live() == []


async def test_who_is_busy_then_is_passed_over(world: World) -> None:
    here = await place(world)
    other = await place(world, 90)
    who = await world.patient(here.clinic)
    entry = await here.join(who)
    await other.booked(who, minutes=-30)
    made = await here.booked()
    await here.cancel(made)
    assert await here.live() == []
    assert (await here.receipts(entry))[0].reasons == [Reason.BUSY.value]


async def test_move_me_earlier_moves_and_offers_the_old_time(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    late = await here.booked(who, hours=5)
    entry = await here.join(who, appointment_id=late.id)
    (next_one,) = await here.wait(first_date=SOON.date(), windows=[(None, 13 * 60, 18 * 60)])
    later = await here.booked(hours=6)
    await here.cancel(later)
    assert [one.offer.entry_key for one in await here.live()] == [next_one.key]
    await here.decline(await here.only())
    made = await here.booked()
    await here.cancel(made)
    before = await here.version()
    done = await here.accepted(await here.only())
    assert (done.appointment.id, done.appointment.version, done.appointment.starts_at) == (late.id, 2, SOON)
    assert done.entry.status is EntryStatus.FULFILLED
    offer = await here.only()
    assert (offer.offer.entry_key, offer.offer.starts_at) == (next_one.key, SOON + timedelta(hours=5))
    told = await here.told(before + 1)
    assert told["opened"] == [[*_span(here, hours=5)]]
    assert sorted(told["closed"]) == [[*_span(here), 0], [*_span(here, hours=5), 0]]
    event = await world.fetch(
        "SELECT change FROM appointment_events WHERE appointment_id = $1 ORDER BY version", late.key
    )
    assert [row["change"] for row in event] == ["booked", "moved"]
    assert (await here.entry(entry)).appointment_key == late.key
    assert await faults(world) == []
    assert await unexplained(world) == []


async def test_move_me_earlier_from_another_clinic(world: World) -> None:
    here, there = await place(world), await place(world)
    await world.run("INSERT INTO provider_visit_types VALUES ($1, $2)", there.provider, here.kind)
    who = await world.patient(here.clinic)
    late = await there.booked(who, here.kind, hours=5)
    await here.join(who, appointment_id=late.id)
    (next_there,) = await there.wait()
    await here.cancel(await here.booked())
    offer = await here.only()
    assert isinstance(await here.accept(offer, here.clerk), NotFound)
    done = await here.accept(offer)
    assert isinstance(done, OfferAccepted)
    assert (done.appointment.id, done.appointment.clinic_key) == (late.id, here.clinic)
    assert (await there.only()).offer.entry_key == next_there.key
    told = await world.fetch(
        "SELECT payload FROM outbox WHERE appointment_id = $1 AND appointment_version = 2", late.key
    )
    assert told[0]["payload"] == {"fromClinic": ids.node(ids.CLINIC, there.clinic)}
    assert await faults(world) == []


async def test_moving_offers_the_old_time(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    who = await world.patient(here.clinic)
    made = await here.booked(who)
    moved = await world.changing.reschedule(who, made.id, here.slot(minutes=15), 1, new_key())
    assert isinstance(moved, AppointmentRescheduled)
    offer = await here.only()
    assert offer.offer.entry_key == entry.key
    assert offer.offer.ends_at == SOON + timedelta(
        minutes=15
    )  # the half hour that the quarter of an hour made possible
    assert await faults(world) == []


async def test_an_appointment_entered_in_error_gives_its_time_to_the_waitlist(world: World) -> None:
    here = await place(world)
    await here.wait()
    made = await here.booked()
    done = await world.changing.set_status(here.clerk, made.id, 1, AppointmentStatus.ENTERED_IN_ERROR, None, new_key())
    assert isinstance(done, AppointmentStatusSet)
    assert len(await here.live()) == 1


async def test_leaving_with_a_live_offer_passes_it_on(world: World) -> None:
    here = await place(world)
    first, second = await here.wait(how_many=2)
    await here.cancel(await here.booked())
    left = await world.waiting.leave(here.who(first.patient_key), first.id, new_key())
    assert isinstance(left, WaitlistLeft)
    assert left.entry.status is EntryStatus.WITHDRAWN
    assert (await here.only()).offer.entry_key == second.key
    assert await faults(world) == []


async def test_booking_the_offered_slot_accepts_the_offer(world: World) -> None:
    here = await place(world)
    for by_clerk in (False, True):
        (entry,) = await here.wait()
        await here.cancel(await here.booked())
        who = here.who(entry.patient_key)
        key = new_key()
        asked = (here.clerk, here.slot(), patient_id(who)) if by_clerk else (who, here.slot(), None)
        made = await world.booking.book(*asked, "knee", key)
        assert isinstance(made, AppointmentBooked)
        assert (made.appointment.patient_key, made.appointment.reason) == (who.patient_key, "knee")
        assert (await here.entry(entry)).status is EntryStatus.FULFILLED
        again = await world.booking.book(*asked, "knee", key)
        assert isinstance(again, AppointmentBooked)
        assert (again.appointment.key, again.cursor) == (made.appointment.key, made.cursor)
        assert await faults(world) == []
        await here.cancel(made.appointment)


async def test_consent_is_an_offer_taken_up_at_once(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    late = await here.booked(who, hours=5)
    entry = await here.join(who, appointment_id=late.id, auto_book=True)
    busy = await here.join(auto_book=True, windows=[(None, 14 * 60, 18 * 60)])
    await here.cancel(await here.booked())
    assert await world.sweeping.take_up_consented() == 1
    moved = await world.fetch("SELECT * FROM appointments WHERE id = $1", late.key)
    assert moved[0]["starts_at"] == SOON
    assert (await here.entry(entry)).status is EntryStatus.FULFILLED
    # What it gave up was offered in turn; the next pass takes that up.
    assert (await here.only()).offer.entry_key == busy.key
    assert await world.sweeping.take_up_consented() == 1
    assert await world.sweeping.take_up_consented() == 0
    assert (await here.entry(busy)).status is EntryStatus.FULFILLED
    assert await faults(world) == []


async def test_consent_that_cannot_be_booked_goes_to_the_next(world: World) -> None:
    here, other = await place(world), await place(world)
    first, second = await here.wait(how_many=2, auto_book=True)
    await here.cancel(await here.booked())
    await other.booked(here.who(first.patient_key), minutes=15)
    refused = await here.accept(await here.only())
    assert isinstance(refused, PatientConflict)
    assert refused.appointment is not None
    assert await world.sweeping.take_up_consented() == 0
    assert (await here.only()).offer.entry_key == second.key
    assert (await here.entry(first)).misses == 0
    assert await world.sweeping.take_up_consented() == 1
    assert await faults(world) == []


async def test_consent_to_be_moved_ends_with_the_appointment(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    late = await here.booked(who, days=2)
    entry = await here.join(who, appointment_id=late.id, auto_book=True)
    await here.cancel(late, who)
    await here.cancel(await here.booked())
    assert await world.sweeping.take_up_consented() == 0
    offer = await here.only()
    assert (offer.offer.entry_key, offer.consented) == (entry.key, False)
    assert isinstance(await here.accept(offer), OfferAccepted)
    assert await faults(world) == []


async def test_nobody_is_moved_to_a_later_time_unasked(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    late = await here.booked(who, days=2)
    entry = await here.join(who, appointment_id=late.id, auto_book=True)
    await here.cancel(await here.booked(hours=2))
    moved = await world.changing.reschedule(who, late.id, here.slot(hours=1), 1, new_key())
    assert isinstance(moved, AppointmentRescheduled)
    assert await world.sweeping.take_up_consented() == 0
    assert await here.live() == []
    assert (await here.entry(entry)).status is EntryStatus.ACTIVE
    assert await world.value("SELECT version FROM appointments WHERE id = $1", late.key) == 2
    assert await faults(world) == []


async def test_newly_opened_hours_are_offered(world: World) -> None:
    from services.schedules import ExceptionInput, Schedules

    here = await place(world)
    entries = await here.wait(how_many=2, windows=[(None, 18 * 60, 19 * 60)])
    edits = Schedules(world.database)
    from domain.schedules import ExceptionKind

    provider_id = ids.node(ids.PROVIDER, here.provider)
    added = ExceptionInput(ExceptionKind.OPEN, SOON.date(), 18 * 60, 19 * 60)
    await edits.add_exception(here.clerk, provider_id, here.clinic_id, added, new_key())
    assert await here.live() == []
    assert await world.sweeping.offer_opened() == 1
    assert await world.sweeping.offer_opened() == 0
    assert {one.offer.entry_key for one in await here.live()} == {one.key for one in entries}
    assert await faults(world) == []


async def test_a_published_opening_is_offered_whole(world: World) -> None:
    clinic = await world.clinic()
    kind = await world.visit_type(None, notice=0, cancel=0)
    line = await world.provider([clinic], [kind], pool=True)
    opening = await world.opening(line, clinic, SOON, minutes=9, capacity=2)
    from tests.services.waiters import Place
    from tests.world import opening_id

    here = Place(world, clinic, kind, line)
    slot = opening_id(line, clinic, kind, opening)
    made = []
    for _ in range(2):
        who = await world.patient(clinic)
        booked = await world.booking.book(who, slot, None, None, new_key())
        assert isinstance(booked, AppointmentBooked)
        made.append(booked.appointment)
    (entry,) = await here.wait()
    await here.cancel(made[0])
    offer = await here.only()
    assert (offer.offer.slot_id, offer.resource_key) == (slot, opening)
    stranger = await world.patient(clinic)
    assert isinstance(await world.booking.book(stranger, slot, None, None, new_key()), SlotTaken)
    done = await world.booking.book(here.who(entry.patient_key), slot, None, None, new_key())
    assert isinstance(done, AppointmentBooked)
    assert await faults(world) == []


async def test_a_stranger_who_books_at_the_instant_of_the_cancellation_never_gets_it_first(world: World) -> None:
    here = await place(world)
    for number in range(12):
        (entry,) = await here.wait()
        made = await here.booked()
        strangers = await world.patients(5)
        others = [world.again() for _ in strangers]
        answers = await asyncio.gather(
            world.changing.cancel(here.clerk, made.id, 1, None, new_key()),
            *(
                process.booking.book(who, here.slot(), None, None, new_key())
                for process, who in zip(others, strangers, strict=True)
            ),
        )
        assert isinstance(answers[0], AppointmentCancelled)
        assert {type(one) for one in answers[1:]} == {SlotTaken}
        assert (await here.only()).offer.entry_key == entry.key
        done = await here.accepted(await here.only())
        await world.changing.cancel(here.clerk, done.appointment.id, 1, None, new_key())
        assert number < 12
    assert await faults(world) == []


async def test_crossing_cancels_and_acceptances_do_not_deadlock(world: World) -> None:
    """Two clinics share two providers; everybody cancels, moves, accepts, declines and runs out at once."""
    here, there = await place(world), await place(world)
    for one, other in ((here, there), (there, here)):
        await world.run("INSERT INTO provider_clinics VALUES ($1, $2)", one.provider, other.clinic)
        await world.run("INSERT INTO provider_visit_types VALUES ($1, $2)", one.provider, other.kind)
    for _ in range(sizes.CROSSINGS):
        made = [await one.booked() for one in (here, there)]
        late = []
        for one in (here, there):
            who = await world.patient(one.clinic)
            late.append(await one.booked(who, hours=8, minutes=0))
            await one.join(who, appointment_id=late[-1].id, auto_book=True)
            await one.wait(how_many=2, auto_book=True)
        process = [world.again() for _ in range(4)]
        await asyncio.gather(
            here.cancel(made[0]), there.cancel(made[1]), *(one.sweeping.take_up_consented() for one in process)
        )
        await asyncio.gather(*(one.sweeping.take_up_consented() for one in process))
        await asyncio.gather(*(one.sweeping.take_up_consented() for one in process))
        assert await here.live() + await there.live() == []
        await world.run("UPDATE waitlist_entries SET status = 'withdrawn' WHERE status = 'active'")
        for key in await world.fetch("SELECT id, version FROM appointments WHERE status = 'booked'"):
            await world.changing.cancel(_admin(), ids.node(ids.APPOINTMENT, key["id"]), key["version"], None, new_key())
    assert await faults(world) == []
    assert await unexplained(world) == []


def _admin() -> object:
    from tests.world import admin

    return admin()


async def test_accepting_and_running_out_at_the_same_instant(world: World) -> None:
    here = await place(world)
    for _ in range(10):
        first, second = await here.wait(how_many=2)
        await here.cancel(await here.booked())
        offer = await here.only()
        await world.clock(offer.offer.expires_at - timedelta(milliseconds=20))
        process = world.again()

        answers = await asyncio.gather(here.accept(offer), here.accept(offer), _late(process))
        taken = [one for one in answers[:2] if isinstance(one, OfferAccepted)]
        states = [(await here.entry(one)).status for one in (first, second)]
        if taken:
            assert states == [EntryStatus.FULFILLED, EntryStatus.ACTIVE]
        else:
            await world.sweeping.expire_offers()
            assert (await here.only()).offer.entry_key == second.key
        assert await faults(world) == []
        await world.run("UPDATE waitlist_entries SET status = 'withdrawn' WHERE status = 'active'")
        for left in await here.live():
            await here.accept(left)
        for row in await world.fetch("SELECT id FROM appointments WHERE status = 'booked'"):
            await world.changing.cancel(_admin(), ids.node(ids.APPOINTMENT, row["id"]), 1, None, new_key())


async def _late(process: World) -> int:
    await asyncio.sleep(0.02)
    return await process.sweeping.expire_offers()


async def test_every_patient_whose_entry_changes_has_an_audit_row_whoever_caused_it(world: World) -> None:
    here = await place(world)
    first, second = await here.wait(how_many=2)
    giver = await world.patient(here.clinic)
    made = await here.booked(giver)

    async def rows(entry: Entry) -> list[tuple[str, str, str, str]]:
        found = await world.fetch("SELECT * FROM audit WHERE patient_id = $1 ORDER BY id", entry.patient_key)
        return [(row["subject"], row["role"], row["operation"], row["entity"].partition(":")[0]) for row in found][1:]

    await here.cancel(made)
    assert await rows(first) == [(here.clerk.subject, "staff", "cancelAppointment", "offer")]
    assert await rows(second) == []
    who = here.who(first.patient_key)
    await here.decline(await here.only())
    assert await rows(first) == [
        (here.clerk.subject, "staff", "cancelAppointment", "offer"),
        (who.subject, "patient", "declineOffer", "waitlistEntry"),
    ]
    assert await rows(second) == [(who.subject, "patient", "declineOffer", "offer")]
    await world.clock((await here.only()).offer.expires_at + timedelta(seconds=1))
    await world.sweeping.expire_offers()
    assert (await rows(second))[1:] == [("sweeper", "system", "expireOffer", "offer")]
    await world.clock(at(days=40))
    while await world.sweeping.expire_entries():
        pass
    for one in (first, second):
        assert (await rows(one))[-1] == ("sweeper", "system", "expireEntry", "waitlistEntry")
        assert (await here.entry(one)).status is EntryStatus.EXPIRED


async def test_an_offer_that_cannot_be_audited_is_not_made(world: World) -> None:
    here = await place(world)
    await here.wait()
    made = await here.booked()
    await world.run("ALTER TABLE audit ADD CONSTRAINT full_up CHECK (entity NOT LIKE 'offer:%') NOT VALID")
    try:
        with pytest.raises(Unavailable):
            await here.cancel(made)
        assert await here.live() == []
    finally:
        await world.run("ALTER TABLE audit DROP CONSTRAINT full_up")
    await here.cancel(made)
    await here.only()


async def test_wishes_are_known_to_who_reads_them_though_others_push_them_out(world: World) -> None:
    here = await place(world)
    waiting = [(entry.key, entry.version) for entry in await here.wait(how_many=6)]
    known = KnownWishes(limit=3)
    asked = [waiting[:3], [waiting[0], waiting[3]], [waiting[4], waiting[5], waiting[1]]] * 4
    found = await asyncio.gather(*(known.at(world.database.primary, some) for some in asked))
    assert [[one.key for one in some] for some in found] == [[key for key, _ in some] for some in asked]


async def test_wishes_of_another_life_of_the_database_do_not_count(world: World) -> None:
    here = await place(world)
    entry = (await here.wait(windows=[(None, 480, 600)]))[0]
    known, one = KnownWishes(), [(entry.key, entry.version)]
    known.live("before")
    before = await known.at(world.database.primary, one)
    await world.run("UPDATE waitlist_wishes SET urgency = 3 WHERE entry_id = $1", entry.key)
    assert await known.at(world.database.primary, one) == before
    known.live("after")
    assert [candidate.urgency for candidate in await known.at(world.database.primary, one)] == [3]
