"""Engines that fail, places that are gone, and the calendar's word."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import asyncpg
import pytest

from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database, pool
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.search import PostgresEngine
from adapters.postgres.standing import Standing
from domain.search import Candidate, FacetField, Found, Match, Pair, Sort, Wanted
from domain.search_crowd import Ask
from domain.search_filters import Filter
from domain.search_order import Place
from services.searching.engines import EngineAway, Start
from services.searching.searching import Searching
from services.searching.soonest import Soonest
from tests import builders, indexed


@dataclass
class Away:
    """An engine that is away, and how often it was asked."""

    asked: int = 0

    async def page(self, _wanted: Wanted, _sort: Sort, _first: int, _after: Place | None) -> Found:
        self.asked += 1
        raise EngineAway

    async def candidates(self, _wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]:
        self.asked += 1
        raise EngineAway


@dataclass
class Answers:
    """An engine that answers what it was told to."""

    found: Found

    async def page(self, _wanted: Wanted, _sort: Sort, _first: int, _after: Place | None) -> Found:
        return self.found

    async def candidates(self, _wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]:
        return []


@dataclass
class Watched:
    """A calendar that notes which questions it is asked."""

    calendar: Soonest
    asked: list[tuple[int, tuple[date, date] | None]] = field(default_factory=list)

    async def earliest(
        self, asked: Iterable[tuple[Pair, Sequence[int]]], opens: tuple[date, date] | None = None
    ) -> Mapping[Pair, Start]:
        questions = list(asked)
        self.asked.append((len(questions), opens))
        return await self.calendar.earliest(questions, opens)

    async def starts(self, asked: Sequence[Ask], opens: tuple[date, date] | None = None) -> Sequence[Start | None]:
        self.asked.append((len(asked), opens))
        return await self.calendar.starts(asked, opens)


@pytest.fixture(scope="module")
async def connections(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await pool(database_url, size=4)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def people(connections: asyncpg.Pool) -> list[int]:
    """Twelve at one clinic, the first without hours, every third a dermatologist."""
    clinic, kind = await builders.clinic(connections), await builders.visit_type(connections)
    keys = []
    for number in range(12):
        key = await builders.provider(connections, [clinic], [kind], f"Person {number:02}")
        if number:
            await builders.schedule(connections, key, clinic, opens=540 + 30 * (number % 4))
        specialty = "Dermatology" if number % 3 == 0 else "Surgery"
        await connections.execute("UPDATE providers SET specialties = ARRAY[$2] WHERE id = $1", key, specialty)
        keys.append(key)
    assert await indexed.fill(connections) == 12
    return keys


@pytest.fixture
def calendar(connections: asyncpg.Pool) -> Watched:
    return Watched(Soonest(Database(connections), OpenTimes(KnownSchedules())))


def searching(connections: asyncpg.Pool, calendar: Watched, *before: Away | Answers) -> Searching:
    database = Database(connections)
    return Searching(database, Standing(database), calendar, [*before, PostgresEngine(database)])


SORTS = (Sort.BEST, Sort.NAME, Sort.SOONEST)


@pytest.mark.parametrize("sort", SORTS)
async def test_an_engine_that_is_away_is_answered_for_and_it_is_said(
    connections: asyncpg.Pool, people: list[int], calendar: Watched, sort: Sort
) -> None:
    away = Away()
    for asked in (Filter(), Filter(specialties=["Surgery"]), Filter(text="person 03")):
        whole = await searching(connections, calendar).search(asked, sort, 5, None)
        instead = await searching(connections, calendar, away).search(asked, sort, 5, None)
        assert (whole.degraded, instead.degraded) == (False, True)
        assert (instead.hits, instead.total, instead.facets) == (whole.hits, whole.total, whole.facets)
    assert away.asked >= 3


async def test_an_engine_that_answers_is_believed_but_for_what_is_not_there(
    connections: asyncpg.Pool, people: list[int], calendar: Watched
) -> None:
    """An index may still hold what a restore has undone."""
    clinic: int = await connections.fetchval("SELECT clinic_id FROM provider_clinics LIMIT 1")
    matches = [Match((key, clinic), 0, (0.0, 0.0, "", "", key, clinic)) for key in (10**9, people[1])]
    matches.append(Match((people[2], 10**9), 0, (0.0, 0.0, "", "", people[2], 10**9)))
    answers = Answers(Found(matches, 3, {field: [] for field in FacetField}))
    found = await searching(connections, calendar, answers).search(Filter(), Sort.BEST, 10, None)
    assert [hit.provider.key for hit in found.hits] == [people[1]]
    assert (found.total, found.degraded) == (3, False)


async def test_the_calendar_is_asked_about_a_page_and_all_of_them_only_where_it_decides(
    connections: asyncpg.Pool, people: list[int], calendar: Watched
) -> None:
    service = searching(connections, calendar)
    await service.search(Filter(), Sort.BEST, 5, None)
    await service.search(Filter(), Sort.SOONEST, 5, None)
    await service.search(Filter(specialties=["Dermatology"]), Sort.SOONEST, 2, None)
    assert calendar.asked == [(5, None), (12, None), (4, None)]
    calendar.asked.clear()
    window = date(2020, 1, 1), date(2020, 1, 31)
    await service.search(Filter(open_from=window[0], open_to=window[1]), Sort.BEST, 5, None)
    assert calendar.asked == [(12, window), (0, None)]


@pytest.mark.parametrize("named", [[], ["Dermatology"]])
async def test_soonest_is_in_order_over_pages(
    connections: asyncpg.Pool, people: list[int], calendar: Watched, named: list[str]
) -> None:
    service = searching(connections, calendar)
    asked = Filter(specialties=named)
    whole = await service.search(asked, Sort.SOONEST, 100, None)
    starts = [hit.next_slot.starts_at for hit in whole.hits if hit.next_slot]
    assert starts == sorted(starts)
    assert whole.hits[-1].provider.key == people[0]
    assert whole.hits[-1].next_slot is None
    after, seen = None, []
    while True:
        page = await service.search(asked, Sort.SOONEST, 3, after)
        assert (page.total, page.facets) == (whole.total, whole.facets)
        seen += page.hits
        if not page.more:
            break
        after = page.hits[-1].place
    assert [hit.provider.key for hit in seen] == [hit.provider.key for hit in whole.hits]
    assert len(seen) == (4 if named else 12)
