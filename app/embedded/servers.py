"""Starts what the environment does not name, for as long as the context lasts."""

import asyncio
import fcntl
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from app.embedded import postgres, redis
from app.embedded.owner import Owner, find_owner
from app.embedded.processes import Server, keep_alive
from app.refusal import Refused
from app.settings import Settings

log = structlog.get_logger(__name__)

SOCKET_PATH_BYTES = 100  # systems allow 103 or 107, the name and a lock suffix included
LONGEST_SOCKET = "/.s.PGSQL.5432.lock"
ADDRESSES = "addresses.json"
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Addresses:
    database_url: str
    database_replica_url: str | None = None
    redis_url: str | None = None


@asynccontextmanager
async def servers(settings: Settings, *, durable: bool = True) -> AsyncIterator[Addresses]:
    """Addresses of PostgreSQL and Redis; started here where their URL is unset, and stopped at the end.

    Refused where another process holds DATA_DIR. `durable=False` is for tests: a crash may then lose commits.
    """
    if settings.database_url and settings.redis_url:
        yield Addresses(settings.database_url, settings.database_replica_url, settings.redis_url)
        return
    folder = settings.data_dir.absolute()
    async with AsyncExitStack() as stack:
        stack.enter_context(_held(folder))
        started = _wanted(settings, folder, durable=durable)
        for server in started.values():
            stack.push_async_callback(server.stop)
            await server.start()
        addresses = Addresses(
            settings.database_url or started["postgres"].url,
            settings.database_replica_url,
            settings.redis_url or (started["redis"].url if "redis" in started else None),
        )
        stack.enter_context(_published(folder, addresses))
        stack.push_async_callback(_cancel, [asyncio.create_task(keep_alive(server)) for server in started.values()])
        yield addresses


def running(settings: Settings) -> Addresses | None:
    """What another process has started on this DATA_DIR and keeps running; None if nobody does."""
    folder = settings.data_dir.absolute()
    try:
        with _held(folder, create=False):
            return None
    except FileNotFoundError:
        return None
    except Refused:
        with suppress(OSError, ValueError):
            return Addresses(**json.loads((folder / ADDRESSES).read_text("utf-8")))
        return None


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[Addresses]:
    """For commands beside a running server: its addresses, else servers of one's own while it lasts."""
    if addresses := running(settings):
        yield Addresses(
            settings.database_url or addresses.database_url,
            settings.database_replica_url or addresses.database_replica_url,
            settings.redis_url or addresses.redis_url,
        )
        return
    async with servers(settings) as addresses:
        yield addresses


def _wanted(settings: Settings, folder: Path, *, durable: bool) -> dict[str, Server]:
    cache = None if settings.redis_url else redis.program()
    if cache is None and not settings.redis_url:
        log.warning("running WITHOUT Redis: REDIS_URL is unset and there is no redis-server or valkey-server")
    main = None if settings.database_url else postgres.programs() / "postgres"
    owner = find_owner(folder, [program for program in (main, cache) if program])
    sockets = _sockets(folder, owner)
    wanted: dict[str, Server] = {}
    if main:
        wanted["postgres"] = postgres.Postgres(folder, sockets, owner, durable=durable)
    if cache:
        wanted["redis"] = redis.Redis(folder, sockets, owner, cache)
    return wanted


def _sockets(folder: Path, owner: Owner) -> Path:
    """DATA_DIR/sockets; where that is too long for a socket's path, a link from there to a short place."""
    place = folder / "sockets"
    if len(os.fsencode(f"{place}{LONGEST_SOCKET}")) > SOCKET_PATH_BYTES:
        if place.is_symlink():
            short = place.readlink()  # of an earlier run: its servers may still be there
            if short.is_dir() and not short.is_symlink() and short.stat().st_uid == owner.uid:
                return short
            place.unlink()
        short = Path(tempfile.mkdtemp(prefix="appointments-"))
        place.symlink_to(short)
        place = short
    elif place.is_symlink():
        place.unlink()
    owner.give(place, 0o700)
    return place


@contextmanager
def _held(folder: Path, *, create: bool = True, seconds: float = 1.0) -> Iterator[None]:
    """This process alone uses the directory; the system lets go of it even when the process is killed."""
    if create:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"DATA_DIR {folder} cannot be made: {error.strerror}") from None
    descriptor = os.open(folder / LOCK, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)
    try:
        deadline = time.monotonic() + seconds
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise Refused(
                    f"DATA_DIR {folder} is in use by process {holder}: stop that one, "
                    "or run beside it with another DATA_DIR and PORT"
                )
            time.sleep(0.02)
        if create:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _published(folder: Path, addresses: Addresses) -> Iterator[None]:
    """For `running` in other processes. What a killed one has left is not believed: it holds no lock."""
    place = folder / ADDRESSES
    draft = folder / f"{ADDRESSES}.new"
    draft.write_text(json.dumps(asdict(addresses)), "utf-8")
    draft.chmod(0o600)
    draft.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
