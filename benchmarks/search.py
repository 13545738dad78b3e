"""Search over the register's documents: with a real Elasticsearch on the same cores, and with PostgreSQL alone."""

import asyncio
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from app.embedded import Addresses
from app.settings import Settings
from benchmarks import register
from benchmarks.cpu import process_seconds
from benchmarks.load import Client, request
from benchmarks.population import Population, tomorrow
from benchmarks.register import NoRegister
from benchmarks.rivals import Ids, Product, new_database

POSTGRES, ELASTICSEARCH = "PostgreSQL", "Elasticsearch"
TEXT, NEAR, SOONEST, WEEK, SUGGEST = "text", "near", "soonest", "week", "suggest"
HITS = 20
INDEXED_SECONDS_MAX = 240
STOP_SECONDS_MAX = 30
CALENDAR_ROUNDS = 20

FIELDS = """totalCount degraded
    edges { cursor node { distanceKm matched provider { id name specialties languages } clinic { id name address { city region } }
        nextSlot { id startsAt visitType { id name } } } }
    pageInfo { hasNextPage endCursor }
    facets { field values { value count } }"""
SEARCH = f"""query Find($filter: SearchFilter!, $sort: SearchSort! = BEST, $first: Int! = {HITS}) {{
  search(filter: $filter, sort: $sort, first: $first) {{ {FIELDS} }}
}}"""
COUNT = "query ($filter: SearchFilter!) { search(filter: $filter) { totalCount degraded } }"
SUGGESTED = """query Suggest($prefix: String!) {
  suggest(prefix: $prefix) {
    __typename
    ... on SpecialtySuggestion { name synonym }
    ... on Provider { id providerName: name }
    ... on Clinic { id clinicName: name }
  }
}"""
PLAIN_WORDS = (
    "skin doctor",
    "heart doctor",
    "family doctor",
    "eye doctor",
    "foot doctor",
    "x-ray",
    "bone doctor",
    "kidney",
)
PLACES = "select distinct city from clinics where city ~ '^[A-Z]' order by city limit 4000"
NAMES = "select name from providers order by id limit 5000"
LARGEST = """
select s, count(*) as pairs from providers p join provider_clinics w on w.provider_id = p.id cross join unnest(p.specialties) as s
group by s order by pairs desc, s limit 1
"""
PAIRS = """
select w.provider_id, w.clinic_id, array_agg(o.visit_type_id order by o.visit_type_id) as kinds, $1 = any(p.specialties) as meant
from provider_clinics w join providers p on p.id = w.provider_id join provider_visit_types o on o.provider_id = p.id
group by w.provider_id, w.clinic_id, p.specialties order by w.provider_id, w.clinic_id
"""


@dataclass(frozen=True)
class SearchSizes:
    requests: int = 120
    rounds: int = 3


SEARCH_QUICK = SearchSizes(requests=45, rounds=1)


@dataclass(frozen=True)
class Asked:
    """One round of one kind of question to one engine; `cpu_ms` of the server's process alone."""

    what: str
    engine: str
    requests: int
    cpu_ms: float
    p50: float
    p99: float
    degraded: int


@dataclass(frozen=True)
class Looked:
    """The earliest times of so many pairs out of what a process keeps: CPU milliseconds of a look."""

    what: str
    pairs: int
    cpu_ms: list[float]


