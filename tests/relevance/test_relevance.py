"""The right hit comes first, with both engines: queries with known answers over the real register."""

import os
from collections import defaultdict
from collections.abc import AsyncIterator
from random import Random
from statistics import fmean
from typing import Final

import pytest

from adapters.elasticsearch.searching import ElasticsearchEngine
from adapters.postgres.database import Database, pool
from adapters.postgres.epoch import current_epoch
from adapters.postgres.search import PostgresEngine
from adapters.postgres.search_documents import SearchDocuments
from domain.clinics import GeoPoint, Modality
from domain.search import PAIRS_MAX, Document, Match, Sort, Wanted
from services.searching import parsing
from services.searching.engines import Engine
from tests.adapters.elastic import an_index, filled
from tests.elasticsearch import Elasticsearch
from tests.proofs import proof
from tests.relevance import world
from tests.relevance.queries import Query, queries, typed
from tests.relevance.world import Register

pytestmark = pytest.mark.skipif(
    not os.environ.get("APPOINTMENTS_DATA"), reason="APPOINTMENTS_DATA does not say where the register's files are"
)
HITS: Final = 20  # Who is not among so many is not found.
PEOPLE: Final = {"exact", "typo", "written otherwise", "name and specialty", "name and city"}
MEANT: Final = {"plain words", "specialty and place", "language", "combined"}
# The least mean reciprocal rank of the right hit, by kind.
POSTGRESQL: Final = {
    "exact": 0.8,
    "typo": 0.8,
    "written otherwise": 0.8,
    "name and specialty": 0.8,
    "name and city": 0.8,
}
ELASTICSEARCH: Final = {**dict.fromkeys(POSTGRESQL, 0.9), "exact": 0.95}


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    connections = await pool(database_url, size=4)
    yield Database(connections)
    await connections.close()


@pytest.fixture(scope="module")
async def register(database: Database) -> Register:
    return await world.register(database)


@pytest.fixture(scope="module")
async def postgres(database: Database, register: Register) -> PostgresEngine:
    epoch = await current_epoch(database.primary)
    await SearchDocuments(database).write(epoch, list(register.documents.values()))
    async with database.primary.acquire() as connection:
        await connection.execute("ANALYZE")
    return PostgresEngine(database)


@pytest.fixture(scope="module")
async def elastic(register: Register, elasticsearch: Elasticsearch) -> AsyncIterator[ElasticsearchEngine]:
    async with an_index(elasticsearch) as index:
        await filled(index, list(register.documents.values()))
        yield ElasticsearchEngine(index.connection, index.alias)


def test_the_list_is_long_enough_and_names_nobody() -> None:
    asked = queries()
    assert len(asked) >= 150
    assert sum(query.kind == "plain words" for query in asked) >= 40
    assert {query.kind for query in asked} == PEOPLE | MEANT
    assert all("{last}" in query.text for query in asked if query.kind in PEOPLE)


async def test_postgresql_finds_the_right_one(postgres: PostgresEngine, register: Register) -> None:
    await _held("PostgreSQL", postgres, register, POSTGRESQL)


async def test_elasticsearch_finds_the_right_one(elastic: ElasticsearchEngine, register: Register) -> None:
    await _held("Elasticsearch", elastic, register, ELASTICSEARCH)


async def test_both_engines_answer_alike(
    postgres: PostgresEngine, elastic: ElasticsearchEngine, register: Register
) -> None:
    """Where nothing is misspelled, which PostgreSQL does not know all of."""
    alike = asked = 0
    for query in queries():
        if query.kind == "typo":
            continue
        wanted = Wanted(parts=parsing.parts(_text(query, register)))
        one, other = [await engine.page(wanted, Sort.BEST, HITS, None) for engine in (postgres, elastic)]
        asked += 1
        best = [[match.pair for match in page.matches[:3]] for page in (one, other)]
        alike += best[0] == best[1]
        assert best[0][:1] == best[1][:1], query
    proof("Both engines, the same three hits first", queries=asked, alike=alike)


