"""Brings the schema up: numbered .sql files, forward only, each recorded with its checksum."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import asyncpg

FOLDER = "migrations"
NO_TRANSACTION = "-- no-transaction"
ATTEMPTS = 5
PAUSE_SECONDS = 1.0

# Every session-level lock of migrations uses this one key: the classes of booking locks are two-key locks.
LOCK_KEY = 0x6170706D69677261


class MigrationRefused(Exception):
    """A file failed, was changed after it was applied, or a lock stayed taken. What ran before it stays."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file; one that starts with the line `-- no-transaction` holds a single statement."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()

    @property
    def transactional(self) -> bool:
        return self.sql.split("\n", 1)[0].strip() != NO_TRANSACTION


def packaged() -> list[Migration]:
    """The migrations that this version ships, in the order in which they run."""
    folder = files("adapters.postgres").joinpath(FOLDER)
    found = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return sorted((Migration(file.name, file.read_text("utf-8")) for file in found), key=lambda one: one.name)


async def pending(dsn: str, *, migrations: list[Migration] | None = None) -> list[str]:
    """Names of what `migrate` would run; reads only, so it also works on a replica."""
    connection: asyncpg.Connection = await asyncpg.connect(dsn)
    try:
        return [one.name for one in _not_applied(migrations, await _applied(connection))]
    finally:
        await connection.close()


async def migrate(dsn: str, *, dry_run: bool = False, migrations: list[Migration] | None = None) -> list[str]:
    """Names of the files applied now (dry_run: that would be). Of several callers at once one works."""
    if dry_run:
        return await pending(dsn, migrations=migrations)
    connection: asyncpg.Connection = await asyncpg.connect(dsn, server_settings={"lock_timeout": "2s"})
    try:
        await _lock(connection)
        await connection.execute(CREATE_TABLE)
        todo = _not_applied(migrations, await _applied(connection))
        for one in todo:
            await _apply_patiently(connection, one)
        return [one.name for one in todo]
    finally:
        await connection.close()  # and with the session goes its advisory lock


TRY_LOCK = "SELECT pg_try_advisory_lock($1)"


async def _lock(connection: asyncpg.Connection) -> None:
    # Asked for again and again rather than waited for: a waiting statement holds a snapshot, and
    # CREATE INDEX CONCURRENTLY of the one who has the lock would wait for that snapshot for ever.
    while not await connection.fetchval(TRY_LOCK, LOCK_KEY):  # noqa: ASYNC110 - the event is another process's
        await asyncio.sleep(0.1)


CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

TABLE_EXISTS = "SELECT to_regclass('migrations') IS NOT NULL"
APPLIED = "SELECT name, sha256 FROM migrations ORDER BY name"


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    if not await connection.fetchval(TABLE_EXISTS):
        return {}
    return {row["name"]: row["sha256"] for row in await connection.fetch(APPLIED)}


def _not_applied(migrations: list[Migration] | None, applied: dict[str, str]) -> list[Migration]:
    known = packaged() if migrations is None else migrations
    for one in known:
        if one.name in applied and applied[one.name] != one.checksum:
            raise MigrationRefused(
                f"{one.name} was changed after it was applied: restore it, and put the change into a new file"
            )
    todo = [one for one in known if one.name not in applied]
    last = max(applied, default="")
    if todo and todo[0].name < last:
        raise MigrationRefused(f"{todo[0].name} comes before {last}, which is applied already: give it a higher number")
    return todo


# An index built CONCURRENTLY stays behind where that failed, and IF NOT EXISTS then takes it for done.
INVALID_INDEX = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1 LIMIT 1"
RECORD = "INSERT INTO migrations (name, sha256) VALUES ($1, $2)"


async def _apply_patiently(connection: asyncpg.Connection, one: Migration) -> None:
    """After 2 s of waiting for a lock it lets the traffic behind it through, then asks again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await _apply(connection, one)
        except asyncpg.LockNotAvailableError as error:
            if attempt == ATTEMPTS:
                raise MigrationRefused(f"{one.name}: a lock stayed taken in {ATTEMPTS} attempts") from error
            await asyncio.sleep(PAUSE_SECONDS)
        except asyncpg.PostgresError as error:
            raise MigrationRefused(f"{one.name} failed: {error}") from error
        else:
            return


async def _apply(connection: asyncpg.Connection, one: Migration) -> None:
    if not one.transactional:
        await connection.execute(one.sql)
        if broken := await connection.fetchval(INVALID_INDEX):
            raise MigrationRefused(f"{one.name}: index {broken} was left half built: drop it and migrate again")
        await connection.execute(RECORD, one.name, one.checksum)
        return
    async with connection.transaction():
        await connection.execute(one.sql)
        await connection.execute(RECORD, one.name, one.checksum)
