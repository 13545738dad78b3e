"""A search engine that fails costs a search at most its deadline, and soon nothing; once it is well it is asked again by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import pytest

from domain.faults import Unavailable
from domain.search import Candidate, Found, Sort, Wanted
from domain.search_order import Place
from services.searching.breaker import DEADLINE_SECONDS, FAILURES, WAITING_MAX, Breaker
from services.searching.engines import EngineAway


@dataclass
class Fake:
    """`trouble`: raised, or slept through."""

    trouble: Exception | float | None = None
    at_once: int = 0
    most_at_once: int = 0
    asked: int = 0
    outcomes: list[str] = field(default_factory=list)

    async def page(self, _wanted: Wanted, _sort: Sort, _first: int, _after: Place | None) -> Found:
        await self._work()
        return Found([], 0, {})

    async def candidates(self, _wanted: Wanted, *, hits_only: bool = False) -> list[Candidate]:
        await self._work()
        return []

    async def look(self) -> None:
        if isinstance(self.trouble, Exception):
            raise Unavailable("broken")
        await asyncio.sleep(self.trouble or 0)

    async def _work(self) -> None:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if isinstance(self.trouble, Exception):
                raise self.trouble
            await asyncio.sleep(self.trouble or 0)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def guarded(fake: Fake) -> AsyncIterator[Breaker]:
    breaker = Breaker(fake, fake.look, fake.outcomes.append)
    async with breaker.watching():
        yield breaker


async def search(breaker: Breaker) -> bool:
    try:
        await breaker.page(Wanted(), Sort.BEST, 1, None)
    except EngineAway:
        return False
    return True


async def until_asked(breaker: Breaker) -> None:
    async with asyncio.timeout(20):
        while not breaker.closed:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("trouble", [Unavailable("gone"), KeyError("hits"), ValueError("what it said")])
async def test_after_some_failures_it_is_spared_and_asked_again_when_it_is_well(trouble: Exception) -> None:
    fake = Fake()
    async with guarded(fake) as breaker:
        assert await search(breaker)
        fake.trouble = trouble
        assert not any([await search(breaker) for _ in range(FAILURES)])
        asked = fake.asked
        assert not any([await search(breaker) for _ in range(50)])
        assert fake.asked == asked
        fake.trouble = None
        await until_asked(breaker)
        assert await search(breaker)
    assert fake.outcomes == ["answered", *["failed"] * FAILURES, *["spared"] * 50, "answered"]


async def test_a_single_failure_spares_nobody() -> None:
    fake = Fake()
    async with guarded(fake) as breaker:
        for _ in range(5):
            fake.trouble = Unavailable("a pause")
            assert not await search(breaker)
            fake.trouble = None
            assert await search(breaker)


async def test_an_engine_that_hangs_holds_nobody_for_long_and_only_so_many() -> None:
    fake = Fake()
    async with guarded(fake) as breaker:
        fake.trouble = 5.0
        begun = monotonic()
        answers = await asyncio.gather(*(search(breaker) for _ in range(WAITING_MAX * 3)))
        assert not any(answers)
        assert monotonic() - begun < DEADLINE_SECONDS * 10
        assert (fake.most_at_once, fake.at_once) == (WAITING_MAX, 0)
        assert not breaker.closed


async def test_what_is_not_well_at_the_start_is_not_asked() -> None:
    fake = Fake(Unavailable("an index of another program"))
    async with guarded(fake) as breaker:
        assert not await search(breaker)
        assert fake.asked == 0
        fake.trouble = None
        await until_asked(breaker)
        assert await search(breaker)


async def test_a_look_that_fails_spares_it_before_any_search_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.searching.breaker.LOOK_SECONDS", 0.05)
    fake = Fake()
    async with guarded(fake) as breaker:
        fake.trouble = Unavailable("the database was restored")
        async with asyncio.timeout(20):
            while breaker.closed:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
        assert not await search(breaker)
        assert fake.asked == 0


async def test_many_candidates_that_come_late_spare_nobody() -> None:
    fake = Fake()
    async with guarded(fake) as breaker:
        fake.trouble = DEADLINE_SECONDS * 2
        for _ in range(FAILURES + 1):
            with pytest.raises(EngineAway):
                await breaker.candidates(Wanted())
        fake.trouble = None
        assert await search(breaker)
