"""Many actors at once on few times; each writes down what it asked and what it was told; a checker judges the whole."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from adapters.postgres.database import pool
from domain.access import Viewer
from domain.appointments import Appointment, AppointmentStatus
from domain.faults import RequestInProgress, Unavailable
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    HoldReleased,
    SlotHeld,
)
from tests.world import MONDAY, OVERLAPS, World, faults, new_key, opening_id, patient_id, slot_id, staff

OK = (AppointmentBooked, AppointmentCancelled, AppointmentRescheduled, AppointmentStatusSet, HoldReleased, SlotHeld)
NINE = MONDAY + timedelta(days=1)


@dataclass(frozen=True)
class Line:
    """One call: `outcome` is what was answered, or the error's name where the outcome is unknown or nothing was done."""

    actor: int
    action: str
    caller: str
    key: str
    outcome: Any


class Crowd:
    """A few providers at two clinics, an opening with two places, a few patients and a clerk, wanted by everybody."""

    def __init__(
        self, world: World, rng: random.Random, people: int, providers: int, loud: tuple[type[Exception], ...] = ()
    ) -> None:
        self.loud = loud
        self.world, self.rng = world, rng
        self.sizes = people, providers
        self.history: list[Line] = []
        self.seen: set[str] = set()
        self.known: dict[str, Appointment] = {}

    async def begin(self) -> None:
        world = self.world
        await world.clock(MONDAY)
        self.clinics = [await world.clinic(), await world.clinic("America/Chicago")]
        kind = await world.visit_type(30, before=5, after=5, every=15, cancel=60)
        pooled = await world.visit_type(None, notice=0, cancel=0)
        providers = [await world.provider(self.clinics, [kind], opens=0, closes=1440) for _ in range(self.sizes[1])]
        pool_key = await world.provider(self.clinics[:1], [pooled], pool=True)
        opening = await world.opening(pool_key, self.clinics[0], NINE, capacity=2)
        self.providers, self.opening = providers, opening
        self.slots = [
            slot_id(one, clinic, kind, NINE + timedelta(minutes=15 * n))
            for one in providers for clinic in self.clinics for n in range(6)
        ]  # fmt: skip
        self.slots += [opening_id(pool_key, self.clinics[0], pooled, opening)] * 3
        self.people = [await world.patient(*self.clinics) for _ in range(self.sizes[0])]
        self.clerk = staff(*self.clinics)

    async def act(self, actor: int, world: World, actions: int) -> None:
        rng = random.Random(self.rng.random())
        held: list[tuple[Viewer, str]] = []
        await self.volley(actor, world, held)
        for _ in range(actions):
            patient = rng.choice(self.people)
            viewer = rng.choice([patient, patient, self.clerk])
            slot, key = rng.choice(self.slots), new_key()
            one = rng.choice(list(self.known.values())) if self.known else None
            action = rng.choice(["hold", "release", "book", "book", "move", "move", "cancel", "mark", "again"])
            asked: Any = None
            if action == "hold":
                asked = world.booking.hold(viewer, slot, key)
            elif action == "release" and held:
                viewer, hold = held.pop()
                asked = world.booking.release(viewer, hold, key)
            elif action == "book":
                asked = world.booking.book(viewer, slot, patient_id(patient), None, key)
            elif action == "again" and self.history:
                line = rng.choice(self.history[-30:])
                if line.action == "book" and isinstance(line.outcome, AppointmentBooked):
                    await self.ask_again(world, line)
                continue
            elif one is not None and action == "move":
                asked = world.changing.reschedule(self.clerk, one.id, slot, one.version, key)
                viewer = self.clerk
            elif one is not None and action == "cancel":
                asked = world.changing.cancel(self.clerk, one.id, one.version, None, key)
                viewer = self.clerk
            elif one is not None and action == "mark":
                to = rng.choice(
                    [AppointmentStatus.ARRIVED, AppointmentStatus.BOOKED, AppointmentStatus.ENTERED_IN_ERROR]
                )
                asked = world.changing.set_status(self.clerk, one.id, one.version, to, None, key)
                viewer = self.clerk
            if asked is None:
                continue
            await self.record(actor, action, viewer, key, asked, held)

    async def volley(self, actor: int, world: World, held: list[tuple[Viewer, str]]) -> None:
        """All begin by booking times that overlap, at every provider, for few people: a lock that is left out shows here."""
        people, providers = self.sizes
        for quarter in range(3):
            patient, key = self.people[actor % people], new_key()
            slot = self.slots[actor % providers * 12 + (actor // providers + quarter) % 3]
            asked = world.booking.book(patient, slot, patient_id(patient), None, key)
            await self.record(actor, "book", patient, key, asked, held)

    async def record(
        self, actor: int, action: str, viewer: Viewer, key: str, asked: Any, held: list[tuple[Viewer, str]]
    ) -> None:
        try:
            outcome: Any = await asked
        except (Unavailable, RequestInProgress, *self.loud) as error:
            outcome = f"{type(error).__name__} {error}".strip()
        if isinstance(outcome, SlotHeld):
            held.append((viewer, outcome.hold.id))
        if isinstance(
            outcome, AppointmentBooked | AppointmentRescheduled | AppointmentCancelled | AppointmentStatusSet
        ):
            made = outcome.appointment
            if made.id not in self.known or self.known[made.id].version < made.version:
                self.known[made.id] = made
            if not made.status.live:
                self.known.pop(made.id, None)
        self.history.append(Line(actor, action, viewer.subject, key, outcome))

    async def ask_again(self, world: World, line: Line) -> None:
        """The key of a booking says to this day which appointment it made."""
        stored = await world.fetch(
            "SELECT outcome FROM idempotency WHERE caller = $1 AND key = $2", line.caller, line.key
        )
        assert [row["outcome"]["appointment"] for row in stored] == [line.outcome.appointment.key]

    async def watch(self) -> None:
        """Looks again and again for two owners of a time, and lets the holds run out every now and then."""
        while True:
            for _ in range(6):
                await asyncio.sleep(0.05)
                self.seen.update(str(tuple(row)) for row in await self.world.fetch(OVERLAPS))
            await self.world.wait(seconds=100)


async def crowd(
    url: str,
    actors: int,
    actions: int,
    seed: int,
    *,
    people: int = 4,
    providers: int = 2,
    loud: tuple[type[Exception], ...] = (),
) -> Crowd:
    """Actors in three processes' worth of services, each pair of hands with its own memory.

    `loud`: how a mutant may fail without ending the whole.
    """
    pools = [await pool(url, size=6) for _ in range(3)]
    try:
        found = Crowd(World.on(pools[0]), random.Random(seed), people, providers, loud)
        await found.begin()
        hands = [found.act(n, World.on(pools[n % 3]), actions) for n in range(actors)]
        ticking = asyncio.create_task(found.watch())
        await asyncio.gather(*hands)
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        return found
    finally:
        for one in pools:
            await one.close()


async def check(url: str, found: Crowd) -> list[str]:
    """Everything that is wrong with a history and what it left behind; empty where all promises were kept."""
    connections: asyncpg.Pool = await pool(url, size=2)
    try:
        world = World.on(connections)
        wrong = [str(one) for one in await faults(world)] + sorted(found.seen)
        wrong += _told(found.history)
        wrong += await _kept(world, found)
        for resource, lanes in [*((one, 1) for one in found.providers), (found.opening, 2)]:
            wrong += await _replayed(world, resource, lanes)
        return wrong
    finally:
        await connections.close()


def _told(history: Sequence[Line]) -> list[str]:
    """No two answers may claim the same version of one appointment."""
    versions: Counter[tuple[str, int]] = Counter()
    for line in history:
        if isinstance(
            line.outcome, AppointmentBooked | AppointmentRescheduled | AppointmentCancelled | AppointmentStatusSet
        ):
            versions[line.outcome.appointment.id, line.outcome.appointment.version] += 1
    return [f"version told twice: {one}" for one, count in versions.items() if count > 1]


async def _kept(world: World, found: Crowd) -> list[str]:
    """Every ok is there with what it said, every refusal has left nothing, and nothing is there that nobody asked for."""
    wrong, callers = [], [who.subject for who in (*found.people, found.clerk)]
    rows = await world.fetch("SELECT caller, key FROM idempotency WHERE caller = any($1::text[])", callers)
    stored = {tuple(row) for row in rows}
    events = await world.fetch(
        """SELECT e.appointment_id, e.version, e.starts_at, e.status FROM appointment_events AS e
        JOIN appointments AS a ON a.id = e.appointment_id WHERE a.patient_id = any($1::bigint[])""",
        [who.patient_key for who in found.people],
    )
    happened = {(row["appointment_id"], row["version"]): (row["starts_at"], row["status"]) for row in events}
    for line in found.history:
        ok = isinstance(line.outcome, OK)
        unknown = isinstance(line.outcome, str)
        unchanged_hold = isinstance(line.outcome, SlotHeld)  # a hold asked for again stores nothing
        if ok and not unchanged_hold and (line.caller, line.key) not in stored:
            wrong.append(f"lost: {line}")
        if not ok and not unknown and (line.caller, line.key) in stored:
            wrong.append(f"refused, yet there: {line}")
        made = getattr(line.outcome, "appointment", None) if ok else None
        if made is not None:
            said = (made.starts_at, made.status.value)
            if happened.pop((made.key, made.version), None) != said:
                wrong.append(f"it did not happen as told: {line}")
    unknowns = sum(isinstance(line.outcome, str) for line in found.history)
    if len(happened) > unknowns:
        wrong.append(f"{len(happened)} changes that nobody was told of")
    return wrong


async def _replayed(world: World, resource: int, lanes: int) -> list[str]:
    """The resource's events in the order of its versions: at no version had a time more owners than lanes."""
    rows = await world.fetch(
        """SELECT DISTINCT ON (resource_version) resource_version, payload FROM outbox WHERE resource_id = $1
        ORDER BY resource_version""",
        resource,
    )
    wrong = []
    if [row["resource_version"] for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append(f"versions of {resource} have gaps")
    owners: dict[tuple[int, int], int] = defaultdict(int)
    for row in rows:
        for span in map(tuple, row["payload"].get("opened", [])):
            owners[span] -= 1
            if owners[span] < 0:
                wrong.append(f"{resource} gave back {span}, which nobody had")
        for start, end, _ in row["payload"].get("closed", []):
            span = (start, end)
            if lanes == 1 and owners[span] == 1:
                continue  # one's own hold became an appointment, or was extended
            owners[span] += 1
            meeting = sum(count for other, count in owners.items() if other[0] < span[1] and span[0] < other[1])
            if lanes == 1 and meeting > 1:
                wrong.append(f"{resource} has two owners at {span}")
    return wrong


def counted(found: Crowd) -> dict[str, int]:
    return dict(Counter(
        line.outcome if isinstance(line.outcome, str) else type(line.outcome).__name__ for line in found.history
    ))  # fmt: skip
