"""Indexes in the running product."""

from pathlib import Path

import httpx2
import pytest

from adapters.postgres.database import Database, pool
from app.demo import fill
from app.embedded import Addresses
from app.serving import running
from app.settings import Settings


async def test_a_fresh_start_is_searchable_when_it_greets(
    embedded: Addresses, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    addresses = Addresses(database_url, None, embedded.redis_url)
    settings = Settings(
        data_dir=tmp_path,
        database_url=database_url,
        redis_url=embedded.redis_url,
        kafka_bootstrap_servers=None,
        elasticsearch_url=None,
        port=0,
        env="test",
    )
    database = Database(await pool(database_url, size=4))
    try:
        await fill(database, clinics=3)
        async with running(settings, addresses, greeting=True) as url, httpx2.AsyncClient() as http:
            assert await database.primary.fetchval("SELECT count(*) FROM search_documents WHERE listed") == (
                await database.primary.fetchval("SELECT count(*) FROM provider_clinics")
            )
            figures = (await http.get(f"{url}/metrics")).text
    finally:
        await database.close()
    assert "Start page" in capsys.readouterr().out
    assert 'appointments_search_index{index="postgres",kind="renewals"} 1.0' in figures
    assert 'appointments_search_behind_seconds{index="postgres"}' in figures
    assert 'appointments_search_lag_seconds_count{index="postgres"}' in figures
