"""Work that is done again and again for as long as the process lives, whatever happens to one try."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import Counter

from adapters.postgres.database import answering
from domain.faults import RequestInProgress, Unavailable

BACK_OFF_SECONDS: Final = 2.0
FAILED: Final = Counter("appointments_work_failed_total", "Tries of background work that failed, by loop.", ["loop"])
log = structlog.get_logger()


async def again(what: str, work: Callable[[], Awaitable[int]], idle: float) -> None:
    """Runs until it is cancelled: at once while there is something to do, else every `idle` seconds.

    PostgreSQL being away is waited out; so is what is a bug, said in the log: one thing that can't be done must not end the rest.
    """
    while True:
        try:
            async with answering():
                done = await work()
            if not done:
                await asyncio.sleep(idle)
        except (Unavailable, RequestInProgress) as fault:
            FAILED.labels(what).inc()
            log.warning("background work waits", loop=what, reason=str(fault))
            await asyncio.sleep(BACK_OFF_SECONDS)
        except Exception:  # Whatever it is: this loop must not end, and the others go on beside it.
            FAILED.labels(what).inc()
            log.exception("background work failed", loop=what)
            await asyncio.sleep(BACK_OFF_SECONDS)
