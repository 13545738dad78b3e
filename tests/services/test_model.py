"""Random lives of a small group of clinics on a real PostgreSQL, compared after every step with a dictionary of intervals."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.postgres.database import pool
from domain import ids, zones
from domain.access import Viewer
from domain.appointments import AppointmentStatus as Status
from domain.ids import SlotKey
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    HoldReleased,
    InvalidTransition,
    NotFound,
    PatientConflict,
    PolicyViolation,
    SlotHeld,
    SlotTaken,
    VersionConflict,
)
from services import booking
from tests import sizes
from tests.proofs import proof
from tests.services.model import DEAD, FIVE_MINUTES, LAST_MINUTE, Kind, Model, Visit
from tests.services.test_changing import FORWARD, UNDO
from tests.services.test_guard import always_granted
from tests.world import MONDAY, World, faults, new_key, patient_id, staff

T = TypeVar("T")
NINE = MONDAY + timedelta(days=1)  # Tuesday, 09:00 in New York
HOURS = st.sampled_from([[(480, 1080)], [(540, 1080)], [(480, 720)], [(485, 600), (600, 715)], []])
PEOPLE = st.integers(0, 2)
said: Counter[str] = Counter()


def name_of(outcome: Any) -> str:
    if isinstance(outcome, PolicyViolation):
        return outcome.rule.value
    return {
        SlotTaken: "taken", PatientConflict: "conflict", NotFound: "nothing", VersionConflict: "stale",
        InvalidTransition: "transition",
    }.get(type(outcome), "granted")  # fmt: skip


class Clinics(RuleBasedStateMachine):
    """Two clinics in two zones, two providers who work at both, three patients, and two openings."""

    url: str
    loop: asyncio.AbstractEventLoop
    connections: Any

    def run(self, asked: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asked)

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        world = self.world = World.on(self.connections)
        await world.clock(MONDAY)
        zone_names = ("America/New_York", "America/St_Johns")
        self.clinics = [await world.clinic(name) for name in zone_names]
        kinds = [Kind(30, every=15), Kind(45, 15, 10, 30, notice=1440, days=2), Kind(None, notice=0, cancel=0)]
        self.kinds = [
            await world.visit_type(
                one.minutes, before=one.before, after=one.after, every=one.every,
                notice=one.notice, days=one.days, cancel=one.cancel,
            )
            for one in kinds
        ]  # fmt: skip
        self.providers = [await world.provider(self.clinics, self.kinds[:2]) for _ in range(2)]
        self.pool = await world.provider(self.clinics[:1], self.kinds[2:], pool=True)
        spans = [(NINE, 30, 2), (NINE - timedelta(hours=1), 180, 1)]
        self.openings = [await world.opening(self.pool, self.clinics[0], *span) for span in spans]
        self.people = [await world.patient(*self.clinics) for _ in range(3)]
        self.clerk = staff(*self.clinics)
        self.model = Model(
            MONDAY,
            dict(zip(self.clinics, zone_names, strict=True)),
            dict(zip(self.kinds, kinds, strict=True)),
            {key: (at, at + timedelta(minutes=m), n) for key, (at, m, n) in zip(self.openings, spans, strict=True)},
            {(one, clinic): [(480, 1080)] for one in self.providers for clinic in self.clinics},
        )
        self.keys: list[tuple[Any, str]] = []

    async def now(self) -> World:
        """Fresh services at the model's time."""
        self.model.tick(4)
        await self.world.clock(self.model.now)
        return self.world.again()

    def slot(self, which: tuple[int, int, int, int]) -> SlotKey:
        provider, clinic, kind, quarter = which
        if kind == 2:
            return SlotKey(self.pool, self.clinics[0], self.kinds[2], None, self.openings[quarter % 2])
        at = NINE + timedelta(minutes=15 * quarter if quarter < 14 else (67, 3 * 1440 + 60)[quarter - 14])
        return SlotKey(self.providers[provider], self.clinics[clinic], self.kinds[kind], zones.minutes(at))

    SLOTS = st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from([0, 0, 1, 2]), st.integers(0, 15))

    def expect(self, wanted: str, outcome: Any, viewer: Viewer) -> bool:
        assert name_of(outcome) == wanted, (wanted, outcome)
        said[wanted] += 1
        if isinstance(outcome, SlotTaken):
            for other in outcome.alternatives:
                slot = ids.slot(other.id)
                assert slot is not None
                assert self.model.policy(viewer, slot) is None
                assert not self.model.taken(slot, None)
        return wanted == "granted"

    @rule(who=PEOPLE, clerk=st.booleans(), which=SLOTS)
    def hold(self, who: int, clerk: bool, which: tuple[int, int, int, int]) -> None:
        viewer, slot = self.clerk if clerk else self.people[who], self.slot(which)
        world = self.run(self.now())
        wanted = self.model.claim(viewer, slot, None, hold=True)
        mine = self.model.own_hold(viewer.subject, slot)
        outcome = self.run(world.booking.hold(viewer, str(slot), new_key()))
        if not self.expect(wanted, outcome, viewer):
            return
        assert isinstance(outcome, SlotHeld)
        if mine is None:
            self.model.occupy(("hold", outcome.hold.key), viewer.subject, slot, self.model.now + FIVE_MINUTES)
        else:
            assert mine.owner == ("hold", outcome.hold.key)
            assert mine.expires is not None
            if not mine.extended and mine.expires - self.model.now <= LAST_MINUTE:
                mine.extended, mine.expires = True, self.model.now + FIVE_MINUTES
            assert abs(outcome.hold.expires_at - mine.expires) < timedelta(seconds=2)

    @rule(which=st.integers(0, 50), own=st.booleans())
    def release(self, which: int, own: bool) -> None:
        held = [one for some in self.model.claims.values() for one in some if one.owner[0] == "hold"]
        if not held:
            return
        one = held[which % len(held)]
        viewer = next(v for v in (*self.people, self.clerk) if (v.subject == one.caller) is own)
        world = self.run(self.now())
        alive = own and one.expires is not None and one.expires > self.model.now
        outcome = self.run(world.booking.release(viewer, ids.node(ids.HOLD, one.owner[1]), new_key()))
        if self.expect("granted" if alive else "nothing", outcome, viewer):
            assert isinstance(outcome, HoldReleased)
            self.model.release(one.owner)

    @rule(who=PEOPLE, clerk=st.booleans(), which=SLOTS)
    def book(self, who: int, clerk: bool, which: tuple[int, int, int, int]) -> None:
        patient, slot = self.people[who], self.slot(which)
        self._book(patient, slot, self.clerk if clerk else patient)

    @rule(which=st.integers(0, 50), who=PEOPLE)
    def book_what_is_held(self, which: int, who: int) -> None:
        held = [one for some in self.model.claims.values() for one in some if one.owner[0] == "hold"]
        if held:
            one = held[which % len(held)]
            viewer = next(v for v in (*self.people, self.clerk) if v.subject == one.caller)
            self._book(viewer if viewer.is_patient else self.people[who], one.slot, viewer)

    def _book(self, patient: Viewer, slot: SlotKey, viewer: Viewer) -> None:
        world, key = self.run(self.now()), new_key()
        wanted = self.model.claim(viewer, slot, patient.patient_key)
        outcome = self.run(world.booking.book(viewer, str(slot), patient_id(patient), None, key))
        if self.expect(wanted, outcome, viewer):
            assert isinstance(outcome, AppointmentBooked)
            made = outcome.appointment
            self.model.occupy(("appointment", made.key), viewer.subject, slot)
            starts, ends = self.model.span(slot)
            self.model.visits[made.key] = Visit(
                made.key, patient.patient_key or 0, slot, starts, ends, Status.BOOKED, 1, self.model.now
            )
            self.keys.append((lambda w: w.booking.book(viewer, str(slot), patient_id(patient), None, key), made.id))

    def visit(self, which: int) -> Visit:
        return list(self.model.visits.values())[which % len(self.model.visits)]

    def actor(self, one: Visit, clerk: bool) -> Viewer:
        return self.clerk if clerk else next(who for who in self.people if who.patient_key == one.patient)

    def late(self, one: Visit, viewer: Viewer) -> bool:
        cancel = timedelta(minutes=self.model.kinds[one.slot.visit_type_id].cancel)
        return viewer.is_patient and self.model.now > one.starts - cancel

    @precondition(lambda self: self.model.visits)
    @rule(number=st.integers(0, 50), clerk=st.booleans(), which=SLOTS, stale=st.sampled_from([0, 0, 0, 1]))
    def move(self, number: int, clerk: bool, which: tuple[int, int, int, int], stale: int) -> None:
        one, slot = self.visit(number), self.slot(which)
        viewer = self.actor(one, clerk)
        world = self.run(self.now())
        if stale:
            wanted = "stale"
        elif one.status is not Status.BOOKED:
            wanted = "transition"
        else:
            same = slot.visit_type_id == one.slot.visit_type_id
            wanted = self.model.claim(
                viewer, slot, one.patient, moved=one.key, late=self.late(one, viewer), same_type=same
            )
        key = ids.node(ids.APPOINTMENT, one.key)
        outcome = self.run(world.changing.reschedule(viewer, key, str(slot), one.version + stale, new_key()))
        if self.expect(wanted, outcome, viewer):
            assert isinstance(outcome, AppointmentRescheduled)
            self.model.release(("appointment", one.key))
            self.model.occupy(("appointment", one.key), viewer.subject, slot)
            one.slot, one.version = slot, one.version + 1
            one.starts, one.ends = self.model.span(slot)

    @precondition(lambda self: self.model.visits)
    @rule(number=st.integers(0, 50), clerk=st.booleans())
    def cancel(self, number: int, clerk: bool) -> None:
        one = self.visit(number)
        viewer = self.actor(one, clerk)
        world = self.run(self.now())
        may = (Status.BOOKED,) if viewer.is_patient else (Status.BOOKED, Status.ARRIVED, Status.CHECKED_IN)
        wanted = "transition" if one.status not in may else "cancel-deadline" if self.late(one, viewer) else "granted"
        key = ids.node(ids.APPOINTMENT, one.key)
        outcome = self.run(world.changing.cancel(viewer, key, one.version, None, new_key()))
        if self.expect(wanted, outcome, viewer):
            assert isinstance(outcome, AppointmentCancelled)
            self.model.release(("appointment", one.key))
            one.status, one.version, one.since = Status.CANCELLED, one.version + 1, self.model.now

    @precondition(lambda self: self.model.visits)
    @rule(number=st.integers(0, 50), to=st.sampled_from(list(Status)))
    def mark(self, number: int, to: Status) -> None:
        one = self.visit(number)
        world = self.run(self.now())
        undo = (one.status, to) in UNDO and self.model.now - one.since < timedelta(hours=24)
        error = to is Status.ENTERED_IN_ERROR and one.status not in DEAD
        if not ((one.status, to) in FORWARD or undo or error):
            wanted = "transition"
        else:
            wanted = "too-early" if to is Status.NOSHOW and self.model.now < one.starts else "granted"
        key = ids.node(ids.APPOINTMENT, one.key)
        outcome = self.run(world.changing.set_status(self.clerk, key, one.version, to, None, new_key()))
        if self.expect(wanted, outcome, self.clerk):
            assert isinstance(outcome, AppointmentStatusSet)
            one.status, one.version, one.since = to, one.version + 1, self.model.now
            if to in DEAD:
                self.model.release(("appointment", one.key))

    @precondition(lambda self: self.keys)
    @rule(number=st.integers(0, 50))
    def ask_again(self, number: int) -> None:
        """A used key answers what it answered."""
        asked, made = self.keys[number % len(self.keys)]
        world = self.run(self.now())
        if self.model.now < MONDAY + timedelta(hours=47):
            outcome = self.run(asked(world))
            assert isinstance(outcome, AppointmentBooked)
            assert outcome.appointment.id == made
            said["replayed"] += 1

    @rule(seconds=st.sampled_from([60, 245, 245, 310, 310, 3600, 6 * 3600, 20 * 3600]))
    def wait(self, seconds: int) -> None:
        self.model.tick(seconds)

    @rule(provider=st.integers(0, 1), clinic=st.integers(0, 1), hours=HOURS)
    def edit(self, provider: int, clinic: int, hours: list[tuple[int, int]]) -> None:
        pair = (self.providers[provider], self.clinics[clinic])
        self.run(self.world.set_hours(*pair, hours))
        self.model.hours[pair] = hours
        said["schedule edited"] += 1

    @invariant()
    def the_database_holds_what_the_model_holds(self) -> None:
        if hasattr(self, "model"):
            self.run(self._compare())

    async def _compare(self) -> None:
        await self.world.clock(self.model.now)
        resources = [*self.providers, *self.openings]
        rows = await self.world.fetch(
            """SELECT resource_id, starts_at, ends_at, state, hold_id, appointment_id FROM allocations
            WHERE resource_id = any($1::bigint[]) AND (state = 'booked' OR (state = 'held' AND expires_at > (SELECT app_now())))""",
            resources,
        )
        stored = {
            (r["resource_id"], r["starts_at"], r["ends_at"],
             ("hold", r["hold_id"]) if r["state"] == "held" else ("appointment", r["appointment_id"]))
            for r in rows
        }  # fmt: skip
        assert stored == self.model.intervals()
        visits = await self.world.fetch(
            "SELECT id, status, version, starts_at, ends_at FROM appointments WHERE patient_id = any($1::bigint[])",
            [who.patient_key for who in self.people],
        )
        assert {tuple(row) for row in visits} == {
            (one.key, one.status.value, one.version, one.starts, one.ends) for one in self.model.visits.values()
        }

    def teardown(self) -> None:
        if hasattr(self, "model"):
            assert self.run(faults(self.world)) == []
            said["lives"] += 1


def live(url: str, examples: int, steps: int, *, phases: tuple[Phase, ...] = (Phase.generate, Phase.shrink)) -> None:
    """Runs the machine on a loop of its own, since Hypothesis calls plain functions."""
    loop = asyncio.new_event_loop()
    connections = loop.run_until_complete(pool(url, size=2))
    machine = type("Clinics", (Clinics,), {"loop": loop, "connections": connections})
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            machine,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, phases=phases, database=None,
                suppress_health_check=list(HealthCheck), print_blob=False,
            ),
        )  # fmt: skip
    finally:
        loop.run_until_complete(connections.close())
        loop.close()


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_random_lives_match_the_model(database_url: str) -> None:
    said.clear()
    live(database_url, sizes.MODEL_EXAMPLES, sizes.MODEL_STEPS)
    assert said["granted"] > 20
    proof("model: random lives against a dictionary of intervals", **dict(sorted(said.items())))


def test_the_model_sees_a_desk_that_forgot_to_look(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant: the application's checks switched off. The comparison must fail."""
    monkeypatch.setattr(booking.claims, "decide", always_granted)
    with pytest.raises((AssertionError, ExceptionGroup)):
        live(database_url, 5, 20, phases=(Phase.generate,))
