"""The loop that ends holds and offers within a second of their end, takes up what was consented to, and forgets what is old."""

import asyncio
from time import monotonic
from typing import Final

import structlog

from app.workers.waitlist import observe
from domain.faults import RequestInProgress, Unavailable
from services.sweeping import Sweeping

EVERY_SECONDS: Final = 0.5
FIGURES_EVERY_SECONDS: Final = 30.0
FORGET_EVERY_SECONDS: Final = 60.0
BACK_OFF_SECONDS: Final = 2.0
log = structlog.get_logger()


async def sweep(sweeping: Sweeping) -> None:
    """Runs until it is cancelled. PostgreSQL being away is waited out."""
    forgotten_at, counted_at = monotonic(), float("-inf")
    while True:
        try:
            await sweeping.expire_holds()
            await sweeping.expire_offers()
            await sweeping.take_up_consented()
            await sweeping.offer_opened()
            if monotonic() - forgotten_at > FORGET_EVERY_SECONDS and not await _forgotten(sweeping):
                forgotten_at = monotonic()
            if monotonic() - counted_at > FIGURES_EVERY_SECONDS:
                observe(await sweeping.figures())
                counted_at = monotonic()
            await asyncio.sleep(EVERY_SECONDS)
        except (Unavailable, RequestInProgress) as fault:
            log.warning("sweeper waits", reason=str(fault))
            await asyncio.sleep(BACK_OFF_SECONDS)


async def _forgotten(sweeping: Sweeping) -> int:
    """A batch of each kind; 0 once nothing is left."""
    return await sweeping.forget_keys() + await sweeping.forget_decisions() + await sweeping.expire_entries()
