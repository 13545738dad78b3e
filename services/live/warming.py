"""Reads ahead: what this process will be asked about the next weeks, before anybody asks it."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from adapters.postgres import calendars, clinics
from adapters.postgres.calendars import Triple
from adapters.postgres.database import Database, answering
from adapters.postgres.open_times import Looked, OpenTimes, weeks
from adapters.postgres.standing import Standing
from domain.faults import Unavailable
from services.live.calendars import WEEKS_MAX, ProcessCalendars

AHEAD: Final = timedelta(days=35)
LOOK_SECONDS: Final = 0.5
BREATH_SECONDS: Final = 0.01  # Between two clinics: whoever asks meanwhile comes first.
log = structlog.get_logger()


class Warming:
    """One clinic after the other, whenever the streams are believed and nothing is kept: at the start and in a new epoch.

    What it does not come to is read when it is asked for, like everything further ahead.
    """

    def __init__(
        self, database: Database, standing: Standing, open_times: OpenTimes, process: ProcessCalendars
    ) -> None:
        self._database = database
        self._standing = standing
        self._open_times = open_times
        self._process = process

    async def run(self) -> None:
        """Until it is cancelled."""
        done = -1
        while True:
            life, now = self._process.life, self._process.now()
            if now is not None and life != done:
                try:
                    async with answering():
                        done = life if await self._all(now, life) else done
                except Unavailable:
                    log.info("reading ahead begins again later")
            await asyncio.sleep(LOOK_SECONDS)

    async def _all(self, now: datetime, life: int) -> bool:
        """Whether it came to the end while what it read still counts."""
        for clinic_key in await clinics.active_keys(self._database.primary):
            if self._process.life != life or self._process.now() is None:
                return False
            if self._process.weeks > WEEKS_MAX // 2:
                break  # The rest is kept for what is asked.
            await self._clinic(clinic_key, now)
            await asyncio.sleep(BREATH_SECONDS)
        return True

    async def _clinic(self, clinic_key: int, now: datetime) -> None:
        reader, standing = self._database.primary, self._standing
        await standing.clinics(reader, [clinic_key])
        listed = (await standing.visit_types_at_clinics(reader, [clinic_key])).get(clinic_key, [])
        kinds = await standing.visit_types(reader, listed)
        keys: list[Triple] = []
        for kind in kinds.values():
            providers = await standing.offering_providers(reader, clinic_key, kind.key)
            if kind.duration_minutes is not None:
                keys += [(one, clinic_key, kind.key) for one in providers]
        await standing.providers(reader, list({key[0] for key in keys}))
        await self._calendars(keys, now)

    async def _calendars(self, keys: list[Triple], now: datetime) -> None:
        """Each provider's time is read once, with one kind of visit; of the others only who offers them."""
        first, last = (now - timedelta(days=1)).date(), (now + AHEAD).date()  # In some zone it is still yesterday.
        one_each = {key[0]: key for key in reversed(keys)}
        ticket = self._process.ticket()
        looked = await self._open_times.look(self._database.primary, list(one_each.values()), first, last)
        known = {one.offering.provider_key: one for one in looked}
        rest = [key for key in keys if key != one_each[key[0]] and key[0] in known]
        if not rest:
            return
        offered = await calendars.offerings_now(self._database.primary, rest)
        alike = [
            Looked(offering, one.schedule, one.calendar, at)
            for key, (offering, at) in offered.items()
            if (one := known[key[0]]).offering.resource_version == offering.resource_version
            and one.offering.schedule_version == offering.schedule_version
        ]
        self._process.learn(ticket, [one.triple for one in alike], weeks(first, last), alike)
