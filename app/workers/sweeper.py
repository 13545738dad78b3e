"""The loops that end holds and offers within a second of their end, take up what was consented to, and forget what is old."""

import asyncio
from typing import Final

from app.workers.loops import again
from app.workers.waitlist import observe
from services.sweeping import Sweeping

EVERY_SECONDS: Final = 0.5
FIGURES_EVERY_SECONDS: Final = 30.0
FORGET_EVERY_SECONDS: Final = 60.0


async def sweep(sweeping: Sweeping) -> None:
    """Runs until it is cancelled. Each kind of work has a loop of its own: hours that are opened keep no hold waiting."""

    async def offers() -> int:
        return await sweeping.expire_offers() + await sweeping.take_up_consented()

    async def forget() -> int:
        return await sweeping.forget_keys() + await sweeping.forget_decisions() + await sweeping.expire_entries()

    await asyncio.gather(
        again("holds", sweeping.expire_holds, EVERY_SECONDS),
        again("offers", offers, EVERY_SECONDS),
        again("opened hours", sweeping.offer_opened, EVERY_SECONDS),
        again("forgetting", forget, FORGET_EVERY_SECONDS),
    )


async def watch(sweeping: Sweeping) -> None:
    """What of the waitlist stands in /metrics, wherever there is one; runs until it is cancelled."""

    async def figures() -> int:
        observe(await sweeping.figures())
        return 0

    await again("figures", figures, FIGURES_EVERY_SECONDS)
