"""How a command's work ends: with its value, or with a Refused that says what to do."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import structlog

try:
    import uvloop
except ImportError:  # Windows has none.
    uvloop = None  # type: ignore[assignment]

from adapters.postgres.migrations import MigrationRefused
from app.refusal import Refused
from app.settings import load_settings

T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Runs the work with logs on stderr: a command's stdout is its answer alone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: what was started is stopped
    _configure_logs()
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


def _configure_logs() -> None:
    """Lines for people in development, JSON in production; what is less important than LOG_LEVEL is left out."""
    settings = load_settings()
    shown = structlog.processors.JSONRenderer() if settings.production else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
