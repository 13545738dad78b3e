"""An engine that is asked only while it is well: within a deadline, and not again for a while once it failed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import structlog

from domain.faults import Unavailable
from domain.search import Candidate, Found, Sort, Wanted
from domain.search_order import Place
from services.background import beside
from services.searching.engines import Engine, EngineAway

DEADLINE_SECONDS: Final = 0.2  # What is left of 300 ms is for the engine that answers instead.
FAILURES: Final = 3  # One after the other: a pause of the engine's garbage collector costs less.
WAITING_MAX: Final = 128  # Searches in flight: what hangs holds no more of them.
LOOK_SECONDS: Final = 3.0  # While all is well; also how long an engine that answers wrongly may be believed.
LOOK_TIMEOUT_SECONDS: Final = 0.6  # What looks slow would answer nobody in time.
RETRY_SECONDS: Final = 0.25
RETRY_SECONDS_MAX: Final = 2.0
log = structlog.get_logger()
T = TypeVar("T")


class Breaker:
    """`look` raises Unavailable while the engine can't be believed: it is away, or its index is not ours, missing or old.

    No search ever tries whether it is well again: `watching` does. `observe` is told of each search: answered, failed or spared.
    """

    def __init__(
        self, engine: Engine, look: Callable[[], Awaitable[None]], observe: Callable[[str], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._look = look
        self._observe = observe
        self._failures = 0
        self._waiting = 0
        self._trouble = asyncio.Event()
        self.closed = False  # Until it was looked at.

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> Found:
        return await self._ask(lambda: self._engine.page(wanted, sort, first, after))

    async def candidates(self, wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]:
        """Ten thousand of them may take longer than the deadline on an engine that is well."""
        return await self._ask(lambda: self._engine.candidates(wanted, hits_only=hits_only), large=True)

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None, None]:
        """While it is open the engine is looked at. Begins once that has been done."""
        await self._see()
        if not self.closed:
            log.warning("the search engine is not there yet")
        async with beside(self._watch()):
            yield

    async def _ask(self, request: Callable[[], Coroutine[Any, Any, T]], *, large: bool = False) -> T:
        if not self.closed or self._waiting >= WAITING_MAX:
            self._observe("spared")
            raise EngineAway
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                found = await request()
        except (Unavailable, TimeoutError) as error:
            self._observe("failed")
            if not (large and isinstance(error, TimeoutError)):
                self._failed(str(error) or type(error).__name__)
            raise EngineAway from error
        except Exception as error:  # An answer that we do not understand is none; people still get theirs.
            self._observe("failed")
            log.exception("the search engine's answer was not understood")
            self._failed(type(error).__name__)
            raise EngineAway from error
        finally:
            self._waiting -= 1
        self._failures = 0
        self._observe("answered")
        return found

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES and self.closed:
            self._open(reason)

    def _open(self, reason: str) -> None:
        log.warning("the search engine is not asked any more", reason=reason)
        self.closed = False
        self._trouble.set()

    async def _watch(self) -> None:
        pause = RETRY_SECONDS
        while True:
            if self.closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._trouble.wait()
                pause = RETRY_SECONDS
            if not self.closed:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
            await self._see()

    async def _see(self) -> None:
        self._trouble.clear()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
                await self._look()
        except (Unavailable, TimeoutError) as error:
            if self.closed:
                self._open(str(error) or "it does not answer")
            return
        except Exception:  # Whatever it is: nobody would look again.
            log.exception("the search engine could not be looked at")
            self.closed = False
            return
        if not self.closed:
            log.info("the search engine is asked")
        self._failures, self.closed = 0, True
