"""Moving, cancelling and marking an appointment, on a real PostgreSQL (rules 10 to 16)."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.postgres import locks
from domain import ids
from domain.access import ANONYMOUS, AccessDenied, Viewer
from domain.appointments import Appointment, AppointmentStatus
from domain.faults import BadInput
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    IdempotencyMismatch,
    InvalidTransition,
    NotFound,
    PatientConflict,
    PolicyRule,
    PolicyViolation,
    SlotHeld,
    SlotTaken,
    VersionConflict,
)
from services import changing
from tests.world import MONDAY, World, admin, faults, new_key, opening_id, patient_id, slot_id, staff

S = AppointmentStatus
SOON = MONDAY + timedelta(days=2)  # 09:00 in New York
WAITING = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class Booked:
    """A clinic, its provider, and one patient with an appointment on Wednesday at nine."""

    def __init__(self, world: World, clinic: int, kind: int, provider: int, who: Viewer, made: Appointment) -> None:
        self.world, self.clinic, self.kind, self.provider, self.who, self.made = (
            world,
            clinic,
            kind,
            provider,
            who,
            made,
        )

    def slot(self, **later: float) -> str:
        return slot_id(self.provider, self.clinic, self.kind, SOON + timedelta(**later))

    async def move(self, to: str, version: int = 1, who: Viewer | None = None, key: str | None = None) -> Any:
        return await self.world.changing.reschedule(who or self.who, self.made.id, to, version, key or new_key())

    async def cancel(self, version: int = 1, who: Viewer | None = None, key: str | None = None) -> Any:
        return await self.world.changing.cancel(who or self.who, self.made.id, version, None, key or new_key())

    async def mark(self, status: S, version: int, who: Viewer | None = None, key: str | None = None) -> Any:
        return await self.world.changing.set_status(
            who or staff(self.clinic), self.made.id, version, status, None, key or new_key()
        )

    async def other(self, **later: float) -> Any:
        return await self.world.booking.book(
            await self.world.patient(self.clinic), self.slot(**later), None, None, new_key()
        )


async def booked(world: World, *, clinics: int = 1, **kind: Any) -> Booked:
    places = [await world.clinic() for _ in range(clinics)]
    visit = await world.visit_type(**{"every": 15, **kind})
    provider = await world.provider(places, [visit])
    who = await world.patient(places[0])
    answer = await world.booking.book(who, slot_id(provider, places[0], visit, SOON), None, "knee", new_key())
    assert isinstance(answer, AppointmentBooked)
    return Booked(world, places[0], visit, provider, who, answer.appointment)


async def refused(world: World, asked: Any) -> Any:
    before = await world.counts()
    try:
        return await asked
    finally:
        assert await world.counts() == before


def rule(outcome: Any) -> PolicyRule:
    assert isinstance(outcome, PolicyViolation), outcome
    return outcome.rule


# --- moving (rule 12)


async def test_moving_by_a_quarter_of_an_hour_over_ones_own_time(world: World) -> None:
    one = await booked(world, before=10, after=10)
    moved = await one.move(one.slot(minutes=15))
    assert isinstance(moved, AppointmentRescheduled)
    assert (moved.appointment.id, moved.appointment.version) == (one.made.id, 2)
    assert (moved.appointment.starts_at, moved.appointment.reason) == (SOON + timedelta(minutes=15), "knee")
    back = await one.move(one.slot(), version=2)
    assert isinstance(back, AppointmentRescheduled)
    event = (
        await world.fetch("SELECT * FROM appointment_events WHERE appointment_id = $1 ORDER BY version", one.made.key)
    )[1]
    assert (event["change"], event["starts_at_before"]) == ("moved", SOON)
    assert event["starts_at"] == SOON + timedelta(minutes=15)
    told = await world.value("SELECT payload FROM outbox WHERE resource_id = $1 AND resource_version = 2", one.provider)
    assert len(told["opened"]) == len(told["closed"]) == 1
    assert await faults(world) == []


async def test_moving_frees_the_old_time(world: World) -> None:
    one = await booked(world)
    assert isinstance(await one.other(), SlotTaken)
    await one.move(one.slot(hours=2))
    assert isinstance(await one.other(), AppointmentBooked)
    assert isinstance(await refused(world, one.other(hours=2)), SlotTaken)


async def test_moving_to_another_provider_at_another_clinic(world: World) -> None:
    one = await booked(world)
    clinic = await world.clinic("America/Los_Angeles")
    provider = await world.provider([clinic], [one.kind])
    at = SOON + timedelta(hours=3)
    moved = await one.move(slot_id(provider, clinic, one.kind, at))
    assert isinstance(moved, AppointmentRescheduled)
    made = moved.appointment
    assert (made.clinic_key, made.provider_key, made.id) == (clinic, provider, one.made.id)
    assert str(made.starts_at.tzinfo) == "America/Los_Angeles"
    rows = await world.fetch(
        "SELECT * FROM outbox WHERE xid = (SELECT xid FROM outbox WHERE resource_id = $1)", provider
    )
    told = {row["clinic_id"]: row["resource_id"] for row in rows if row["topic"] == "availability"}
    assert told == {one.clinic: one.provider, clinic: provider}
    personal = next(row for row in rows if row["topic"] == "appointments")
    assert personal["payload"] == {"fromClinic": ids.node(ids.CLINIC, one.clinic)}
    assert personal["clinic_id"] == clinic
    assert await faults(world) == []


async def test_moving_between_two_clinics_of_one_provider(world: World) -> None:
    one = await booked(world, clinics=2)
    [there] = [
        row["clinic_id"]
        for row in await world.fetch("SELECT clinic_id FROM provider_clinics WHERE provider_id = $1", one.provider)
        if row["clinic_id"] != one.clinic
    ]
    moved = await one.move(slot_id(one.provider, there, one.kind, SOON + timedelta(minutes=15)))
    assert isinstance(moved, AppointmentRescheduled)
    assert moved.appointment.clinic_key == there
    assert await faults(world) == []


async def test_a_move_refused_leaves_everything_as_it_was(world: World) -> None:
    one = await booked(world)
    await one.other(hours=1)
    taken = await refused(world, one.move(one.slot(hours=1)))
    assert isinstance(taken, SlotTaken)
    assert len(taken.alternatives) == 3
    assert rule(await refused(world, one.move(one.slot(minutes=7)))) is PolicyRule.NOT_OFFERED
    past = slot_id(one.provider, one.clinic, one.kind, MONDAY - timedelta(minutes=30))
    assert rule(await refused(world, one.move(past))) is PolicyRule.PAST
    assert isinstance(await refused(world, one.move("nonsense")), NotFound)
    unknown = slot_id(10**8, one.clinic, one.kind, SOON)
    assert isinstance(await refused(world, one.move(unknown)), NotFound)
    conflict = await refused(world, one.move(one.slot(hours=2), version=7))
    assert isinstance(conflict, VersionConflict)
    assert conflict.current == one.made


async def test_a_move_keeps_the_visit_type(world: World) -> None:
    one = await booked(world)
    other = await world.visit_type()
    await world.run("INSERT INTO provider_visit_types VALUES ($1, $2)", one.provider, other)
    slot = slot_id(one.provider, one.clinic, other, SOON + timedelta(hours=1))
    assert rule(await refused(world, one.move(slot))) is PolicyRule.NOT_OFFERED


async def test_a_move_uses_ones_own_hold(world: World) -> None:
    one = await booked(world)
    held = await world.booking.hold(one.who, one.slot(hours=1), new_key())
    assert isinstance(held, SlotHeld)
    moved = await one.move(one.slot(hours=1))
    assert isinstance(moved, AppointmentRescheduled)
    assert await world.value("SELECT state FROM holds WHERE id = $1", held.hold.key) == "used"
    assert await faults(world) == []


async def test_a_move_never_puts_the_patient_in_two_places(world: World) -> None:
    one = await booked(world)
    colleague = await world.provider([one.clinic], [one.kind])
    at = SOON + timedelta(hours=4)
    second = await world.booking.book(one.who, slot_id(colleague, one.clinic, one.kind, at), None, None, new_key())
    conflict = await refused(world, one.move(one.slot(hours=4, minutes=15)))
    assert isinstance(conflict, PatientConflict)
    assert conflict.appointment == second.appointment
    assert isinstance(await one.move(one.slot(hours=4, minutes=30)), AppointmentRescheduled)
    assert await faults(world) == []


async def test_moving_and_cancelling_are_open_to_patients_until_the_deadline(world: World) -> None:
    one = await booked(world, cancel=24 * 60)
    clerk = staff(one.clinic)
    await world.clock(SOON - timedelta(hours=24) + timedelta(seconds=2))
    assert rule(await refused(world, one.move(one.slot(hours=2)))) is PolicyRule.CANCEL_DEADLINE
    assert rule(await refused(world, one.cancel())) is PolicyRule.CANCEL_DEADLINE
    assert isinstance(await one.move(one.slot(hours=2), who=clerk), AppointmentRescheduled)
    await world.clock(SOON - timedelta(hours=22) - timedelta(seconds=2))
    assert isinstance(await one.cancel(2), AppointmentCancelled)


async def test_a_deadline_is_told_after_the_slots_own_faults_and_before_its_being_taken(world: World) -> None:
    one = await booked(world)
    await one.other(hours=1)
    await world.clock(SOON - timedelta(hours=23))
    assert rule(await refused(world, one.move(one.slot(minutes=5)))) is PolicyRule.NOT_OFFERED
    assert rule(await refused(world, one.move(one.slot(hours=1)))) is PolicyRule.CANCEL_DEADLINE


async def test_only_what_is_booked_is_moved(world: World) -> None:
    one = await booked(world)
    clerk = staff(one.clinic)
    await one.mark(S.ARRIVED, 1)
    for who in (one.who, clerk):
        answer = await refused(world, one.move(one.slot(hours=1), version=2, who=who))
        assert answer == InvalidTransition(S.ARRIVED, S.BOOKED)
    await one.cancel(2, who=clerk)
    answer = await refused(world, one.move(one.slot(hours=1), version=3))
    assert answer == InvalidTransition(S.CANCELLED, S.BOOKED)


async def test_staff_move_only_to_clinics_of_their_own(world: World) -> None:
    one = await booked(world, clinics=2)
    clinics = [
        row["clinic_id"]
        for row in await world.fetch("SELECT * FROM provider_clinics WHERE provider_id = $1", one.provider)
    ]
    there = next(clinic for clinic in clinics if clinic != one.clinic)
    slot = slot_id(one.provider, there, one.kind, SOON + timedelta(hours=1))
    assert isinstance(await refused(world, one.move(slot, who=staff(one.clinic))), NotFound)
    assert isinstance(await refused(world, one.move(slot, who=staff(there))), NotFound)
    assert isinstance(await refused(world, one.move(slot, version=9, who=staff(one.clinic))), NotFound)
    assert isinstance(await one.move(slot, who=staff(*clinics)), AppointmentRescheduled)


async def test_moves_between_openings_and_within_a_full_one(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(None, notice=0, cancel=0)
    pool = await world.provider([clinic], [kind], pool=True)
    first = opening_id(pool, clinic, kind, await world.opening(pool, clinic, SOON))
    second = opening_id(pool, clinic, kind, await world.opening(pool, clinic, SOON + timedelta(minutes=15), capacity=2))
    who = await world.patient(clinic)
    answer = await world.booking.book(who, first, None, None, new_key())
    assert isinstance(answer, AppointmentBooked)
    moved = await world.changing.reschedule(who, answer.appointment.id, second, 1, new_key())
    assert isinstance(moved, AppointmentRescheduled)
    same = await world.changing.reschedule(who, answer.appointment.id, second, 2, new_key())
    assert isinstance(same, AppointmentRescheduled)
    assert isinstance(await world.booking.book(await world.patient(), first, None, None, new_key()), AppointmentBooked)
    full = await world.changing.reschedule(who, answer.appointment.id, first, 3, new_key())
    assert isinstance(full, SlotTaken)
    assert await faults(world) == []


# --- cancelling and marking (rule 16)


async def test_cancelling_frees_the_time_and_is_told(world: World) -> None:
    one = await booked(world)
    cancelled = await one.cancel()
    assert isinstance(cancelled, AppointmentCancelled)
    assert (cancelled.appointment.status, cancelled.appointment.version) == (S.CANCELLED, 2)
    told = await world.value("SELECT payload FROM outbox WHERE resource_id = $1 AND resource_version = 2", one.provider)
    starts = int(SOON.timestamp())
    assert told == {"opened": [[starts, starts + 1800]], "closed": []}
    assert isinstance(await one.other(), AppointmentBooked)
    assert await refused(world, one.cancel(2)) == InvalidTransition(S.CANCELLED, S.CANCELLED)
    assert await faults(world) == []


FORWARD = [
    (S.BOOKED, S.ARRIVED), (S.BOOKED, S.CHECKED_IN), (S.BOOKED, S.FULFILLED), (S.BOOKED, S.NOSHOW),
    (S.ARRIVED, S.CHECKED_IN), (S.ARRIVED, S.FULFILLED), (S.CHECKED_IN, S.FULFILLED),
]  # fmt: skip
UNDO = [
    (S.ARRIVED, S.BOOKED), (S.CHECKED_IN, S.ARRIVED), (S.NOSHOW, S.BOOKED), (S.NOSHOW, S.ARRIVED),
    (S.FULFILLED, S.CHECKED_IN),
]  # fmt: skip
IN_ERROR = [(state, S.ENTERED_IN_ERROR) for state in S if state.live]


async def put(world: World, key: int, state: S, at: datetime) -> None:
    """The appointment stands in `state` since `at`, its time with it."""
    kept = "booked" if state.live else "released"
    await world.run("UPDATE allocations SET state = $2 WHERE appointment_id = $1", key, kept)
    await world.run("UPDATE appointments SET status = $2 WHERE id = $1", key, state.value)
    await world.run(
        "UPDATE appointment_events SET at = $2, status = $3 WHERE appointment_id = $1", key, at, state.value
    )


@pytest.mark.parametrize("current", list(S))
async def test_every_step_from_every_state(world: World, current: S) -> None:
    """All 81 pairs: those the rules name are allowed, undo for 24 hours, all others refused without a trace."""
    now = SOON + timedelta(hours=1)
    for to in S:
        for hours, undo_is_open in ((23, True), (25, False)):
            await world.clock(MONDAY)
            one = await booked(world)
            await put(world, one.made.key, current, now - timedelta(hours=hours))
            await world.clock(now)
            allowed = (current, to) in FORWARD + IN_ERROR or (undo_is_open and (current, to) in UNDO)
            if allowed:
                answer = await one.mark(to, 1)
                assert isinstance(answer, AppointmentStatusSet), (current, to)
                assert (answer.appointment.status, answer.appointment.version) == (to, 2)
                live = await world.value(
                    "SELECT count(*) FROM allocations WHERE appointment_id = $1 AND state = 'booked'", one.made.key
                )
                assert live == (to is not S.ENTERED_IN_ERROR)
            else:
                answer = await refused(world, one.mark(to, 1))
                assert answer == InvalidTransition(current, to), (current, to)


async def test_a_noshow_cannot_be_told_before_the_start(world: World) -> None:
    one = await booked(world)
    await world.clock(SOON - timedelta(seconds=5))
    assert rule(await refused(world, one.mark(S.NOSHOW, 1))) is PolicyRule.TOO_EARLY
    await world.clock(SOON)
    assert isinstance(await one.mark(S.NOSHOW, 1), AppointmentStatusSet)


async def test_cancelling_by_whom_from_where(world: World) -> None:
    for state, patient_may, staff_may in (
        (S.BOOKED, True, True), (S.ARRIVED, False, True), (S.CHECKED_IN, False, True), (S.FULFILLED, False, False),
        (S.NOSHOW, False, False), (S.ENTERED_IN_ERROR, False, False),
    ):  # fmt: skip
        for by_patient, may in ((True, patient_may), (False, staff_may)):
            one = await booked(world)
            await put(world, one.made.key, state, MONDAY)
            who = one.who if by_patient else staff(one.clinic)
            if may:
                assert isinstance(await one.cancel(who=who), AppointmentCancelled)
            else:
                assert await refused(world, one.cancel(who=who)) == InvalidTransition(state, S.CANCELLED)


async def test_a_version_that_is_not_the_present_one_conflicts_before_anything_else(world: World) -> None:
    one = await booked(world)
    assert isinstance(await refused(world, one.cancel(2)), VersionConflict)
    assert isinstance(await refused(world, one.mark(S.PROPOSED, 2)), VersionConflict)
    assert isinstance(await refused(world, one.mark(S.CANCELLED, 2)), VersionConflict)
    assert isinstance(await refused(world, one.mark(S.CANCELLED, 1)), InvalidTransition)


async def test_who_waited_while_it_was_moved_elsewhere_is_told_so_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it moves: that a version is over needs no other locks than those of where it was."""
    monkeypatch.setattr(changing, "TRIES", 1)
    one = await booked(world, clinics=2)
    other = await world.provider([one.clinic], [one.kind])

    async def waiting(sessions: int) -> None:
        while await world.value(WAITING) < sessions:  # noqa: ASYNC110 - of several sessions at once
            await asyncio.sleep(0.01)

    clerk = staff(one.clinic)
    async with (
        asyncio.timeout(20),
        asyncio.TaskGroup() as tasks,
        world.database.locked(None, [locks.patient(one.made.patient_key)]),
    ):
        moving = tasks.create_task(one.move(slot_id(other, one.clinic, one.kind, SOON)))
        await waiting(1)
        late = [one.cancel(), one.mark(S.ARRIVED, 1, who=clerk), one.move(one.slot(hours=1))]
        told = [tasks.create_task(asked) for asked in late]
        await waiting(4)
    assert isinstance(moving.result(), AppointmentRescheduled)
    for answer in (task.result() for task in told):
        assert isinstance(answer, VersionConflict)
        assert (answer.current.version, answer.current.provider_key) == (2, other)
    assert await faults(world) == []


