"""The pools of the primary and the replica, and the write transaction with its locks (rule 17)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from copy import copy
from time import monotonic
from typing import Any, Final

import asyncpg
import orjson

from adapters.postgres import locks
from domain import zones
from domain.faults import RequestInProgress, Unavailable

Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection
Reader = asyncpg.Pool | Connection

ACQUIRE_SECONDS: Final = 15.0
STATEMENT_MILLISECONDS: Final = 3000
TRANSACTION_MILLISECONDS: Final = 5000
IDLE_MILLISECONDS: Final = 5000

BEGIN: Final = "BEGIN"
BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
NOTHING: Final = "SELECT 1"
FORGET_PLANS: Final = "DISCARD PLANS"
FIRST_PLANS_SECONDS: Final = 1.0
PLANS_SECONDS_MAX: Final = 20.0

# What a client may try again: the server is away, too busy, or ended our session.
_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TransactionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Turns the driver's faults into Unavailable or RequestInProgress; what is a bug stays what it is."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise RequestInProgress from error
    except _GONE as error:
        raise Unavailable(type(error).__name__) from error


class Session(asyncpg.Connection):
    """A connection that knows whether a statement failed or was given up on it, and plans anew what it planned long ago.

    The driver prepares a text it does not know and executes it in a second message; only that one ends the statement for the
    server. Who is cancelled in between, or gives values that cannot be encoded, leaves it begun: for the next borrower now() would
    stand still, and 3 s after the text was sent the statement timeout would hit whatever that borrower is waiting for.

    A plan made while a table was empty stays until autovacuum comes by, and may walk through all of an index for each row. So
    plans are forgotten after a second, then whenever the session is twice as old, at last every 20 seconds.
    """

    __slots__ = ("_begun", "_plans_due", "_unfinished")

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._unfinished = False
        self._begun = monotonic()
        self._plans_due = self._begun + FIRST_PLANS_SECONDS

    async def _execute(self, *args: Any, **named: Any) -> Any:
        """What all statements with values, and all that answer rows, go through."""
        now = monotonic()
        if now >= self._plans_due:
            self._plans_due = now + min(now - self._begun, PLANS_SECONDS_MAX)
            # Past the query loggers: it is no statement of the borrower's.
            await self._protocol.query(FORGET_PLANS, None)  # type: ignore[attr-defined]  # As above.
        self._unfinished = True
        found = await super()._execute(*args, **named)  # type: ignore[misc]  # The stubs know the public methods only.
        self._unfinished = False
        return found

    async def settle(self) -> None:
        """Before the session is lent again: no transaction, and no statement that is begun. Costs nothing where there is none.

        It holds no other state (no SET, LISTEN or session locks).
        """
        if self.is_in_transaction():
            await self.execute(ROLLBACK)
        elif self._unfinished:
            await self.fetchval(NOTHING)
        self._unfinished = False


async def _settled(session: Any) -> None:
    """`session`: a Session, or what the pool lends in its place. Raises InterfaceError where the pool has taken that away."""
    if not session.is_closed():
        await session.settle()


async def _codecs(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        format="binary",
    )


def _settings(*, production: bool, bounded: bool) -> dict[str, str]:
    zones.named("UTC")
    return {
        "application_name": "appointments",
        "timezone": "UTC",
        "jit": "off",
        # Every statement is looked up by keys: planning it anew for each set of values costs more than it can gain.
        "plan_cache_mode": "force_generic_plan",
        # Joins are written in the order in which they should run; searching for another took 29 ms a connection.
        "join_collapse_limit": "1",
        "from_collapse_limit": "1",
        # A plan made while a table was empty would read all of it: an index is mostly right from the first row on.
        "enable_seqscan": "off",
        "appointments.production": "on" if production else "off",
        "statement_timeout": str(STATEMENT_MILLISECONDS if bounded else 0),
        "transaction_timeout": str(TRANSACTION_MILLISECONDS if bounded else 0),
        "tcp_keepalives_idle": "10",
    }


async def connect(dsn: str, *, production: bool = False) -> asyncpg.Connection:
    """A connection of the log's own, set up like the pool's. The server closes it after 5 s without a statement: who stands still
    that long gives up its locks. Raises Unavailable.
    """
    settings = _settings(production=production, bounded=True)
    # What a crash takes from the log is made again, the same: only what is on disk can be read, and its order decides.
    settings["synchronous_commit"] = "off"
    settings["idle_session_timeout"] = str(IDLE_MILLISECONDS)
    async with answering():
        connection: asyncpg.Connection = await asyncpg.connect(
            dsn,
            server_settings=settings,
            timeout=5,
            command_timeout=STATEMENT_MILLISECONDS / 1000 + 2,
            connection_class=Session,
        )
        await _codecs(connection)
    return connection


async def disconnect(connection: asyncpg.Connection) -> None:
    """Never fails, and takes 2 s at most."""
    with suppress(*_GONE):
        await connection.close(timeout=2)


async def pool(dsn: str, *, size: int, production: bool = False, bounded: bool = True) -> asyncpg.Pool:
    """A pool whose statements and transactions end by themselves; `bounded=False` for migrations and audits (rule 17)."""
    return await asyncpg.create_pool(
        dsn,
        min_size=min(2, size),
        max_size=size,
        server_settings=_settings(production=production, bounded=bounded),
        init=_codecs,
        reset=_settled,
        connection_class=Session,
        timeout=5,
        max_inactive_connection_lifetime=0,
    )


@asynccontextmanager
async def _begun(connection: Connection, begin: str) -> AsyncIterator[None]:
    """A transaction by plain statements: the driver's own object stays with a session whose BEGIN was cancelled, for good."""
    try:
        await connection.execute(begin)
        yield
        await connection.execute(COMMIT)
    except BaseException:
        with suppress(*_GONE):
            await _settled(connection)
        raise


