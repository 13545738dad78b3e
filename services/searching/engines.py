"""What answers a search: PostgreSQL always, Elasticsearch where there is one. Both answer the same."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol

from domain.appointments import Slot
from domain.search import Candidate, Found, Pair, Sort, Wanted
from domain.search_order import Place


class EngineAway(Exception):
    """This engine does not answer now, or not in time: another is asked."""


class Engine(Protocol):
    """Raises EngineAway, the last of all Unavailable.

    `page`: sorted by anything but SOONEST, and without `opens`, which only the calendar can tell.

    `candidates`: under all filters but those that are facets, with `hits_only` under all; at most PAIRS_MAX, the best first.
    """

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> Found: ...

    async def candidates(self, wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]: ...


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
