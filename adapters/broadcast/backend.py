"""Hands the log on to broadcaster. The only one of its backends with which first subscribers can't lose each other: it never
awaits while somebody subscribes, so there is no moment in between.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Protocol

import orjson
import structlog
from broadcaster import BroadcastBackend, Event

from domain.streams import AVAILABILITY, Resumed

log = structlog.get_logger(__name__)

SINCE: Final = timedelta(minutes=2)
WAITING_MAX: Final = 256
RETRY_SECONDS: Final = 0.1
RETRY_SECONDS_MAX: Final = 2.0
WELL_SECONDS: Final = 10.0
# Between envelopes in one message; no JSON text contains it (RFC 7464).
SEPARATOR: Final = "\x1e"
_RESUMED: Final = orjson.dumps(Resumed().envelope()).decode()


class Log(Protocol):
    """The seam to whatever keeps the streams: Kafka, or a table."""

    def read(self, since: timedelta) -> AsyncIterator[tuple[str, str]]:
        """Topic and envelope, in order, from `since` ago; raises when the source is lost and goes on when called again."""
        ...


class LogBackend(BroadcastBackend):
    """A channel is a topic. One message carries the envelopes that came at once, SEPARATOR between them.

    Reads on only while fewer than WAITING_MAX envelopes wait. Runs from `connect` to `disconnect`; `connect` may be called again.
    """

    def __init__(self, source: Log, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._source = source
        self._retry_seconds = retry_seconds
        self._waiting: dict[str, list[str]] = {}
        self._count = 0
        self._some: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.reading: asyncio.Task[None] | None = None
        self.listener: asyncio.Task[Any] | None = None
        self.outages = 0
        self.heard_at: float | None = None  # monotonic

    async def connect(self) -> None:
        if self.reading is None or self.reading.done():
            self.reading = asyncio.create_task(self._read(), name="log")

    async def disconnect(self) -> None:
        ended = [task for task in (self.listener, self.reading) if task is not None]
        for task in ended:
            task.cancel()
        if ended:
            await asyncio.wait(ended)
        self.reading = None

    async def subscribe(self, group: str) -> None:
        pass

    async def unsubscribe(self, group: str) -> None:
        pass

    async def publish(self, channel: str, message: Any) -> None:
        raise NotImplementedError("only the relay writes into the log")

    async def next_published(self) -> Event:
        self.listener = asyncio.current_task()
        while not self._waiting:
            self._some = asyncio.get_running_loop().create_future()
            await self._some
        channel = next(iter(self._waiting))
        texts = self._waiting.pop(channel)
        self._count -= len(texts)
        _wake(self._room)
        return Event(channel, SEPARATOR.join(texts))

    async def _read(self) -> None:
        """Never ends by itself. Each outage is one line when it begins and one when it is over."""
        failures = 0
        while True:
            reason, began = "it ended", None
            records = self._source.read(SINCE)
            try:
                async for topic, text in records:
                    if began is None:
                        began = time.monotonic()
                        self._resumed(failures)
                    self.heard_at = time.monotonic()
                    self._put(topic, text)
                    while self._count >= WAITING_MAX:
                        self._room = asyncio.get_running_loop().create_future()
                        await self._room
            except Exception as error:  # Whatever it was: reading goes on, and the reason is logged.
                reason = f"{type(error).__name__}: {error}"
            finally:
                if isinstance(records, AsyncGenerator):
                    with suppress(Exception):  # It is left behind; how it closes changes nothing.
                        await records.aclose()
            if began is not None and time.monotonic() - began > WELL_SECONDS:
                failures = 0  # It was well for a while; one that fails again at once is not asked ever faster.
            if began is not None or failures == 0:
                self.outages += 1
                log.warning("the log is lost", reason=reason)
            failures += 1
            delay = min(self._retry_seconds * 2 ** min(failures - 1, 16), RETRY_SECONDS_MAX)
            await asyncio.sleep(delay * random.uniform(0.5, 1))

    def announce(self) -> None:
        """Whoever follows compares itself with the log: something may be missing. Once for all topics, where the pulses are."""
        self._put(AVAILABILITY, _RESUMED)

    def _resumed(self, failures: int) -> None:
        """Comes before whatever is read after an outage."""
        if failures:
            log.info("the log is read again", attempts=failures)
            self.announce()

    def _put(self, topic: str, text: str) -> None:
        self._waiting.setdefault(topic, []).append(text)
        self._count += 1
        _wake(self._some)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
