"""A world for each test: fresh services over the module's own database, its clock at a Monday morning."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres.database import pool
from tests.world import MONDAY, World


@pytest.fixture(scope="module")
async def connections(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await pool(database_url, size=10)
    yield opened
    await opened.close()


@pytest.fixture
async def world(connections: asyncpg.Pool) -> World:
    found = World.on(connections)
    await found.clock(MONDAY)
    return found
