"""What documents are made of, read from the primary, each batch in one view of one moment."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from adapters.postgres import clinics, stream_heads
from adapters.postgres.calendars import KnownSchedules, Triple
from adapters.postgres.changes import now
from adapters.postgres.database import Connection, Database, answering
from adapters.postgres.epoch import current_epoch
from adapters.postgres.open_times import OpenTimes
from domain import search_documents, zones
from domain.clinics import Clinic, Provider, VisitType
from domain.indexing import Kept
from domain.search import Document, Pair

PAIRS_AT_ONCE: Final = 100
AHEAD: Final = 2  # Batches that are read while one is written.
NEAR_DAYS: Final = 14  # Most have a time within these; only for the others the rest of their window is read.

PAIRS_OF_CLINICS = """
SELECT provider_id, clinic_id FROM provider_clinics WHERE clinic_id = any($1::bigint[]) ORDER BY provider_id, clinic_id
"""

COUNT = """
SELECT count(*) FROM provider_clinics
"""

PAIRS_AFTER = """
SELECT provider_id, clinic_id FROM provider_clinics WHERE (provider_id, clinic_id) > ($1::bigint, $2::bigint)
ORDER BY provider_id, clinic_id LIMIT $3
"""

ALL_HEADS = """
SELECT clinic_id, seq FROM stream_heads
"""

ZONES = """
SELECT time_zone, array_agg(id) AS keys, (SELECT app_now()) AS now FROM clinics GROUP BY time_zone
"""


@dataclass(frozen=True, slots=True)
class Read:
    """Documents as they were at one moment, with the numbers of the clinics' streams of that moment."""

    epoch: str
    documents: list[Document]


