"""From a log to the one who receives: whole, in order, and alive whatever dies underneath."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import orjson
import pytest
from broadcaster import Broadcast
from structlog.testing import capture_logs

from adapters.broadcast import backend as backend_module
from adapters.broadcast.backend import SEPARATOR, WAITING_MAX, LogBackend
from adapters.broadcast.feed import Feed
from adapters.kafka import log as kafka_log
from adapters.kafka import topics
from adapters.kafka.connection import Broker, KafkaUnavailable
from adapters.kafka.log import KafkaLog
from adapters.kafka.publisher import Publisher
from domain.streams import AVAILABILITY, PATIENTS, STAFF, CalendarEvent, Event, Pulse, Resumed, VisitEvent
from tests.kafka import Kafka

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def _calendar(seq: int, epoch: str = "e") -> str:
    return _text(CalendarEvent(epoch, 1, seq, AT, seq, seq, 7, None, seq, ((0, 900),), ((900, 1800, 0),)))


def _visit(key: int) -> str:
    return _text(VisitEvent("e", (1, 2), 3, key, 1, AT, key, key))


def _text(event: Any) -> str:
    return orjson.dumps(event.envelope()).decode()


class Script:
    """A log that says what it is told to: texts, errors to raise, or None for an end. Then nothing more comes."""

    def __init__(self, *steps: tuple[str, str] | Exception | None) -> None:
        self.steps = list(steps)
        self.reads = 0
        self.closed = 0
        self.said = 0

    async def read(self, since: timedelta) -> AsyncIterator[tuple[str, str]]:
        assert since == timedelta(minutes=2)
        self.reads += 1
        try:
            while self.steps:
                step = self.steps.pop(0)
                if step is None:
                    return
                if isinstance(step, Exception):
                    raise step
                self.said += 1
                yield step
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Received:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, enough: Callable[[list[Event]], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not enough(self.events):
                self._changed.clear()
                await self._changed.wait()

    @property
    def seqs(self) -> list[int]:
        return [one.seq for one in self.events if isinstance(one, CalendarEvent)]


def test_nobody_waits_to_subscribe() -> None:
    backend = LogBackend(Script())
    for work in (backend.subscribe(STAFF), backend.unsubscribe(STAFF)):
        with pytest.raises(StopIteration):  # ended without waiting for anything
            work.send(None)


async def test_first_subscribers_at_once_all_hear() -> None:
    backend = LogBackend(Script(*[(STAFF, str(n)) for n in range(1000)]))
    broadcast = Broadcast(backend=backend)
    ready = asyncio.Barrier(4)

    async def listen() -> list[str]:
        async with broadcast.subscribe(STAFF) as subscriber:
            await ready.wait()
            heard: list[str] = []
            while len(heard) < 1000:
                heard += (await subscriber.get()).message.split(SEPARATOR)
            return heard

    listening = [asyncio.create_task(listen()) for _ in range(3)]
    await ready.wait()
    await broadcast.connect()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*listening) == [[str(n) for n in range(1000)]] * 3
    await broadcast.disconnect()


async def test_only_the_relay_publishes() -> None:
    with pytest.raises(NotImplementedError):
        await Broadcast(backend=LogBackend(Script())).publish(STAFF, "x")


async def test_events_of_all_topics_arrive_in_order() -> None:
    script = Script(
        *[(AVAILABILITY, _calendar(n)) for n in range(1, 3001)],
        *[(topic, _visit(n)) for n in range(1, 101) for topic in (STAFF, PATIENTS)],
        (AVAILABILITY, _text(Pulse("e", AT, 0.2))),
    )
    received = Received()
    async with Feed(script, received) as feed:
        assert feed.age is None
        await received.until(lambda events: len(events) == 3201)
        assert feed.age is not None
        assert feed.age < 5
        assert (feed.events, feed.malformed, feed.failed, feed.outages, feed.restarts) == (3201, 0, 0, 0, 0)
    assert received.seqs == list(range(1, 3001))
    visits = [one.appointment_key for one in received.events if isinstance(one, VisitEvent)]
    assert sorted(visits) == sorted([*range(1, 101)] * 2)
    assert script.closed == 1


async def test_a_source_that_is_not_listened_to_is_not_read_on() -> None:
    script = Script(*[(STAFF, "x")] * 5000)
    backend = LogBackend(script)
    await backend.connect()
    await asyncio.sleep(0.1)
    assert script.said == WAITING_MAX
    await backend.disconnect()
    assert script.closed == 1


async def test_a_lost_source_is_read_again_and_everybody_is_told() -> None:
    lost = [KafkaUnavailable("gone"), OSError("still gone"), None, KafkaUnavailable("gone")]
    script = Script(
        (AVAILABILITY, _calendar(1)), *lost, (AVAILABILITY, _calendar(2)), None, (AVAILABILITY, _calendar(3))
    )
    received = Received()
    with capture_logs() as logs:
        async with Feed(script, received, retry_seconds=0.01) as feed:
            await received.until(lambda _: received.seqs == [1, 2, 3])
            assert feed.outages == 2
    assert [line["event"] for line in logs] == ["the log is lost", "the log is read again"] * 2
    assert [logs[0]["reason"], logs[1]["attempts"], logs[2]["reason"]] == ["KafkaUnavailable: gone", 4, "it ended"]
    assert received.events.count(Resumed()) == 2  # once for each outage, whatever the number of topics
    seqs = [one.seq if isinstance(one, CalendarEvent) else None for one in received.events]
    assert seqs.index(None) < seqs.index(2)  # told before what comes after the outage
    assert script.reads == script.closed == 6


async def test_a_source_that_keeps_failing_is_asked_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flapping(Script):
        async def read(self, since: timedelta) -> AsyncIterator[tuple[str, str]]:
            self.reads += 1
            yield STAFF, _visit(1)
            raise OSError("again")

    monkeypatch.setattr(backend_module, "RETRY_SECONDS_MAX", 0.2)
    script, received = Flapping(), Received()
    async with Feed(script, received, retry_seconds=0.01):
        await asyncio.sleep(1)
    assert 5 < script.reads < 20


MALFORMED = [
    "", "{", "null", "[]", "7", '"text"', "{}", '{"v":2,"kind":"calendar"}', '{"v":1}', '{"v":1,"kind":"other"}',
    '{"v":1,"kind":["calendar"]}', '{"v":1,"kind":"calendar"}', '{"v":1,"kind":"pulse","epoch":"e","at":7,"horizonAge":1}',
    '{"v":1,"kind":"pulse","epoch":"e","at":"2026-01-01T00:00:00","horizonAge":1}', "\ud800".encode("utf-8", "replace").decode(),
    _calendar(1).replace('"clinic":"', '"clinic":7,"was":"'), _calendar(1).replace('"point":[1,1]', '"point":[1]'),
    _calendar(1).replace("[[0,900]]", "[[0]]"), "[" * 10_000, SEPARATOR,
]  # fmt: skip


async def test_what_says_nothing_is_passed_over() -> None:
    steps = [(AVAILABILITY, text) for text in MALFORMED for _ in range(3)]
    received = Received()
    with capture_logs() as logs:
        async with Feed(Script(*steps, (AVAILABILITY, _calendar(9))), received) as feed:
            await received.until(lambda _: received.seqs == [9])
            assert feed.malformed == 3 * (len(MALFORMED) + 1)  # the separator makes two of one
            assert (feed.failed, feed.restarts) == (0, 0)
    assert {line["event"] for line in logs} == {"a message that says nothing we know was passed over"}
    kinds = [line["kind"] for line in logs]
    assert len(kinds) == len(set(kinds)) < 10


async def test_a_receiver_that_fails_gets_the_next_event() -> None:
    received = Received()

    def receive(event: Event) -> None:
        if isinstance(event, CalendarEvent) and event.seq % 2:
            raise RuntimeError(f"no {event.seq}")
        received(event)

    with capture_logs() as logs:
        async with Feed(Script(*[(AVAILABILITY, _calendar(n)) for n in range(1, 101)]), receive) as feed:
            await received.until(lambda _: received.seqs == list(range(2, 101, 2)))
            assert (feed.events, feed.failed) == (100, 50)
    assert [line["kind"] for line in logs] == ["CalendarEvent: RuntimeError"]


@pytest.mark.parametrize("name", ["log", "listener", "drain"])
async def test_a_task_that_died_is_noticed_and_nothing_is_lost(name: str) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()

    class Live:
        async def read(self, since: timedelta) -> AsyncIterator[tuple[str, str]]:
            while True:
                yield AVAILABILITY, await queue.get()

    received = Received()
    with capture_logs() as logs:
        async with Feed(Live(), received) as feed:
            queue.put_nowait(_calendar(1))
            await received.until(lambda _: received.seqs == [1])
            tasks = {
                "log": feed._backend.reading,
                "listener": feed._backend.listener,
                "drain": feed._drains[AVAILABILITY],
            }
            task = tasks[name]
            assert task is not None
            task.cancel()
            queue.put_nowait(_calendar(2))
            await received.until(lambda events: received.seqs == [1, 2] and Resumed() in events, seconds=2)
            assert feed.restarts == 1
            queue.put_nowait(_calendar(3))
            await received.until(lambda _: received.seqs == [1, 2, 3])
    assert [line["log_level"] for line in logs] == ["error"]


async def test_kafka_hangs_and_whoever_follows_is_told(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through all of it: publisher, broker, log, broadcaster, receiver."""
    if kafka.pid is None:
        pytest.skip("KAFKA_BOOTSTRAP_SERVERS is a broker that is not ours to stop")
    monkeypatch.setattr(kafka_log, "QUIET_SECONDS", 1.0)
    monkeypatch.setattr(kafka_log, "ANSWER_SECONDS", 1.0)
    broker, epoch, received = Broker(kafka.address), token_hex(6), Received()

    def receive(event: Event) -> None:
        if isinstance(event, Resumed) or event.epoch == epoch:
            received(event)

    async def publish(first: int, last: int) -> None:
        async with Publisher(broker) as publisher:
            for seq in range(first, last + 1):
                await publisher.publish([(AVAILABILITY, "clinic", _calendar(seq, epoch))])

    await topics.create(broker, partitions=8, replication=1)
    async with Feed(KafkaLog(broker), receive) as feed:
        await publish(1, 50)
        await received.until(lambda _: len(received.seqs) == 50)
        kafka.pause()
        try:
            began = time.monotonic()
            while feed.outages == 0 and time.monotonic() - began < 10:  # noqa: ASYNC110 - a plain count
                await asyncio.sleep(0.05)
        finally:
            kafka.resume()
        assert time.monotonic() - began < 5
        await publish(51, 100)
        await received.until(lambda _: len(received.seqs) == 100, seconds=20)
        assert (feed.outages, feed.restarts) == (1, 0)
    assert received.seqs == list(range(1, 101))
    assert received.events.count(Resumed()) == 1
    assert received.events.index(Resumed()) == 50
