"""The relay: nothing lost, nothing twice, in an order that versions follow, whoever dies."""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from time import monotonic

import asyncpg
import orjson
import pytest
import structlog

from adapters.postgres import changes, database, locks, stream
from adapters.postgres.changes import Change, Request, Told
from adapters.postgres.database import Database, connect, disconnect, pool
from adapters.postgres.epoch import renew_epoch
from adapters.postgres.stream import Numbered
from app.demo import fill
from domain import ids, streams
from domain.access import Role, Viewer
from domain.faults import Unavailable
from domain.outcomes import AppointmentBooked, AppointmentRescheduled
from domain.streams import AVAILABILITY, PATIENTS, STAFF, CalendarEvent
from services.relaying import Beat, Horizon, Message, Relay, messages
from services.verify import verify
from tests.conftest import MakeDatabase
from tests.world import MONDAY, World, admin, new_key, relayed, slot_id

SYSTEM = Viewer(Role.SYSTEM, "tests", request_id="tests")
START = datetime(2027, 1, 1, tzinfo=UTC)


class Town:
    """A migrated database of the test's own, with what opens a relay's connection."""

    def __init__(self, url: str, opened: asyncpg.Pool) -> None:
        self.url, self.pool = url, opened
        self.database = Database(opened)
        self.world = World.on(opened)
        self.connect = partial(connect, url)

    async def resources(self, count: int) -> list[int]:
        rows = await self.pool.fetch(
            "INSERT INTO resources (kind) SELECT 'provider' FROM generate_series(1, $1::integer) RETURNING id", count
        )
        return [row["id"] for row in rows]

    async def change(self, resource: int, clinics: list[int], seconds: float = 0.0) -> None:
        """A change as the services make one, whose transaction goes on for a while after it."""
        async with self.database.locked(None, [locks.resource(resource)]) as tx:
            told = [Told(resource, one, {"opened": [], "closed": [[0, 300, 0]]}) for one in clinics]
            at = await changes.now(tx)
            await changes.record(tx, Change(SYSTEM, Request("", "test", b""), at, {}, "test", told=told))
            await asyncio.sleep(seconds)

    async def numbers(self) -> dict[int, list[int]]:
        found = defaultdict(list)
        for row in await self.pool.fetch("SELECT clinic_id, seq FROM stream WHERE seq IS NOT NULL ORDER BY position"):
            found[row["clinic_id"]].append(row["seq"])
        return found

    async def left(self) -> int:
        found: int = await self.pool.fetchval(
            "SELECT count(*) FROM outbox AS o, stream_pulse AS p WHERE (o.xid, o.id) > (p.xid, p.outbox_id)"
        )
        return found

    async def relay_killed(self) -> None:
        """Ends the session that has the relay's lock."""
        done = await self.pool.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 10 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert len(done) == 1

    async def sound(self) -> None:
        broken = [one for one in [found async for found in verify(self.database)] if one.broken]
        assert broken == []


@pytest.fixture
async def town(make_database: MakeDatabase) -> AsyncIterator[Town]:
    url = await make_database()
    opened = await pool(url, size=10)
    yield Town(url, opened)
    await opened.close()


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in relays]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> float:
    """How long it took."""
    begun = monotonic()
    while not await true():
        assert monotonic() - begun < seconds, "it never came"
        await asyncio.sleep(0.01)
    return monotonic() - begun


async def gapless(town: Town) -> None:
    for clinic, found in (await town.numbers()).items():
        assert found == list(range(1, len(found) + 1)), clinic


