"""Writes into the topics: everything acknowledged by all in-sync replicas, each message once while one producer lives."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from adapters.kafka.connection import Broker, KafkaUnavailable, why
from domain.streams import TOPICS

ACK_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0
BATCH_BYTES: Final = 64 * 1024


class Publisher:
    """Connects with the first message. For one caller at a time: the relay.

    A call that raises may still reach the log later, whole or in part; the next one waits until that is decided, so that no
    message overtakes another of its key. Whoever publishes again makes duplicates, which readers drop.
    """

    def __init__(self, broker: Broker, *, seconds: float = ACK_SECONDS) -> None:
        self._broker = broker
        self._seconds = seconds
        self._producer: AIOKafkaProducer | None = None
        self._open: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def publish(self, messages: Sequence[tuple[str, str, str]]) -> None:
        """Topic, key and text of each. Returns when all are acknowledged, else raises KafkaUnavailable."""

        async def send(producer: AIOKafkaProducer) -> None:
            for topic, key, text in messages:
                self._open.add(await producer.send(topic, text.encode(), key=key.encode()))

        await self._acknowledged(send)

    async def pulse(self, text: str) -> None:
        """To every partition of every topic, without a key: readers take it once it has come through all of them."""

        async def send(producer: AIOKafkaProducer) -> None:
            for topic in TOPICS:
                for partition in sorted(await producer.partitions_for(topic)):
                    self._open.add(await producer.send(topic, text.encode(), partition=partition))

        await self._acknowledged(send)

    async def close(self) -> None:
        """What is not acknowledged by now is given up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer, given_up=bool(self._open))
        self._open.clear()

    async def _acknowledged(self, send: Callable[[AIOKafkaProducer], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._decided()
                await send(await self._started())
                await self._decided()
        except (KafkaError, OSError, TimeoutError) as error:
            if not isinstance(
                error, TimeoutError | KafkaTimeoutError
            ):  # Not merely late: the producer may be past use.
                await self.close()
            raise KafkaUnavailable(f"Kafka at {self._broker.servers} did not take it: {why(error)}") from error
        finally:
            for future in self._open:  # not yet decided; the loop would complain of those that nobody asks any more
                future.add_done_callback(_looked_at)

    async def _decided(self) -> None:
        """Waits for what was sent. Raises the first failure."""
        if not self._open:
            return
        await asyncio.wait(self._open)
        sent, self._open = self._open, set()
        errors = [error for future in sent if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._broker.options(), acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
            )
            try:
                await producer.start()
            except BaseException:
                await _stop(producer, given_up=True)
                raise
            self._producer = producer
        return self._producer


def _looked_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


async def _stop(producer: AIOKafkaProducer, *, given_up: bool) -> None:
    """An idempotent producer tries for ever and `stop` waits for it: what is given up is failed first, without a public way."""
    if given_up:
        producer._message_accumulator.fail_all(KafkaError("given up"))
        await producer.client.close()
    with suppress(KafkaError, OSError, TimeoutError, KeyError):  # KeyError: its task looks for a batch that was failed
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
