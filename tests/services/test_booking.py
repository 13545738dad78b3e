"""Holding, releasing and booking: each outcome and each rule from 10 to 17, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import asyncpg
import pytest

from adapters.postgres import locks
from adapters.postgres.database import pool
from domain import ids
from domain.access import ANONYMOUS, AccessDenied, Viewer
from domain.appointments import AppointmentStatus
from domain.faults import BadInput, RequestInProgress, Unavailable
from domain.outcomes import (
    AppointmentBooked,
    HoldReleased,
    IdempotencyMismatch,
    NotFound,
    PatientConflict,
    PolicyRule,
    PolicyViolation,
    SlotHeld,
    SlotTaken,
)
from tests.world import MONDAY, World, admin, faults, new_key, opening_id, patient_id, slot_id, staff

TOMORROW = MONDAY + timedelta(days=1)  # 09:00 in New York


class Place:
    """One clinic with one provider, who sees people for half an hour between 08:00 and 18:00."""

    def __init__(self, world: World, clinic: int, kind: int, provider: int) -> None:
        self.world, self.clinic, self.kind, self.provider = world, clinic, kind, provider

    def slot(self, **later: float) -> str:
        return slot_id(self.provider, self.clinic, self.kind, TOMORROW + timedelta(**later))

    async def patient(self) -> Viewer:
        return await self.world.patient(self.clinic)

    async def book(self, who: Viewer, key: str | None = None, **later: float) -> Any:
        return await self.world.booking.book(who, self.slot(**later), None, None, key or new_key())

    async def hold(self, who: Viewer, key: str | None = None, **later: float) -> Any:
        return await self.world.booking.hold(who, self.slot(**later), key or new_key())


async def place(world: World, **kind: Any) -> Place:
    clinic = await world.clinic()
    visit = await world.visit_type(**kind)
    return Place(world, clinic, visit, await world.provider([clinic], [visit]))


async def refused(world: World, asked: Any) -> Any:
    """The answer of a call that must leave nothing behind."""
    before = await world.counts()
    try:
        return await asked
    finally:
        assert await world.counts() == before


def rule(outcome: Any) -> PolicyRule:
    assert isinstance(outcome, PolicyViolation), outcome
    return outcome.rule


# --- what each write leaves behind


async def test_a_booking_writes_its_time_event_version_outbox_audit_and_outcome(world: World) -> None:
    here = await place(world, before=10, after=5)
    who = await here.patient()
    booked = await world.booking.book(who, here.slot(), None, "  knee  ", "the-key")
    assert isinstance(booked, AppointmentBooked)
    made = booked.appointment
    assert (made.status, made.version, made.reason) == (AppointmentStatus.BOOKED, 1, "knee")
    assert (made.starts_at, made.ends_at) == (TOMORROW, TOMORROW + timedelta(minutes=30))
    assert str(made.starts_at.tzinfo) == "America/New_York"
    [time] = await world.fetch("SELECT * FROM allocations WHERE appointment_id = $1", made.key)
    assert (time["state"], time["resource_id"], time["expires_at"]) == ("booked", here.provider, None)
    assert time["starts_at"] == TOMORROW - timedelta(minutes=10)
    assert time["ends_at"] == TOMORROW + timedelta(minutes=35)
    [event] = await world.fetch("SELECT * FROM appointment_events WHERE appointment_id = $1", made.key)
    assert (event["version"], event["change"], event["by_role"], event["subject"]) == (
        1,
        "booked",
        "patient",
        who.subject,
    )
    rows = await world.fetch("SELECT * FROM outbox WHERE xid = (SELECT max(xid::text::bigint)::text::xid8 FROM outbox)")
    calendar, personal = sorted(rows, key=lambda row: row["topic"] != "availability")
    assert (calendar["resource_id"], calendar["resource_version"], calendar["clinic_id"]) == (
        here.provider,
        1,
        here.clinic,
    )
    span = [int(time["starts_at"].timestamp()), int(time["ends_at"].timestamp())]
    assert calendar["payload"] == {"opened": [], "closed": [[*span, 0]]}
    assert (personal["appointment_id"], personal["appointment_version"], personal["patient_id"]) == (
        made.key,
        1,
        who.patient_key,
    )
    assert calendar["xid"] == personal["xid"]
    assert await world.value("SELECT version FROM resources WHERE id = $1", here.provider) == 1
    [audit] = await world.fetch("SELECT * FROM audit WHERE entity = $1", f"appointment:{made.key}")
    assert (audit["operation"], audit["patient_id"], audit["request_id"]) == (
        "bookAppointment",
        who.patient_key,
        who.request_id,
    )
    [kept] = await world.fetch("SELECT * FROM idempotency WHERE caller = $1", who.subject)
    assert (kept["key"], kept["operation"], kept["outcome"]["type"]) == (
        "the-key",
        "bookAppointment",
        "AppointmentBooked",
    )
    assert await faults(world) == []


async def test_a_hold_writes_its_time_version_outbox_audit_and_outcome(world: World) -> None:
    here = await place(world, before=10)
    who = await here.patient()
    held = await here.hold(who, "hold-key")
    assert isinstance(held, SlotHeld)
    assert held.hold.expires_at - MONDAY < timedelta(minutes=5, seconds=2)
    [time] = await world.fetch("SELECT * FROM allocations WHERE hold_id = $1", held.hold.key)
    assert (time["state"], time["resource_id"], time["appointment_id"]) == ("held", here.provider, None)
    assert time["starts_at"] == TOMORROW - timedelta(minutes=10)
    [row] = await world.fetch("SELECT * FROM holds WHERE id = $1", held.hold.key)
    assert (row["caller"], row["state"], row["extended"], row["resource_version"]) == (who.subject, "active", False, 1)
    assert await world.value("SELECT version FROM resources WHERE id = $1", here.provider) == 1
    assert await world.value("SELECT count(*) FROM outbox WHERE resource_id = $1", here.provider) == 1
    assert await world.value("SELECT count(*) FROM audit WHERE entity = $1", f"hold:{held.hold.key}") == 1
    assert await world.value("SELECT count(*) FROM idempotency WHERE caller = $1", who.subject) == 1
    assert await faults(world) == []


async def test_every_clinic_that_shows_the_provider_is_told(world: World) -> None:
    clinics = [await world.clinic() for _ in range(3)]
    kind = await world.visit_type()
    provider = await world.provider(clinics, [kind])
    who = await world.patient(clinics[1])
    booked = await world.booking.book(who, slot_id(provider, clinics[1], kind, TOMORROW), None, None, new_key())
    assert isinstance(booked, AppointmentBooked)
    told = await world.fetch("SELECT clinic_id, resource_version FROM outbox WHERE resource_id = $1", provider)
    assert sorted(map(tuple, told)) == [(clinic, 1) for clinic in sorted(clinics)]


# --- holds (rule 11)


async def test_the_same_slot_again_is_the_same_hold_with_its_old_cursor(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    first = await here.hold(who)
    await here.book(await here.patient(), hours=1)  # the resource has another version by now
    again = await refused(world, here.hold(who))
    assert isinstance(again, SlotHeld)
    assert (again.hold, again.cursor) == (first.hold, first.cursor)


async def test_a_hold_is_extended_once_and_only_in_its_last_minute(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    first = await here.hold(who, "first")
    await world.wait(minutes=3, seconds=55)
    assert (await refused(world, here.hold(who))).hold.expires_at == first.hold.expires_at
    await world.wait(seconds=20)
    replayed = await refused(world, here.hold(who, "first"))
    assert replayed.hold.expires_at == first.hold.expires_at  # the old key answers, it does not extend
    longer = await here.hold(who, "second")
    assert longer.hold.key == first.hold.key
    assert longer.cursor != first.cursor
    assert timedelta(minutes=4) < longer.hold.expires_at - first.hold.expires_at < timedelta(minutes=5)
    rows = await world.fetch(
        "SELECT payload FROM outbox WHERE resource_id = $1 ORDER BY resource_version", here.provider
    )
    start, ends = int(TOMORROW.timestamp()), [ceil(one.hold.expires_at.timestamp()) for one in (first, longer)]
    assert [row["payload"] for row in rows] == [{"opened": [], "closed": [[start, start + 1800, end]]} for end in ends]
    await world.wait(minutes=4, seconds=30)
    third = await refused(world, here.hold(who))
    assert (third.hold, third.cursor) == (longer.hold, longer.cursor)
    assert await faults(world) == []


async def test_an_expired_hold_is_nobodys_and_its_taker_tells_that_it_ended(world: World) -> None:
    here = await place(world)
    first, second = await here.patient(), await here.patient()
    held = await here.hold(first)
    await world.wait(minutes=5, seconds=1)
    booked = await here.world.again().booking.book(second, here.slot(), None, None, new_key())
    assert isinstance(booked, AppointmentBooked)
    assert await world.value("SELECT state FROM holds WHERE id = $1", held.hold.key) == "expired"
    assert isinstance(await here.hold(first), SlotTaken)
    assert await faults(world) == []


async def test_ones_own_expired_hold_is_replaced_by_a_new_one(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    held = await here.hold(who)
    await world.wait(minutes=6)
    again = await here.hold(who)
    assert isinstance(again, SlotHeld)
    assert again.hold.key != held.hold.key
    assert await faults(world) == []


async def test_a_held_time_is_taken_for_others_until_it_is_released(world: World) -> None:
    here = await place(world)
    who, other = await here.patient(), await here.patient()
    held = await here.hold(who)
    assert isinstance(await refused(world, here.book(other)), SlotTaken)
    assert isinstance(await refused(world, here.hold(other)), SlotTaken)
    released = await world.booking.release(who, held.hold.id, new_key())
    assert isinstance(released, HoldReleased)
    assert (released.slot.id, released.slot.starts_at) == (here.slot(), TOMORROW)
    assert isinstance(await here.book(other), AppointmentBooked)
    assert await faults(world) == []


async def test_booking_ones_own_hold_uses_it(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    held = await here.hold(who)
    before = await world.value("SELECT id FROM allocations WHERE hold_id = $1", held.hold.key)
    booked = await here.book(who)
    assert isinstance(booked, AppointmentBooked)
    [time] = await world.fetch("SELECT id, state FROM allocations WHERE appointment_id = $1", booked.appointment.key)
    assert tuple(time) == (before, "booked")  # it changed owner, it was never free
    assert await world.value("SELECT state FROM holds WHERE id = $1", held.hold.key) == "used"
    assert isinstance(await world.booking.release(who, held.hold.id, new_key()), NotFound)
    assert await faults(world) == []


async def test_a_hold_whose_visit_type_grew_covers_the_whole_visit_when_booked(world: World) -> None:
    here = await place(world)
    who, other = await here.patient(), await here.patient()
    await here.hold(who)
    await world.run("UPDATE visit_types SET duration_minutes = 60, start_every_minutes = 30 WHERE id = $1", here.kind)
    assert isinstance(await here.book(who), AppointmentBooked)
    assert isinstance(await here.book(other, minutes=30), SlotTaken)
    assert await faults(world) == []


async def test_another_slot_that_overlaps_ones_own_hold_is_taken_until_release(world: World) -> None:
    here = await place(world, every=15)
    who = await here.patient()
    held = await here.hold(who)
    assert isinstance(await refused(world, here.hold(who, minutes=15)), SlotTaken)
    assert isinstance(await refused(world, here.book(who, minutes=15)), SlotTaken)
    await world.booking.release(who, held.hold.id, new_key())
    assert isinstance(await here.hold(who, minutes=15), SlotHeld)


async def test_a_patient_holds_five_times_and_staff_twenty(world: World) -> None:
    here = await place(world, every=5, minutes=5)
    for who, most in ((await here.patient(), 5), (staff(here.clinic), 20)):
        day = 0 if most == 5 else 1
        first = await here.hold(who, days=day)
        for number in range(1, most):
            assert isinstance(await here.hold(who, days=day, minutes=5 * number), SlotHeld)
        assert rule(await refused(world, here.hold(who, days=day, hours=4))) is PolicyRule.HOLD_LIMIT
        assert isinstance(await here.hold(who, days=day), SlotHeld)  # one's own is no new one
        await world.booking.release(who, first.hold.id, new_key())
        assert isinstance(await here.hold(who, days=day, hours=4), SlotHeld)


async def test_the_hold_limit_holds_against_twenty_at_once(world: World) -> None:
    here = await place(world, every=5, minutes=5)
    who = await here.patient()
    answers = await asyncio.gather(*(here.hold(who, minutes=5 * number) for number in range(20)))
    assert sum(isinstance(one, SlotHeld) for one in answers) == 5
    assert sum(isinstance(one, PolicyViolation) for one in answers) == 15


async def test_notice_window_and_past_are_judged_as_of_the_hold(world: World) -> None:
    here = await place(world, notice=60)
    who, other = await here.patient(), await here.patient()
    soon = slot_id(here.provider, here.clinic, here.kind, MONDAY + timedelta(hours=1, minutes=30))
    assert isinstance(await world.booking.hold(who, soon, new_key()), SlotHeld)
    await world.clock(MONDAY + timedelta(minutes=4))
    assert isinstance(await world.booking.book(who, soon, None, None, new_key()), AppointmentBooked)
    # Held at the last moment, booked after the start has gone by.
    other = staff(here.clinic)
    patient = await here.patient()
    at_once = slot_id(here.provider, here.clinic, here.kind, MONDAY + timedelta(hours=2))
    await world.clock(MONDAY + timedelta(hours=1, minutes=58))
    assert isinstance(await world.booking.hold(other, at_once, new_key()), SlotHeld)
    await world.clock(MONDAY + timedelta(hours=2, minutes=1))
    booked = await world.booking.book(other, at_once, patient_id(patient), None, new_key())
    assert isinstance(booked, AppointmentBooked)
    assert await faults(world) == []


async def test_releasing_what_is_expired_unknown_or_anothers_finds_nothing(world: World) -> None:
    here = await place(world)
    who, other = await here.patient(), await here.patient()
    held = await here.hold(who)
    assert isinstance(await refused(world, world.booking.release(other, held.hold.id, new_key())), NotFound)
    assert isinstance(await refused(world, world.booking.release(who, "nonsense", new_key())), NotFound)
    unknown = ids.node(ids.HOLD, 10**9)
    assert isinstance(await refused(world, world.booking.release(who, unknown, new_key())), NotFound)
    await world.wait(minutes=6)
    assert isinstance(await refused(world, world.booking.release(who, held.hold.id, new_key())), NotFound)


# --- refusals, one by one and in their order (rule 10)


async def test_a_slot_that_names_nothing_is_not_found(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    for wrong in ("", "x" * 10_000, "a\x00b", ids.node(ids.CLINIC, here.clinic), slot_id(10**8, here.clinic, here.kind, TOMORROW),
                  slot_id(here.provider, 10**8, here.kind, TOMORROW)):  # fmt: skip
        assert isinstance(await refused(world, world.booking.hold(who, wrong, new_key())), NotFound)
        assert isinstance(await refused(world, world.booking.book(who, wrong, None, None, new_key())), NotFound)


async def test_what_is_off_the_grid_outside_hours_or_of_another_type_is_not_offered(world: World) -> None:
    here = await place(world)
    other_kind = await world.visit_type()
    other_clinic = await world.clinic()
    who = await here.patient()
    for wrong in (
        here.slot(minutes=5), here.slot(minutes=1), here.slot(hours=9), here.slot(hours=-2),
        slot_id(here.provider, here.clinic, other_kind, TOMORROW), slot_id(here.provider, here.clinic, 10**8, TOMORROW),
        slot_id(here.provider, other_clinic, here.kind, TOMORROW), opening_id(here.provider, here.clinic, here.kind, 10**8),
    ):  # fmt: skip
        assert (
            rule(await refused(world, world.booking.book(who, wrong, None, None, new_key()))) is PolicyRule.NOT_OFFERED
        )
        assert rule(await refused(world, world.booking.hold(who, wrong, new_key()))) is PolicyRule.NOT_OFFERED


@pytest.mark.parametrize("table", ["clinics", "providers", "visit_types"])
async def test_what_is_inactive_offers_nothing(world: World, table: str) -> None:
    here = await place(world)
    who = await here.patient()
    key = {"clinics": here.clinic, "providers": here.provider, "visit_types": here.kind}[table]
    await world.run(f"UPDATE {table} SET active = false WHERE id = $1", key)
    assert rule(await refused(world, here.book(who))) is PolicyRule.NOT_OFFERED


async def test_past_notice_and_window_bind_whom_they_bind(world: World) -> None:
    here = await place(world, notice=120, days=30)
    who, clerk = await here.patient(), staff(here.clinic)
    named = patient_id(who)

    async def both(at: datetime) -> tuple[Any, Any]:
        slot = slot_id(here.provider, here.clinic, here.kind, at)
        patient = await refused(world, world.booking.book(who, slot, None, None, new_key()))
        return patient, await world.booking.book(clerk, slot, named, None, new_key())

    patient, clerks = await both(MONDAY - timedelta(hours=1))
    assert rule(patient) is rule(clerks) is PolicyRule.PAST
    patient, clerks = await both(MONDAY + timedelta(minutes=90))
    assert rule(patient) is PolicyRule.MINIMUM_NOTICE
    assert isinstance(clerks, AppointmentBooked)
    patient, clerks = await both(MONDAY + timedelta(days=31))
    assert rule(patient) is PolicyRule.BOOKING_WINDOW
    assert isinstance(clerks, AppointmentBooked)
    patient, clerks = await both(MONDAY + timedelta(days=731))
    assert rule(patient) is rule(clerks) is PolicyRule.BOOKING_WINDOW
    last_day = slot_id(here.provider, here.clinic, here.kind, MONDAY + timedelta(days=30, hours=7, minutes=30))
    assert isinstance(await world.booking.book(who, last_day, None, None, new_key()), AppointmentBooked)


async def test_a_provider_who_takes_no_new_patients_refuses_only_patients_who_are_new(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type()
    provider = await world.provider([clinic], [kind], accepting=False)
    who = await world.patient(clinic)
    here = Place(world, clinic, kind, provider)
    assert rule(await refused(world, here.book(who))) is PolicyRule.NOT_ACCEPTING_NEW_PATIENTS
    assert rule(await refused(world, here.hold(who))) is PolicyRule.NOT_ACCEPTING_NEW_PATIENTS
    booked = await world.booking.book(staff(clinic), here.slot(), patient_id(who), None, new_key())
    assert isinstance(booked, AppointmentBooked)
    assert isinstance(await here.book(who, hours=1), AppointmentBooked)  # known by now
    await world.run("UPDATE appointments SET status = 'noshow' WHERE patient_id = $1", who.patient_key)
    assert rule(await refused(world, here.book(who, hours=2))) is PolicyRule.NOT_ACCEPTING_NEW_PATIENTS


async def test_a_taken_time_comes_with_the_nearest_others(world: World) -> None:
    here = await place(world)
    colleague = await world.provider([here.clinic], [here.kind])
    await here.book(await here.patient())
    taken = await refused(world, here.book(await here.patient()))
    assert isinstance(taken, SlotTaken)
    found = [(slot.starts_at - TOMORROW, slot.provider_key) for slot in taken.alternatives]
    half = timedelta(minutes=30)
    assert found == [(timedelta(), colleague), (-half, here.provider), (half, here.provider)]
    assert all(slot.clinic_key == here.clinic and slot.visit_type_key == here.kind for slot in taken.alternatives)
    for slot in taken.alternatives:  # what is shown can be booked
        assert isinstance(
            await world.booking.book(await here.patient(), slot.id, None, None, new_key()), AppointmentBooked
        )


async def test_a_patient_is_never_in_two_places(world: World) -> None:
    here = await place(world)
    away = await place(world, before=30, after=30)
    who = await here.patient()
    booked = await here.book(who)
    conflict = await refused(world, away.book(who))
    assert isinstance(conflict, PatientConflict)
    assert conflict.appointment == booked.appointment
    clerk = staff(away.clinic)
    await world.run("INSERT INTO patient_clinics VALUES ($1, $2)", who.patient_key, away.clinic)
    by_clerk = await refused(world, world.booking.book(clerk, away.slot(), patient_id(who), None, new_key()))
    assert by_clerk == PatientConflict(None)  # the other clinic's appointment is not theirs to see
    assert isinstance(await world.booking.book(admin(), away.slot(), patient_id(who), None, new_key()), PatientConflict)
    assert isinstance(
        await away.book(who, minutes=30), AppointmentBooked
    )  # buffers are the provider's, not the patient's
    assert await faults(world) == []


async def test_the_first_refusal_in_the_order_of_the_rules_is_told(world: World) -> None:
    here = await place(world, notice=60)
    who, other = await here.patient(), await here.patient()
    used = new_key()
    await here.book(who, used)
    unknown = slot_id(10**8, here.clinic, here.kind, TOMORROW)
    fresh = world.again()
    book = fresh.booking.book
    assert isinstance(await refused(world, book(who, unknown, None, None, used)), IdempotencyMismatch)
    assert isinstance(await refused(world, book(who, "nonsense", None, None, used)), IdempotencyMismatch)
    past_and_off_grid = slot_id(here.provider, here.clinic, here.kind, MONDAY - timedelta(minutes=7))
    assert rule(await refused(world, book(who, past_and_off_grid, None, None, new_key()))) is PolicyRule.PAST
    soon_and_off_grid = slot_id(here.provider, here.clinic, here.kind, MONDAY + timedelta(minutes=7))
    assert rule(await refused(world, book(who, soon_and_off_grid, None, None, new_key()))) is PolicyRule.NOT_OFFERED
    assert isinstance(await here.book(who, hours=2), AppointmentBooked)
    # Taken by another and the patient busy as well: the taken time is told first.
    away = await place(world)
    await away.book(other)
    assert isinstance(await refused(world, away.book(who)), SlotTaken)


@pytest.mark.parametrize("minute", [0, 1, 5, 120_999_990, 121_000_000])
async def test_absurd_years_are_refused_like_any_other(world: World, minute: int) -> None:
    here = await place(world)
    clerk = staff(here.clinic)
    who = await here.patient()
    slot = str(ids.SlotKey(here.provider, here.clinic, here.kind, minute))
    for viewer in (who, clerk):
        answer = await refused(world, world.booking.book(viewer, slot, patient_id(who), None, new_key()))
        assert rule(answer) in (PolicyRule.PAST, PolicyRule.NOT_OFFERED, PolicyRule.BOOKING_WINDOW)
        assert isinstance(await refused(world, world.booking.hold(viewer, slot, new_key())), PolicyViolation)


# --- who may (rules 15, 18, 20)


async def test_the_anonymous_are_refused_before_any_id_is_looked_at(world: World) -> None:
    for asked in (
        world.booking.hold(ANONYMOUS, "x", "k"),
        world.booking.book(ANONYMOUS, "x", None, None, "k"),
        world.booking.release(ANONYMOUS, "x", "k"),
    ):
        with pytest.raises(AccessDenied) as denied:
            await refused(world, asked)
        assert denied.value.code == "UNAUTHENTICATED"


async def test_staff_book_at_their_own_clinics_for_patients_of_theirs(world: World) -> None:
    here, away = await place(world), await place(world)
    who, stranger = await here.patient(), await away.patient()
    clerk = staff(here.clinic)
    book, hold = world.booking.book, world.booking.hold
    assert isinstance(await refused(world, book(clerk, away.slot(), patient_id(who), None, new_key())), NotFound)
    assert isinstance(await refused(world, hold(clerk, away.slot(), new_key())), NotFound)
    assert isinstance(await refused(world, book(clerk, here.slot(), patient_id(stranger), None, new_key())), NotFound)
    with pytest.raises(BadInput) as bad:
        await refused(world, book(clerk, here.slot(), None, None, new_key()))
    assert bad.value.field == "patientId"
    assert isinstance(await book(clerk, here.slot(), patient_id(who), None, new_key()), AppointmentBooked)
    everywhere = await book(admin(), away.slot(), patient_id(who), None, new_key())
    assert isinstance(everywhere, PatientConflict)
    # With an appointment at the clinic one is its patient.
    await away.book(who, hours=1)
    assert isinstance(
        await book(staff(away.clinic), away.slot(hours=2), patient_id(who), None, new_key()), AppointmentBooked
    )


async def test_a_patient_books_for_nobody_else(world: World) -> None:
    here = await place(world)
    who, other = await here.patient(), await here.patient()
    answer = await refused(world, world.booking.book(who, here.slot(), patient_id(other), None, new_key()))
    assert isinstance(answer, NotFound)


@pytest.mark.parametrize("reason", ["x" * 256, "x" * 10_000, "bell\x07", "null\x00"])
async def test_a_reason_that_cannot_be_taken_is_bad_input(world: World, reason: str) -> None:
    here = await place(world)
    with pytest.raises(BadInput) as bad:
        await refused(world, world.booking.book(await here.patient(), here.slot(), None, reason, new_key()))
    assert bad.value.field == "reason"


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\x00b"])
async def test_a_key_that_cannot_be_taken_is_bad_input(world: World, key: str) -> None:
    here = await place(world)
    with pytest.raises(BadInput) as bad:
        await refused(world, world.booking.hold(await here.patient(), here.slot(), key))
    assert bad.value.field == "idempotencyKey"


# --- idempotency (rule 14)


async def test_a_replay_answers_the_same_outcome_with_present_fields(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    first = await here.book(who, "again")
    assert await refused(world, here.book(who, "again")) == first
    await world.run("UPDATE appointments SET version = 2, status = 'arrived' WHERE id = $1", first.appointment.key)
    later = await world.again().booking.book(who, here.slot(), None, None, "again")
    assert isinstance(later, AppointmentBooked)
    assert (later.cursor, later.appointment.key) == (first.cursor, first.appointment.key)
    assert later.appointment.status is AppointmentStatus.ARRIVED
    await world.run("UPDATE appointments SET version = 1, status = 'booked' WHERE id = $1", first.appointment.key)


async def test_replays_of_holds_and_releases(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    held = await here.hold(who, "hold")
    assert await refused(world, here.hold(who, "hold")) == held
    released = await world.booking.release(who, held.hold.id, "release")
    assert await refused(world, world.booking.release(who, held.hold.id, "release")) == released
    assert await refused(world, here.hold(who, "hold")) == held  # what it was; it is gone by now
    assert isinstance(await world.booking.release(who, held.hold.id, new_key()), NotFound)


async def test_a_key_with_another_request_is_a_mismatch(world: World) -> None:
    here = await place(world)
    who, other = await here.patient(), await here.patient()
    held = await here.hold(who, "mine", hours=3)
    assert isinstance(await refused(world, here.hold(who, "mine", hours=1)), IdempotencyMismatch)
    assert isinstance(await refused(world, here.book(who, "mine", hours=3)), IdempotencyMismatch)
    answer = await refused(world, world.booking.release(who, held.hold.id, "mine"))
    assert isinstance(answer, IdempotencyMismatch)
    assert isinstance(await here.hold(other, "mine", hours=1), SlotHeld)  # another caller's key is another key


async def test_refusals_are_not_stored(world: World) -> None:
    here = await place(world)
    who, other = await here.patient(), await here.patient()
    held = await here.hold(other)
    assert isinstance(await refused(world, here.book(who, "try")), SlotTaken)
    await world.booking.release(other, held.hold.id, new_key())
    assert isinstance(await here.book(who, "try"), AppointmentBooked)


async def test_a_key_is_forgotten_after_48_hours(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    first = await here.hold(who, "old", days=3)
    await world.wait(hours=48, minutes=1)
    second = await here.hold(who, "old", days=4)
    assert isinstance(second, SlotHeld)
    assert second.hold.key != first.hold.key


async def test_a_twin_in_flight_waits_a_second_then_is_told(world: World, connections: asyncpg.Pool) -> None:
    here = await place(world)
    who = await here.patient()
    async with connections.acquire() as rival:
        await rival.execute(locks.opening((who.subject, "twin"), []))
        try:
            before = asyncio.get_running_loop().time()
            with pytest.raises(RequestInProgress):
                await refused(world, here.book(who, "twin"))
            assert 0.9 < asyncio.get_running_loop().time() - before < 2.5
        finally:
            await rival.execute("ROLLBACK")
    assert isinstance(await here.book(who, "twin"), AppointmentBooked)


async def test_twins_at_once_book_once(world: World) -> None:
    here = await place(world)
    who = await here.patient()
    desks = [world, world.again(), world.again()]
    asked = [desks[number % 3].booking.book(who, here.slot(), None, None, "twins") for number in range(30)]
    answers = await asyncio.gather(*asked)
    assert {(one.appointment.key, one.cursor) for one in answers} == {(answers[0].appointment.key, answers[0].cursor)}
    assert await world.value("SELECT count(*) FROM appointments WHERE patient_id = $1", who.patient_key) == 1
    assert await faults(world) == []


async def test_a_lock_that_stays_taken_is_unavailable_and_writes_nothing(
    world: World, connections: asyncpg.Pool
) -> None:
    here = await place(world)
    who = await here.patient()
    async with connections.acquire() as rival:
        await rival.execute(locks.opening(None, [locks.resource(here.provider)]))
        try:
            with pytest.raises(Unavailable):
                await refused(world, here.book(who))
        finally:
            await rival.execute("ROLLBACK")


# --- published openings (rule 7)


async def test_an_opening_is_booked_once_a_lane_until_it_is_full(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(None, notice=0)
    provider = await world.provider([clinic], [kind], pool=True)
    start = TOMORROW + timedelta(minutes=7)
    opening = await world.opening(provider, clinic, start, minutes=9, capacity=3)
    slot = opening_id(provider, clinic, kind, opening)
    people = [await world.patient(clinic) for _ in range(4)]
    booked = [await world.booking.book(who, slot, None, None, new_key()) for who in people[:3]]
    assert all(isinstance(one, AppointmentBooked) for one in booked)
    assert booked[0].appointment.ends_at - booked[0].appointment.starts_at == timedelta(minutes=9)
    assert isinstance(await refused(world, world.booking.book(people[3], slot, None, None, new_key())), SlotTaken)
    lanes = await world.fetch("SELECT lane FROM allocations WHERE resource_id = $1 ORDER BY lane", opening)
    assert [row["lane"] for row in lanes] == [0, 1, 2]
    cancelled = await world.changing.cancel(people[1], booked[1].appointment.id, 1, None, new_key())
    assert not isinstance(cancelled, NotFound)
    again = await world.booking.book(people[3], slot, None, None, new_key())
    assert isinstance(again, AppointmentBooked)
    lane = await world.value("SELECT lane FROM allocations WHERE appointment_id = $1", again.appointment.key)
    assert lane == 1  # the lowest that is free
    assert await faults(world) == []


async def test_a_long_opening_is_an_arrival_window_and_a_patient_comes_once(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(None, notice=0)
    pool_provider = await world.provider([clinic], [kind], pool=True)
    visit = await world.visit_type()
    doctor = await world.provider([clinic], [visit])
    window = await world.opening(pool_provider, clinic, TOMORROW - timedelta(hours=1), minutes=180, capacity=5)
    exact = await world.opening(pool_provider, clinic, TOMORROW, minutes=120, capacity=5)
    who = await world.patient(clinic)

    async def book(slot: str) -> Any:
        return await world.booking.book(who, slot, None, None, new_key())

    first = await book(opening_id(pool_provider, clinic, kind, window))
    assert isinstance(first, AppointmentBooked)
    assert isinstance(await book(slot_id(doctor, clinic, visit, TOMORROW)), AppointmentBooked)
    again = await refused(world, book(opening_id(pool_provider, clinic, kind, window)))
    assert isinstance(again, PatientConflict)
    assert again.appointment == first.appointment
    # Exactly two hours is a visit like any other.
    assert isinstance(await refused(world, book(opening_id(pool_provider, clinic, kind, exact))), PatientConflict)
    assert await faults(world) == []


async def test_a_withdrawn_opening_is_not_offered(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(None, notice=0)
    provider = await world.provider([clinic], [kind], pool=True)
    opening = await world.opening(provider, clinic, TOMORROW)
    await world.run("UPDATE openings SET offered = false WHERE id = $1", opening)
    who = await world.patient(clinic)
    answer = await world.booking.book(who, opening_id(provider, clinic, kind, opening), None, None, new_key())
    assert rule(answer) is PolicyRule.NOT_OFFERED


# --- the order of a write transaction (rule 17)


async def test_all_locks_come_before_the_first_write_and_nothing_waits_inside(world: World, database_url: str) -> None:
    here = await place(world, cancel=60)
    who = await here.patient()
    one = await pool(database_url, size=1)
    said: list[str] = []
    async with one.acquire() as connection:
        connection.add_query_logger(lambda record: said.append(record.query))
    watched = World.on(one)
    held = await watched.booking.hold(who, here.slot(), new_key())
    await watched.booking.release(who, held.hold.id, new_key())
    await watched.booking.hold(who, here.slot(), new_key())
    booked = await watched.booking.book(who, here.slot(), None, None, new_key())
    moved = await watched.changing.reschedule(who, booked.appointment.id, here.slot(hours=1), 1, new_key())
    await watched.changing.cancel(who, moved.appointment.id, 2, None, new_key())
    await one.close()
    transactions = [text.split("\x00") for text in "\x00".join(said).split("BEGIN;")[1:]]
    assert len(transactions) == 6
    for opening, *rest in transactions:
        assert opening.count("pg_advisory_xact_lock") >= 2
        inside = rest[: rest.index("COMMIT")]
        assert not any("advisory" in text or "FOR UPDATE" in text or "LOCK TABLE" in text for text in inside)
        writes = [text for text in inside if text.lstrip().startswith(("INSERT", "UPDATE", "WITH"))]
        assert writes, inside


def test_locks_are_asked_for_in_ascending_order() -> None:
    keys = [locks.resource(9), locks.patient(3), locks.resource(2), locks.caller("x"), locks.resource(9)]
    text = locks.opening(("caller", "key"), keys)
    first, second = text.split("SELECT ")[1:]
    assert "lock_timeout = '1s'" in text.split("SELECT ")[0]
    assert first.count("pg_advisory_xact_lock(1, ") == 1
    asked = [tuple(map(int, part.split(")")[0].split(", "))) for part in second.split("pg_advisory_xact_lock(")[1:]]
    assert asked == sorted(set(keys))


async def test_utc_is_what_the_database_speaks(world: World) -> None:
    assert await world.value("SHOW timezone") == "UTC"
    assert (await world.value("SELECT app_now()")).tzinfo is UTC