def _nobody() -> None:
    """Waits for changes."""


class Database:
    """`primary` decides; `replica` (the primary where none is configured) only shows.

    `committed` is called after each write transaction: a hint for who waits for changes in this process.
    """

    def __init__(self, primary: asyncpg.Pool, replica: asyncpg.Pool | None = None) -> None:
        self.primary = primary
        self.replica = replica or primary
        self.committed: Callable[[], None] = _nobody
        self._turns = asyncio.Semaphore(primary.get_max_size())

    async def close(self) -> None:
        for one in {id(self.primary): self.primary, id(self.replica): self.replica}.values():
            try:
                async with asyncio.timeout(5):
                    await one.close()
            except TimeoutError:
                one.terminate()

    def quiet(self) -> "Database":
        """The same, but its writes wake nobody."""
        other = copy(self)
        other.committed = _nobody
        return other

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[Connection]:
        """A session of the primary, in turn among those who write: the driver's pool lets whoever comes at the right moment pass
        all who wait.
        """
        patience_ends = monotonic() + ACQUIRE_SECONDS
        async with asyncio.timeout(ACQUIRE_SECONDS):
            await self._turns.acquire()
        try:
            left = max(0.001, patience_ends - monotonic())
            async with self.primary.acquire(timeout=left) as connection:
                yield connection
        finally:
            self._turns.release()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """READ COMMITTED on the primary. Take locks with `locks.take` before the first write."""
        async with (
            answering(),
            self._lent() as connection,
            _begun(connection, BEGIN),
        ):
            yield connection
        self.committed()

    @asynccontextmanager
    async def locked(
        self, caller_and_key: tuple[str, str] | None, keys: Iterable[locks.Key]
    ) -> AsyncIterator[Connection]:
        """A write transaction that has all its locks, in one round trip: caller and key first (1 s), then the rest ascending.

        Raises RequestInProgress where a twin holds the key, Unavailable where the rest is not had within the statement timeout.
        """
        async with (
            answering(),
            self._lent() as connection,
            _begun(connection, locks.opening(caller_and_key, keys)),
        ):
            yield connection
        self.committed()

    @asynccontextmanager
    async def snapshot(self, *, primary: bool) -> AsyncIterator[Connection]:
        """A read-only view of one moment."""
        source = self.primary if primary else self.replica
        async with (
            answering(),
            source.acquire(timeout=ACQUIRE_SECONDS) as connection,
            _begun(connection, BEGIN_SNAPSHOT),
        ):
            yield connection
