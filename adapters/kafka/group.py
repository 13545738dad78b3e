"""A member of a consumer group on the topic of availability: members share its partitions and outlive one another."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from adapters.kafka import topics
from adapters.kafka.connection import ANSWER_SECONDS, Broker, KafkaUnavailable, stop, why
from domain import streams
from domain.indexing import Batch
from domain.streams import AVAILABILITY, CalendarEvent, Malformed, Pulse

log = structlog.get_logger()

RECORDS_MAX: Final = 2000
# A member that says nothing for so long is taken for dead; brokers allow no less by themselves.
SESSION_SECONDS: Final = 6.0
HEARTBEAT_SECONDS: Final = 1.5
# Whoever is asked to give partitions away finishes what it has in hand first, but lets nobody wait longer.
FINISH_SECONDS: Final = 3.0
REBALANCE_SECONDS: Final = 10.0
# What is made anew takes its time; a dead member is known by its silence, not by this.
HANDLING_SECONDS: Final = 3600.0
COMMIT_SECONDS: Final = 5.0
# While partitions change hands nobody hears anything: only a longer silence is looked into.
QUIET_SECONDS: Final = REBALANCE_SECONDS + 2.0


class KafkaGroup:
    """`name`: of the group; each group has its own progress, kept by Kafka."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = name
        self._consumer: AIOKafkaConsumer | None = None
        self._handed: dict[TopicPartition, int] = {}
        self._idle = asyncio.Event()
        self._committed_at = 0.0
        self._epoch = ""

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Each is handed on until it is `done`; never ends but by KafkaUnavailable. Called again, it begins after what was done."""
        await topics.partitions(self._broker)  # raises where there is no such topic yet
        self._idle.set()
        consumer = self._consumer = self._made()
        try:
            consumer.subscribe([AVAILABILITY], listener=_Listener(self._idle))
            await consumer.start()
            quiet_since = time.monotonic()
            while True:
                batch = await self._next(consumer)
                if batch is None:
                    if time.monotonic() - quiet_since > QUIET_SECONDS:
                        await _still_there(consumer)
                        quiet_since = time.monotonic()
                    continue
                self._idle.clear()
                yield batch
                self._idle.set()
                quiet_since = time.monotonic()
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._broker.servers} was lost: {why(error)}") from error
        finally:
            self._idle.set()
            self._consumer = None
            self._handed = {}
            await stop(consumer)

    async def done(self, batch: Batch) -> None:
        """All that was handed on is handled. Where only pulses came it is noted now and then."""
        consumer, now = self._consumer, time.monotonic()
        if consumer is None or not (batch.events or batch.lost or now - self._committed_at > COMMIT_SECONDS):
            return
        assigned = consumer.assignment()
        offsets = {one: offset for one, offset in self._handed.items() if one in assigned}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            log.info("another member goes on", group=self._name)  # It gets the same once more.
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._broker.servers} took no commit: {why(error)}") from error
        self._handed, self._committed_at = {}, now

    def _made(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._broker.options(),
            group_id=self._name,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=int(SESSION_SECONDS * 1000),
            heartbeat_interval_ms=int(HEARTBEAT_SECONDS * 1000),
            rebalance_timeout_ms=int(REBALANCE_SECONDS * 1000),
            max_poll_interval_ms=int(HANDLING_SECONDS * 1000),
            partition_assignment_strategy=(StickyPartitionAssignor,),
        )

    async def _next(self, consumer: AIOKafkaConsumer) -> Batch | None:
        """None where nothing came."""
        lost = None
        while True:
            try:
                found = await consumer.getmany(timeout_ms=0 if lost else 500, max_records=RECORDS_MAX)
                break
            except NoOffsetForPartitionError:
                lost = f"group {self._name} has read nothing yet, or long ago"
                await self._to_the_end(consumer, await _unread(consumer))
            except OffsetOutOfRangeError as error:
                lost = f"Kafka no longer has what comes next: {error}"
                await self._to_the_end(consumer, error.args[0])
        if not found and lost is None:
            return None
        batch = self._batch(found)
        return batch if lost is None else replace(batch, lost=lost)

    def _batch(self, found: dict[TopicPartition, list[ConsumerRecord]]) -> Batch:
        events: list[CalendarEvent] = []
        unreadable = count = 0
        for partition, records in found.items():
            self._handed[partition] = records[-1].offset + 1
            count += len(records)
            for record in records:
                try:
                    event = streams.event(orjson.loads(record.value or b""))
                except ValueError as error:
                    unreadable += 1
                    kind = str(error) if isinstance(error, Malformed) else "not JSON"
                    log.warning("a message that says nothing we know was passed over", group=self._name, kind=kind)
                    continue
                if isinstance(event, CalendarEvent | Pulse):
                    self._epoch = event.epoch
                if isinstance(event, CalendarEvent):
                    events.append(event)
        return Batch(events, self._epoch, None, count < RECORDS_MAX, unreadable)

    async def _to_the_end(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """What comes from now on is read; all before is in what will be made anew."""
        wanted = [one for one in partitions if one in consumer.assignment()]
        async with asyncio.timeout(ANSWER_SECONDS):
            ends = await consumer.end_offsets(wanted)
        for partition, offset in ends.items():
            with suppress(IllegalStateError):  # given to another member meanwhile
                consumer.seek(partition, offset)
                self._handed[partition] = offset


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Lets a member finish what it has in hand before its partitions go to another."""

    def __init__(self, idle: asyncio.Event) -> None:
        self._idle = idle

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._idle.wait()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        log.info("reads partitions", partitions=sorted(one.partition for one in assigned))


async def _unread(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    return [one for one in consumer.assignment() if await consumer.committed(one) is None]


async def _still_there(consumer: AIOKafkaConsumer) -> None:
    """Pulses come each second; raises where there are none since nobody answers, and not since none were sent."""
    assigned = list(consumer.assignment())
    async with asyncio.timeout(ANSWER_SECONDS):
        ends = await consumer.end_offsets(assigned) if assigned else {}
        for one, end in ends.items():
            if await consumer.position(one) < end:
                raise TimeoutError(f"partition {one.partition} stands still")
