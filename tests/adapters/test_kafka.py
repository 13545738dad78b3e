"""Against a real broker: what is published arrives, in order and whole, whatever happens to the broker meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from adapters.kafka import connection as connection_module
from adapters.kafka import log as log_module
from adapters.kafka import publisher as publisher_module
from adapters.kafka import topics
from adapters.kafka.connection import Broker, KafkaUnavailable
from adapters.kafka.log import KafkaLog
from adapters.kafka.publisher import Publisher
from adapters.kafka.pulses import Pulses
from app.kafka import broker as broker_of
from app.kafka import make_topics
from app.refusal import Refused
from app.settings import Settings
from domain.streams import AVAILABILITY, PATIENTS, STAFF, TOPICS, Pulse
from tests.kafka import Kafka

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
RECENT = timedelta(minutes=2)
NOWHERE = Broker("127.0.0.1:1")


@pytest.fixture(scope="module")
async def broker(kafka: Kafka) -> Broker:
    found = Broker(kafka.address)
    await topics.create(found, partitions=8, replication=1)
    return found


@pytest.fixture
def tag() -> str:
    """Begins every text of a test: the topics are shared by the run."""
    return token_hex(6)


@pytest.fixture
def own_topic(monkeypatch: pytest.MonkeyPatch, tag: str) -> str:
    """For tests that change a topic itself: the only one there is, for the modules that are told of it."""
    for module in (topics, log_module, publisher_module):
        monkeypatch.setattr(module, "TOPICS", (tag,))
    return tag


def _killable(kafka: Kafka) -> Kafka:
    if kafka.pid is None:
        pytest.skip("KAFKA_BOOTSTRAP_SERVERS is a broker that is not ours to stop")
    return kafka


async def _read(log: KafkaLog, tag: str, enough: Callable[[list[tuple[str, str]]], bool]) -> list[tuple[str, str]]:
    """Texts of this test, as they come, without the tag."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(30), aclosing(_records(log)) as records:
        async for topic, text in records:
            if text.startswith(tag):
                found.append((topic, text.removeprefix(tag)))
                if enough(found):
                    break
    return found


async def _eventually(ask: Callable[[], Awaitable[object]], answer: object) -> None:
    async with asyncio.timeout(10):
        while await ask() != answer:  # noqa: ASYNC110 - nothing tells when a broker has heard of a change
            await asyncio.sleep(0.05)


async def _records(log: KafkaLog, since: timedelta = RECENT) -> AsyncIterator[tuple[str, str]]:
    async for record in log.read(since):
        yield record


async def test_topics_are_made_once_by_however_many(broker: Broker, own_topic: str) -> None:
    assert await topics.missing(broker) == [own_topic]
    made = await asyncio.gather(*(topics.create(broker, partitions=3, replication=1) for _ in range(4)))
    assert [one for some in made for one in some] == [own_topic]
    assert await topics.create(broker, partitions=5, replication=1) == []
    assert await topics.partitions(broker) == {own_topic: [0, 1, 2]}


async def test_a_topic_that_is_missing_says_what_to_do(broker: Broker, own_topic: str) -> None:
    with pytest.raises(KafkaUnavailable, match=f"no topic {own_topic}: run `appointments migrate`"):
        await anext(KafkaLog(broker).read(RECENT))