async def test_keys_of_changes_replay_and_mismatch(world: World) -> None:
    one = await booked(world, clinics=2)
    moved = await one.move(one.slot(hours=1), key="move")
    assert await refused(world, one.move(one.slot(hours=1), key="move")) == moved
    assert isinstance(await refused(world, one.move(one.slot(hours=2), key="move")), IdempotencyMismatch)
    assert isinstance(await refused(world, one.move("nonsense", key="move")), IdempotencyMismatch)
    assert isinstance(await refused(world, one.cancel(2, key="move")), IdempotencyMismatch)
    cancelled = await one.cancel(2, key="cancel")
    assert await refused(world, one.cancel(2, key="cancel")) == cancelled
    assert isinstance(await refused(world, one.cancel(3, key="cancel")), IdempotencyMismatch)
    again = await refused(world, one.move(one.slot(hours=1), key="move"))
    assert again.cursor == moved.cursor
    assert again.appointment.status is S.CANCELLED  # the same outcome, the fields as they are now
    clerk = staff(one.clinic)
    two = await booked(world)
    clerk = staff(two.clinic)
    arrived = await two.mark(S.ARRIVED, 1, who=clerk, key="mark")
    assert await refused(world, two.mark(S.ARRIVED, 1, who=clerk, key="mark")) == arrived
    assert isinstance(await refused(world, two.mark(S.CANCELLED, 1, who=clerk, key="mark")), IdempotencyMismatch)


