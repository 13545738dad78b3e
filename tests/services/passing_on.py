"""A worker of its own that ends offers, takes up what was consented to and is killed now and then.

Run as `python -m tests.services.passing_on DATABASE_URL SECONDS`; SECONDS is how long an offer lasts at most.
"""

import asyncio
import sys
from contextlib import suppress

from adapters.postgres.database import pool
from domain.faults import RequestInProgress, Unavailable
from tests.services.waiters import hasty


async def work(url: str, seconds: float) -> None:
    world = hasty(await pool(url, size=2), seconds)
    while True:
        with suppress(Unavailable, RequestInProgress):
            done = await world.sweeping.expire_offers() + await world.sweeping.take_up_consented()
            await asyncio.sleep(0 if done else 0.02)


def main() -> None:
    url, seconds = sys.argv[1:]
    asyncio.run(work(url, float(seconds)))


if __name__ == "__main__":
    main()
