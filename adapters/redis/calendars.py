"""Calendars shared by all processes. Bytes carry their version first and are replaced only by newer ones; no patient data."""

from collections.abc import Mapping, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

KEPT_SECONDS: Final = 3600
NEWER: Final = """
for i, key in ipairs(KEYS) do
  local old = redis.call('GET', key)
  local newer = true
  if old and #old >= 8 then
    local high, low = struct.unpack('>I4I4', old)
    local new_high, new_low = struct.unpack('>I4I4', ARGV[i + 1])
    newer = high < new_high or (high == new_high and low < new_low)
  end
  if newer then redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1]) end
end
return 0
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
            if isinstance(self._redis, RedisCluster):  # Keys of one script must lie on one node.
                for name, raw in entries.items():
                    await self._newer(keys=[f"cal:{{{name}}}"], args=[KEPT_SECONDS, raw])
            else:
                keys = [f"cal:{{{name}}}" for name in entries]
                await self._newer(keys=keys, args=[KEPT_SECONDS, *entries.values()])
        except (RedisError, OSError, TimeoutError):
            return
