"""The embedded servers, and what they find after a crash."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
import redis.asyncio

from app.embedded import Addresses, reached, running, servers
from app.embedded import postgres as postgres_server
from app.embedded import redis as redis_server
from app.embedded.owner import CAPABILITIES
from app.embedded.processes import identity, marked, runs, until
from app.refusal import Refused
from app.settings import Settings

# Serves until killed; as another user where one is named, which it becomes once everything is imported.
SERVE = """
import asyncio, concurrent.futures.thread, json, os, signal, sys
import asyncpg
from app.embedded import servers
from app.embedded import postgres, redis
from app.settings import Settings

async def serve(folder):
    async with servers(Settings(data_dir=folder)) as addresses:
        print(json.dumps(addresses.database_url), flush=True)
        await asyncio.Event().wait()

if len(sys.argv) > 2:
    postgres.programs(), redis.program()
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell ignores it for what it starts behind its back.
try:
    asyncio.run(serve(sys.argv[1]))
except KeyboardInterrupt:
    pass
"""
NOBODY = 65534


def settings(folder: Path, **values: object) -> Settings:
    unset = {"database_url": None, "database_replica_url": None, "redis_url": None}
    return Settings.model_validate({"data_dir": folder, **unset, **values})


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, unlike tmp_path, and open to the user as whom the servers run."""
    with TemporaryDirectory(prefix="embedded-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o711)
        yield Path(place)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def write(url: str, number: int) -> None:
    async with connected(url) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        await connection.execute("INSERT INTO kept VALUES ($1)", number)


async def kept(url: str) -> list[int]:
    async with connected(url) as connection:
        return [row["number"] for row in await connection.fetch("SELECT number FROM kept ORDER BY number")]


@contextmanager
def serving(folder: Path, *user: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of its own with the servers, and their database's URL."""
    command = [sys.executable, "-c", SERVE, str(folder), *map(str, user)]
    unset = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unset)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        kill([process.pid])
        process.communicate()


def end_politely(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(30)


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def mentions(folder: Path, text: str) -> bool:
    return text in (folder / "addresses.json").read_text()


def half_made(folder: Path) -> bool:
    with suppress(FileNotFoundError):  # what is listed here goes away meanwhile
        return any(folder.glob("postgres.new-*/base/1/*"))
    return False


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def postgres_processes(folder: Path) -> list[int]:
    return list(marked("postgres", identity(folder / "postgres")))


def redis_processes(folder: Path) -> list[int]:
    return list(marked("-server", str(folder / "sockets")))


def postmaster(folder: Path) -> int:
    return int((folder / "postgres/postmaster.pid").read_text().split()[0])


async def test_data_stays_over_a_restart_and_nothing_keeps_running(folder: Path) -> None:
    async with servers(settings(folder)) as addresses:
        await write(addresses.database_url, 1)
        assert addresses.redis_url is not None
        client = redis.asyncio.from_url(addresses.redis_url)
        assert await client.ping()
        await client.aclose()
        assert postgres_processes(folder)
    assert not postgres_processes(folder)
    assert not redis_processes(folder)
    async with servers(settings(folder)) as addresses:
        assert await kept(addresses.database_url) == [1]


async def test_what_is_acknowledged_is_on_disk(folder: Path) -> None:
    async with (
        servers(settings(folder)) as addresses,
        connected(addresses.database_url) as connection,
    ):
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert await connection.fetchval("SELECT current_setting($1)", name) == "on"
        for name, value in {"server_encoding": "UTF8", "listen_addresses": "", "jit": "off"}.items():
            assert await connection.fetchval("SELECT current_setting($1)", name) == value


ROUNDS = 10 if os.environ.get("PROVE") else 1


async def write_until_killed(url: str, writer: int, acknowledged: set[int]) -> None:
    # The driver's own state machine stumbles where the connection dies between two of its steps.
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        async with connected(url) as connection:
            while True:
                number = writer + 100 * len(acknowledged)
                await connection.execute("INSERT INTO kept VALUES ($1)", number)
                acknowledged.add(number)


@pytest.mark.prove
async def test_killed_amid_writes_nothing_acknowledged_is_lost(folder: Path) -> None:
    acknowledged: set[int] = {0}
    async with servers(settings(folder)) as addresses:
        await write(addresses.database_url, 0)
    for survivors in ["none", "all", "backends and redis"] * ROUNDS:
        before = len(acknowledged)
        with serving(folder) as (process, url):
            writers = [asyncio.create_task(write_until_killed(url, n, acknowledged)) for n in range(1, 5)]
            await asyncio.sleep(0.4)
            victims = {
                "none": [
                    process.pid,
                    postmaster(folder),
                    *postgres_processes(folder),
                    *redis_processes(folder),
                ],
                "all": [process.pid],
                "backends and redis": [process.pid, postmaster(folder)],
            }
            kill(victims[survivors])
            async with servers(settings(folder)) as addresses:
                await asyncio.wait_for(asyncio.gather(*writers), 20)
                assert set(await kept(addresses.database_url)) >= acknowledged
        assert len(acknowledged) > before
    assert not postgres_processes(folder)
    assert not redis_processes(folder)


async def test_a_frozen_orphan_is_ended_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(folder) as (process, url):
        await write(url, 1)
        kill([process.pid])
        frozen = [*postgres_processes(folder), *redis_processes(folder)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
    for server in (postgres_server, redis_server):
        monkeypatch.setattr(server, "STOP", ((signal.SIGINT, 0.3), (signal.SIGKILL, 5.0)))
    monkeypatch.setattr(postgres_server, "STOP_BACKENDS", ((signal.SIGQUIT, 0.3), (signal.SIGKILL, 5.0)))
    async with servers(settings(folder)) as addresses:
        assert await kept(addresses.database_url) == [1]
        assert not any(map(runs, frozen))


async def test_claims_of_processes_that_are_gone(folder: Path) -> None:
    """A zombie's number, a number that another program has now, and a lock beside the socket."""
    async with servers(settings(folder)) as addresses:
        await write(addresses.database_url, 1)
        claim = (folder / "postgres/postmaster.pid").read_text().splitlines()
        lock = (folder / "sockets/.s.PGSQL.5432.lock").read_text().splitlines()
    zombie = start("true")
    assert await until(lambda: not runs(zombie.pid), 5)
    for pid in (zombie.pid, os.getpid(), 2**22 + 1):
        (folder / "postgres/postmaster.pid").write_text("\n".join([str(pid), *claim[1:], ""]))
        (folder / "sockets/.s.PGSQL.5432.lock").write_text("\n".join([str(pid), *lock[1:], ""]))
        (folder / "sockets/.s.PGSQL.5432").touch()
        (folder / "sockets/redis.sock").touch()
        async with servers(settings(folder)) as addresses:
            assert await kept(addresses.database_url) == [1]
    (folder / "postgres/postmaster.pid").touch()
    async with servers(settings(folder)) as addresses:
        assert await kept(addresses.database_url) == [1]
    zombie.wait()


async def test_an_interrupted_setup_starts_over(folder: Path) -> None:
    process = start(sys.executable, "-c", SERVE, str(folder))
    assert await until(lambda: half_made(folder), 20)
    process.kill()
    process.wait()
    assert not (folder / "postgres").exists()
    async with servers(settings(folder)) as addresses:
        await write(addresses.database_url, 1)
    assert not half_made(folder)


async def test_servers_that_die_are_started_again(folder: Path) -> None:
    async with servers(settings(folder)) as addresses:
        await write(addresses.database_url, 1)
        before = postmaster(folder)
        kill([before, *redis_processes(folder)])

        def back() -> bool:
            with suppress(OSError, IndexError):
                return postmaster(folder) != before and "ready" in (folder / "postgres/postmaster.pid").read_text()
            return False

        assert await until(lambda: back() and bool(redis_processes(folder)), 20)
        assert await kept(addresses.database_url) == [1]


async def test_two_copies_side_by_side(folder: Path) -> None:
    async with servers(settings(folder / "a")) as one, servers(settings(folder / "b")) as other:
        await write(one.database_url, 1)
        await write(other.database_url, 2)
        assert (await kept(one.database_url), await kept(other.database_url)) == ([1], [2])


async def test_a_second_start_on_the_same_directory_is_refused(folder: Path) -> None:
    async with servers(settings(folder)) as addresses:
        with pytest.raises(Refused, match=rf"in use by process {os.getpid()}: .*another DATA_DIR and PORT"):
            async with servers(settings(folder)):
                pass
        await write(addresses.database_url, 1)


async def test_a_long_path_has_its_sockets_elsewhere(folder: Path) -> None:
    far = folder / ("long" * 30)
    for number in (1, 2):
        async with servers(settings(far)) as addresses:
            await write(addresses.database_url, number)
            short = (far / "sockets").readlink()
    shutil.rmtree(short)
    async with servers(settings(far)) as addresses:
        assert await kept(addresses.database_url) == [1, 2]
        short = (far / "sockets").readlink()
    shutil.rmtree(short)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
async def test_below_a_directory_that_only_root_may_enter(folder: Path) -> None:
    os.chmod(folder, 0o700)
    async with servers(settings(folder / "data")) as addresses:
        await write(addresses.database_url, 1)
    assert (folder / "data/postgres").stat().st_uid != 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.embedded.owner.CAPABILITIES", ())
        with pytest.raises(Refused, match=r"refuses to run as root, and user \d+ can't reach .* set DATA_DIR"):
            async with servers(settings(folder / "data")):
                pass
    assert CAPABILITIES


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as another user")
async def test_as_an_ordinary_user_and_then_as_root(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    with serving(folder / "data", NOBODY) as (process, url):
        await write(url, 1)
        end_politely(process)
    assert (folder / "data/postgres").stat().st_uid == NOBODY
    async with servers(settings(folder / "data")) as addresses:
        await write(addresses.database_url, 2)
    with serving(folder / "data", NOBODY) as (process, url):
        assert await kept(url) == [1, 2]
        end_politely(process)


async def test_files_that_are_no_cluster_are_left_alone(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres/mine.txt").write_text("mine")
    with pytest.raises(Refused, match="holds files but no PostgreSQL"):
        async with servers(settings(folder)):
            pass
    assert (folder / "postgres/mine.txt").read_text() == "mine"


async def test_urls_of_the_environment_start_nothing(folder: Path) -> None:
    urls = {"database_url": "postgresql://there/db", "redis_url": "redis://there"}
    async with servers(settings(folder / "data", **urls)) as addresses:
        assert addresses == Addresses("postgresql://there/db", None, "redis://there")
    async with reached(settings(folder / "data", database_url="postgresql://x/y"), redis=False) as addresses:
        assert addresses.redis_url is None
    assert not (folder / "data").exists()


async def test_without_a_redis_server_it_runs_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "program", lambda: None)
    async with servers(settings(folder)) as addresses:
        assert addresses.redis_url is None
        await write(addresses.database_url, 1)


async def test_commands_join_who_serves_and_otherwise_take_turns(folder: Path) -> None:
    here = settings(folder)
    assert running(here) is None

    async def command(number: int) -> None:
        async with reached(here, redis=False) as addresses:
            await write(addresses.database_url, number)

    await command(1)
    await asyncio.gather(command(2), command(3))
    async with servers(here) as addresses:
        assert running(here) == addresses
        await asyncio.gather(command(4), command(5))
        assert await kept(addresses.database_url) == [1, 2, 3, 4, 5]
    assert running(here) is None


async def test_a_url_of_the_environment_is_not_written_down(folder: Path) -> None:
    outside = "postgresql://me:s3cret@there/db"
    async with servers(settings(folder, database_url=outside)) as addresses:
        assert addresses.database_url == outside
        assert not mentions(folder, "s3cret")
        with pytest.raises(Refused, match="set DATABASE_URL to what that one uses"):
            running(settings(folder))
        found = running(settings(folder, database_url=outside))
        assert found == addresses
