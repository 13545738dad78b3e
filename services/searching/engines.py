"""What answers a search: PostgreSQL always, Elasticsearch where there is one. Both answer the same."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

from domain.appointments import Slot
from domain.search import Candidate, Found, Pair, Sort, Wanted
from domain.search_crowd import Ask
from domain.search_order import Place

T = TypeVar("T")


class EngineAway(Exception):
    """This engine does not answer now, or not in time: another is asked."""


class Engine(Protocol):
    """Raises EngineAway, the last of all Unavailable.

    `page`: sorted by anything but SOONEST, and without `opens`, which only the calendar can tell.

    `candidates`: under all filters but those that are facets, with `hits_only` under all; at most PAIRS_MAX, the best first.
    """

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> Found: ...

    async def candidates(self, wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]: ...


class Engines:
    """The first that answers is believed; an answer of another than the first is degraded, which is said beside it."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> tuple[Found, bool]:
        return await self._first(lambda engine: engine.page(wanted, sort, first, after))

    async def candidates(self, wanted: Wanted, *, hits_only: bool = False) -> tuple[Sequence[Candidate], bool]:
        return await self._first(lambda engine: engine.candidates(wanted, hits_only=hits_only))

    async def _first(self, ask: Callable[[Engine], Awaitable[T]]) -> tuple[T, bool]:
        for number, engine in enumerate(self._engines[:-1]):
            try:
                return await ask(engine), number > 0
            except EngineAway:
                continue
        return await ask(self._engines[-1]), len(self._engines) > 1


class Start(Protocol):
    """A time that can be booked: `at` in UTC minutes."""

    @property
    def at(self) -> int: ...

    def slot(self, provider_key: int, clinic_key: int) -> Slot: ...


class Calendar(Protocol):
    """The first open times, under the patients' limits for everyone."""

    async def earliest(
        self, asked: Iterable[tuple[Pair, Sequence[int]]], opens: tuple[date, date] | None = None
    ) -> Mapping[Pair, Start]:
        """Of each pair the first over these visit types, between these clinic dates; pairs without one are left out."""
        ...

    async def starts(self, asked: Sequence[Ask], opens: tuple[date, date] | None = None) -> Sequence[Start | None]:
        """The same beside each; what is unchanged since it was last asked for is the same list."""
        ...
