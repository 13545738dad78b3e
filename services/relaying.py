"""The relay: gives every change its place in the log, once, in order. Any number may run; the one with the lock works."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Final, Protocol

import orjson
import structlog

from adapters.postgres import stream
from adapters.postgres.database import Connection, answering, disconnect
from adapters.postgres.stream import Numbered
from domain.faults import RequestInProgress, Unavailable
from domain.streams import CalendarEvent, OfferEvent, VisitEvent, addressed

TRY_LOCK_SECONDS: Final = 1.0
BREATH_SECONDS: Final = 0.005  # Between two looks at least: one for each of many commits would cost bookings.
CROWDED_ROWS: Final = 200  # In a second; then looks, and the readers that each wakes, cost more than they gain.
CROWDED_BREATH_SECONDS: Final = 0.02
BUSY_SECONDS: Final = 0.01
IDLE_SECONDS: Final = 0.05
BUSY_FOR_SECONDS: Final = 1.0
PULSE_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 60.0
BACK_OFF_SECONDS: Final = 1.0
BACK_OFF_SECONDS_MAX: Final = 2.0  # Once what was away is back, everybody has heard of everything within 5 s.
ALIVE_SECONDS: Final = 2.0  # The lock's session ends after 5 s without a word (adapters.postgres.database).
LASTED_SECONDS: Final = 60.0
LATE_SECONDS: Final = 1.0
SAMPLES_MAX: Final = 2000
Message = tuple[str, str, str]  # topic, key, JSON text
log = structlog.get_logger()


class Publisher(Protocol):
    """A broker. Both return when it has everything, in order, and raise Unavailable where it has not: then all is sent again."""

    async def publish(self, messages: list[Message]) -> None: ...

    async def pulse(self, text: str) -> None:
        """To every partition of every topic."""
        ...


@dataclass(frozen=True, slots=True)
class Beat:
    """Once a second, for metrics. `relayed` counts rows since the last one; `backlog` stops at 10,000."""

    leading: bool
    relayed: int = 0
    backlog: int = 0
    horizon_age: float = 0.0


class Horizon:
    """Up to when everything is in the log, learned from snapshots: what had ended by a moment has a number below that moment's
    xmax, and is readable once xmin has come that far."""

    def __init__(self, at: datetime | None) -> None:
        self.at = at
        self._samples: deque[tuple[int, datetime]] = deque(maxlen=SAMPLES_MAX)

    def saw(self, numbered: Numbered) -> None:
        """A batch; it moves the horizon only if it reached the end of what is readable."""
        self._samples.append((numbered.xmax, numbered.now))
        while not numbered.cut and self._samples and self._samples[0][0] <= numbered.xmin:
            self.at = self._samples.popleft()[1]

    def age(self, now: datetime) -> float | None:
        return None if self.at is None else max((now - self.at).total_seconds(), 0.0)


class Relay:
    """`connect` opens the relay's own connection; `numbered` is called when the log has grown; `observe` each second."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        publisher: Publisher | None = None,
        numbered: Callable[[], None] = lambda: None,
        observe: Callable[[Beat], None] = lambda _: None,
    ) -> None:
        self._connect = connect
        self._publisher = publisher
        self._numbered = numbered
        self._observe = observe
        self._woken = asyncio.Event()
        self._late = False

    def wake(self) -> None:
        """A hint that something was committed; without it the relay looks 20 times a second."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled. A failure gives up the lock, so that another process may do better, and is waited out."""
        pause = BACK_OFF_SECONDS / 2
        while True:
            begun = monotonic()
            try:
                await self._lead()
            except (Unavailable, RequestInProgress) as fault:
                log.warning("relay waits", reason=str(fault))
            except Exception:  # Whatever it is: without a relay nobody hears of any change, so it is tried again.
                log.exception("relay failed")
            finally:
                self._observe(Beat(leading=False))
            pause = BACK_OFF_SECONDS if monotonic() - begun > LASTED_SECONDS else min(pause * 2, BACK_OFF_SECONDS_MAX)
            await asyncio.sleep(pause)

    async def _lead(self) -> None:
        connection = await self._connect()
        try:
            async with answering():
                while not await stream.try_lock(connection):  # noqa: ASYNC110 - another process has it
                    await asyncio.sleep(TRY_LOCK_SECONDS)
                await _Term(self, connection).serve()
        finally:
            await disconnect(connection)

    async def wait(self, seconds: float) -> bool:
        """Whether a hint came before the time was over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    def told(self, beat: Beat) -> None:
        """Warns once for each time that the horizon stands still."""
        late = beat.horizon_age > LATE_SECONDS
        if late and not self._late:
            log.warning("a transaction holds the stream back", seconds=round(beat.horizon_age, 1))
        self._late = late
        self._observe(beat)

    @property
    def publisher(self) -> Publisher | None:
        return self._publisher

    def grown(self) -> None:
        self._numbered()


class _Term:
    """What one holder of the lock remembers for as long as it has it."""

    def __init__(self, relay: Relay, connection: Connection) -> None:
        self._relay = relay
        self._connection = connection
        self._published = 0
        self._horizon = Horizon(None)
        self._relayed = 0
        self._breath = BREATH_SECONDS
        self._pulse_due = self._trim_due = 0.0

    async def serve(self) -> None:
        found = await stream.state(self._connection)
        self._published, self._horizon = found.published, Horizon(found.horizon)
        await self._publish()
        log.info("relaying")
        busy_until = 0.0
        while True:
            begun = monotonic()
            numbered = await self._number()
            if numbered.cut:
                continue
            await self._pulse(numbered)
            await self._trim()
            now = monotonic()
            if numbered.rows:
                busy_until = now + BUSY_FOR_SECONDS
            if await self._relay.wait(BUSY_SECONDS if now < busy_until else IDLE_SECONDS):
                busy_until = monotonic() + BUSY_FOR_SECONDS
                await asyncio.sleep(max(0.0, begun + self._breath - monotonic()))

    async def _number(self) -> Numbered:
        publishing = self._relay.publisher is not None
        numbered = await stream.number(self._connection, publishing=publishing)
        self._horizon.saw(numbered)
        if numbered.rows:
            self._relayed += numbered.rows
            self._relay.grown()
            await self._publish()
        return numbered

    async def _publish(self) -> None:
        """All that lies behind what the broker has. Ended in between, it is sent again: readers drop what they know."""
        publisher = self._relay.publisher
        while publisher is not None:
            page = await stream.read(self._connection, self._published)
            if not page.entries:
                return
            told = [one for entry in page.entries if entry.event for one in messages(entry.event)]
            await self._patiently(publisher.publish(told))
            self._published = page.entries[-1].position
            await stream.set_published(self._connection, self._published)

    async def _patiently(self, sending: Coroutine[Any, Any, None]) -> None:
        """Keeps the lock while the broker is waited for: what it then has is noted, instead of sent once more by another."""
        task = asyncio.create_task(sending)
        try:
            while not (await asyncio.wait({task}, timeout=ALIVE_SECONDS))[0]:
                await stream.state(self._connection)
        finally:
            task.cancel()
            await asyncio.wait({task})
        task.result()

    async def _pulse(self, numbered: Numbered) -> None:
        age = self._horizon.age(numbered.now)
        if monotonic() < self._pulse_due or age is None:
            return
        self._pulse_due = monotonic() + PULSE_SECONDS
        pulse, backlog = await stream.pulse(self._connection, numbered.now, age)
        if self._relay.publisher is not None:
            await self._patiently(self._relay.publisher.pulse(orjson.dumps(pulse.envelope()).decode()))
        self._relay.told(Beat(True, self._relayed, backlog, age))
        self._breath = CROWDED_BREATH_SECONDS if self._relayed > CROWDED_ROWS else BREATH_SECONDS
        self._relayed = 0
        self._relay.grown()

    async def _trim(self) -> None:
        """A batch at a time, so that what is new never waits long."""
        if monotonic() >= self._trim_due and await stream.trim(self._connection) < stream.BATCH:
            self._trim_due = monotonic() + TRIM_SECONDS


def messages(event: CalendarEvent | VisitEvent | OfferEvent) -> list[Message]:
    """What the broker gets."""
    text = orjson.dumps(event.envelope()).decode()
    return [(topic, key, text) for topic, key in addressed(event)]
