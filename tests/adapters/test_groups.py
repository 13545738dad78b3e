"""Groups that read the log: nothing is passed over, whoever is killed, and who has lost something says so."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_hex

import asyncpg
import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from adapters.kafka import group as group_module
from adapters.kafka import topics
from adapters.kafka.connection import Broker, KafkaUnavailable
from adapters.kafka.group import KafkaGroup
from adapters.kafka.publisher import Publisher
from adapters.postgres import outbox_group
from adapters.postgres.database import Database, connect, pool
from adapters.postgres.epoch import renew_epoch
from adapters.postgres.outbox_group import OutboxGroup
from domain import ids
from domain.faults import Unavailable
from domain.indexing import Batch
from domain.streams import AVAILABILITY, CalendarEvent, Pulse
from services.searching.targets import Member
from tests.conftest import MakeDatabase
from tests.kafka import Kafka
from tests.proofs import proof
from tests.world import relayed

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def broker(kafka: Kafka) -> Broker:
    found = Broker(kafka.address)
    await topics.create(found, partitions=8, replication=1)
    return found


@pytest.fixture
def tag() -> str:
    """The epoch of a test's events: the topic is shared by the run."""
    return token_hex(6)


@dataclass
class Process:
    """A member in a process of its own."""

    done: list[int] = field(default_factory=list)
    lost: int = 0
    out: int = 0
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def listen(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            word, _, number = line.decode().strip().partition(" ")
            if word == "done":
                self.done.append(int(number))
            elif word == "lost":
                self.lost += 1
            elif word == "out":
                self.out += 1
            elif word == "joining":
                self.joined.set()


@asynccontextmanager
async def joining(kind: str, address: str, group: str, epoch: str = "") -> AsyncIterator[Process]:
    found = Process()
    found.process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.adapters.joining", kind, address, group, epoch,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=os.environ,
    )  # fmt: skip
    listening = asyncio.create_task(found.listen())
    try:
        await asyncio.wait_for(found.joined.wait(), 30)
        yield found
    finally:
        if found.process.returncode is None:
            found.process.kill()
        await found.process.wait()
        await listening