class Broker:
    """A publisher that remembers; `before` and `after` each batch something may happen."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.pulses: list[str] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None

    async def publish(self, given: list[Message]) -> None:
        if self.before is not None:
            await self.before()
        self.got += given
        if self.after is not None:
            await self.after()

    async def pulse(self, text: str) -> None:
        self.pulses.append(text)

    def numbers(self) -> dict[str, list[int]]:
        """By clinic, as a reader takes them: what it knows already is dropped."""
        found: dict[str, list[int]] = defaultdict(list)
        for topic, key, text in self.got:
            if topic == AVAILABILITY and orjson.loads(text)["seq"] > len(found[key]):
                found[key].append(orjson.loads(text)["seq"])
        return found


# --- order


async def test_who_began_first_and_commits_last_is_waited_for_and_comes_first(town: Town) -> None:
    first, second = await town.resources(2)
    slow = asyncio.create_task(town.change(first, [1], seconds=0.5))
    await asyncio.sleep(0.2)
    await town.change(second, [1])
    async with town.pool.acquire() as connection:
        assert (await stream.number(connection, publishing=False)).rows == 0
        await slow
        assert await relayed(town.database) == 2
    rows = await town.pool.fetch(
        "SELECT o.resource_id FROM stream AS s JOIN outbox AS o ON o.id = s.outbox_id ORDER BY position"
    )
    assert [row["resource_id"] for row in rows] == [first, second]
    await gapless(town)


async def test_concurrent_writers_lose_nothing_and_leave_no_gap(town: Town) -> None:
    resources, random = await town.resources(12), Random(4)
    read: list[int] = []

    async def writer(resource: int) -> None:
        for _ in range(25):
            clinics = sorted(random.sample([1, 2, 3, 4], random.randint(1, 3)))
            await town.change(resource, clinics, seconds=random.choice([0, 0, 0.002, 0.02]))

    async def reader() -> None:
        while True:
            found = await stream.read(town.pool, read[-1] if read else 0, limit=7)
            read.extend(entry.position for entry in found.entries)
            await asyncio.sleep(0.001)

    relay = Relay(town.connect)
    town.database.committed = relay.wake
    async with running(relay):
        reading = asyncio.create_task(reader())
        await asyncio.gather(*map(writer, resources))

        async def done() -> bool:
            return await town.left() == 0

        await until(done)
        count = await town.pool.fetchval("SELECT count(*) FROM outbox")

        async def all_read() -> bool:
            return len(read) >= count

        await until(all_read)
        reading.cancel()
    assert read == list(range(1, count + 1))
    await gapless(town)
    await town.sound()
    rows = await town.pool.fetch(
        "SELECT o.clinic_id, o.resource_id, o.resource_version FROM stream AS s JOIN outbox AS o ON o.id = s.outbox_id"
        " ORDER BY position"
    )
    last: Counter[tuple[int, int]] = Counter()
    for row in rows:
        key = (row["clinic_id"], row["resource_id"])
        assert row["resource_version"] > last[key]
        last[key] = row["resource_version"]


async def test_a_row_that_no_clinic_is_told_has_a_place_and_no_number(town: Town) -> None:
    [resource] = await town.resources(1)
    async with town.database.transaction() as tx:
        told = changes.told_to(resource, [], {"invalidated": True})
        at = await changes.now(tx)
        await changes.record(tx, Change(SYSTEM, Request("", "test", b""), at, {}, "test", told=told))
    assert await relayed(town.database) == 1
    [entry] = (await stream.read(town.pool, 0)).entries
    assert (entry.position, entry.event) == (1, None)
    assert await town.numbers() == {}


async def test_what_was_there_before_the_first_relay_is_relayed_in_batches(town: Town) -> None:
    await fill(town.database, clinics=6)  # how many rows that is differs from day to day
    count = await town.pool.fetchval("SELECT count(*) FROM outbox")
    assert count > stream.BATCH
    async with running(Relay(town.connect)):

        async def done() -> bool:
            return await town.left() == 0

        await until(done)
    assert await town.pool.fetchval("SELECT count(*) FROM stream") == count
    await gapless(town)
    await town.sound()
    page = await stream.read(town.pool, 0, limit=100_000)
    for entry in page.entries:
        assert entry.event is not None
        text = orjson.dumps(entry.event.envelope()).decode()
        assert streams.event(orjson.loads(text)) == entry.event
        assert isinstance(entry.event, CalendarEvent) is ("patient" not in text)


async def test_numbers_that_a_crash_took_are_given_again_the_same(town: Town) -> None:
    """Why the relay need not wait for the disk: what it reads is there, and its order alone decides."""
    resources = await town.resources(6)
    await asyncio.gather(*(town.change(one, [1, 2, 3], seconds=one % 3 / 100) for one in resources))
    found = []
    for limit in (500, 5):
        await town.pool.execute("DELETE FROM stream")
        await town.pool.execute("DELETE FROM stream_heads")
        await town.pool.execute("UPDATE stream_pulse SET xid = '0', outbox_id = 0, position = 0, published = 0")
        async with town.pool.acquire() as connection:
            while await town.left():
                await stream.number(connection, publishing=False, limit=limit)
        rows = await town.pool.fetch("SELECT position, outbox_id, clinic_id, seq FROM stream ORDER BY position")
        found.append([tuple(row) for row in rows])
    assert found[0] == found[1]
    assert len(found[0]) == 18


# --- the horizon


async def test_a_sleeping_writer_holds_the_stream_for_five_seconds_at_most(town: Town) -> None:
    first, second = await town.resources(2)
    beats: list[Beat] = []
    with structlog.testing.capture_logs() as said:
        async with running(Relay(town.connect, observe=beats.append)):
            asleep = asyncio.create_task(town.change(first, [1], seconds=30))
            await asyncio.sleep(0.3)
            await town.change(second, [1])

            async def told() -> bool:
                return bool(await town.numbers())

            waited = await until(told)
            await asyncio.sleep(1.2)
            asleep.cancel()  # it sleeps on in Python; its session is gone
            with suppress(asyncio.CancelledError, Unavailable):
                await asleep
    assert 3 < waited < 9
    assert await town.numbers() == {1: [1]}
    assert 2.5 < max(beat.horizon_age for beat in beats) < 9
    assert [beat for beat in beats if beat.leading][-1].horizon_age < 2
    assert max(beat.backlog for beat in beats) == 1
    assert "a transaction holds the stream back" in [one["event"] for one in said]


async def test_a_horizon_that_stands_still_is_warned_of_once_each_time(town: Town) -> None:
    relay = Relay(town.connect)
    with structlog.testing.capture_logs() as said:
        for age in (0.2, 1.5, 2.5, 3.5, 0.1, 1.2):
            relay.told(Beat(leading=True, horizon_age=age))
    assert [one["seconds"] for one in said] == [1.5, 1.2]


def test_the_horizon_follows_what_has_ended() -> None:
    def seen(seconds: float, xmin: int, xmax: int, *, cut: bool = False) -> Numbered:
        return Numbered(0, cut, START + timedelta(seconds=seconds), xmin, xmax)

    horizon = Horizon(None)
    assert horizon.age(START) is None
    horizon.saw(seen(0, 10, 12))
    assert horizon.age(START) is None
    horizon.saw(seen(1, 11, 15))
    assert horizon.age(START) is None
    horizon.saw(seen(2, 12, 16))
    assert horizon.age(START + timedelta(seconds=2)) == 2
    horizon.saw(seen(3, 20, 20, cut=True))
    assert horizon.age(START + timedelta(seconds=3)) == 3
    horizon.saw(seen(4, 20, 20))
    assert horizon.age(START + timedelta(seconds=4)) == 0


async def test_a_pulse_comes_each_second_and_says_what_is_in_the_log(town: Town) -> None:
    broker, beats = Broker(), list[Beat]()
    [resource] = await town.resources(1)
    async with running(Relay(town.connect, broker, observe=beats.append)):
        await town.change(resource, [1])
        await asyncio.sleep(2.5)
    pulses = [streams.event(orjson.loads(text)) for text in broker.pulses]
    assert 2 <= len(pulses) <= 4
    assert all(isinstance(one, streams.Pulse) and one.horizon_age < 1 for one in pulses)
    assert sum(beat.relayed for beat in beats) == 1
    assert beats[-1] == Beat(leading=False)
    page = await stream.read(town.pool, 0)
    assert page.pulse == pulses[-1]
    assert (await stream.read(town.pool, 0, limit=1)).pulse is None  # it may speak of what was cut off


# --- one relay, whoever dies


async def test_of_two_relays_one_works_and_the_other_takes_over_in_seconds(town: Town) -> None:
    resources = await town.resources(4)
    with structlog.testing.capture_logs() as said:
        async with running(Relay(town.connect), Relay(town.connect)):
            for round_ in range(3):
                for resource in resources:
                    await town.change(resource, [1, 2])

                async def done() -> bool:
                    return await town.left() == 0

                assert await until(done) < 10
                if round_ < 2:
                    await town.relay_killed()
    assert await town.pool.fetchval("SELECT count(*) FROM stream") == 24
    await gapless(town)
    await town.sound()
    assert [one["event"] for one in said].count("relaying") == 3


async def test_a_kill_between_numbering_and_publishing_loses_nothing(town: Town) -> None:
    [resource] = await town.resources(1)
    broker = Broker()

    async def kill() -> None:
        broker.before = broker.after = None
        await town.relay_killed()
        raise Unavailable("killed")

    async with running(Relay(town.connect, broker), Relay(town.connect, broker)):
        for moment in ("before", "after"):
            setattr(broker, moment, kill)
            for _ in range(5):
                await town.change(resource, [1, 2])
            wanted = await town.pool.fetchval("SELECT count(*) FROM outbox")

            async def done(wanted: int = wanted) -> bool:
                return sum(map(len, broker.numbers().values())) == wanted

            assert await until(done) < 10
            assert broker.before is None

        async def noted() -> bool:
            return bool(await town.pool.fetchval("SELECT published = position AND position = 20 FROM stream_pulse"))

        await until(noted)
    assert broker.numbers() == {ids.node(ids.CLINIC, key): list(range(1, 11)) for key in (1, 2)}
    assert len(broker.got) > 20  # what came before the second kill came again
    await gapless(town)


async def test_a_broker_that_takes_long_does_not_cost_the_lock(town: Town) -> None:
    """Longer than the server keeps a session that says nothing."""
    [resource], broker = await town.resources(1), Broker()

    async def take_long() -> None:
        broker.before = None
        await asyncio.sleep(database.IDLE_MILLISECONDS / 1000 + 1)

    broker.before = take_long
    await town.change(resource, [1])
    with structlog.testing.capture_logs() as said:
        async with running(Relay(town.connect, broker)):

            async def noted() -> bool:
                return bool(await town.pool.fetchval("SELECT published = 1 FROM stream_pulse"))

            await until(noted)
    assert [one["event"] for one in said] == ["relaying"]
    assert len(broker.got) == 1


async def test_a_broker_that_was_away_long_is_soon_found_again(town: Town) -> None:
    [resource], broker, tries = await town.resources(1), Broker(), list[float]()

    async def fail() -> None:
        tries.append(monotonic())
        raise Unavailable("away")

    broker.before = fail
    await town.change(resource, [1])
    async with running(Relay(town.connect, broker)):

        async def tried() -> bool:
            return len(tries) == 5

        await until(tried)
    assert tries[-1] - tries[-2] < 3


async def test_a_relay_that_stands_still_gives_up_its_lock(town: Town) -> None:
    """Its process is stopped, not dead: the server ends the session that says nothing for 5 s."""
    still = await town.connect()
    try:
        assert await stream.try_lock(still)
        [resource] = await town.resources(1)
        await town.change(resource, [1])
        async with running(Relay(town.connect)):

            async def done() -> bool:
                return await town.left() == 0

            assert 3 < await until(done) < 12
    finally:
        await disconnect(still)


async def test_a_fault_that_nobody_thought_of_does_not_end_the_relay(town: Town) -> None:
    broker, [resource] = Broker(), await town.resources(1)

    async def fail() -> None:
        broker.before = None
        raise KeyError("a bug")

    broker.before = fail
    with structlog.testing.capture_logs() as said:
        async with running(Relay(town.connect, broker)):
            await town.change(resource, [1])

            async def done() -> bool:
                return bool(broker.got)

            await until(done)
    assert "relay failed" in [one["event"] for one in said]


# --- what is told


async def test_messages_go_to_their_clinics_and_their_patient_and_name_no_patient_in_public(town: Town) -> None:
    world = town.world
    await world.clock(MONDAY)
    clinics, kind = [await world.clinic(), await world.clinic()], await world.visit_type(before=5)
    providers = [await world.provider([one], [kind]) for one in clinics]
    who = await world.patient(clinics[0])
    at = MONDAY + timedelta(days=2)
    slots = [slot_id(provider, clinic, kind, at) for provider, clinic in zip(providers, clinics, strict=True)]
    booked = await world.booking.book(who, slots[0], None, None, new_key())
    assert isinstance(booked, AppointmentBooked)
    moved = await world.changing.reschedule(who, booked.appointment.id, slots[1], 1, new_key())
    assert isinstance(moved, AppointmentRescheduled)
    await world.changing.cancel(admin(), booked.appointment.id, 2, None, new_key())
    await relayed(town.database)
    page = await stream.read(town.pool, 0)
    got = [one for entry in page.entries if entry.event is not None for one in messages(entry.event)]
    nodes = [ids.node(ids.CLINIC, key) for key in clinics]
    patient = ids.node(ids.PATIENT, who.patient_key or 0)
    staff = [(key, orjson.loads(text)["version"]) for topic, key, text in got if topic == STAFF]
    assert staff == [(nodes[0], 1), (nodes[1], 2), (nodes[0], 2), (nodes[1], 3)]
    assert [key for topic, key, _ in got if topic == PATIENTS] == [patient] * 3
    for topic, key, text in got:
        event = streams.event(orjson.loads(text))
        if topic == AVAILABILITY:
            assert isinstance(event, CalendarEvent)
            assert key in nodes
            assert "patient" not in text
            assert patient not in text
            assert booked.appointment.id not in text
    assert (
        await town.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'availability' AND patient_id IS NOT NULL")
        == 0
    )
    calendar = [entry.event for entry in page.entries if isinstance(entry.event, CalendarEvent)]
    start = int(at.timestamp())
    spans = [(event.clinic_key, event.opened, event.closed) for event in calendar]
    assert spans == [
        (clinics[0], (), ((start - 300, start + 1800, 0),)),
        (clinics[0], ((start - 300, start + 1800),), ()),
        (clinics[1], (), ((start - 300, start + 1800, 0),)),
        (clinics[1], ((start - 300, start + 1800),), ()),
    ]  # fmt: skip
    position = streams.position(booked.cursor)
    assert position is not None
    assert (position.xid, position.outbox_id) == (calendar[0].xid, calendar[0].outbox_id)


# --- what is old, and what is restored


async def test_what_is_a_day_old_and_published_is_taken_away(town: Town) -> None:
    world = town.world
    await world.clock(MONDAY)
    clinic, kind = await world.clinic(), await world.visit_type()
    provider, who = await world.provider([clinic], [kind]), await world.patient(clinic)

    async def book(day: int) -> None:
        slot = slot_id(provider, clinic, kind, MONDAY + timedelta(days=day))
        assert isinstance(await world.booking.book(who, slot, None, None, new_key()), AppointmentBooked)

    await book(10)
    await book(11)
    assert await relayed(town.database, publishing=True) == 4
    await world.wait(hours=23)
    await book(12)
    assert await relayed(town.database, publishing=True) == 2
    async with town.pool.acquire() as connection:
        assert await stream.trim(connection) == 0
        await world.wait(hours=2)
        assert await stream.trim(connection) == 0  # the broker has none of it
        await stream.set_published(connection, 3)
        assert await stream.trim(connection, limit=2) == 2
        assert await stream.trim(connection) == 1
        await stream.set_published(connection, 6)
        assert await stream.trim(connection) == 1
        assert await stream.trim(connection) == 0
    assert await world.value("SELECT count(*) FROM outbox") == 2
    await town.sound()
    await book(13)
    await relayed(town.database)
    assert await town.numbers() == {clinic: [3, 4]}
    await town.sound()
    await world.run("DELETE FROM outbox WHERE resource_version = 4")
    assert [one async for one in verify(town.database) if one.broken]


async def test_where_nothing_is_old_a_look_for_it_reads_one_batch(town: Town) -> None:
    await town.pool.execute(
        "INSERT INTO stream (position, outbox_id, topic, clinic_id, seq, at)"
        " SELECT g, g, 'availability', 1, g, app_now() - interval '23 hours' FROM generate_series(1, 20000) AS g"
    )
    await town.pool.execute("UPDATE stream_pulse SET position = 20000, published = 20000")
    plan = await town.pool.fetch("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + stream.TRIM, stream.BATCH)
    text = "\n".join(row[0] for row in plan)
    read = [int(found) for found in re.findall(r"(?:rows=|Rows Removed by Filter: )(\d+)", text)]
    assert max(read) == stream.BATCH, text


async def test_a_relay_without_a_broker_trims_by_itself(town: Town) -> None:
    [resource] = await town.resources(1)
    await town.change(resource, [1])
    await relayed(town.database)
    await town.world.wait(hours=25)
    async with running(Relay(town.connect)):

        async def done() -> bool:
            return await town.pool.fetchval("SELECT count(*) FROM stream") == 0

        await until(done)
    assert await town.pool.fetchval("SELECT count(*) FROM outbox") == 0


@pytest.mark.parametrize("lead", [0, 2**40], ids=["same cluster", "transaction numbers of another cluster"])
async def test_a_new_epoch_relays_again_only_what_was_not_relayed(town: Town, lead: int) -> None:
    resources = await town.resources(3)
    for resource in resources:
        await town.change(resource, [1, 2])
    await relayed(town.database)
    for resource in resources:
        await town.change(resource, [1])
    shift = "(xid::text::bigint + $1)::text::xid8"
    await town.pool.execute(f"UPDATE outbox SET xid = {shift}", lead)
    await town.pool.execute(f"UPDATE stream_pulse SET xid = {shift}", lead)
    renewing = await asyncpg.connect(town.url)
    before = await renewing.fetchval("SELECT epoch FROM stream_epoch")
    async with running(Relay(town.connect)) if lead else nullcontext():
        assert await renew_epoch(renewing) != before
        await renewing.close()
        await town.change(resources[0], [2])
        await relayed(town.database)
    assert await town.numbers() == {1: [1, 2, 3, 4, 5, 6], 2: [1, 2, 3, 4]}
    await town.sound()
    page = await stream.read(town.pool, 9)
    assert page.epoch != str(before)
    assert [entry.event and entry.event.epoch for entry in page.entries] == [page.epoch]


# --- how fast


async def test_a_commit_in_this_process_is_in_the_log_within_milliseconds(town: Town) -> None:
    [resource] = await town.resources(1)
    seen = asyncio.Event()
    relay = Relay(town.connect, numbered=seen.set)
    town.database.committed = relay.wake
    times = []
    async with running(relay):
        for _ in range(20):
            await asyncio.sleep(0.12)
            await town.change(resource, [1])
            seen.clear()
            begun = monotonic()
            async with asyncio.timeout(10):
                while await town.left():
                    await seen.wait()
                    seen.clear()
            times.append(monotonic() - begun)
    assert sorted(times)[10] < 0.5
