"""How often an address asked, counted in Redis for all processes. When Redis is away nobody is refused here."""

from time import monotonic, time
from typing import Any, Final
from urllib.parse import urlsplit

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisClusterStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from adapters.redis.connection import ANSWER_SECONDS, CONNECT_SECONDS

AWAY_SECONDS: Final = 5.0


class SharedRates:
    """At most `burst` requests in any `burst / per_second` seconds, rounded up to whole ones. Keys run out by themselves."""

    def __init__(self, url: str, redis: Redis | RedisCluster, per_second: float, burst: int) -> None:
        self._item = RateLimitItemPerSecond(burst, max(1, -int(-burst // per_second)))
        self._limiter = SlidingWindowCounterRateLimiter(_storage(url, redis))
        self._away_until = 0.0

    async def wait(self, address: str, several: int = 1) -> float:
        """0 where so many requests may go on, and are counted; else the seconds until one may."""
        if monotonic() < self._away_until:
            return 0.0
        try:
            if await self._limiter.hit(self._item, address, cost=several):
                return 0.0
            stats = await self._limiter.get_window_stats(self._item, address)
        except (RedisError, OSError, TimeoutError):
            self._away_until = monotonic() + AWAY_SECONDS
            return 0.0
        return max(stats.reset_time - time(), 1 / self._item.amount)


def _storage(url: str, redis: Redis | RedisCluster) -> RedisStorage:
    if isinstance(redis, Redis):
        pool: Any = redis.connection_pool  # Its annotation lacks what its documentation takes.
        return RedisStorage("async+redis://", implementation="redispy", connection_pool=pool)
    parts = urlsplit(url)
    return RedisClusterStorage(
        f"async+redis+cluster://{parts.netloc}",
        implementation="redispy",
        ssl=parts.scheme == "rediss",
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
    )
