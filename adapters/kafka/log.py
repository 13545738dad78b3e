"""Reads all partitions of the three topics, in no group: every process needs every event. Offsets are our own."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from adapters.kafka import topics
from adapters.kafka.connection import ANSWER_SECONDS, Broker, KafkaUnavailable, stop, why
from adapters.kafka.pulses import Pulses
from domain import streams
from domain.streams import AVAILABILITY, TOPICS, Pulse

RECORDS_MAX: Final = 500
PARTITION_BYTES: Final = 256 * 1024
FETCH_BYTES: Final = 4 * 1024 * 1024
# A pulse comes through every partition each second. One that is silent for longer is asked for; the clients themselves
# would wait for ever, without a word.
QUIET_SECONDS: Final = 3.0


class KafkaLog:
    """One reader at a time. Records of one partition come in their order; memory is bounded by what one fetch may bring."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._offsets: dict[TopicPartition, int] = {}
        self._heard: dict[TopicPartition, float] = {}
        self._behind: dict[TopicPartition, int] = {}
        self._pulses: Pulses[TopicPartition] = Pulses([])

    async def read(self, since: timedelta) -> AsyncIterator[tuple[str, str]]:
        """Topic and text, from `since` ago; called again, from where it stood. Ends only by KafkaUnavailable.

        Of a pulse one is told, under the topic of availability, once it has come through all partitions of all topics.
        """
        partitions = await self._partitions()
        consumer = self._consumer()
        try:
            await consumer.start()
            await self._take_up(consumer, partitions, since)
            while True:
                await self._take_up_new(consumer)
                for partition, records in (await consumer.getmany(timeout_ms=1000, max_records=RECORDS_MAX)).items():
                    self._heard[partition] = time.monotonic()
                    for record in records:
                        self._offsets[partition] = record.offset + 1
                        said = self._said(partition, record)
                        if said is not None:
                            yield said
                await self._ask_the_quiet(consumer)
        except OffsetOutOfRangeError as error:
            for partition in error.args[0]:  # Deleted meanwhile, or another topic of that name: begin anew there.
                self._offsets.pop(partition, None)
            raise KafkaUnavailable(f"Kafka no longer has what comes next: {error}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnavailable(f"Kafka at {self._broker.servers} was lost: {why(error)}") from error
        finally:
            await stop(consumer)

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._broker.options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=PARTITION_BYTES,
            fetch_max_bytes=FETCH_BYTES,
        )

    def _said(self, partition: TopicPartition, record: ConsumerRecord) -> tuple[str, str] | None:
        text = (record.value or b"").decode("utf-8", "replace")
        said = _pulse(text) if record.key is None else None
        if said is None:
            return partition.topic, text
        pulse = self._pulses.heard(partition, said.at, text)
        return None if pulse is None else (AVAILABILITY, pulse)

    async def _partitions(self) -> list[TopicPartition]:
        found = await topics.partitions(self._broker)
        return [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]

    async def _take_up(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition], since: timedelta) -> None:
        unknown = [one for one in partitions if one not in self._offsets]
        if unknown:
            at = int((time.time() - since.total_seconds()) * 1000)
            ends = await consumer.end_offsets(unknown)  # before the other question: what comes in between is read
            begins = await consumer.offsets_for_times(dict.fromkeys(unknown, at))
            for one in unknown:
                begin = begins.get(one)
                self._offsets[one] = ends[one] if begin is None else begin.offset
        self._assign(consumer, partitions)

    def _assign(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._offsets = {one: self._offsets[one] for one in partitions}
        self._heard = dict.fromkeys(partitions, time.monotonic())
        self._behind = {}
        self._pulses = Pulses(partitions)
        consumer.assign(partitions)
        for one in partitions:
            consumer.seek(one, self._offsets[one])

    async def _take_up_new(self, consumer: AIOKafkaConsumer) -> None:
        """A partition that was added is read from its beginning. Costs no request: the client keeps its own map of them."""
        there = [
            TopicPartition(topic, number) for topic in TOPICS for number in consumer.partitions_for_topic(topic) or ()
        ]
        new = [one for one in there if one not in self._offsets]
        if new:
            self._offsets.update(await consumer.beginning_offsets(new))
            self._assign(consumer, [*self._heard, *new])

    async def _ask_the_quiet(self, consumer: AIOKafkaConsumer) -> None:
        """Raises where a partition's broker does not answer, or has had more for us all the time."""
        now = time.monotonic()
        quiet = [one for one, heard in self._heard.items() if now - heard > QUIET_SECONDS]
        if not quiet:
            return
        async with asyncio.timeout(ANSWER_SECONDS):
            ends = await consumer.end_offsets(quiet)
        for one in quiet:
            stands = self._offsets[one]
            if ends[one] > stands and self._behind.get(one) == stands:
                raise KafkaUnavailable(f"partition {one.partition} of {one.topic} has stood still at {stands}")
            if ends[one] > stands:
                self._behind[one] = stands
            else:
                self._behind.pop(one, None)
            self._heard[one] = time.monotonic()


def _pulse(text: str) -> Pulse | None:
    try:
        event = streams.event(orjson.loads(text))
    except ValueError:  # Whoever decodes it counts it.
        return None
    return event if isinstance(event, Pulse) else None
