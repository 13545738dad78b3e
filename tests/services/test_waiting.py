"""Joining, changing and leaving a waitlist, answering offers, and what is refused, on a real PostgreSQL (rules 47, 48 and 51)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain import ids
from domain.access import ANONYMOUS, AccessDenied
from domain.outcomes import (
    AppointmentBooked,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    OfferAccepted,
    OfferDeclined,
    OfferGone,
    PatientConflict,
    PolicyRule,
    PolicyViolation,
    StaleVersion,
    WaitlistEntryUpdated,
    WaitlistJoined,
    WaitlistLeft,
)
from domain.waitlist import EntryStatus, OfferStatus, Window
from tests.services.waiters import TODAY, Place, place
from tests.world import World, admin, faults, new_key, patient_id, staff


async def refused(world: World, asked: Any) -> Any:
    """Nothing is written by what is refused."""
    before = await world.counts()
    try:
        return await asked
    finally:
        assert await world.counts() == before


async def test_joining_keeps_what_was_asked_for(world: World) -> None:
    here = await place(world)
    who = await world.patient()
    asked = here.asked(
        provider_ids=[ids.node(ids.PROVIDER, here.provider)], windows=[(0, 540, 720), (None, 0, 1440)],
        minimum_notice_minutes=90, auto_book=True,
    )  # fmt: skip
    key = new_key()
    joined = await world.waiting.join(who, asked, key)
    assert isinstance(joined, WaitlistJoined)
    entry = joined.entry
    assert (entry.status, entry.version, entry.patient_key) == (EntryStatus.ACTIVE, 1, who.patient_key)
    assert (entry.provider_keys, entry.windows) == ((here.provider,), [Window(0, 540, 720), Window(None, 0, 1440)])
    assert (entry.minimum_notice_minutes, entry.auto_book, entry.urgency) == (90, True, 0)
    assert await world.waiting.join(who, asked, key) == joined
    other = await world.waiting.join(who, here.asked(), key)
    assert isinstance(other, IdempotencyMismatch)


async def test_nobody_waits_twice_for_the_same_thing(world: World) -> None:
    here = await place(world, 30, [{"minutes": 60}])
    who = await world.patient(here.clinic)
    entry = await here.join(who)
    again = await refused(world, world.waiting.join(who, here.asked(windows=[(1, 540, 600)]), new_key()))
    assert isinstance(again, PolicyViolation)
    assert again.rule is PolicyRule.ALREADY_WAITING
    await here.join(who, kind=here.kinds[0])
    await world.waiting.leave(who, entry.id, new_key())
    await here.join(who)


async def test_joining_twice_at_once_is_joining_once(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    processes = [world.again() for _ in range(4)]
    answers = await asyncio.gather(*(one.waiting.join(who, here.asked(), new_key()) for one in processes))
    assert sorted(type(one).__name__ for one in answers) == ["PolicyViolation"] * 3 + ["WaitlistJoined"]


BAD = {
    "to": {"first_date": TODAY + timedelta(days=5), "last_date": TODAY + timedelta(days=4)},
    "to ": {"first_date": TODAY - timedelta(days=9), "last_date": TODAY - timedelta(days=1)},
    "to  ": {"last_date": TODAY + timedelta(days=91)},
    "from": {"first_date": TODAY + timedelta(days=91), "last_date": TODAY + timedelta(days=99)},
    "windows.1.closes": {"windows": [(None, 540, 600), (2, 600, 600)]},
    "windows.0.closes": {"windows": [(None, 600, 540)]},
    "windows.0.opens": {"windows": [(None, 1440, 1440)]},
    "windows": {"windows": [(None, 540, 600)] * 51},
    "minimumNoticeMinutes": {"minimum_notice_minutes": -1},
    "minimumNoticeMinutes ": {"minimum_notice_minutes": 600_000},
    "urgency": {"urgency": 1},
    "urgency ": {"urgency": 0},
    "providerIds": {"provider_ids": ["x"] * 51},
}


@pytest.mark.parametrize("field", BAD)
async def test_a_wish_that_breaks_a_rule_is_refused_by_its_name(field: str, world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    answer = await refused(world, world.waiting.join(who, here.asked(**BAD[field]), new_key()))
    assert isinstance(answer, InvalidInput), answer
    assert answer.field == field.strip()
    if field.strip() == "from":
        return
    entry = await here.join(who)
    changed = await refused(world, world.waiting.change(who, entry.id, 1, BAD[field], new_key()))
    assert isinstance(changed, InvalidInput), changed
    assert changed.field == field.strip()


async def test_what_is_not_there_cannot_be_waited_for(world: World) -> None:
    here, there = await place(world), await place(world)
    who = await world.patient(here.clinic)

    async def asked(**change: Any) -> Any:
        wishes = here.asked(**{name: one for name, one in change.items() if name not in ("clinic_id", "visit_type_id")})
        for name in ("clinic_id", "visit_type_id"):
            if name in change:
                wishes = type(wishes)(**{**{one: getattr(wishes, one) for one in wishes.__slots__}, name: change[name]})
        return await refused(world, world.waiting.join(who, wishes, new_key()))

    assert isinstance(await asked(clinic_id="nonsense"), NotFound)
    assert isinstance(await asked(visit_type_id=here.clinic_id), NotFound)
    assert isinstance(await asked(provider_ids=[ids.node(ids.PROVIDER, there.provider)]), NotFound)
    assert isinstance(await asked(patient_id=patient_id(await world.patient())), NotFound)
    assert isinstance(await asked(appointment_id="nonsense"), NotFound)
    elsewhere = await asked(visit_type_id=there.kind_id())
    assert isinstance(elsewhere, PolicyViolation)
    assert elsewhere.rule is PolicyRule.NOT_OFFERED
    others = await there.booked(await world.patient(there.clinic))
    assert isinstance(await asked(appointment_id=others.id), NotFound)
    own = await there.booked(who, hours=1)
    wrong = await asked(appointment_id=own.id)
    assert isinstance(wrong, InvalidInput)
    assert wrong.field == "appointmentId"
    mine = await here.booked(who, hours=2)
    await here.cancel(mine)
    gone = await asked(appointment_id=mine.id)
    assert isinstance(gone, InvalidInput)


async def test_staff_name_the_patient_and_may_say_how_urgent_it_is(world: World) -> None:
    here = await place(world)
    nobody = await refused(world, world.waiting.join(here.clerk, here.asked(), new_key()))
    assert isinstance(nobody, InvalidInput)
    assert nobody.field == "patientId"
    who = await world.patient(here.clinic)
    stranger = await world.patient()
    unknown = await refused(
        world, world.waiting.join(here.clerk, here.asked(patient_id=patient_id(stranger)), new_key())
    )
    assert isinstance(unknown, NotFound)
    foreign = staff(await world.clinic())
    assert isinstance(
        await refused(world, world.waiting.join(foreign, here.asked(patient_id=patient_id(who)), new_key())), NotFound
    )
    entry = await here.join(who, urgency=3)
    assert entry.urgency == 3
    assert (await here.join(stranger, by=admin())).urgency == 0
    with pytest.raises(AccessDenied):
        await world.waiting.join(ANONYMOUS, here.asked(), new_key())


async def test_a_change_keeps_the_place_in_the_queue(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    entry = await here.join(who)
    await world.wait(days=2)
    key = new_key()
    wishes = {"windows": [(4, 600, 720)], "minimum_notice_minutes": 5, "auto_book": True}
    changed = await world.waiting.change(who, entry.id, 1, wishes, key)
    assert isinstance(changed, WaitlistEntryUpdated)
    assert (changed.entry.version, changed.entry.joined_at) == (2, entry.joined_at)
    assert (changed.entry.windows, changed.entry.auto_book) == ([Window(4, 600, 720)], True)
    assert (changed.entry.first_date, changed.entry.last_date) == (entry.first_date, entry.last_date)
    assert await world.waiting.change(who, entry.id, 1, wishes, key) == changed
    stale = await refused(world, world.waiting.change(who, entry.id, 1, wishes, new_key()))
    assert isinstance(stale, StaleVersion)
    assert stale.current_version == 2
    versions = await world.fetch("SELECT version FROM waitlist_wishes WHERE entry_id = $1 ORDER BY version", entry.key)
    assert [row["version"] for row in versions] == [1, 2]


async def test_entries_and_offers_of_others_are_not_there(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    await here.cancel(await here.booked())
    offer = await here.only()
    for other in (await world.patient(here.clinic), staff(await world.clinic())):
        for asked in (
            world.waiting.change(other, entry.id, 1, {}, new_key()),
            world.waiting.leave(other, entry.id, new_key()),
            world.waiting.accept(other, offer.offer.id, new_key()),
            world.waiting.decline(other, offer.offer.id, new_key()),
        ):
            assert isinstance(await refused(world, asked), NotFound)
    for nonsense in ("", "nonsense", entry.id + "A", ids.node(ids.OFFER, 999_999)):
        assert isinstance(await refused(world, here.world.waiting.accept(here.clerk, nonsense, new_key())), NotFound)
        assert isinstance(await refused(world, world.waiting.leave(here.clerk, nonsense, new_key())), NotFound)


async def test_an_offer_is_answered_once_and_its_keys_replay(world: World) -> None:
    here = await place(world)
    first, second = await here.wait(how_many=2)
    await here.cancel(await here.booked())
    offer, key = await here.only(), new_key()
    who = here.who(first.patient_key)
    declined = await world.waiting.decline(who, offer.offer.id, key)
    assert isinstance(declined, OfferDeclined)
    assert (declined.entry.key, declined.entry.status) == (first.key, EntryStatus.ACTIVE)
    assert await world.waiting.decline(who, offer.offer.id, key) == declined
    assert isinstance(await world.waiting.accept(who, offer.offer.id, key), IdempotencyMismatch)
    for asked in (world.waiting.accept, world.waiting.decline):
        gone = await refused(world, asked(who, offer.offer.id, new_key()))
        assert isinstance(gone, OfferGone)
        assert gone.status is OfferStatus.DECLINED
    offer, key = await here.only(), new_key()
    done = await world.waiting.accept(here.clerk, offer.offer.id, key)
    assert isinstance(done, OfferAccepted)
    assert done.entry.key == second.key
    again = await world.waiting.accept(here.clerk, offer.offer.id, key)
    assert isinstance(again, OfferAccepted)
    assert again.appointment.key == done.appointment.key
    late = await refused(world, here.accept(offer))
    assert isinstance(late, OfferGone)
    assert late.status is OfferStatus.ACCEPTED
    assert await faults(world) == []


async def test_two_answers_at_once_are_one(world: World) -> None:
    here = await place(world)
    for _ in range(6):
        first, second = await here.wait(how_many=2)
        await here.cancel(await here.booked())
        offer = await here.only()
        one, other = world.again(), world.again()
        who = here.who(first.patient_key)
        answers = await asyncio.gather(
            one.waiting.accept(who, offer.offer.id, new_key()),
            other.waiting.decline(who, offer.offer.id, new_key()),
            world.booking.book(who, here.slot(), None, None, new_key()),
        )
        done = [type(answer) for answer in answers]
        assert sum(kind in (OfferAccepted, OfferDeclined, AppointmentBooked) for kind in done) == 1, done
        if OfferDeclined in done:
            assert (await here.only()).offer.entry_key == second.key
        assert await faults(world) == []
        await _empty(here)


async def _empty(here: Place) -> None:
    await here.world.run("UPDATE waitlist_entries SET status = 'withdrawn' WHERE status = 'active'")
    for live in await here.live():
        await here.accepted(live)
    for row in await here.world.fetch(
        "SELECT id FROM appointments WHERE clinic_id = $1 AND status = 'booked'", here.clinic
    ):
        await here.world.changing.cancel(here.clerk, ids.node(ids.APPOINTMENT, row["id"]), 1, None, new_key())


async def test_three_misses_in_a_row_suspend_and_a_change_takes_up_again(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    for miss in range(3):
        await here.cancel(await here.booked())
        offer = await here.only()
        if miss == 1:
            await here.told_of(offer)
            await world.clock(offer.offer.expires_at)
            await world.sweeping.expire_offers()
        else:
            await here.decline(offer)
    assert (await here.entry(entry)).status is EntryStatus.SUSPENDED
    await here.cancel(await here.booked())
    assert await here.live() == []
    (receipt,) = await here.receipts(entry)
    assert receipt.reasons == ["suspended after offers that were declined or ran out"]
    again = await world.waiting.join(here.who(entry.patient_key), here.asked(), new_key())
    assert isinstance(again, PolicyViolation)
    changed = await world.waiting.change(here.who(entry.patient_key), entry.id, 1, {}, new_key())
    assert isinstance(changed, WaitlistEntryUpdated)
    assert (changed.entry.status, changed.entry.misses) == (EntryStatus.ACTIVE, 0)
    await here.cancel(await here.booked())
    assert (await here.only()).offer.entry_key == entry.key


async def test_who_left_waits_no_more(world: World) -> None:
    here = await place(world)
    (entry,) = await here.wait()
    who, key = here.who(entry.patient_key), new_key()
    left = await world.waiting.leave(who, entry.id, key)
    assert isinstance(left, WaitlistLeft)
    assert await world.waiting.leave(who, entry.id, key) == left
    assert isinstance(await refused(world, world.waiting.leave(who, entry.id, new_key())), NotFound)
    assert isinstance(await refused(world, world.waiting.change(who, entry.id, 1, {}, new_key())), NotFound)
    await here.cancel(await here.booked())
    assert await here.live() == []


async def test_an_offer_that_meets_another_appointment_is_refused_and_kept(world: World) -> None:
    here, there = await place(world), await place(world)
    (entry,) = await here.wait()
    await here.cancel(await here.booked())
    meets = await there.booked(here.who(entry.patient_key))
    answer = await refused(world, here.accept(await here.only()))
    assert isinstance(answer, PatientConflict)
    assert answer.appointment is not None
    assert answer.appointment.key == meets.key
    hidden = await refused(world, here.accept(await here.only(), here.clerk))
    assert isinstance(hidden, PatientConflict)
    assert hidden.appointment is None
    assert (await here.only()).offer.status is OfferStatus.LIVE


async def test_who_wanted_to_go_earlier_and_gave_up_the_later_time_is_booked_anew(world: World) -> None:
    here = await place(world)
    who = await world.patient(here.clinic)
    late = await here.booked(who, hours=5)
    entry = await here.join(who, appointment_id=late.id)
    await here.cancel(await here.booked())
    await here.cancel(late, who)
    done = await here.accepted(await here.only())
    assert done.appointment.key != late.key
    assert (await here.entry(entry)).appointment_key == done.appointment.key
    assert await faults(world) == []


async def test_entries_end_with_their_last_date(world: World) -> None:
    here = await place(world)
    short = await here.join(last_date=TODAY + timedelta(days=1))
    long = await here.join()
    await world.wait(days=2, hours=-10)  # still the last date in New York
    await world.sweeping.expire_entries()
    assert (await here.entry(short)).status is EntryStatus.ACTIVE
    await world.wait(hours=10)
    await world.sweeping.expire_entries()
    assert [(await here.entry(one)).status for one in (short, long)] == [EntryStatus.EXPIRED, EntryStatus.ACTIVE]


async def test_decisions_are_kept_90_days(world: World) -> None:
    here = await place(world)
    await here.wait()
    await here.cancel(await here.booked())
    await world.wait(days=89)
    assert await world.sweeping.forget_decisions() == 0
    await world.wait(days=2)
    assert await world.sweeping.forget_decisions() > 0
    assert await world.sweeping.forget_decisions() == 0