class Sources:
    """`synonyms` by specialty. Raises Unavailable where the primary does not answer."""

    def __init__(self, database: Database, known: KnownSchedules, synonyms: Mapping[str, Sequence[str]]) -> None:
        self._database = database
        self._open_times = OpenTimes(known)
        self._synonyms = synonyms

    async def epoch(self) -> str:
        async with answering():
            return await current_epoch(self._database.primary)

    async def now(self) -> datetime:
        """The database's clock."""
        async with answering():
            return await now(self._database.primary)

    async def heads(self) -> dict[int, int]:
        """The number of each clinic's newest event."""
        async with answering():
            return {row["clinic_id"]: row["seq"] for row in await self._database.primary.fetch(ALL_HEADS)}

    async def days(self) -> dict[date, list[int]]:
        """Clinics by what day it is there."""
        found: dict[date, list[int]] = {}
        async with answering():
            rows = await self._database.primary.fetch(ZONES)
        for row in rows:
            found.setdefault(zones.today(row["now"], zones.named(row["time_zone"])), []).extend(row["keys"])
        return found

    async def pairs(self, clinic_keys: Collection[int]) -> list[Pair]:
        """All who work at these clinics."""
        async with answering():
            return [tuple(row) for row in await self._database.primary.fetch(PAIRS_OF_CLINICS, clinic_keys)]

    async def count(self) -> int:
        """How many pairs `everything` will give, about."""
        async with answering():
            found: int = await self._database.primary.fetchval(COUNT)
        return found

    async def everything(self) -> AsyncGenerator[Read, None]:
        """All pairs, in their order, a batch at a time."""
        async with aclosing(self._ahead(self._pages())) as found:
            async for read in found:
                yield read

    async def some(self, pairs: Iterable[Pair], kept: Mapping[Pair, Kept] | None = None) -> AsyncGenerator[Read, None]:
        """These pairs, in the order given, a batch at a time. With what is kept of them: its hints and its number stay, which
        takes a tenth of the time.
        """
        wanted = list(dict.fromkeys(pairs))
        pages = [wanted[first : first + PAIRS_AT_ONCE] for first in range(0, len(wanted), PAIRS_AT_ONCE)]
        async with aclosing(self._ahead(_each(pages), kept)) as found:
            async for read in found:
                yield read

    async def _pages(self) -> AsyncGenerator[list[Pair], None]:
        last: Pair = (0, 0)
        while True:
            async with answering():
                rows = await self._database.primary.fetch(PAIRS_AFTER, *last, PAIRS_AT_ONCE)
            if not rows:
                return
            yield [tuple(row) for row in rows]
            last = tuple(rows[-1])

    async def _ahead(
        self, pages: AsyncGenerator[list[Pair], None], kept: Mapping[Pair, Kept] | None = None
    ) -> AsyncGenerator[Read, None]:
        """While one batch is written, the next ones are read."""
        reading: deque[asyncio.Task[Read]] = deque()
        try:
            async with aclosing(pages):
                async for page in pages:
                    reading.append(asyncio.create_task(self.read(page, kept)))
                    if len(reading) > AHEAD:
                        yield await reading.popleft()
            while reading:
                yield await reading.popleft()
        finally:
            for task in reading:
                task.cancel()
            if reading:
                await asyncio.wait(reading)

    async def read(self, pairs: Collection[Pair], kept: Mapping[Pair, Kept] | None = None) -> Read:
        """What is in `seq` is in the document: numbers are given after the commit, and all is read at the moment of the numbers."""
        async with self._database.snapshot(primary=True) as view:
            heads = await stream_heads.heads(view, sorted({clinic for _, clinic in pairs}))
            providers = await clinics.providers(view, sorted({provider for provider, _ in pairs}))
            places = await clinics.clinics(view, list(heads.seqs))
            kinds = await clinics.visit_types(
                view, sorted({key for one in providers.values() for key in one.visit_type_keys})
            )
            known = [(one, two) for one, two in pairs if one in providers and two in places]
            wanted = _offered(known, providers, places, kinds)
            days = await self._next_days(view, wanted, heads.now) if kept is None else {}
        if kept is not None:
            days = {pair: _days(kept[pair]) for pair in known}
        documents = [
            search_documents.document(
                providers[one],
                places[two],
                [kinds[key] for key in providers[one].visit_type_keys],
                self._synonyms,
                days.get((one, two), {}),
                heads.seqs[two] if kept is None else kept[one, two].seq,
            )
            for one, two in known
        ]
        return Read(heads.epoch, documents)

    async def _next_days(
        self, view: Connection, wanted: Mapping[Triple, VisitType], at: datetime
    ) -> dict[Pair, dict[int, date]]:
        """The first clinic date with an open time that patients may book, by pair and visit type."""
        found: dict[Pair, dict[int, date]] = {}
        first = at.date() - timedelta(days=1)  # West of Greenwich it may be yesterday.
        near = first + timedelta(days=NEAR_DAYS)
        last = at.date() + timedelta(days=1 + max((one.bookable_days_ahead for one in wanted.values()), default=0))
        missing = list(wanted)
        for begin, end in ((first, min(near, last)), (near + timedelta(days=1), last)):
            if not missing or begin > end:
                break
            times = await self._open_times.free(view, missing, begin, end, binding=True, limit=1)
            for (provider, clinic, kind), some in times.items():
                if some:
                    found.setdefault((provider, clinic), {})[kind] = some[0].local_date
            missing = [key for key in missing if key in times and not times[key]]
        return found


def _days(kept: Kept) -> dict[int, date]:
    return {key: day for key, day in kept.next_days.items() if day is not None}


async def _each(pages: Iterable[list[Pair]]) -> AsyncGenerator[list[Pair], None]:
    for page in pages:
        yield page


def _offered(
    pairs: Iterable[Pair],
    providers: Mapping[int, Provider],
    places: Mapping[int, Clinic],
    kinds: Mapping[int, VisitType],
) -> dict[Triple, VisitType]:
    """What may have an open time at all."""
    return {
        (provider, clinic, key): kinds[key]
        for provider, clinic in pairs
        if providers[provider].active and places[clinic].active and clinic in providers[provider].clinic_keys
        for key in providers[provider].visit_type_keys
        if kinds[key].active
    }
