"""One Redis client, of a node or a cluster. Short time-outs: nothing here is worth waiting for."""

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CONNECTIONS_MAX: Final = 64
CONNECT_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 0.5


def client(url: str, *, cluster: bool = False) -> Redis | RedisCluster:
    """Connects when first used. Answers are bytes; the pool waits briefly rather than raise at its cap."""
    if cluster:
        return RedisCluster.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=CONNECT_SECONDS)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        timeout=ANSWER_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)  # Closing the client then closes its connections too.
