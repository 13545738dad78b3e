"""The product served over HTTP on a database of the module's own; no sweeper, so only requests write."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from adapters.postgres.database import pool
from app.embedded import Addresses
from app.serving import running
from app.settings import Settings
from tests.api.client import Client
from tests.api.town import Town
from tests.api.town import town as founded


@pytest.fixture(scope="module")
def settings(database_url: str, embedded: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("api")
    return Settings(data_dir=folder, database_url=database_url, redis_url=embedded.redis_url, port=0, env="test")


@pytest.fixture(scope="module")
async def connections(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await pool(database_url, size=4)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def town(connections: asyncpg.Pool) -> Town:
    return await founded(connections)


@pytest.fixture(scope="module")
async def client(settings: Settings, embedded: Any, town: Town) -> AsyncIterator[Client]:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with (
        running(settings, addresses, working=False) as url,
        httpx2.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Client(http, settings)


@pytest.fixture(scope="module")
async def live(live_server: Any) -> AsyncIterator[Client]:
    """A client of the server with the demo."""
    async with httpx2.AsyncClient(base_url=live_server.url, timeout=20) as http:
        yield Client(http, live_server.settings)
