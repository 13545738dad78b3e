"""The live calendar over a real PostgreSQL: bookings, the log's tables, and what subscribers see of them."""

import asyncio
import random
from datetime import date, timedelta
from typing import Any

import pytest

from adapters.postgres import changes, stream
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.standing import Standing
from domain.faults import BadInput
from domain.frames import Delta, Heartbeat, Snapshot, SnapshotReason
from domain.outcomes import AppointmentBooked, AppointmentRescheduled
from domain.shapes import Shape
from domain.streams import Cursor, read
from services.live.calendars import ProcessCalendars
from services.live.catalog import ProcessCatalog
from services.live.hub import Hub
from services.live.live import Live
from services.live.pace import HubPace
from services.live.reading import Reading
from services.live.snapshots import Kept, Snapshots
from services.live.trust import Trust
from tests.proofs import proof
from tests.services.live_town import View, frame, settled
from tests.sizes import LIVE_COMMITS_STORED
from tests.world import MONDAY, World, new_key, opening_id, relayed, slot_id, staff

TOMORROW = MONDAY + timedelta(days=1)
DAY = date(2027, 3, 2)


class Process:
    """A hub over the database, told by hand what the log has. `keeping`: with calendars of its own, as it is served."""

    def __init__(self, world: World, keeping: bool = True) -> None:
        self.world = world
        database, known, trust = world.database, KnownSchedules(), Trust()
        catalog = ProcessCatalog(trust)
        self.kept = ProcessCalendars(database.primary, trust, catalog)
        standing = Standing(database, catalog if keeping else None)
        times = OpenTimes(known, None, self.kept if keeping else None)
        self.snapshots = Snapshots(database, OpenTimes(known), Kept(self.kept, times, standing) if keeping else None)
        pace = HubPace(frame_seconds=0.0, patience_seconds=0.3)
        self.hub = Hub(Reading(database, times, standing=standing), self.snapshots, self.kept, pace)
        self.live = Live(self.hub, self.snapshots)
        self.position = 0

    async def believing(self) -> "Process":
        """Two pulses at the pace of time: from here on it answers what it keeps."""
        await self.hear()
        await asyncio.sleep(0.6)
        await self.hear()
        return self

    async def hear(self) -> None:
        """Everything that is committed, and a pulse."""
        await relayed(self.world.database)
        async with self.world.database.primary.acquire() as connection:
            await stream.pulse(connection, await changes.now(connection), 0.0)
        while True:
            page = await stream.read(self.world.database.primary, self.position)
            for entry in page.entries:
                self.position = entry.position
                if entry.event is not None:
                    self.hub.receive(entry.event)
            if not page.entries:
                break
        assert page.pulse is not None
        self.hub.receive(page.pulse)


def shape(clinic: int, kind: int, days: int = 7) -> Shape:
    return Shape(clinic, kind, None, DAY, DAY + timedelta(days=days - 1))


async def truth(process: Process, at: Shape) -> dict[str, int]:
    return {one.id: one.left for one in (await process.snapshots.read(at, primary=True)).slots}


async def caught_up(process: Process, at: Shape, view: View, member: Any) -> None:
    wanted = await truth(process, at)
    until = 60
    while view.shown(process.hub.clock.now()) != wanted:
        view.apply(await frame(member))
        until -= 1
        assert until, "it did not come"


