"""Where calendars come from: Redis where an entry is new enough, else PostgreSQL. The process's own layer goes before both."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Final

from adapters.postgres import calendars
from adapters.postgres.calendars import Pair
from adapters.postgres.database import Reader
from adapters.redis.calendars import CalendarCache
from domain.calendars import Calendar, dumps, loads

WRITING_MAX: Final = 64


class CachedCalendars:
    """An entry counts only at or above the version asked for: a writer killed after its commit leaves an old one behind.

    Off (`cache` None), away or wrong, the answers stay the same.
    """

    def __init__(self, cache: CalendarCache | None, *, exact: bool = False) -> None:
        """`exact`: only entries of the very version count, for a view of one moment."""
        self._cache = cache
        self._exact = exact
        self._writing: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: Reader, epoch: str, wanted: Mapping[Pair, int]) -> dict[Pair, Calendar]:
        if self._cache is None:
            return await calendars.busy(reader, list(wanted))
        names = {pair: f"{epoch}:{pair[0]}:{pair[1]}" for pair in wanted}
        cached = await self._cache.read(list(names.values()))
        found: dict[Pair, Calendar] = {}
        for pair, version in wanted.items():
            raw = cached.get(names[pair])
            calendar = loads(raw) if raw is not None else None
            if calendar is not None and self._counts(calendar.version, version):
                found[pair] = calendar
        missing = [pair for pair in wanted if pair not in found]
        if missing:
            read = await calendars.busy(reader, missing)
            self._keep({names[pair]: dumps(calendar) for pair, calendar in read.items()})
            found.update(read)
        return found

    def _keep(self, entries: dict[str, bytes]) -> None:
        """Written beside the answer, not before it. Under a flood of misses some are not kept: a cache may forget."""
        if self._cache is None or len(self._writing) >= WRITING_MAX:
            return
        task = asyncio.create_task(self._cache.write(entries))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _counts(self, version: int, wanted: int) -> bool:
        return version == wanted if self._exact else version >= wanted


class RecentWrites:
    """Resources that this process changed just now: their reads go to the primary until a replica must have caught up."""

    KEPT_SECONDS: Final = 10.0
    KEPT_MAX: Final = 20_000

    def __init__(self) -> None:
        self._at: dict[int, float] = {}

    async def note(self, resource_keys: list[int]) -> None:
        now = monotonic()
        if len(self._at) > self.KEPT_MAX:
            self._at = {key: at for key, at in self._at.items() if now - at < self.KEPT_SECONDS}
        for key in resource_keys:
            self._at[key] = now

    def include(self, resource_key: int) -> bool:
        at = self._at.get(resource_key)
        return at is not None and monotonic() - at < self.KEPT_SECONDS