async def until(there: Callable[[], bool], seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not there():  # noqa: ASYNC110 - of several processes at once
            await asyncio.sleep(0.02)


async def batch_with(member: Member, wanted: Callable[[Batch], bool], *, done: bool = True) -> Batch:
    """The first one like that; those before are done."""
    async with asyncio.timeout(30), aclosing(member.batches()) as batches:
        async for batch in batches:
            found = wanted(batch)
            if done or not found:
                await member.done(batch)
            if found:
                return batch
    raise AssertionError("the log ended")


# Kafka.


def message(epoch: str, number: int, clinic: int | None = None) -> tuple[str, str, str]:
    event = CalendarEvent(epoch, clinic or number % 40 + 1, number + 1, AT, 1, number, 7, None, 1, (), ((1, 2, 0),))
    return AVAILABILITY, ids.node(ids.CLINIC, event.clinic_key), orjson.dumps(event.envelope()).decode()


async def test_a_group_that_has_read_nothing_begins_at_the_end_and_says_so(broker: Broker, tag: str) -> None:
    async with Publisher(broker) as publisher:
        await publisher.publish([message(tag, n) for n in range(50)])
        first = await batch_with(KafkaGroup(broker, tag), lambda batch: True, done=False)
        assert first.lost
        assert not [event for event in first.events if event.epoch == tag]
        again = await batch_with(KafkaGroup(broker, tag), lambda batch: True)
        assert again.lost, "what is not done comes again"
        await publisher.publish([message(tag, 99)])
        then = await batch_with(KafkaGroup(broker, tag), lambda batch: any(one.epoch == tag for one in batch.events))
        assert then.lost is None
        assert [event.outbox_id for event in then.events if event.epoch == tag] == [99]


async def test_what_is_not_done_comes_again_and_what_is_done_does_not(broker: Broker, tag: str) -> None:
    await batch_with(KafkaGroup(broker, tag), lambda batch: bool(batch.lost))

    def mine(batch: Batch) -> bool:
        return any(one.epoch == tag for one in batch.events)

    async with Publisher(broker) as publisher:
        await publisher.publish([message(tag, n, clinic=5) for n in range(10)])
        one = await batch_with(KafkaGroup(broker, tag), mine, done=False)
        other = await batch_with(KafkaGroup(broker, tag), mine)
        assert [event.seq for event in one.events] == [event.seq for event in other.events] == list(range(1, 11))
        await publisher.publish([message(tag, 77, clinic=5)])
        assert [event.outbox_id for event in (await batch_with(KafkaGroup(broker, tag), mine)).events] == [77]


async def test_two_members_share_the_partitions_and_outlive_a_killed_one(broker: Broker, tag: str) -> None:
    await batch_with(KafkaGroup(broker, tag), lambda batch: bool(batch.lost))
    async with (
        Publisher(broker) as publisher,
        joining("kafka", broker.servers, tag, tag) as one,
        joining("kafka", broker.servers, tag, tag) as other,
    ):
        sent = 0

        async def send(count: int) -> None:
            nonlocal sent
            await publisher.publish([message(tag, n) for n in range(sent, sent + count)])
            sent += count

        while not (one.done and other.done):
            await send(40)
            await asyncio.sleep(0.1)
        await until(lambda: {*one.done, *other.done} == set(range(sent)))
        sending = asyncio.create_task(_steadily(send))
        await asyncio.sleep(0.5)
        one.send(signal.SIGKILL)
        began = asyncio.get_running_loop().time()
        await sending
        await until(lambda: {*one.done, *other.done} == set(range(sent)))
        proof(
            "a member of a Kafka group was killed", events=sent, handled_after=asyncio.get_running_loop().time() - began
        )
        assert (one.lost, other.lost) == (0, 0)


async def _steadily(send: Callable[[int], Awaitable[None]]) -> None:
    for _ in range(40):
        await send(20)
        await asyncio.sleep(0.05)


async def test_a_message_that_says_nothing_we_know_is_counted_and_passed_over(broker: Broker, tag: str) -> None:
    await batch_with(KafkaGroup(broker, tag), lambda batch: bool(batch.lost))
    clinic = ids.node(ids.CLINIC, 5)
    poison = ["", "{", "[]", "null", '{"v": 2}', '{"v": 1, "kind": "calendar"}', "[" * 5000, '{"v": 1, "kind": []}']
    async with Publisher(broker) as publisher:
        await publisher.publish(
            [message(tag, 0, 5), *((AVAILABILITY, clinic, text) for text in poison), message(tag, 1, 5)]
        )
    unreadable, found, member = 0, list[int](), KafkaGroup(broker, tag)
    async with asyncio.timeout(30), aclosing(member.batches()) as batches:
        async for batch in batches:
            unreadable += batch.unreadable
            found += [event.outbox_id for event in batch.events if event.epoch == tag]
            await member.done(batch)
            if 1 in found:
                break
    assert found == [0, 1]
    assert unreadable == len(poison)


async def test_what_was_deleted_before_it_was_read_is_lost_and_told(
    broker: Broker, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "AVAILABILITY", tag)
    monkeypatch.setattr(topics, "TOPICS", (tag,))
    with pytest.raises(KafkaUnavailable, match="run `appointments migrate`"):
        await batch_with(KafkaGroup(broker, tag), bool)
    admin = AIOKafkaAdminClient(**broker.options())
    await admin.start()
    await admin.create_topics([NewTopic(tag, 1, 1)])
    async with Publisher(broker) as publisher:
        pulse = orjson.dumps(Pulse(tag, AT, 0).envelope()).decode()
        while True:
            try:
                await batch_with(KafkaGroup(broker, tag), lambda batch: bool(batch.lost))
                break
            except KafkaUnavailable:
                await asyncio.sleep(0.1)
        await publisher.publish([(tag, "k", message(tag, n)[2]) for n in range(5)])
        await admin.delete_records({TopicPartition(tag, 0): RecordsToDelete(before_offset=3)})
        await admin.close()
        lost = await batch_with(KafkaGroup(broker, tag), lambda batch: True)
        assert lost.lost
        assert "no longer has what comes next" in lost.lost
        await publisher.publish([(tag, "k", message(tag, 9)[2]), (tag, "k", pulse)])
        then = await batch_with(KafkaGroup(broker, tag), lambda batch: True)
        assert (then.lost, [event.outbox_id for event in then.events]) == (None, [9])
        assert then.epoch == tag


async def test_a_broker_that_is_away_is_unavailable() -> None:
    with pytest.raises(KafkaUnavailable):
        await batch_with(KafkaGroup(Broker("127.0.0.1:1"), "nobody"), bool)


# The outbox.


@pytest.fixture
async def url(make_database: MakeDatabase) -> str:
    return await make_database()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    found = Database(await pool(url, size=5))
    yield found
    await found.close()


@pytest.fixture
def member(url: str) -> OutboxGroup:
    return OutboxGroup(partial(connect, url), "tried")


async def tell(database: Database, count: int) -> list[int]:
    """So many events of clinics; numbered, as by the relay."""
    rows = await database.primary.fetch(
        """INSERT INTO outbox (at, topic, clinic_id, payload) SELECT app_now(), 'availability', n % 7 + 1, '{"invalidated": true}'
        FROM generate_series(1, $1::integer) AS n RETURNING id""",
        count,
    )
    await relayed(database)
    return [row["id"] for row in rows]


async def test_the_outbox_is_read_once_from_where_the_group_stands(
    database: Database, member: OutboxGroup, url: str
) -> None:
    await tell(database, 3)
    first = await batch_with(member, bool)
    assert (bool(first.lost), list(first.events)) == (True, [])
    told = await tell(database, 1200)
    one = await batch_with(member, lambda batch: bool(batch.events), done=False)
    assert not one.level
    again = OutboxGroup(partial(connect, url), "tried")
    found: list[int] = []
    async with asyncio.timeout(20), aclosing(again.batches()) as batches:
        async for batch in batches:
            assert batch.lost is None
            found += [event.outbox_id for event in batch.events]
            await again.done(batch)
            if batch.level:
                break
    assert found == told
    other = OutboxGroup(partial(connect, url), "another")
    assert (await batch_with(other, bool)).lost


async def test_an_outbox_member_waits_for_its_turn_and_goes_on_after_a_killed_one(database: Database, url: str) -> None:
    async with joining("outbox", url, "tried") as one, joining("outbox", url, "tried") as other:
        await until(lambda: one.lost + other.lost == 1)
        told = await tell(database, 20)
        await until(lambda: {*one.done, *other.done} == set(told))
        assert not (one.done and other.done)
        leading, waiting = (one, other) if one.done else (other, one)
        leading.send(signal.SIGKILL)
        more = await tell(database, 20)
        began = asyncio.get_running_loop().time()
        await until(lambda: set(more) <= set(waiting.done))
        proof("a member of an outbox group was killed", handled_after=asyncio.get_running_loop().time() - began)
        assert one.lost + other.lost == 1


async def test_an_outbox_member_that_hangs_loses_its_turn(database: Database, url: str) -> None:
    async with joining("outbox", url, "tried") as one:
        await until(lambda: one.lost == 1)
        async with joining("outbox", url, "tried") as other:
            one.send(signal.SIGSTOP)
            try:
                told = await tell(database, 20)
                await until(lambda: set(told) <= set(other.done))
                assert other.lost == 0
            finally:
                one.send(signal.SIGCONT)
            await until(lambda: one.out > 0)  # Its session is over: it can't do harm.


async def test_a_turn_lasts_as_long_as_a_batch_is_worked_on(
    database: Database, member: OutboxGroup, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = OutboxGroup(partial(connect, url), "tried")
    async with asyncio.timeout(30), aclosing(member.batches()) as batches:
        batch = await anext(batches)
        waiting = asyncio.create_task(anext(other.batches()))  # type: ignore[arg-type]
        await asyncio.sleep(6.5)  # the server ends a session that says nothing for 5 s
        assert not waiting.done()
        await member.done(batch)
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_rows_trimmed_before_they_were_read_are_lost_and_told(
    database: Database, member: OutboxGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await batch_with(member, bool)
    for gone, kept in ((5, 5), (5, 0)):
        await tell(database, gone)
        last = await database.primary.fetchval("SELECT position FROM stream_pulse")
        told = await tell(database, kept)
        await database.primary.execute(
            "WITH old AS (DELETE FROM stream WHERE position <= $1 RETURNING outbox_id) "
            "DELETE FROM outbox WHERE id IN (SELECT outbox_id FROM old)",
            last,
        )
        found = await batch_with(member, bool)
        assert found.lost
        assert "trimmed" in found.lost
        assert not found.events
        more = await tell(database, 2)
        assert [
            event.outbox_id for event in (await batch_with(member, lambda batch: bool(batch.events))).events
        ] == more
        assert told != more


async def test_another_epoch_is_told_while_one_reads_and_when_one_begins(
    database: Database, member: OutboxGroup, url: str
) -> None:
    connection = await asyncpg.connect(url)
    try:
        await batch_with(member, bool)
        async with asyncio.timeout(20), aclosing(member.batches()) as batches:
            await tell(database, 1)
            await member.done(await anext(batches))
            epoch = str(await renew_epoch(connection))
            batch = await anext(batches)
            assert (batch.epoch, bool(batch.lost)) == (epoch, True)
        other = OutboxGroup(partial(connect, url), "tried")
        assert (await batch_with(other, bool)).lost, "it was not done"
        await renew_epoch(connection)
        assert (await batch_with(other, bool)).lost
        assert (await batch_with_event(database, other)).lost is None
    finally:
        await connection.close()


async def batch_with_event(database: Database, member: OutboxGroup) -> Batch:
    await tell(database, 1)
    return await batch_with(member, lambda batch: bool(batch.events))


async def test_who_begins_at_the_end_waits_until_the_relay_is_there(
    database: Database, member: OutboxGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.primary.execute(
        """INSERT INTO outbox (at, topic, clinic_id, payload) SELECT app_now(), 'availability', 1, '{"invalidated": true}'
        FROM generate_series(1, 40)"""
    )
    beginning = asyncio.create_task(batch_with(member, bool))
    await asyncio.sleep(0.5)
    assert not beginning.done()
    await relayed(database)
    assert (await beginning).lost
    assert await database.primary.fetchval("SELECT position FROM search_progress WHERE name = 'tried'") == 40
    monkeypatch.setattr(outbox_group, "RELAYED_SECONDS", 0.3)
    await database.primary.execute("DELETE FROM search_progress")
    await database.primary.execute("INSERT INTO outbox (at, topic, payload) SELECT app_now(), 'availability', '{}'")
    assert (await batch_with(member, bool)).lost, "a relay that is away is not waited for"


async def test_a_server_that_is_away_is_unavailable() -> None:
    away = OutboxGroup(partial(connect, "postgresql://nobody@127.0.0.1:1/nothing"), "tried")
    with pytest.raises(Unavailable):
        await batch_with(away, bool)
    with pytest.raises(Unavailable):
        await away.done(Batch(lost="everything"))
