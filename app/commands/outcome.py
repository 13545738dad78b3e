"""How a command's work ends: with its value, or with a Refused that says what to do."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

try:
    import uvloop
except ImportError:  # Windows has none.
    uvloop = None  # type: ignore[assignment]

from adapters.postgres.migrations import MigrationRefused
from app import logs
from app.refusal import Refused
from app.settings import load_settings

T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Runs the work with logs on stderr: a command's stdout is its answer alone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: what was started is stopped
    logs.configure(load_settings())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop else None) as runner:
            return runner.run(work)
    except MigrationRefused as error:
        raise Refused(str(error)) from error
    except asyncpg.UndefinedTableError as error:
        raise Refused(f"the database lacks the schema ({error}): run `appointments migrate`") from error
    except (
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.InvalidAuthorizationSpecificationError,
    ) as error:
        raise Refused(f"PostgreSQL does not answer: {error}") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise Refused(f"PostgreSQL: {error}") from error