async def test_both_engines_agree_on_all_pure_filters(
    postgres: PostgresEngine, elastic: ElasticsearchEngine, register: Register
) -> None:
    documents, count = list(register.documents.values()), 0
    for wanted in _filters(documents):
        one, other = [await engine.page(wanted, Sort.NAME, 100, None) for engine in (postgres, elastic)]
        assert one == other, wanted
        count += bool(one.total)
        if one.total > PAIRS_MAX:
            continue
        found, same = [await engine.candidates(wanted, hits_only=True) for engine in (postgres, elastic)]
        assert {match.pair for match in found} == {match.pair for match in same}, wanted
        assert {match.pair for match in found} == _fitting(documents, wanted) or wanted.within_km, wanted
        assert one.total == len(found), wanted
    assert count > 50
    proof("Both engines, pure filters over the register", filters=count, documents=len(documents), differences=0)


def _filters(documents: list[Document]) -> list[Wanted]:
    random = Random(world.SEED)
    specialties = sorted({name for one in documents for name in one.specialties})
    languages = sorted({tag for one in documents for tag in one.languages})
    asked = [Wanted(), Wanted(accepting=True)]
    asked += [Wanted(modality=one) for one in Modality]
    asked += [Wanted(specialties=(one,)) for one in random.sample(specialties, 12)]
    asked += [Wanted(languages=(one,)) for one in languages]
    asked += [Wanted(clinics=(random.choice(documents).clinic_key,)) for _ in range(8)]
    for _ in range(30):
        some = random.choice(documents)
        asked.append(
            Wanted(
                specialties=some.specialties if random.random() < 0.5 else (),
                languages=some.languages[-1:] if random.random() < 0.4 else (),
                clinics=tuple(sorted({random.choice(documents).clinic_key for _ in range(40)}))
                if random.random() < 0.2
                else (),
                accepting=random.random() < 0.4,
                modality=random.choice((None, *Modality)),
                near=GeoPoint(random.uniform(28, 46), random.uniform(-120, -72)),
                within_km=random.choice((None, 50.0, 300.0, 1500.0)),
            )
        )
    return asked


def _fitting(documents: list[Document], wanted: Wanted) -> set[tuple[int, int]]:
    """By looking at each; distances are left to the engines."""
    return {
        one.pair
        for one in documents
        if one.listed
        and (not wanted.specialties or set(wanted.specialties) & set(one.specialties))
        and (not wanted.languages or set(wanted.languages) & set(one.languages))
        and (not wanted.clinics or one.clinic_key in wanted.clinics)
        and (wanted.modality is None or wanted.modality in one.modalities)
        and (one.accepting or not wanted.accepting)
    }


async def _held(name: str, engine: Engine, register: Register, least: dict[str, float]) -> None:
    ranks: dict[str, list[float]] = defaultdict(list)
    missed = []
    for query in queries():
        wanted = Wanted(parts=parsing.parts(_text(query, register)))
        matches = (await engine.page(wanted, Sort.BEST, HITS, None)).matches
        rank = next((at for at, match in enumerate(matches, 1) if _right(query, match, register)), None)
        ranks[query.kind].append(1 / rank if rank else 0.0)
        if rank != 1:
            missed.append(f"line {query.number} ({query.kind}): {f'rank {rank}' if rank else 'not found'}")
    means = {kind: round(fmean(some), 3) for kind, some in ranks.items()}
    said = {kind.replace(" ", "_"): value for kind, value in means.items()}
    assert [kind for kind, value in least.items() if means[kind] < value] == [], "\n".join([str(means), *missed])
    assert [kind for kind in sorted(MEANT) if means[kind] < 1] == [], "\n".join([str(means), *missed])
    proof(f"{name}: mean reciprocal rank of the right hit", queries=sum(map(len, ranks.values())), **said)


def _text(query: Query, register: Register) -> str:
    return typed(query, None if query.row is None else register.people[query.row])


def _right(query: Query, match: Match, register: Register) -> bool:
    document = register.documents[match.pair]
    person = None if query.row is None else register.people[query.row]
    if query.kind in PEOPLE:
        return person is not None and match.pair[0] == person.key
    place = register.clinics[match.pair[1]].address
    return (
        (not query.specialties or not query.specialties.isdisjoint(document.specialties))
        and (query.language is None or query.language in document.languages)
        and (person is None or person.state == place.region)
        and (person is None or "{city}" not in query.text or _same(person.city, place.city))
        and (person is None or "{zip5}" not in query.text or person.zip5 == place.postal_code)
    )


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
