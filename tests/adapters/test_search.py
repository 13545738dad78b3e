"""Search by PostgreSQL answers what looking at every document would."""

from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import asyncpg
import pytest

from adapters.postgres.database import Database, pool
from adapters.postgres.epoch import current_epoch
from adapters.postgres.search import PostgresEngine
from adapters.postgres.search_documents import SearchDocuments
from domain import folding
from domain.clinics import GeoPoint
from domain.search import Document, Found, Part, Sort, Wanted
from domain.search_order import Place
from tests import search_oracle

SORTS = (Sort.BEST, Sort.DISTANCE, Sort.NAME)


@pytest.fixture(scope="module")
async def connections(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await pool(database_url, size=2)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def documents(connections: asyncpg.Pool) -> list[Document]:
    random = Random(6)
    made = [search_oracle.document(random, 1 + number % 90, 1 + number % 31) for number in range(900)]
    made += namesakes(random)
    unique = list({one.pair: one for one in made}.values())
    database = Database(connections)
    assert await SearchDocuments(database).write(await current_epoch(connections), unique) == len(unique)
    return unique


@pytest.fixture(scope="module")
def engine(connections: asyncpg.Pool) -> PostgresEngine:
    return PostgresEngine(Database(connections))


def rounded(found: Found) -> tuple[object, ...]:
    """Distances to a millimetre: the two take different roads there."""
    return (
        [(one.pair, one.score, _millimetres(one.place)) for one in found.matches],
        found.total,
        {field: list(values) for field, values in found.facets.items()},
    )


def _millimetres(place: Place) -> tuple[object, ...]:
    return (round(place[0], 6), round(place[1], 6), *place[2:])


def distinct_words(documents: list[Document]) -> set[str]:
    return {
        word
        for one in documents
        for words in (one.name_words, one.specialty_words, one.place_words, one.visit_words)
        for word in words
    }


def told_apart(asked: Wanted, words: set[str]) -> bool:
    """Whether no word of the text is two mistakes from one that is there."""
    return not any(
        len(part.words) == 1
        and len(part.words[0]) >= 8
        and any(folding.distance(part.words[0], word, 2) == 2 for word in words)
        for part in asked.parts
    )


@pytest.mark.parametrize("seed", range(6))
async def test_random_questions_are_answered_like_by_looking_at_everything(
    engine: PostgresEngine, documents: list[Document], seed: int
) -> None:
    random, words, seen = Random(seed), distinct_words(documents), 0
    for _ in range(60):
        asked, sort = search_oracle.wanted(random), random.choice(SORTS)
        if not told_apart(asked, words):
            continue
        first = random.choice((1, 7, 20, 100))
        page = await engine.page(asked, sort, first, None)
        assert rounded(page) == rounded(search_oracle.found(documents, asked, sort, first, None)), (asked, sort)
        seen += bool(page.total)
    assert seen > 20


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_join_up_without_gap_or_double(
    engine: PostgresEngine, documents: list[Document], sort: Sort
) -> None:
    asked = Wanted(parts=(Part(("clinic",)),), near=GeoPoint(43.05, -115.9))
    whole = search_oracle.found(documents, asked, sort, 10_000, None)
    pairs, after = [], None
    while page := (await engine.page(asked, sort, 13, after)).matches:
        pairs += [one.pair for one in page]
        after = page[-1].place
    assert pairs == [one.pair for one in whole.matches]
    assert len(pairs) > 100


@pytest.mark.parametrize("seed", range(3))
async def test_candidates_decide_like_a_page(engine: PostgresEngine, documents: list[Document], seed: int) -> None:
    """What the calendar would leave as it is, is the page that the engine gives."""
    random = Random(100 + seed)
    for _ in range(25):
        asked, sort = search_oracle.wanted(random), random.choice(SORTS)
        candidates = await engine.candidates(asked)
        decided = search_oracle.decided(candidates, {}, asked, sort, 50, None)
        assert rounded(decided) == rounded(await engine.page(asked, sort, 50, None)), (asked, sort)


async def test_an_unlisted_document_is_no_hit(engine: PostgresEngine, documents: list[Document]) -> None:
    assert (await engine.page(Wanted(), Sort.BEST, 1, None)).total == sum(one.listed for one in documents)


async def test_the_best_way_of_each_word_counts(engine: PostgresEngine, documents: list[Document]) -> None:
    """12 for the name, 9 for its beginning, 4 with a mistake; a single letter begins nothing."""
    page = await engine.page(Wanted(parts=(Part(("quillon",)),)), Sort.BEST, 9, None)
    assert [(one.pair[0], one.score) for one in page.matches] == [(5001, 12), (5002, 9), (5003, 4)]
    assert (await engine.page(Wanted(parts=(Part(("q",)),)), Sort.BEST, 9, None)).total == 0


def namesakes(random: Random) -> list[Document]:
    one = search_oracle.document(random, 5000, 5000)
    return [
        replace(one, provider_key=key, listed=True, name=name, sort_name=name.lower(), name_words=(name.lower(),))
        for key, name in ((5001, "Quillon"), (5002, "Quillonby"), (5003, "Quilton"))
    ]
