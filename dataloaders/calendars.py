"""Where calendars come from: Redis where an entry is new enough, else PostgreSQL. The process's own layer will go before both."""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from adapters.postgres.calendars import Pair
from adapters.redis.calendars import CalendarCache
from domain.calendars import CHUNK_TICKS, Calendar, dumps, loads, split

WRITING_MAX: Final = 64


class CachedCalendars:
    """Calendars in Redis. An entry counts only at or above the version that PostgreSQL names: whoever asks sees to that.

    Off, away or wrong, the answers stay the same.
    """

    def __init__(self, cache: CalendarCache, *, worth_from: int, exact: bool = False) -> None:
        """`exact`: only entries of the very version count, for a view of one moment."""
        self.exact = exact
        self.worth_from = worth_from
        self._cache = cache
        self._writing: set[asyncio.Task[None]] = set()

    async def peek(self, epoch: str, wanted: Sequence[Pair]) -> Mapping[Pair, Calendar]:
        """The entries there are that can be read as what they should be."""
        names = {pair: _name(epoch, pair) for pair in wanted}
        found = {}
        for pair, name in names.items() if (cached := await self._cache.read(list(names.values()))) else ():
            calendar = loads(cached[name]) if name in cached else None
            if calendar is not None and calendar.base == pair[1] * CHUNK_TICKS:
                found[pair] = calendar
        return found

    def keep(self, epoch: str, numbers: range, fresh: Mapping[int, Calendar]) -> None:
        """Written beside the answer, not before it. Under a flood of misses some are not kept: a cache may forget."""
        if len(self._writing) >= WRITING_MAX:
            return
        entries = {
            _name(epoch, (key, number)): dumps(part)
            for key, calendar in fresh.items()
            for number, part in zip(numbers, split(calendar, numbers), strict=True)
        }
        task = asyncio.create_task(self._cache.write(entries))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def settled(self) -> None:
        """Ends once nothing is being written; before the connections to Redis are closed."""
        await asyncio.gather(*self._writing, return_exceptions=True)


def _name(epoch: str, pair: Pair) -> str:
    return f"{epoch}:{pair[0]}:{pair[1]}"


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
