"""From the log to one receiver in this process: decoded events, in order, one after the other."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import orjson
import structlog
from broadcaster import Broadcast
from broadcaster._base import Subscriber  # which it hands out without exporting its name

from adapters.broadcast.backend import RETRY_SECONDS, SEPARATOR, Log, LogBackend
from domain import streams

log = structlog.get_logger(__name__)

WATCH_SECONDS: Final = 0.25
KINDS_MAX: Final = 100


class Feed:
    """`receive` is called without awaiting anything, for each event of each topic; what it raises is logged and counted.

    It gets one `Resumed` after each outage of the log, and after a task here was begun again.

    One subscription per topic for the whole life of the process. broadcaster's queues have no bound: they stay short because
    they are emptied at once, here, and because the backend reads on only when it was listened to.
    """

    def __init__(
        self, source: Log, receive: Callable[[streams.Event], None], *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._backend = LogBackend(source, retry_seconds=retry_seconds)
        self._broadcast = Broadcast(backend=self._backend)
        self._receive = receive
        self._subscribers: dict[str, Subscriber] = {}
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._opened = AsyncExitStack()
        self._kinds: set[str] = set()
        self.events = 0
        self.malformed = 0
        self.failed = 0
        self.restarts = 0

    @property
    def outages(self) -> int:
        """How often the source was lost."""
        return self._backend.outages

    @property
    def age(self) -> float | None:
        """Seconds since the log said anything, pulses included; None where it has not yet."""
        heard = self._backend.heard_at
        return None if heard is None else time.monotonic() - heard

    async def __aenter__(self) -> Self:
        # Subscribed before anything is read: broadcaster drops what nobody is subscribed to.
        for topic in streams.TOPICS:
            self._subscribers[topic] = await self._opened.enter_async_context(self._broadcast.subscribe(topic))
            self._drains[topic] = self._drain(topic)
        await self._broadcast.connect()
        self._watching = asyncio.create_task(self._watch(), name="feed watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = [self._watching, *self._drains.values()]
        for task in ended:
            task.cancel()
        await asyncio.wait(ended)
        await self._backend.disconnect()
        await self._opened.aclose()

    def _drain(self, topic: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._take(self._subscribers[topic]), name=f"feed {topic}")

    async def _take(self, subscriber: Subscriber) -> None:
        while True:
            for text in (await subscriber.get()).message.split(SEPARATOR):
                event = self._read(text)
                if event is not None:
                    self.events += 1
                    try:
                        self._receive(event)
                    except Exception as error:  # The next event may be none the worse.
                        self.failed += 1
                        kind = f"{type(event).__name__}: {type(error).__name__}"
                        self._say_once("an event could not be taken in", kind, error)

    def _read(self, text: str) -> streams.Event | None:
        try:
            return streams.event(orjson.loads(text))
        except orjson.JSONDecodeError:
            kind = "not JSON"
        except Exception as error:  # Whoever wrote it: one bad message must not end the stream.
            kind = f"{type(error).__name__}: {error}"
        self.malformed += 1
        self._say_once("a message that says nothing we know was passed over", kind)
        return None

    def _say_once(self, what: str, kind: str, error: Exception | None = None) -> None:
        kind = kind[:200]
        if kind not in self._kinds and len(self._kinds) < KINDS_MAX:
            self._kinds.add(kind)
            log.warning(what, kind=kind, exc_info=error)

    async def _watch(self) -> None:
        """Tasks end only by a bug or by being cancelled from outside; then they are begun again, on the same queues."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for topic, task in self._drains.items():
                if task.done():
                    self._restarted(task)
                    self._drains[topic] = self._drain(topic)
            reading, listener = self._backend.reading, self._backend.listener
            if reading is not None and reading.done():
                self._restarted(reading)
                await self._backend.connect()
            if listener is not None and listener.done():
                self._restarted(listener)
                self._backend.listener = None
                await self._broadcast.connect()

    def _restarted(self, task: asyncio.Task[None]) -> None:
        self.restarts += 1
        error = None if task.cancelled() else task.exception()
        self._backend.announce()  # What it had in hand is gone.
        log.error("a task of the feed had ended and is begun again", task=task.get_name(), exc_info=error)
