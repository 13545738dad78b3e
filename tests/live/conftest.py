"""The product in this process with its real hub, log and relay, behind real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from adapters.postgres.database import pool
from app.embedded import Addresses
from app.live.pace import PACE, Pace
from app.serving import listen, served
from app.settings import Settings
from app.wiring import Product, product
from services.live.pace import HubPace
from tests.live.place import Place, asked, place
from tests.live.watcher import Watcher


@dataclass
class Here:
    """One process, served; `place` is its only clinic at first."""

    url: str
    product: Product
    place: Place
    http: httpx2.AsyncClient
    pool: asyncpg.Pool

    async def ask(self, query: str, variables: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        return await asked(self.http, self.url, query, variables, token or self.place.admin)

    def watching(self, shape: dict[str, Any] | None = None, after: str | None = None) -> Watcher:
        return Watcher([self.url], shape or self.place.asked(), after)


@asynccontextmanager
async def serving(
    settings: Settings, redis_url: str | None, *, hub: HubPace | None = None, pace: Pace = PACE
) -> AsyncIterator[tuple[str, Product]]:
    """`hub`: other figures for rules 23 to 32."""
    addresses = Addresses(str(settings.database_url), None, redis_url)
    async with product(settings, addresses) as built:
        if hub is not None:
            built.hub.pace = built.hub.visits._pace = hub
        async with built.live(), served(built, listen(settings), pace=pace) as url:
            yield url, built


@pytest.fixture(scope="module")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return at(database_url, tmp_path_factory.mktemp("live"))


def at(url: str, folder: Path, **more: Any) -> Settings:
    given = {"kafka_bootstrap_servers": None, "port": 0, "env": "test", "drain_seconds": 0.2} | more
    return Settings(data_dir=folder, database_url=url, **given)


@pytest.fixture(scope="module")
async def connections(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await pool(database_url, size=4)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def running(settings: Settings, embedded: Any, connections: asyncpg.Pool) -> AsyncIterator[Here]:
    """For the module."""
    there = await place(connections, settings)
    async with serving(settings, embedded.redis_url) as (url, built), httpx2.AsyncClient(timeout=15) as http:
        yield Here(url, built, there, http, connections)


@pytest.fixture
async def here(running: Here, settings: Settings) -> Here:
    """With a clinic of the test's own."""
    return replace(running, place=await place(running.pool, settings))
