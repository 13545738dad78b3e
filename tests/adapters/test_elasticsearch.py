"""Search by Elasticsearch answers what looking at every document would, and so what PostgreSQL answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from adapters.elasticsearch.index import Index
from adapters.elasticsearch.searching import ElasticsearchEngine
from adapters.postgres.database import Database, pool
from adapters.postgres.epoch import current_epoch
from adapters.postgres.search import PostgresEngine
from adapters.postgres.search_documents import SearchDocuments
from domain.clinics import GeoPoint
from domain.folding import WORD_MAX
from domain.search import Document, Part, Sort, Wanted
from domain.search_order import Place
from services.searching.engines import Engine
from tests import search_oracle
from tests.adapters.elastic import EPOCH, an_index, filled
from tests.adapters.test_search import SORTS, distinct_words, namesakes, rounded, told_apart
from tests.elasticsearch import Elasticsearch

NEAR = GeoPoint(43.0613, -115.8871)  # As far from no two clinics: the engines' distances differ by a centimetre.


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    random = Random(6)
    made = [search_oracle.document(random, 1 + number % 90, 1 + number % 31) for number in range(900)]
    made += namesakes(random)
    return list({one.pair: one for one in made}.values())


@pytest.fixture(scope="module")
async def index(elasticsearch: Elasticsearch, documents: list[Document]) -> AsyncIterator[Index]:
    async with an_index(elasticsearch) as index:
        await filled(index, documents)
        yield index


@pytest.fixture(scope="module")
def engine(index: Index) -> ElasticsearchEngine:
    return ElasticsearchEngine(index.connection, index.alias)


@pytest.fixture(scope="module")
async def postgres(database_url: str, documents: list[Document]) -> AsyncIterator[PostgresEngine]:
    connections = await pool(database_url, size=2)
    database = Database(connections)
    await SearchDocuments(database).write(await current_epoch(connections), documents)
    yield PostgresEngine(database)
    await connections.close()


@pytest.mark.parametrize("seed", range(6))
async def test_random_questions_are_answered_like_by_looking_at_everything(
    engine: ElasticsearchEngine, documents: list[Document], seed: int
) -> None:
    random, words, seen = Random(seed), distinct_words(documents), 0
    for _ in range(60):
        asked, sort = question(random), random.choice(SORTS)
        if not told_apart(asked, words):
            continue
        first = random.choice((1, 7, 20, 100))
        page = await engine.page(asked, sort, first, None)
        assert rounded(page) == rounded(search_oracle.found(documents, asked, sort, first, None)), (asked, sort)
        seen += bool(page.total)
    assert seen > 20


@pytest.mark.parametrize("seed", range(3))
async def test_both_engines_agree_on_all_filters_totals_and_facets(
    engine: ElasticsearchEngine, postgres: PostgresEngine, seed: int
) -> None:
    random = Random(200 + seed)
    for _ in range(40):
        asked, sort = replace(question(random), parts=()), random.choice(SORTS)
        mine, other = await engine.page(asked, sort, 50, None), await postgres.page(asked, sort, 50, None)
        assert rounded(mine) == rounded(other), (asked, sort)


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_join_up_without_gap_or_double(
    engine: ElasticsearchEngine, documents: list[Document], sort: Sort
) -> None:
    asked = Wanted(parts=(Part(("clinic",)),), near=NEAR)
    whole = search_oracle.found(documents, asked, sort, 10_000, None)
    assert await _walked([engine], asked, sort) == [one.pair for one in whole.matches]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("near", [None, NEAR])
async def test_a_page_that_one_engine_began_the_other_continues(
    engine: ElasticsearchEngine, postgres: PostgresEngine, documents: list[Document], sort: Sort, near: GeoPoint | None
) -> None:
    if sort is Sort.DISTANCE and near is None:
        return
    asked = Wanted(parts=(Part(("clinic",)),), near=near)
    whole = search_oracle.found(documents, asked, sort, 10_000, None)
    assert await _walked([engine, postgres], asked, sort) == [one.pair for one in whole.matches]


async def test_a_place_that_is_gone_still_has_its_next(engine: ElasticsearchEngine, documents: list[Document]) -> None:
    asked = Wanted(near=NEAR)
    whole = search_oracle.found(documents, asked, Sort.BEST, 10_000, None).matches
    for one, next_one in list(pairwise(whole))[:200:20]:
        gone: Place = (*one.place[:4], 0, 0)
        between = await engine.page(asked, Sort.BEST, 400, gone)
        assert next_one.pair in [match.pair for match in between.matches]


@pytest.mark.parametrize("seed", range(3))
async def test_candidates_decide_like_a_page(engine: ElasticsearchEngine, seed: int) -> None:
    """What the calendar would leave as it is, is the page that the engine gives."""
    random = Random(100 + seed)
    for _ in range(25):
        asked, sort = question(random), random.choice(SORTS)
        candidates = await engine.candidates(asked)
        decided = search_oracle.decided(candidates, {}, asked, sort, 50, None)
        assert rounded(decided) == rounded(await engine.page(asked, sort, 50, None)), (asked, sort)


async def test_candidates_are_the_same_list_until_one_of_them_changes(
    elasticsearch: Elasticsearch, documents: list[Document]
) -> None:
    listed = [one for one in documents if one.listed][:50]
    async with an_index(elasticsearch) as index:
        target = await filled(index, listed)
        engine = ElasticsearchEngine(index.connection, index.alias)
        nobody = Wanted(specialties=("Nobody has it",))

        async def refreshed() -> None:
            await index.connection.ask("POST", f"/{index.alias}/_refresh")

        first = await engine.candidates(Wanted())
        assert {one.pair for one in first} == {one.pair for one in listed}
        assert await engine.candidates(Wanted()) is first
        assert await engine.candidates(nobody, hits_only=True) == []
        gone, new = replace(listed[0], listed=False, seq=10**6), replace(listed[1], specialties=("Other",), seq=10**6)
        for changed in (gone, new, replace(gone, listed=True, seq=10**7)):
            before = await engine.candidates(Wanted())
            await target.write(EPOCH, [changed])
            await refreshed()
            after = await engine.candidates(Wanted())
            assert after != before
            found = [one for one in after if one.pair == changed.pair]
            assert [one.specialties for one in found] == ([changed.specialties] if changed.listed else [])
        before = await engine.candidates(Wanted())
        await filled(index, listed)
        assert await engine.candidates(Wanted()) is not before
        assert {one.pair for one in await engine.candidates(Wanted())} == {one.pair for one in listed}


async def test_two_mistakes_in_a_long_word_are_forgiven(engine: ElasticsearchEngine) -> None:
    found = await engine.page(Wanted(parts=(Part(("chirstophr",)),)), Sort.BEST, 100, None)
    assert found.total > 0
    assert {one.score for one in found.matches} == {2}


ODD = ["", "*", "a:b", '"', "\\", "{}", "\x00", "x" * WORD_MAX, "x" * 10_000, "🦷", "_id", "[a TO b]"]


@pytest.mark.parametrize("word", ODD)
async def test_no_word_means_anything_but_itself(engine: ElasticsearchEngine, word: str) -> None:
    found = await engine.page(Wanted(parts=(Part((word,)), Part((word, word)))), Sort.BEST, 9, None)
    assert found.total == 0


def question(random: Random) -> Wanted:
    asked = search_oracle.wanted(random)
    return replace(asked, near=NEAR) if asked.near else asked


async def _walked(engines: list[Engine], asked: Wanted, sort: Sort) -> list[tuple[int, int]]:
    """Pages of 53, one engine after the other."""
    pairs: list[tuple[int, int]] = []
    after: Place | None = None
    turn = 0
    while page := (await engines[turn % len(engines)].page(asked, sort, 53, after)).matches:
        pairs += [one.pair for one in page]
        after = page[-1].place
        turn += 1
    return pairs
