"""An index made anew because somebody asks for it, while searches go on in the old one."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import date, timedelta

from adapters.postgres.search_sources import Sources
from domain.search import Document, Pair
from services.searching.targets import Target


async def rebuild(
    sources: Sources, target: Target, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> int:
    """Answers how many documents it has. Ended at any moment it leaves what was searched before, in which nothing is lost."""
    of = await sources.count()
    done = 0
    progress(0, of)
    async with target.renewing(await sources.epoch()) as write, aclosing(sources.everything()) as found:
        async for read in found:
            await write(read.epoch, read.documents)
            done += len(read.documents)
            progress(done, max(of, done))
    return done


async def differences(sources: Sources, kept: AsyncGenerator[list[Document], None]) -> list[Pair]:
    """Pairs whose document is not what it would be if it were made now; empty while nothing changes and all is caught up.

    `seq` may be any: it says since when the document is right. A hint may be of today or before where it would be a later day now:
    nothing is written when time alone goes by.
    """
    passing = (await sources.now()).date() + timedelta(days=1)
    wrong: list[Pair] = []
    seen: set[Pair] = set()
    async with aclosing(kept) as batches:
        async for some in batches:
            anew = {one.pair: one for one in await _now(sources, [one.pair for one in some])}
            wrong += [one.pair for one in some if not _same(one, anew.get(one.pair), passing)]
            seen.update(one.pair for one in some)
    async with aclosing(sources.everything()) as found:
        async for read in found:
            wrong += [one.pair for one in read.documents if one.listed and one.pair not in seen]
    return wrong


async def _now(sources: Sources, pairs: list[Pair]) -> list[Document]:
    found: list[Document] = []
    async with aclosing(sources.some(pairs)) as batches:
        async for read in batches:
            found += read.documents
    return found


def _same(kept: Document, anew: Document | None, passing: date) -> bool:
    """A pair of whom nothing is left need only be unlisted."""
    if anew is None or not anew.listed:
        return not kept.listed
    if replace(kept, seq=0, next_days={}) != replace(anew, seq=0, next_days={}):
        return False
    gone = {key: day for key, day in kept.next_days.items() if anew.next_days.get(key) != day}
    return set(anew.next_days) <= set(kept.next_days) and all(day <= passing for day in gone.values())