async def test_a_booking_removes_its_times_and_a_cancellation_opens_them(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(30, before=10, after=5)
    provider = await world.provider([clinic], [kind])
    process, at, view = Process(world), shape(clinic, kind), View()
    member = await process.live.availability(at, None)
    first = await frame(member)
    view.apply(first)
    found = read(first.cursor)
    assert isinstance(found, Cursor)
    assert found.seq == 0
    who = await world.patient(clinic)
    booked = await world.booking.book(who, slot_id(provider, clinic, kind, TOMORROW), None, None, new_key())
    assert isinstance(booked, AppointmentBooked)
    await process.hear()
    delta = await frame(member)
    assert isinstance(delta, Delta)
    assert len(delta.removed) == 3  # buffers reach its neighbours
    view.apply(delta)
    assert view.shown(process.hub.clock.now()) == await truth(process, at)

    # The mutation's cursor, here and as what a query is at least as new as.
    late = await frame(await process.live.availability(at, booked.cursor))
    assert isinstance(late, Snapshot)
    assert late.cursor == view.cursor
    assert (await process.live.snapshot(at, booked.cursor)).slots == late.slots

    # A query's cursor is one that a subscription goes on from.
    queried = await process.snapshots.read(at, primary=True)
    again = await process.live.availability(at, queried.cursor)
    assert isinstance(await frame(again), Heartbeat)
    await world.changing.cancel(staff(clinic), booked.appointment.id, 1, None, new_key())
    await process.hear()
    opened = await frame(again)
    assert len(opened.opened) == 3
    view.apply(await frame(member))
    assert view.shown(process.hub.clock.now()) == await truth(process, at)


async def test_37_left_falls_and_rises(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type(None, notice=0)
    pool = await world.provider([clinic], [kind], pool=True)
    opening = await world.opening(pool, clinic, TOMORROW, minutes=9, capacity=2)
    await world.opening(pool, clinic, TOMORROW + timedelta(hours=1), minutes=9)
    process, at, view = Process(world), shape(clinic, kind), View()
    member = await process.live.availability(at, None)
    view.apply(await frame(member))
    slot = opening_id(pool, clinic, kind, opening)
    assert view.times[slot].left == 2
    booked = []
    for left in (1, 0):
        who = await world.patient(clinic)
        booked.append(await world.booking.book(who, slot, None, None, new_key()))
        await process.hear()
        delta = await frame(member)
        view.apply(delta)
        if left:
            assert [(one.id, one.left) for one in delta.opened] == [(slot, 1)]
        else:
            assert delta.removed == [slot]
    await world.changing.cancel(staff(clinic), booked[0].appointment.id, 1, None, new_key())
    await process.hear()
    delta = await frame(member)
    assert [(one.id, one.left) for one in delta.opened] == [(slot, 1)]
    view.apply(delta)
    assert view.shown(process.hub.clock.now()) == await truth(process, at)


async def test_changed_hours_and_unknown_ids(world: World) -> None:
    clinic, kind = await world.clinic(), await world.visit_type()
    provider = await world.provider([clinic], [kind])
    process, at, view = Process(world), shape(clinic, kind), View()
    member = await process.live.availability(at, None)
    view.apply(await frame(member))
    await world.set_hours(provider, clinic, [(600, 720)])
    await process.hear()
    changed = await frame(member)
    assert changed.reason is SnapshotReason.INVALIDATED
    view.apply(changed)
    assert view.shown(process.hub.clock.now()) == await truth(process, at)
    for wrong in (
        Shape(10**9, kind, None, DAY, DAY),
        Shape(clinic, 10**9, None, DAY, DAY),
        Shape(clinic, kind, (10**9,), DAY, DAY),
    ):
        with pytest.raises(BadInput):
            await process.live.availability(wrong, None)


async def same_from_memory(process: Process, shapes: set[Shape]) -> None:
    assert process.kept.now() is not None
    for at in shapes:
        here, there = [await process.snapshots.read(at, primary=primary) for primary in (False, True)]
        assert (here.cursor, here.slots) == (there.cursor, there.slots)


async def test_a_random_history_ends_with_the_truth(world: World) -> None:
    chance = random.Random(5)
    clinics = [await world.clinic() for _ in range(2)]
    kinds = [await world.visit_type(30, after=10, notice=0), await world.visit_type(45, every=15, notice=0)]
    providers = [await world.provider(clinics, kinds) for _ in range(2)]
    processes = [await Process(world).believing(), Process(world, keeping=False)]
    followers: list[tuple[Process, Shape, View, Any]] = []
    for process in processes:
        for at in (shape(clinic, kind) for clinic in clinics for kind in kinds):
            member = await process.live.availability(at, None)
            view = View()
            view.apply(await frame(member))
            followers.append((process, at, view, member))
    desk, made = staff(*clinics), []
    for turn in range(LIVE_COMMITS_STORED):
        slot = slot_id(
            chance.choice(providers), chance.choice(clinics), chance.choice(kinds),
            TOMORROW + timedelta(days=chance.randrange(6), minutes=chance.randrange(36) * 15),
        )  # fmt: skip
        luck = chance.random()
        if luck < 0.5 or not made:
            who = await world.patient(*clinics)
            outcome = await (
                world.booking.book(who, slot, None, None, new_key())
                if luck < 0.35
                else world.booking.hold(who, slot, new_key())
            )
            if isinstance(outcome, AppointmentBooked):
                made.append(outcome.appointment)
            assert outcome is not None
        elif luck < 0.75:
            one = made.pop(chance.randrange(len(made)))
            await world.changing.cancel(desk, one.id, one.version, None, new_key())
        else:
            one = made.pop(chance.randrange(len(made)))
            moved = await world.changing.reschedule(desk, one.id, slot, one.version, new_key())
            made.append(moved.appointment if isinstance(moved, AppointmentRescheduled) else one)
        if chance.random() < 0.3:
            await processes[turn % 2].hear()
        if chance.random() < 0.1:
            index = chance.randrange(len(followers))
            _, at, view, member = followers[index]
            member.close()
            process = chance.choice(processes)
            followers[index] = (process, at, view, await process.live.availability(at, view.cursor))
    for process in processes:
        await process.hear()
    await asyncio.gather(*(caught_up(*one) for one in followers))
    await same_from_memory(processes[0], {one[1] for one in followers})
    proof("live calendar over PostgreSQL", commits=LIVE_COMMITS_STORED, followers=len(followers), diverged=0)
    for *_, member in followers:
        member.close()
    for process in processes:
        await settled(lambda hub=process.hub: hub.counts()["tasks"] == 0)
