"""One subscription: a bounded mailbox that its consumer reads at its own speed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Self, TypeVar

from domain.frames import Frame, StreamHeartbeat, StreamReset
from domain.streams import OfferEvent, VisitEvent

T = TypeVar("T")
_NEVER: Final = float("-inf")


class TooSlow(Exception):
    """A consumer that fell behind twice within a minute, or read nothing in between (rule 30)."""


class Mailbox(Generic[T]):
    """`async for one in mailbox`, by one consumer. `enter` runs before the first is waited for, `leave` once at the end."""

    __slots__ = (
        "__weakref__",
        "_enter",
        "_fault",
        "_items",
        "_leave",
        "_limit",
        "_overflowed_at",
        "_read",
        "_waiter",
        "closed",
    )

    def __init__(
        self,
        limit: int,
        leave: Callable[["Mailbox[T]"], None],
        enter: Callable[["Mailbox[T]"], Awaitable[None]] | None = None,
    ) -> None:
        self._limit = limit
        self._enter = enter
        self._leave = leave
        self._items: list[T] = []
        self._waiter: asyncio.Future[None] | None = None
        self._fault: Exception | None = None
        self._overflowed_at = _NEVER
        self._read = True
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Raises TooSlow, Unavailable, BadInput where the ids name nothing any more, or StopAsyncIteration where it was closed."""
        if self._enter is not None:
            enter, self._enter = self._enter, None
            try:
                await enter(self)
            except BaseException:
                self.close()
                raise
        while not self._items:
            if self._fault is not None:
                raise self._fault
            if self.closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._read = True
        return self._items.pop(0)

    def put(self, one: T) -> bool:
        """False where it is full; then it is empty, and what it held is gone."""
        if self.closed:
            return True
        if len(self._items) >= self._limit:
            self._items.clear()
            return False
        self._items.append(one)
        self._wake()
        return True

    def overflowed(self, at: float, within: float) -> bool:
        """Whether it may go on after that: not twice within so many seconds, nor where nothing was read in between."""
        last, self._overflowed_at = self._overflowed_at, at
        read, self._read = self._read, False
        if read and at - last >= within:
            return True
        self.fail(TooSlow())
        return False

    def fail(self, fault: Exception) -> None:
        """Ends it with that fault."""
        self._fault = fault
        self.close()

    def close(self) -> None:
        """Leaves at once and frees everything; may be called again."""
        if self.closed:
            return
        self.closed = True
        self._items.clear()
        self._enter = None
        self._leave(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


Member = Mailbox[Frame]
VisitNews = VisitEvent | OfferEvent | StreamReset | StreamHeartbeat
VisitMember = Mailbox[VisitNews]
