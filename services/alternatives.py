"""Other times for who was too late: same visit type and clinic, any provider, nearest first (rule 10)."""

import asyncio
from datetime import datetime
from time import monotonic
from typing import Final

from adapters.postgres import calendars
from adapters.postgres.database import Database, answering
from adapters.postgres.open_times import OpenTimes
from domain import ids
from domain.appointments import Slot
from domain.faults import Unavailable

COUNT: Final = 3
LOOK_DAYS: Final = (1, 7, 60)  # A narrow look first, a wider one where it finds too little.
KNOWN_SECONDS: Final = 3.0
KNOWN_MAX: Final = 2000
Asked = tuple[int, int, int, datetime, bool]


class Alternatives:
    """Losers of one stampede ask the same question: they share one answer, at most 3 s old.

    An answer with a time that this process gave away meanwhile is forgotten at once.
    """

    def __init__(self, database: Database, open_times: OpenTimes) -> None:
        self._database = database
        self._open_times = open_times
        self._known: dict[Asked, tuple[float, asyncio.Task[list[Slot]]]] = {}
        self._named: dict[int, set[Asked]] = {}

    async def near(
        self, provider_key: int, clinic_key: int, visit_type_key: int, wanted: datetime, *, binding: bool
    ) -> list[Slot]:
        """Up to three free slots; none where they can't be had just now: a refusal must not fail for want of them."""
        asked = (provider_key, clinic_key, visit_type_key, wanted, binding)
        until, task = self._known.get(asked, (0.0, None))
        if task is None or until < monotonic():
            if len(self._known) > KNOWN_MAX:
                self._known.clear()
                self._named.clear()
            task = asyncio.ensure_future(self._find(asked))
            self._known[asked] = (monotonic() + KNOWN_SECONDS, task)
        try:
            return await asyncio.shield(task)
        except Unavailable:
            return []

    def forget(self, resource_keys: list[int]) -> None:
        """These calendars have changed: what named their times may not be true any more."""
        for key in resource_keys:
            for asked in self._named.pop(key, ()):
                self._known.pop(asked, None)

    async def _find(self, asked: Asked) -> list[Slot]:
        provider_key, clinic_key, visit_type_key, wanted, binding = asked
        reader = self._database.primary
        async with answering():
            providers = await calendars.offering_providers(reader, clinic_key, visit_type_key)
            # Where equally near, the same provider's time comes first.
            ordered = sorted(providers, key=lambda one: one != provider_key)
            keys = [(one, clinic_key, visit_type_key) for one in ordered]
            found: list[Slot] = []
            for days in LOOK_DAYS if keys else ():
                found = await self._open_times.nearest(reader, keys, wanted, days, binding=binding, count=COUNT)
                if len(found) == COUNT:
                    break
            for slot in found:
                opening = ids.slot(slot.id)
                key = opening.opening_id if opening is not None and opening.opening_id else slot.provider_key
                self._named.setdefault(key, set()).add(asked)
            return found
