"""One embedded PostgreSQL and Redis for the whole run; every module gets a database of its own."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import pytest
import redis.asyncio
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from adapters.postgres.database import Database, pool
from adapters.postgres.migrations import migrate
from app.demo import fill
from app.embedded import Addresses, servers
from app.serving import running
from app.settings import Settings
from tests.elasticsearch import Elasticsearch, node
from tests.kafka import Kafka, broker

# No test asks how long something takes: machines are shared.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")


@dataclass(frozen=True, slots=True)
class LiveServer:
    """The product as it is served: demo data of a few clinics, development mode."""

    url: str
    settings: Settings
    addresses: Addresses


MakeDatabase = Callable[[], Awaitable[str]]

ROOT = Path(__file__).parents[1]
SERVERS = ("Elasticsearch", "Kafka")
# Where tests take longest each, and so come first: what is left at the end should be little, for both workers to end together.
FIRST = ("live", "services", "app", "api", "adapters")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _turn(item.nodeid.partition("::")[0]))


class OneOfEach(LoadFileScheduling):
    """A file is one worker's; all that need an Elasticsearch are one's, all that need a Kafka too: one of each is started."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        turn = _turn(file)
        return file if turn >= len(SERVERS) else SERVERS[turn]


@pytest.hookimpl(optionalhook=True)  # with -p no:xdist there is no such hook
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneOfEach | None:
    return OneOfEach(config, log) if config.getoption("dist") == "loadfile" else None


@cache
def _turn(file: str) -> int:
    text = (ROOT / file).read_text("utf-8")
    for turn, server in enumerate(SERVERS):
        if f"from tests.{server.lower()} import" in text:
            return turn
    part = Path(file).parent.name
    return len(SERVERS) + (FIRST.index(part) if part in FIRST else len(FIRST))


@pytest.fixture(scope="session")
async def embedded() -> AsyncIterator[Addresses]:
    """Not durable, since nobody kills these; tests that do kill start their own."""
    with tempfile.TemporaryDirectory(prefix="appointments-tests-") as folder:
        os.chmod(folder, 0o711)
        unset = {"database_url": None, "database_replica_url": None, "redis_url": None, "kafka_bootstrap_servers": None}
        settings = Settings(data_dir=Path(folder), **unset)
        async with servers(settings, durable=False) as addresses:
            yield addresses


@pytest.fixture(scope="session")
async def migrated_template(embedded: Addresses) -> str:
    """Name of a database with the whole schema, there to be cloned: nobody connects to it."""
    await _execute(embedded, "CREATE DATABASE migrated")
    await migrate(_url(embedded, "migrated"))
    return "migrated"


@pytest.fixture(scope="module")
async def database_url(embedded: Addresses, migrated_template: str) -> AsyncIterator[str]:
    """The module's own migrated database."""
    async with _database(embedded, migrated_template) as url:
        yield url


@pytest.fixture
async def make_database(embedded: Addresses, migrated_template: str) -> AsyncIterator[MakeDatabase]:
    """For a test that needs migrated databases of its own."""
    async with AsyncExitStack() as stack:

        async def make() -> str:
            return await stack.enter_async_context(_database(embedded, migrated_template))

        yield make


@pytest.fixture
async def empty_database_url(embedded: Addresses) -> AsyncIterator[str]:
    async with _database(embedded, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """One broker for the run, started by the first test that asks. Who kills it starts it again."""
    with broker() as kafka:
        yield kafka


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[Elasticsearch]:
    """One node for the run, started by the first test that asks. Who kills it starts it again; indices are each module's own."""
    with node() as elasticsearch:
        yield elasticsearch


@pytest.fixture(scope="module")
async def redis_url(embedded: Addresses) -> str:
    """Redis, emptied for the module."""
    if embedded.redis_url is None:
        pytest.skip("there is no redis-server here")
    client = redis.asyncio.from_url(embedded.redis_url)
    await client.flushall()
    await client.aclose()
    return embedded.redis_url


@asynccontextmanager
async def _database(embedded: Addresses, template: str) -> AsyncIterator[str]:
    name = f"test_{token_hex(6)}"
    await _execute(embedded, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield _url(embedded, name)
    finally:
        await _execute(embedded, f"DROP DATABASE {name} WITH (FORCE)")


def _url(embedded: Addresses, name: str) -> str:
    return embedded.database_url.replace("/postgres?", f"/{name}?")


async def _execute(embedded: Addresses, statement: str) -> None:
    connection = await asyncpg.connect(embedded.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def live_server(
    embedded: Addresses, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveServer]:
    """A real server on a free port, in this process, with its sweeper; eight demo clinics."""
    async with _database(embedded, migrated_template) as url:
        addresses = Addresses(url, None, embedded.redis_url)
        settings = Settings(
            data_dir=tmp_path_factory.mktemp("live"),
            database_url=url,
            redis_url=embedded.redis_url,
            kafka_bootstrap_servers=None,
            port=0,
            env="test",
        )
        database = Database(await pool(url, size=4))
        await fill(database, clinics=8)
        await database.close()
        async with running(settings, addresses) as served:
            yield LiveServer(served, settings, addresses)
