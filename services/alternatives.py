"""Other times for who was too late: same visit type and clinic, any provider, nearest first (rule 10)."""

import asyncio
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Final

from adapters.postgres import calendars
from adapters.postgres.database import Database, answering
from adapters.postgres.open_times import OpenTimes
from domain import slots, zones
from domain.appointments import Slot
from domain.faults import Unavailable

COUNT: Final = 3
KNOWN_SECONDS: Final = 0.2
KNOWN_MAX: Final = 2000
Asked = tuple[int, int, int, datetime, bool]


class Alternatives:
    """Losers of one stampede ask the same question: they share one answer, at most 0.2 s old."""

    def __init__(self, database: Database, open_times: OpenTimes) -> None:
        self._database = database
        self._open_times = open_times
        self._known: dict[Asked, tuple[float, asyncio.Task[list[Slot]]]] = {}

    async def near(
        self, provider_key: int, clinic_key: int, visit_type_key: int, wanted: datetime, *, binding: bool
    ) -> list[Slot]:
        """Up to three free slots; none where they can't be had just now: a refusal must not fail for want of them."""
        asked = (provider_key, clinic_key, visit_type_key, wanted, binding)
        until, task = self._known.get(asked, (0.0, None))
        if task is None or until < monotonic():
            if len(self._known) > KNOWN_MAX:
                self._known.clear()
            task = asyncio.ensure_future(self._find(asked))
            self._known[asked] = (monotonic() + KNOWN_SECONDS, task)
        try:
            return await asyncio.shield(task)
        except Unavailable:
            return []

    async def _find(self, asked: Asked) -> list[Slot]:
        provider_key, clinic_key, visit_type_key, wanted, binding = asked
        reader = self._database.primary
        async with answering():
            providers = await calendars.offering_providers(reader, clinic_key, visit_type_key)
            keys = [(one, clinic_key, visit_type_key) for one in providers]
            offerings = list((await calendars.offerings(reader, keys)).values()) if keys else []
            if not offerings:
                return []
            today = zones.today(offerings[0].now, offerings[0].zone)
            day = wanted.astimezone(offerings[0].zone).date()
            found: list[Slot] = []
            for first, last in _windows(today, day):
                times = await self._open_times.free(reader, offerings, first, last, binding=binding, limit=5000)
                every = (slot for some in times.values() for slot in some if slot.starts_at != wanted or slot.left)
                found = slots.nearest(every, wanted, provider_key, COUNT)
                if len(found) == COUNT:
                    break
            return found


def _windows(today: date, day: date) -> list[tuple[date, date]]:
    """A narrow look first, a wide one where it finds too little."""
    near = (max(today, day - timedelta(days=2)), max(today, day + timedelta(days=3)))
    wide = (max(today, day - timedelta(days=28)), max(today, day + timedelta(days=60)))
    return [near, wide]