@dataclass
class SearchResults:
    documents: int = 0
    asked: list[Asked] = field(default_factory=list)
    looked: list[Looked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Register(Product):
    """The product over the register. `elasticsearch`: where, None for PostgreSQL alone."""

    name = "search"
    pairs = 0

    def __init__(self, database_url: str, redis_url: str, folder: Path, elasticsearch: str | None) -> None:
        super().__init__(Population(tomorrow()), database_url, redis_url, folder)
        self.worker: subprocess.Popen[bytes] | None = None
        self.environment.pop("KAFKA_BOOTSTRAP_SERVERS", None)
        self.environment.pop("ELASTICSEARCH_URL", None)
        if elasticsearch is not None:
            self.environment["ELASTICSEARCH_URL"] = elasticsearch
            self.environment["ELASTICSEARCH_INDEX"] = "benchmarks"

    async def fill(self) -> None:
        self.pairs = await register.fill(self.database_url)

    async def start(self) -> None:
        """The API, and beside it the worker that keeps the index."""
        with self.log.open("ab") as log:
            command = self.appointments_command("work")
            self.worker = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)  # noqa: ASYNC220
        await super().start()

    async def stop(self) -> None:
        try:
            await super().stop()
        finally:
            if self.worker is not None:
                self.worker.terminate()
                self.worker.wait(STOP_SECONDS_MAX)

    async def settled(self) -> None:
        assert self.worker
        await super().settled()
        await self.settle(self.worker)

    async def find_ids(self) -> Ids:
        return Ids({}, {}, {}, "")

    async def indexed(self, pairs: int) -> int:
        """Once the worker has made its index: how many documents that has."""
        deadline = time.monotonic() + INDEXED_SECONDS_MAX
        while True:
            found = (await self.ask(COUNT, filter={}))["search"]
            if found["totalCount"] >= pairs and not found["degraded"]:
                return int(found["totalCount"])
            if (self.worker and self.worker.poll() is not None) or time.monotonic() > deadline:
                raise SystemExit(f"search: no index of {pairs:,} documents:\n{self.last_words()}")
            await asyncio.sleep(0.5)


@dataclass(frozen=True)
class Questions:
    """What is asked, in no order but always the same."""

    names: list[str]
    cities: list[str]
    specialty: str

    def of(self, what: str, count: int) -> Iterator[bytes]:
        chance = random.Random(what)
        for _ in range(count):
            if what == SUGGEST:
                yield request({"query": SUGGESTED, "variables": {"prefix": self._prefix(chance)}})
            else:
                yield request({"query": SEARCH, "variables": self._filter(what, chance)})

    def _prefix(self, chance: random.Random) -> str:
        word = chance.choice(chance.choice([*self.names, *PLAIN_WORDS * 100]).split())
        return word[: chance.randrange(2, 6)].lower()

    def _filter(self, what: str, chance: random.Random) -> dict[str, Any]:
        day = tomorrow()
        place = {"latitude": chance.uniform(30, 45), "longitude": chance.uniform(-120, -75)}
        if what == TEXT:
            return {"filter": {"text": self._text(chance)}}
        if what == NEAR:
            return {"filter": {"text": chance.choice(PLAIN_WORDS), "near": place, "withinKm": 300}, "sort": "DISTANCE"}
        if what == SOONEST:
            return {"filter": {"specialties": [self.specialty]}, "sort": "SOONEST"}
        until = day + timedelta(days=chance.randrange(1, 7))
        return {"filter": {"specialties": [self.specialty], "openFrom": str(day), "openTo": str(until)}}

    def _text(self, chance: random.Random) -> str:
        """A name, a name with two letters exchanged, plain words, or plain words and a place."""
        luck, name = chance.random(), chance.choice(self.names)
        if luck < 0.3:
            return name
        if luck < 0.5:
            at = chance.randrange(1, max(2, len(name) - 2))
            return name[:at] + name[at + 1 : at + 2] + name[at : at + 1] + name[at + 2 :]
        words = chance.choice(PLAIN_WORDS)
        return words if luck < 0.7 else f"{words} {chance.choice(self.cities)}"


