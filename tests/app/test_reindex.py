"""`appointments reindex` as it is typed, and killed."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from adapters.postgres.building import Building
from adapters.postgres.database import connect
from tests.adapters.elastic import an_index
from tests.conftest import MakeDatabase
from tests.elasticsearch import Elasticsearch
from tests.services.indexed import Indexed, indexed
from tests.world import MONDAY

pytestmark = pytest.mark.timeout(420)
RUN = (sys.executable, "-c", "from app.cli import main; main()", "reindex")


async def _filled(here: Indexed, providers: int) -> None:
    await here.world.clock(MONDAY)
    clinics = [await here.world.clinic() for _ in range(3)]
    kind = await here.world.visit_type(30)
    for _ in range(providers):
        await here.world.provider(clinics, [kind])


async def _started(url: str, folder: Path, **more: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "DATABASE_URL": url, "DATA_DIR": str(folder), **more}
    if "ELASTICSEARCH_URL" not in more:
        environment.pop("ELASTICSEARCH_URL", None)
    return await asyncio.create_subprocess_exec(
        *RUN, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def _run(url: str, folder: Path, **more: str) -> tuple[int | None, str, str]:
    process = await _started(url, folder, **more)
    said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


async def test_without_elasticsearch_the_documents_in_postgresql_are_made_anew(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    url = await make_database()
    async with indexed(url) as here:
        await _filled(here, 5)
        assert await _run(url, tmp_path) == (0, "15 documents in PostgreSQL\n", "")
        assert await here.is_true()
        await here.world.run("DELETE FROM provider_clinics WHERE clinic_id = (SELECT min(id) FROM clinics)")
        await here.world.run("UPDATE search_documents SET listed = clinic_id <> (SELECT min(id) FROM clinics)")
        assert (await _run(url, tmp_path))[:2] == (0, "10 documents in PostgreSQL\n")
        assert len(await here.rows()) == 10


async def test_a_second_one_is_refused(make_database: MakeDatabase, tmp_path: Path) -> None:
    url = await make_database()

    async with Building(lambda: connect(url), "postgres").alone():
        code, said, complained = await _run(url, tmp_path)
    assert (code, said) == (1, "")
    assert "another process makes this index anew just now" in complained


async def test_where_elasticsearch_is_away_it_says_so(make_database: MakeDatabase, tmp_path: Path) -> None:
    code, _, complained = await _run(await make_database(), tmp_path, ELASTICSEARCH_URL="http://127.0.0.1:9")
    assert code == 1
    assert complained.startswith("appointments: what was searched stays as it is: ")
    assert "Traceback" not in complained


async def test_killed_halfway_the_old_one_stays_and_the_next_run_removes_the_rest(
    make_database: MakeDatabase, elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    url = await make_database()
    async with indexed(url) as here, an_index(elasticsearch) as index:
        await _filled(here, 150)
        where = {"ELASTICSEARCH_URL": elasticsearch.url, "ELASTICSEARCH_INDEX": index.alias.removesuffix("-providers")}
        assert (await _run(url, tmp_path, **where))[:2] == (0, "450 documents in Elasticsearch\n")
        old = (await index.meta()).name
        process = await _started(url, tmp_path, **where)
        while len(await index.connection.ask("GET", f"/{index.alias}-*/_alias")) < 2:
            assert process.returncode is None
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        assert (await index.meta()).name == old
        assert sum([len(some) async for some in index.everything()]) == 450
        assert (await _run(url, tmp_path, **where))[0] == 0
        assert list(await index.connection.ask("GET", f"/{index.alias}-*/_alias")) == [(await index.meta()).name]
        assert (await index.meta()).name != old
