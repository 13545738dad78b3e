"""A client that keeps a view of open times as docs/live.md tells it to, over a real socket, and comes back by itself."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.api.talker import Talker, opened

WATCH: Final = """subscription W($f: AvailabilityFilter!, $after: StreamCursor) { availability(filter: $f, after: $after) {
    __typename
    ... on AvailabilityFrame { cursor serverTime }
    ... on AvailabilitySnapshot { reason timeZone through slots { ...S } }
    ... on AvailabilityDelta { previousCursor opened { ...S } removed }
    ... on AvailabilityHeartbeat { previousCursor } } }
fragment S on OpenSlot { id providerId startsAt endsAt localDate left bookableUntil }"""
SNAPSHOT: Final = """query S($f: AvailabilityFilter!, $l: StreamCursor) { availability(filter: $f, atLeast: $l) {
    __typename cursor serverTime reason timeZone through
    slots { id providerId startsAt endsAt localDate left bookableUntil } } }"""
RETRY_SECONDS: Final = 0.2
AWAY: Final = (OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError)


@dataclass
class View:
    """`broken`: frames whose `previousCursor` was not the cursor we had."""

    slots: dict[str, int] = field(default_factory=dict)
    cursor: str | None = None
    frames: list[dict[str, Any]] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    broken: int = 0

    def apply(self, frame: dict[str, Any]) -> bool:
        """False where the client should subscribe anew."""
        self.frames.append(frame)
        self.heard_at.append(monotonic())
        if frame["__typename"] == "AvailabilitySnapshot":
            self.slots = {one["id"]: one["left"] for one in frame["slots"]}
        elif frame["previousCursor"] != self.cursor:
            self.broken += 1
            self.cursor = None
            return False
        elif frame["__typename"] == "AvailabilityDelta":
            for one in frame["removed"]:
                self.slots.pop(one, None)
            self.slots |= {one["id"]: one["left"] for one in frame["opened"]}
        self.cursor = frame["cursor"]
        return True

    def kinds(self) -> list[str]:
        """A short word for each frame: Delta, Heartbeat, or a snapshot's reason."""
        return [
            frame["reason"]
            if frame["__typename"] == "AvailabilitySnapshot"
            else frame["__typename"].removeprefix("Availability")
            for frame in self.frames
        ]


class Watcher:
    """Tries the servers one after the other; `closes` are the codes of the sockets that were closed."""

    def __init__(self, urls: list[str], asked: dict[str, Any], after: str | None = None) -> None:
        self.urls = urls
        self.asked = asked
        self.view = View(cursor=after)
        self.closes: list[int | None] = []
        self.connected = 0
        self._numbers = count()
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            url = self.urls[next(self._numbers) % len(self.urls)]
            with suppress(*AWAY):
                talker = await opened(url, open_timeout=3)
                try:
                    await self._follow(talker)
                except ConnectionClosed as end:
                    self.closes.append(end.rcvd.code if end.rcvd is not None else None)
                finally:
                    talker.connection.transport.abort()
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, talker: Talker) -> None:
        await talker.begin()
        self.connected += 1
        for number in count():
            await talker.subscribe(WATCH, {"f": self.asked, "after": self.view.cursor}, str(number))
            while True:
                message = await talker.hear()
                assert message["type"] == "next", message
                assert "errors" not in message["payload"], message
                goes_on = self.view.apply(message["payload"]["data"]["availability"])
                self._heard.set()
                if not goes_on:
                    await talker.say({"id": str(number), "type": "complete"})
                    break

    async def until(self, true: Any, seconds: float = 5) -> None:
        """Until it holds of the view."""
        async with asyncio.timeout(seconds):
            while not true(self.view):
                if self._task.done():
                    self._task.result()
                self._heard.clear()
                await self._heard.wait()
