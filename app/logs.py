"""Logs on stderr: lines for people in development, JSON in production, with the request's id. No values of anybody's row."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from traceback import format_tb
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from app.settings import Settings

# Below `info` uvicorn's library writes down every frame of every WebSocket, and so what patients read.
QUIETEST_OF_UVICORN: Final = logging.INFO
UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Ours from LOG_LEVEL on, uvicorn's too but no debugging of it; of other libraries only warnings and errors."""
    stream = stream or sys.stderr
    shown: Processor
    shown = structlog.processors.JSONRenderer() if settings.production else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_values,
    ]
    structlog.configure(
        processors=[*shared, shown],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _first_line],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, shown],
        )
    )
    handler.addFilter(_is_no_address)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    for name in UVICORN:
        logging.getLogger(name).setLevel(uvicorn_level(settings))


def uvicorn_level(settings: Settings) -> int:
    return max(logging.getLevelNamesMapping()[settings.log_level.upper()], QUIETEST_OF_UVICORN)


def _without_values(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """An exception's kind and place. Its message may hold the row that a database refused, and so somebody's data."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["fault"] = type(error).__name__
        event["sqlstate"] = getattr(error, "sqlstate", None)
        event["at"] = "".join(format_tb(error.__traceback__))
    return event


def _first_line(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Of a library's message: what follows (asyncio's repr of a task) holds exceptions with their messages."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _is_no_address(record: logging.LogRecord) -> bool:
    """uvicorn tells of each WebSocket with the peer's address and what it asked for. Metrics count them instead."""
    return not (record.name == "uvicorn.error" and str(record.msg).startswith('%s - "WebSocket'))