async def measure_search(
    database_url: str, redis_url: str, folder: Path, sizes: SearchSizes, say: Callable[[str], None]
) -> SearchResults:
    results = SearchResults()
    try:
        register.data()
    except NoRegister as missing:
        results.notes.append(str(missing))
        return results
    say("search: the register goes in")
    alone = Register(database_url, redis_url, folder, None)
    await new_database(database_url, f"bench_{alone.name}")
    await alone.fill()
    questions = await _questions(alone.database_url)
    await _measured(POSTGRES, alone, questions, alone.pairs, sizes, results, say)
    say("search: the calendar by itself")
    await _look(alone.database_url, questions.specialty, folder, results)
    with ExitStack() as stack:
        try:
            address = await asyncio.to_thread(stack.enter_context, _node())
        except NoNode as missing:
            results.notes.append(str(missing))
            return results
        beside = Register(database_url, redis_url, folder, address)
        await _measured(ELASTICSEARCH, beside, questions, alone.pairs, sizes, results, say)
    return results


async def _questions(url: str) -> Questions:
    connection = await asyncpg.connect(url)
    try:
        names = [row[0] for row in await connection.fetch(NAMES)]
        cities = [row[0] for row in await connection.fetch(PLACES)]
        return Questions(names, cities, await connection.fetchval(LARGEST))
    finally:
        await connection.close()


async def _measured(
    engine: str,
    server: Register,
    questions: Questions,
    pairs: int,
    sizes: SearchSizes,
    results: SearchResults,
    say: Callable[[str], None],
) -> None:
    say(f"search: the index in {engine} is made")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        await server.start()
        client = Client()
        stack.callback(client.close)
        results.documents = await server.indexed(pairs)
        await server.settled()
        say(f"search: {engine} is asked")
        assert server.process
        for what in (TEXT, NEAR, SOONEST, WEEK, SUGGEST):
            asked = list(questions.of(what, sizes.requests))
            _run(client, server, asked[: sizes.requests // 3])
            for _ in range(sizes.rounds):
                before = process_seconds(server.process.pid)
                load = _run(client, server, asked)
                cpu = (process_seconds(server.process.pid) - before) * 1000 / load.requests
                degraded = load.outcomes.get("degraded", 0)
                results.asked.append(Asked(what, engine, load.requests, cpu, load.p50, load.p99, degraded))


def _run(client: Client, server: Register, asked: Sequence[bytes]) -> Any:
    """One after the other, as by one who types."""
    client.prepare(server.port, 1, list(asked))
    load = client.run()
    if load.failures:
        raise SystemExit(f"a search failed: {load.failure}")
    return load


async def _look(url: str, specialty: str, folder: Path, results: SearchResults) -> None:
    """In this process, since a server would tell it together with everything around it."""
    from app.wiring import product
    from services.searching.soonest import Soonest

    settings = Settings(
        data_dir=folder / "calendar",
        database_url=url,
        redis_url=None,
        kafka_bootstrap_servers=None,
        elasticsearch_url=None,
    )
    async with product(settings, Addresses(url, None, None)) as built, built.live():
        rows = await built.database.primary.fetch(PAIRS, specialty)
        everybody = {(row["provider_id"], row["clinic_id"]): tuple(row["kinds"]) for row in rows}
        meant = {
            pair: everybody[pair] for row in rows if row["meant"] and (pair := (row["provider_id"], row["clinic_id"]))
        }
        soonest = Soonest(built.database, built.open_times, built.process)
        await soonest.earliest(everybody.items())
        for what, pairs in ((specialty, meant), ("everybody", everybody)):
            spent = []
            for _ in range(CALENDAR_ROUNDS):
                before = time.thread_time()
                await soonest.earliest(pairs.items())
                spent.append((time.thread_time() - before) * 1000)
                await asyncio.sleep(0.05)
            results.looked.append(Looked(what, len(pairs), spent))


class NoNode(Exception):
    """Says why."""


@contextmanager
def _node() -> Iterator[str]:
    import pytest

    from tests.elasticsearch import node

    with ExitStack() as stack:
        try:
            found = stack.enter_context(node(lasting=True))
        except pytest.skip.Exception as skipped:
            raise NoNode(str(skipped)) from None
        except (OSError, RuntimeError) as fault:
            raise NoNode(f"no Elasticsearch: {fault}") from None
        yield found.url


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)