async def test_what_is_not_the_viewers_looks_like_what_does_not_exist(world: World) -> None:
    one = await booked(world)
    other, clerk = await world.patient(one.clinic), staff(await world.clinic())
    for who in (other, clerk):
        assert isinstance(await refused(world, one.move(one.slot(hours=1), who=who)), NotFound)
        assert isinstance(await refused(world, one.cancel(who=who)), NotFound)
    assert isinstance(await refused(world, one.mark(S.ARRIVED, 1, who=clerk)), NotFound)
    changing = world.changing
    for wrong in ("", "nonsense", ids.node(ids.APPOINTMENT, 10**9), ids.node(ids.PATIENT, one.made.key)):
        assert isinstance(await refused(world, changing.cancel(admin(), wrong, 1, None, new_key())), NotFound)
        answer = await refused(world, changing.set_status(admin(), wrong, 1, S.ARRIVED, None, new_key()))
        assert isinstance(answer, NotFound)


async def test_roles_are_told_before_any_id_is_looked_at(world: World) -> None:
    one = await booked(world)
    with pytest.raises(AccessDenied) as denied:
        await one.mark(S.ARRIVED, 1, who=one.who)
    assert denied.value.code == "FORBIDDEN"
    for asked in (
        one.move(one.slot(), who=ANONYMOUS),
        one.cancel(who=ANONYMOUS),
        one.mark(S.ARRIVED, 1, who=ANONYMOUS),
    ):
        with pytest.raises(AccessDenied) as denied:
            await asked
        assert denied.value.code == "UNAUTHENTICATED"


async def test_a_reason_that_cannot_be_taken_is_bad_input(world: World) -> None:
    one = await booked(world)
    with pytest.raises(BadInput):
        await refused(world, world.changing.cancel(one.who, one.made.id, 1, "x" * 256, new_key()))


async def test_staff_book_for_whom_they_then_mark(world: World) -> None:
    one = await booked(world)
    clerk = staff(one.clinic)
    answer = await world.booking.book(clerk, one.slot(hours=3), patient_id(one.who), None, new_key())
    made = answer.appointment
    for version, to in enumerate((S.ARRIVED, S.CHECKED_IN, S.FULFILLED, S.CHECKED_IN, S.ARRIVED, S.BOOKED), start=1):
        marked = await world.changing.set_status(clerk, made.id, version, to, None, new_key())
        assert isinstance(marked, AppointmentStatusSet), to
    events = await world.fetch(
        "SELECT version, status FROM appointment_events WHERE appointment_id = $1 ORDER BY version", made.key
    )
    assert [row["version"] for row in events] == list(range(1, 8))
    assert await faults(world) == []
