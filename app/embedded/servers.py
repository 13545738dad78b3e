"""Starts what the environment does not name, for as long as the context lasts."""

import asyncio
import fcntl
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.embedded import postgres
from app.embedded import redis as redis_server
from app.embedded.owner import Owner, find_owner
from app.embedded.processes import Server, keep_alive
from app.refusal import Refused
from app.settings import Settings

log = structlog.get_logger(__name__)

SOCKET_PATH_BYTES = 100  # systems allow 103 or 107, the name and a lock suffix included
LONGEST_SOCKET = "/.s.PGSQL.5432.lock"
TURN_SECONDS = 60.0
ADDRESSES = "addresses.json"
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Addresses:
    database_url: str
    database_replica_url: str | None = None
    redis_url: str | None = None


class InUse(Refused):
    """Another process holds DATA_DIR."""


@asynccontextmanager
async def servers(settings: Settings, *, durable: bool = True) -> AsyncIterator[Addresses]:
    """Addresses of PostgreSQL and Redis; started here where their URL is unset, and stopped at the end.

    Refused where another process holds DATA_DIR. `durable=False` is for tests: a crash may then lose commits.
    """
    async with _started(settings, redis_too=True, durable=durable) as addresses:
        if settings.database_url and settings.redis_url:
            yield addresses
        else:
            with _published(settings, addresses):
                yield addresses


def running(settings: Settings) -> Addresses | None:
    """What `servers` of another process keeps running on this DATA_DIR; None if nobody does, or not yet."""
    folder = settings.data_dir.absolute()
    try:
        with _held(folder, create=False, seconds=0):
            return None
    except FileNotFoundError:
        return None
    except InUse as in_use:
        try:
            found = json.loads((folder / ADDRESSES).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        database_url = settings.database_url or found["database_url"]
        if not database_url:
            raise Refused(f"{in_use}; or set DATABASE_URL to what that one uses") from None
        redis_url = settings.redis_url or found["redis_url"]
        return Addresses(database_url, settings.database_replica_url, redis_url)


@asynccontextmanager
async def reached(settings: Settings, *, redis: bool = True) -> AsyncIterator[Addresses]:
    """For commands: the addresses of who serves on this DATA_DIR, else servers of one's own while it lasts.

    Commands without a server take turns. `redis=False` starts none, and redis_url may be None.
    """
    deadline = time.monotonic() + TURN_SECONDS
    async with AsyncExitStack() as stack:
        while True:
            complete = settings.database_url and (settings.redis_url or not redis)
            if not complete and (found := running(settings)):
                addresses = found
                break
            try:
                own = _started(settings, redis_too=redis, durable=True)
                addresses = await stack.enter_async_context(own)
                break
            except InUse:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
        yield addresses


@asynccontextmanager
async def _started(settings: Settings, *, redis_too: bool, durable: bool) -> AsyncIterator[Addresses]:
    if settings.database_url and (settings.redis_url or not redis_too):
        yield Addresses(settings.database_url, settings.database_replica_url, settings.redis_url)
        return
    folder = settings.data_dir.absolute()
    async with AsyncExitStack() as stack:
        stack.enter_context(_held(folder))
        (folder / ADDRESSES).unlink(missing_ok=True)  # of one that was killed
        started = _wanted(settings, folder, redis_too=redis_too, durable=durable)
        for server in started.values():
            stack.push_async_callback(server.stop)
            await server.start()
        urls = {name: server.url for name, server in started.items()}
        watches = [asyncio.create_task(keep_alive(server)) for server in started.values()]
        stack.push_async_callback(_cancel, watches)
        yield Addresses(
            settings.database_url or urls["postgres"],
            settings.database_replica_url,
            settings.redis_url or urls.get("redis"),
        )


def _wanted(settings: Settings, folder: Path, *, redis_too: bool, durable: bool) -> dict[str, Server]:
    wants_redis = redis_too and not settings.redis_url
    cache = redis_server.program() if wants_redis else None
    if wants_redis and cache is None:
        log.warning("running WITHOUT Redis: REDIS_URL is unset and there is no redis-server or valkey-server")
    main = None if settings.database_url else postgres.programs() / "postgres"
    owner = find_owner(folder, [program for program in (main, cache) if program])
    sockets = _sockets(folder, owner)
    wanted: dict[str, Server] = {}
    if main:
        wanted["postgres"] = postgres.Postgres(folder, sockets, owner, durable=durable)
    if cache:
        wanted["redis"] = redis_server.Redis(folder, sockets, owner, cache)
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
def _held(folder: Path, *, create: bool = True, seconds: float = 0.5) -> Iterator[None]:
    """This process alone uses the directory; the system lets go of it even when the process is killed."""
    if create:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"DATA_DIR {folder} cannot be made: {error.strerror}") from None
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)
    except PermissionError:
        raise Refused(f"DATA_DIR {folder} is another user's: start as that user, or set DATA_DIR") from None
    try:
        deadline = time.monotonic() + seconds
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise InUse(
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
def _published(settings: Settings, addresses: Addresses) -> Iterator[None]:
    """For `running` in other processes. Names only what was started here: other URLs may hold a password."""
    place = settings.data_dir.absolute() / ADDRESSES
    draft = place.with_suffix(".new")
    started = {
        "database_url": None if settings.database_url else addresses.database_url,
        "redis_url": None if settings.redis_url else addresses.redis_url,
    }
    draft.write_text(json.dumps(started), "utf-8")
    draft.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