async def test_migrate_makes_the_topics_or_says_who_does_not_answer(
    broker: Broker, own_topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await make_topics(Settings(kafka_bootstrap_servers=None)) == []
    there = Settings(kafka_bootstrap_servers=broker.servers, kafka_partitions=2)
    assert await make_topics(there, dry_run=True) == [own_topic]
    assert await make_topics(there) == [own_topic]
    assert await make_topics(there) == await make_topics(there, dry_run=True) == []
    with pytest.raises(Refused, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        await make_topics(Settings(kafka_bootstrap_servers=NOWHERE.servers))
    monkeypatch.setattr(topics, "TOPICS", (f"{own_topic}-too-many",))
    with pytest.raises(Refused, match="replication factor"):
        await make_topics(Settings(kafka_bootstrap_servers=broker.servers, kafka_replication=3))


def test_a_broker_that_wants_to_know_who_we_are() -> None:
    named = {"kafka_bootstrap_servers": "a:1,b:2", "kafka_security_protocol": "SASL_SSL"}
    with pytest.raises(Refused, match="KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_USER and KAFKA_PASSWORD"):
        broker_of(Settings.model_validate(named))
    found = broker_of(Settings.model_validate(named | {"kafka_user": "me", "kafka_password": "s3cret"}))
    assert found is not None
    assert "s3cret" not in repr(found)
    options = found.options()
    assert options["ssl_context"].check_hostname
    assert (options["sasl_mechanism"], options["sasl_plain_username"], options["sasl_plain_password"]) == (
        "SCRAM-SHA-512",
        "me",
        "s3cret",
    )
    assert "ssl_context" not in Broker("a:1").options()


async def test_every_reader_gets_everything_in_the_order_of_its_key(broker: Broker, tag: str) -> None:
    sent = [(TOPICS[n % 3], f"key{n % 40}", f"{tag}{n}") for n in range(3000)]
    async with Publisher(broker) as publisher:
        await publisher.publish(sent[:1500])
        readers = [asyncio.create_task(_read(KafkaLog(broker), tag, lambda got: len(got) == 3000)) for _ in range(2)]
        await publisher.publish(sent[1500:])
        for got in await asyncio.gather(*readers):
            for key in range(40):
                for topic in TOPICS:
                    mine = [int(text) for where, text in got if where == topic and int(text) % 40 == key]
                    assert mine == sorted(mine)
            assert sorted(int(text) for _, text in got) == list(range(3000))


async def test_begins_so_long_ago_and_goes_on_from_where_it_stood(broker: Broker, tag: str) -> None:
    log = KafkaLog(broker)
    async with Publisher(broker) as publisher:
        await publisher.publish([(STAFF, "k", f"{tag}old")])
        await asyncio.sleep(1.2)
        await publisher.publish([(PATIENTS, "k", f"{tag}young"), (STAFF, "k", f"{tag}young too")])

        async def first(text: str) -> None:
            async with aclosing(_records(log, timedelta(seconds=1))) as records:
                async for _, said in records:
                    assert said != f"{tag}old"
                    if said == text:
                        return

        async with asyncio.timeout(10):
            await first(f"{tag}young too")
            await publisher.publish([(STAFF, "k", f"{tag}while nobody reads")])
            await first(f"{tag}while nobody reads")
    assert await _read(KafkaLog(broker), tag, lambda got: len(got) == 4)


async def test_a_partition_that_was_added_is_read_from_its_beginning(
    broker: Broker, own_topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "METADATA_SECONDS", 0.3)
    await topics.create(broker, partitions=1, replication=1)
    async with Publisher(broker) as publisher:
        await publisher.publish([(own_topic, "k", f"{own_topic}before")])
        reading = asyncio.create_task(_read(KafkaLog(broker), own_topic, lambda got: len(got) == 9))
        admin = AIOKafkaAdminClient(**broker.options())
        await admin.start()
        await admin.create_partitions({own_topic: NewPartitions(4)})
        await admin.close()
        producer = publisher._producer
        assert producer is not None
        await _eventually(lambda: producer.partitions_for(own_topic), {0, 1, 2, 3})
        await publisher.publish([(own_topic, f"key{n}", f"{own_topic}{n}") for n in range(8)])
    assert {text for _, text in await reading} == {"before", *map(str, range(8))}


async def test_what_was_deleted_before_it_was_read_is_passed_over(broker: Broker, own_topic: str) -> None:
    await topics.create(broker, partitions=1, replication=1)
    log = KafkaLog(broker)
    async with Publisher(broker) as publisher:
        await publisher.publish([(own_topic, "k", f"{own_topic}read")])
        await _read(log, own_topic, bool)
        await publisher.publish([(own_topic, "k", f"{own_topic}lost")])
        admin = AIOKafkaAdminClient(**broker.options())
        await admin.start()
        await admin.delete_records({TopicPartition(own_topic, 0): RecordsToDelete(before_offset=2)})
        await admin.close()
        with pytest.raises(KafkaUnavailable, match="no longer has what comes next"):
            await _read(log, own_topic, bool)
        await publisher.publish([(own_topic, "k", f"{own_topic}next")])
        assert await _read(log, own_topic, bool) == [(own_topic, "next")]


def test_a_pulse_counts_once_it_came_through_all_partitions() -> None:
    pulses = Pulses(["a", "b", "c"])

    def heard(partitions: str, second: int) -> list[str | None]:
        return [pulses.heard(one, AT + timedelta(seconds=second), str(second)) for one in partitions]

    assert heard("ab", 1) == [None, None]
    assert heard("a", 2) == [None]
    assert heard("c", 1) == ["1"]
    assert heard("cb", 3) == [None, "2"]
    assert heard("aaa", 3) == ["3", None, None]
    # A process that begins two minutes back reads one partition after the other.
    assert [told for second in range(4, 124) for told in heard("a", second)] == [None] * 120
    assert [told for second in range(4, 124) for told in heard("b", second)] == [None] * 120
    assert [told for second in range(4, 124) for told in heard("c", second)] == [
        str(second) for second in range(4, 124)
    ]
    assert heard("ab", 50) == [None, None]  # a clock that was set back
    assert heard("c", 50) == ["50"]
    assert heard("abc", 51) == [None, None, "51"]


async def test_a_pulse_is_told_once(broker: Broker, tag: str) -> None:
    pulses = [orjson.dumps(Pulse(tag, datetime.now(UTC), n).envelope()).decode() for n in range(3)]
    found: list[tuple[str, str]] = []
    async with Publisher(broker) as publisher:
        for pulse in pulses:
            await publisher.pulse(pulse)
            await publisher.publish([(topic, f"k{n}", f"{tag}more") for topic in TOPICS for n in range(50)])
        await publisher.publish([(topic, f"k{n}", f"{tag}end") for topic in TOPICS for n in range(50)])
    # A pulse is told once the slowest partition had it: that may be after the last of what came later in others.
    async with asyncio.timeout(10), aclosing(_records(KafkaLog(broker))) as records:
        async for record in records:
            if tag in record[1]:
                found.append(record)
            if sum(text == f"{tag}end" for _, text in found) == 150 and found.count((AVAILABILITY, pulses[-1])):
                break
    assert [one for one in found if one[1] in pulses] == [(AVAILABILITY, pulse) for pulse in pulses]
    for n, pulse in enumerate(pulses):  # all that came before it was told before it
        before = found[: found.index((AVAILABILITY, pulse))]
        assert sum(text == f"{tag}more" for _, text in before) >= 150 * n


async def test_nobody_there_is_one_kind_of_error() -> None:
    began = time.monotonic()
    async with Publisher(NOWHERE) as publisher:
        for work in (publisher.publish([(STAFF, "k", "x")]), publisher.pulse("x")):
            with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1 did not take it"):
                await work
    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        await anext(KafkaLog(NOWHERE).read(RECENT))
    assert time.monotonic() - began < 3


async def _publish_through(publisher: Publisher, messages: list[tuple[str, str, str]]) -> int:
    """As the relay does: the same again until it is acknowledged. Answers how often it was not."""
    failures = 0
    while True:
        try:
            await publisher.publish(messages)
        except KafkaUnavailable:
            failures += 1
            await asyncio.sleep(0.1)
        else:
            return failures


async def _read_through(log: KafkaLog, tag: str, last: int) -> list[int]:
    found: list[int] = []
    while last not in found:
        with suppress(KafkaUnavailable):
            async for _, text in log.read(RECENT):
                if text.startswith(tag):
                    found.append(int(text.removeprefix(tag)))
                    if found[-1] == last:
                        break
        await asyncio.sleep(0.1)
    return found


def _firsts(numbers: list[int]) -> list[int]:
    """Without what comes a second time: readers drop what is not above their head."""
    found: list[int] = []
    for number in numbers:
        if not found or number > found[-1]:
            found.append(number)
    return found


async def test_a_killed_broker_costs_nothing_but_time(kafka: Kafka, broker: Broker, tag: str) -> None:
    kafka = _killable(kafka)
    async with Publisher(broker, seconds=3) as publisher, asyncio.timeout(40):
        reading = asyncio.create_task(_read_through(KafkaLog(broker), tag, 3999))

        async def publish() -> None:
            for n in range(0, 4000, 20):
                await _publish_through(publisher, [(AVAILABILITY, "clinic", f"{tag}{m}") for m in range(n, n + 20)])
                await asyncio.sleep(0.005)

        publishing = asyncio.create_task(publish())
        await asyncio.sleep(0.5)
        assert not publishing.done()
        kafka.kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(kafka.start)
        await publishing
        assert _firsts(await reading) == list(range(4000))


async def test_a_broker_that_hangs_is_noticed_and_nothing_is_lost(
    kafka: Kafka, broker: Broker, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "QUIET_SECONDS", 1.0)
    monkeypatch.setattr(log_module, "ANSWER_SECONDS", 1.0)
    kafka = _killable(kafka)
    log = KafkaLog(broker)
    heard = asyncio.Event()

    def notes(_: list[tuple[str, str]]) -> bool:
        heard.set()
        return False

    async with (
        Publisher(broker, seconds=1) as publisher,
        Publisher(broker, seconds=1) as hanging,
        asyncio.timeout(30),
    ):
        await publisher.publish([(AVAILABILITY, "clinic", f"{tag}0")])
        await hanging.publish([(STAFF, "clinic", "of another test")])
        reading = asyncio.create_task(_read(log, tag, notes))
        await heard.wait()
        kafka.pause()
        try:
            began = time.monotonic()
            with pytest.raises(KafkaUnavailable, match="did not take it"):
                await publisher.publish([(AVAILABILITY, "clinic", f"{tag}{n}") for n in (1, 2)])
            with pytest.raises(KafkaUnavailable, match="did not take it"):
                await hanging.publish([(STAFF, "clinic", "given up")])
            closing = time.monotonic()
            await hanging.close()
            assert time.monotonic() - closing < 1
            with pytest.raises(KafkaUnavailable, match="was lost"):
                await reading
            assert time.monotonic() - began < 5
        finally:
            kafka.resume()
        await _publish_through(publisher, [(AVAILABILITY, "clinic", f"{tag}{n}") for n in (1, 2, 3)])
        assert _firsts(await _read_through(log, tag, 3)) == [1, 2, 3]
