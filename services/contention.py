"""The shield before the guard: keeps a stampede on one slot away from the connection pool. Never the truth, never needed.

First an in-process queue per slot and the set of times known to be taken, then a lock in Redis across processes. Losing any of
it costs latency; the constraint in the database decides.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

from domain.ids import SlotKey

LOCK_SECONDS_MAX: Final = 0.3
QUEUE_SECONDS_MAX: Final = 3.0
TAKEN_SECONDS: Final = 1.0
KEYS_MAX: Final = 50_000


class SlotLock(Protocol):
    """A lock across processes. Entering never fails: without a lock one simply goes on."""

    def held(self, name: str, wait_seconds: float) -> AbstractAsyncContextManager[None]: ...


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@dataclass(frozen=True, slots=True)
class _Taken:
    caller: str
    resource_key: int
    until: float


class Shield:
    def __init__(self, lock: SlotLock | None = None) -> None:
        self._lock = lock
        self._queues: dict[SlotKey, _Queue] = {}
        self._taken: dict[SlotKey, _Taken] = {}
        self._keys: dict[tuple[str, str], None] = {}

    @asynccontextmanager
    async def queued(self, slot: SlotKey) -> AsyncIterator[bool]:
        """One attempt on a slot at a time, in the order they came; yields whether others want it too.

        Who is first decides for all: those behind mostly find the time known to be taken. Who is stuck is waited for so long only.
        """
        queue = self._queues.setdefault(slot, _Queue())
        queue.users += 1
        entered = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(QUEUE_SECONDS_MAX if queue.users > 1 else None):
                    entered = await queue.lock.acquire()
            yield queue.users > 1
        finally:
            if entered:
                queue.lock.release()
            queue.users -= 1
            if not queue.users:
                self._queues.pop(slot, None)

    @asynccontextmanager
    async def locked(self, slot: SlotKey, *, contended: bool) -> AsyncIterator[None]:
        """The lock across processes, taken before the transaction and released after its end, for slots that several want.

        For a slot that nobody else here wants it would only cost its two round trips: other processes wait in the database.
        """
        async with AsyncExitStack() as stack:
            if self._lock is not None and (contended or slot in self._taken):
                await stack.enter_async_context(self._lock.held(str(slot), LOCK_SECONDS_MAX))
            yield

    def known_taken(self, slot: SlotKey, caller: str, idempotency_key: str) -> bool:
        """Whether another caller took this time within the last second. Who has it, and a key seen before, go to the database."""
        taken = self._taken.get(slot)
        if taken is None or taken.caller == caller or (caller, idempotency_key) in self._keys:
            return False
        if taken.until < monotonic():
            del self._taken[slot]
            return False
        return True

    def took(self, slot: SlotKey, caller: str, resource_key: int) -> None:
        if len(self._taken) > KEYS_MAX:
            now = monotonic()
            self._taken = {key: taken for key, taken in self._taken.items() if taken.until >= now}
        self._taken[slot] = _Taken(caller, resource_key, monotonic() + TAKEN_SECONDS)

    def used(self, caller: str, idempotency_key: str) -> None:
        """Remembers that this process stored an outcome under the key."""
        if len(self._keys) > KEYS_MAX:
            for old in list(self._keys)[: KEYS_MAX // 2]:
                del self._keys[old]
        self._keys[caller, idempotency_key] = None

    def released(self, resource_key: int) -> None:
        """Forgets what was taken of a resource whose time this process gave back."""
        for slot in [slot for slot, taken in self._taken.items() if taken.resource_key == resource_key]:
            del self._taken[slot]
