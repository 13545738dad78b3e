"""The lock across processes: a contention shield. When Redis is away, slow or full, one goes on without it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.lock import Lock
from redis.exceptions import RedisError

LOCK_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.015


class SlotLocks:
    """`lying` grants at once without asking: what the tests use to show that nothing depends on it."""

    def __init__(self, redis: Redis | RedisCluster, *, lying: bool = False) -> None:
        self._redis = redis
        self._lying = lying

    @asynccontextmanager
    async def held(self, name: str, wait_seconds: float) -> AsyncIterator[None]:
        """Waits at most `wait_seconds`, then goes on without. The token is compared on release, so nobody else's lock goes."""
        lock = None
        if not self._lying:
            lock = Lock(self._redis, f"lock:{{{name}}}", timeout=LOCK_SECONDS, sleep=POLL_SECONDS, thread_local=False)
            try:
                if not await lock.acquire(blocking_timeout=wait_seconds):
                    lock = None
            except (RedisError, OSError, TimeoutError):
                lock = None
        try:
            yield
        finally:
            if lock is not None:
                with suppress(RedisError, OSError, TimeoutError):
                    await lock.release()
