"""What is logged while a test looks, as the product writes it; afterwards everything logs as before."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app import logs
from app.settings import Settings


@contextmanager
def logged(settings: Settings) -> Iterator[io.StringIO]:
    root, some = logging.getLogger(), [logging.getLogger(name) for name in ("", *logs.UVICORN)]
    handlers, levels = root.handlers[:], [one.level for one in some]
    out = io.StringIO()
    logs.configure(settings, out)
    try:
        yield out
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        for one, level in zip(some, levels, strict=True):
            one.setLevel(level)
