"""Calendars shared by all processes. Bytes carry their version first and are replaced only by newer ones; no patient data."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

KEPT_SECONDS: Final = 3600
NEWER: Final = """
local old = redis.call('GET', KEYS[1])
if old then
  local high, low = struct.unpack('>I4I4', old)
  local new_high, new_low = struct.unpack('>I4I4', ARGV[1])
  if high > new_high or (high == new_high and low >= new_low) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


class CalendarCache:
    """When Redis is away it knows nothing and takes nothing: reads go on from PostgreSQL."""

    def __init__(self, redis: Redis | RedisCluster) -> None:
        self._redis = redis
        self._newer = redis.register_script(NEWER)

    async def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """The entries there are, whatever their version."""
        keys = [f"cal:{{{name}}}" for name in names]
        try:
            if isinstance(self._redis, RedisCluster):
                found = await self._redis.mget_nonatomic(keys)
            else:
                found = await self._redis.mget(keys)
        except (RedisError, OSError, TimeoutError):
            return {}
        return {name: raw for name, raw in zip(names, found, strict=True) if raw is not None}

    async def write(self, entries: Mapping[str, bytes]) -> None:
        """Each entry only if it is newer than what is there."""
        try:
            if isinstance(self._redis, RedisCluster):
                for name, raw in entries.items():
                    await self._newer(keys=[f"cal:{{{name}}}"], args=[raw, KEPT_SECONDS])
                return
            pipeline: Any = self._redis.pipeline(transaction=False)
            for name, raw in entries.items():
                await self._newer(keys=[f"cal:{{{name}}}"], args=[raw, KEPT_SECONDS], client=pipeline)
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError):
            return
