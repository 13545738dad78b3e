"""Work that goes on beside other work, for as long as that needs it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

log = structlog.get_logger()


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None, None]:
    """Runs while the context is open. What fails meanwhile is said in the log at once."""
    task = asyncio.create_task(work)
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.error("background work ended", work=repr(task.get_coro()), fault=type(fault).__name__)
