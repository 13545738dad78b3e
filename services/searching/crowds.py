"""Candidates of the questions that were asked last: what an engine named just now, it would name again."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from domain.search import Candidate, Found, Sort, Wanted
from domain.search_crowd import Crowd
from services.searching.engines import Engines

KEPT_SECONDS: Final = 0.5  # A change is found within two seconds of its commit; the index has the rest of them.
CROWDS_MAX: Final = 16
CANDIDATES_MAX: Final = 60_000  # In all of them together.


@dataclass(frozen=True, slots=True)
class Known:
    """`counted`: total and facets where those do not hang on the calendar, and the crowd is of hits alone."""

    at: float
    candidates: Sequence[Candidate]
    crowd: Crowd
    counted: Found | None
    degraded: bool


class Crowds:
    """They are believed for half a second. Then the engine is asked anew; where it names the same, the crowd stays."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._known: OrderedDict[tuple[Wanted, bool], Known] = OrderedDict()

    async def crowd(self, wanted: Wanted, *, hits_only: bool = False) -> Known:
        """Whom the filters mean, whatever the calendar says."""
        key = replace(wanted, opens=None), hits_only
        before, at = self._known.get(key), monotonic()
        if before is not None and at - before.at < KEPT_SECONDS:
            self._known.move_to_end(key)
            return before
        counted, apart = None, False
        if hits_only:
            (counted, apart), (candidates, degraded) = await asyncio.gather(
                self._engines.page(wanted, Sort.BEST, 1, None), self._engines.candidates(wanted, hits_only=True)
            )
        else:
            candidates, degraded = await self._engines.candidates(wanted)
        if before is not None and before.candidates == candidates:
            crowd = before.crowd
        else:
            crowd = Crowd(wanted)
            for _ in crowd.adding(candidates):
                await asyncio.sleep(0)
        known = Known(at, candidates, crowd, counted, degraded or apart)
        self._keep(key, known)
        return known

    def _keep(self, key: tuple[Wanted, bool], known: Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        count = sum(len(one.candidates) for one in self._known.values())
        while len(self._known) > 1 and (count > CANDIDATES_MAX or len(self._known) > CROWDS_MAX):
            _, gone = self._known.popitem(last=False)
            count -= len(gone.candidates)
