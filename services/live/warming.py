"""Reads ahead: what this process will be asked about the next weeks, before anybody asks it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from adapters.postgres import clinics, soonest
from adapters.postgres.calendars import Pair
from adapters.postgres.database import Database, answering
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.standing import Standing
from domain.faults import Unavailable
from services.live.calendars import WEEKS_MAX, ProcessCalendars
from services.live.catalog import CLINICS_MAX

AHEAD: Final = timedelta(days=35)
LOOK_SECONDS: Final = 0.5
BATCH: Final = 64  # What is decoded at once holds others up.
BREATH_SECONDS: Final = 0.01  # Between two reads: whoever asks meanwhile comes first.
Prepare = Callable[[Iterable[tuple[Pair, Sequence[int]]]], Awaitable[object]]
log = structlog.get_logger()


class Warming:
    """Calendars first, then one clinic's lists after the other, whenever the streams are believed and nothing is kept: at the
    start and in a new epoch.

    What it does not come to is read when it is asked for, like everything further ahead.
    """

    def __init__(
        self,
        database: Database,
        standing: Standing,
        open_times: OpenTimes,
        process: ProcessCalendars,
        prepare: Prepare | None = None,
    ) -> None:
        """`prepare` works something out of the calendars of providers and their kinds of visit that were just read."""
        self._database = database
        self._standing = standing
        self._open_times = open_times
        self._process = process
        self._prepare = prepare
        self.done = -1  # The life of what is kept of which all was read ahead.

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            life, now = self._process.life, self._process.now()
            if now is not None and life != self.done:
                try:
                    async with answering():
                        self.done = life if await self._all(now, life) else self.done
                except Unavailable:
                    log.info("reading ahead begins again later")
            await asyncio.sleep(LOOK_SECONDS)

    async def _all(self, now: datetime, life: int) -> bool:
        """Whether it came to the end while what it read still counts."""
        return await self._calendars(now, life) and await self._lists(life)

    def _counts(self, life: int) -> bool:
        return self._process.life == life and self._process.now() is not None

    async def _calendars(self, now: datetime, life: int) -> bool:
        """Of everybody who works anywhere."""
        reader = self._database.primary
        first, last = (now - timedelta(days=1)).date(), (now + AHEAD).date()  # In some zone it is still yesterday.
        after: Pair = (0, 0)
        while wanted := await soonest.working(reader, after, BATCH):
            if not self._counts(life):
                return False
            if self._process.weeks > WEEKS_MAX // 2:
                break  # The rest is kept for what is asked.
            await self._open_times.look_widely(reader, wanted, first, last)
            if self._prepare is not None:
                await self._prepare(wanted.items())
            after = max(wanted)
            await asyncio.sleep(BREATH_SECONDS)
        return True

    async def _lists(self, life: int) -> bool:
        """Who and what there is, clinic by clinic."""
        for clinic_key in (await clinics.active_keys(self._database.primary))[:CLINICS_MAX]:
            if not self._counts(life):
                return False
            await self._clinic(clinic_key)
            await asyncio.sleep(BREATH_SECONDS)
        return True

    async def _clinic(self, clinic_key: int) -> None:
        reader, standing = self._database.primary, self._standing
        await standing.clinics(reader, [clinic_key])
        listed = (await standing.visit_types_at_clinics(reader, [clinic_key])).get(clinic_key, [])
        offering: set[int] = set()
        for key in listed:
            offering.update(await standing.offering_providers(reader, clinic_key, key))
        # Of kinds of visit only those are kept that a known provider offers.
        await standing.providers(reader, list(offering))
        await standing.visit_types(reader, listed)
