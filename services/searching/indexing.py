"""Keeps one index true: hears what has changed, reads it anew from the primary and writes it. Any number may run."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from adapters.postgres.search_sources import Sources
from domain.faults import RequestInProgress, Unavailable
from domain.indexing import Batch, Kept, outdated
from domain.search import Pair
from domain.streams import CalendarEvent
from services.searching.targets import Member, Target

# Between the beginnings of two batches at least: a provider who is booked all the time is written twice a second.
PACE_SECONDS: Final = 0.5
BACK_OFF_SECONDS: Final = 0.25
BACK_OFF_SECONDS_MAX: Final = 4.0
LOOK_SECONDS: Final = 5.0  # After which the target is asked whether it is still there, whatever happened meanwhile.
REFRESH_SECONDS: Final = 60.0
REFRESHED_AT_ONCE: Final = 500
LASTED_SECONDS: Final = 60.0
SOON: Final = 200  # Documents of one batch from which their words are written first, and their hints after that.
log = structlog.get_logger()


@dataclass(slots=True)
class Figures:
    """Of one index, by this process. `lag`: seconds from the commit of the oldest change of the last batch until it was written."""

    documents: int = 0
    renewals: int = 0
    failed: int = 0
    unreadable: int = 0
    refreshed: int = 0
    lag: float = 0.0
    behind_since: float | None = None

    @property
    def behind(self) -> float:
        """Seconds for which there has been something to do; 0 while there is not, and where another member does it."""
        return 0.0 if self.behind_since is None else monotonic() - self.behind_since


class Indexer:
    """`member` and `target` are this one's alone, so that an engine that is away holds up nobody else."""

    def __init__(
        self,
        sources: Sources,
        target: Target,
        member: Member,
        *,
        lagged: Callable[[float], None] = lambda _: None,
        pace: float = PACE_SECONDS,
    ) -> None:
        self._sources = sources
        self._target = target
        self._member = member
        self._lagged = lagged
        self._pace = pace
        self._look_due = self._refresh_due = 0.0
        self.figures = Figures()

    @property
    def name(self) -> str:
        return self._target.name

    async def is_filled(self) -> bool:
        """Whether everything of this database was indexed once."""
        return await self._target.epoch() == await self._sources.epoch()

    async def run(self) -> None:
        """Until it is cancelled. Whatever is away is waited for: what is not done comes again."""
        pause = BACK_OFF_SECONDS
        while True:
            begun = monotonic()
            try:
                await self._follow()
            except (Unavailable, RequestInProgress) as fault:
                log.warning("the log of an index waits", index=self.name, reason=str(fault))
            except Exception:  # Whatever it is: without this the index would grow old in silence.
                log.exception("an index's log failed", index=self.name)
            finally:
                self.figures.behind_since = None
            lasted = monotonic() - begun > LASTED_SECONDS
            pause = BACK_OFF_SECONDS if lasted else min(pause * 2, BACK_OFF_SECONDS_MAX)
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        async with aclosing(self._member.batches()) as batches:
            async for batch in batches:
                begun = monotonic()
                if self.figures.behind_since is None and (batch.events or batch.lost):
                    self.figures.behind_since = begun
                await self._patiently(batch)
                await self._member.done(batch)
                if batch.level:
                    self.figures.behind_since = None
                    await asyncio.sleep(begun + self._pace - monotonic())

    async def _patiently(self, batch: Batch) -> None:
        """Keeps the batch, and its place in the group, until the index took it."""
        pause = BACK_OFF_SECONDS
        while True:
            try:
                await self.handle(batch)
                return
            except (Unavailable, RequestInProgress) as fault:
                log.warning("an index waits", index=self.name, reason=str(fault))
            if self.figures.behind_since is None:
                self.figures.behind_since = monotonic()
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF_SECONDS_MAX)

    async def handle(self, batch: Batch) -> None:
        """Returns when the index has all of it. Raises Unavailable where that can't be now: the same batch may come again."""
        now = monotonic()
        if batch.events or batch.lost or now >= self._look_due:
            kept = await self._target.epoch()
            reason = batch.lost or await self._another(kept, batch.epoch)
            if reason:
                await self.renew(reason)
                self._refresh_due = monotonic() + REFRESH_SECONDS  # Every hint is of now.
            elif batch.events and kept:
                await self._isolated(kept, batch.events)
            self._look_due = monotonic() + LOOK_SECONDS
        self.figures.unreadable += batch.unreadable
        if monotonic() >= self._refresh_due and await self.refresh() < REFRESHED_AT_ONCE:
            self._refresh_due = monotonic() + REFRESH_SECONDS

    async def _another(self, kept: str | None, heard: str) -> str | None:
        """Why the index is of another life of the database. What the log says may be of an earlier one."""
        if kept is None:
            return "nothing was indexed yet"
        if heard != kept and await self._sources.epoch() != kept:
            return "the database has another epoch"
        return None

    async def renew(self, reason: str) -> None:
        """Makes everything anew; searches go on meanwhile."""
        begun = monotonic()
        log.info("an index is made anew", index=self.name, reason=reason)
        epoch = await self._sources.epoch()
        heads = await self._sources.heads()
        count = 0
        async with self._target.renewing(epoch) as write, aclosing(self._sources.everything()) as found:
            async for read in found:
                count += await write(read.epoch, read.documents)
        if not self._target.in_place:
            # Others went on with what was searched until now: what has changed meanwhile is read once more.
            changed = [key for key, seq in (await self._sources.heads()).items() if seq > heads.get(key, 0)]
            count += await self._index(await self._sources.pairs(changed))
        self.figures.renewals += 1
        self.figures.documents += count
        log.info("an index was made anew", index=self.name, documents=count, seconds=round(monotonic() - begun, 2))

    async def refresh(self) -> int:
        """Hints that the day has passed by, of which nothing was heard: so many pairs, at most 500."""
        found: list[Pair] = []
        for day, clinic_keys in (await self._sources.days()).items():
            found += await self._target.past(day, clinic_keys, REFRESHED_AT_ONCE - len(found))
        self.figures.refreshed += await self._index(found)
        return len(found)

    async def _isolated(self, epoch: str, events: Sequence[CalendarEvent]) -> None:
        """An event that can't be handled is passed over, with those of its clinic, and holds up no other."""
        try:
            await self._changed(epoch, events)
            return
        except (Unavailable, RequestInProgress):
            raise
        except Exception:  # Which event it was shows when each clinic is tried by itself.
            log.exception("a batch could not be indexed", index=self.name)
        for key in dict.fromkeys(event.clinic_key for event in events):
            try:
                await self._changed(epoch, [event for event in events if event.clinic_key == key])
            except (Unavailable, RequestInProgress):
                raise
            except (
                Exception
            ):  # The next one may be none the worse; the whole is right again when the index is made anew.
                self.figures.failed += 1
                log.exception("events of a clinic were passed over", index=self.name, clinic=key)

    async def _changed(self, epoch: str, events: Sequence[CalendarEvent]) -> None:
        of_pair: dict[Pair, list[CalendarEvent]] = {}
        of_clinic: dict[int, list[CalendarEvent]] = {}
        for event in events:
            if event.provider_key is None:
                of_clinic.setdefault(event.clinic_key, []).append(event)
            else:
                of_pair.setdefault((event.provider_key, event.clinic_key), []).append(event)
        # Few first: what one provider changed does not wait for a clinic of hundreds.
        wanted = list(of_pair)
        wanted += (
            [pair for pair in await self._sources.pairs(list(of_clinic)) if pair not in of_pair] if of_clinic else []
        )
        kept = await self._target.kept(epoch, wanted)
        old = [
            pair
            for pair in wanted
            if pair not in kept or outdated(kept[pair], epoch, [*of_pair.get(pair, ()), *of_clinic.get(pair[1], ())])
        ]
        if len(old) > SOON:
            # A name that all of a town's documents have shows before all their hints are reckoned. The old number stays with it:
            # should this end here, they are still to be done.
            await self._index([pair for pair in old if pair in kept], kept)
        self.figures.documents += await self._index(old)
        now = await self._sources.now()
        self.figures.lag = (now - min(event.at for event in events)).total_seconds()
        self._lagged(self.figures.lag)

    async def _index(self, pairs: Iterable[Pair], kept: Mapping[Pair, Kept] | None = None) -> int:
        count = 0
        async with aclosing(self._sources.some(pairs, kept)) as found:
            async for read in found:
                count += await self._target.write(read.epoch, read.documents)
        return count
