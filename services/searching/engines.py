"""What answers a search: PostgreSQL always, Elasticsearch where there is one. Both answer the same."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol

from domain.appointments import Slot
from domain.search import Candidate, Found, Pair, Sort, Wanted
from domain.search_order import Place


class Engine(Protocol):
    """`page`: sorted by anything but SOONEST, and without `opens`, which only the calendar can tell.

    `candidates`: under all filters but those that are facets, at most PAIRS_MAX, the best first.
    """

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> Found: ...

    async def candidates(self, wanted: Wanted) -> Sequence[Candidate]: ...


class Calendar(Protocol):
    """The first open time over the visit types given with each pair, under the patients' limits; pairs without one are left out."""

    async def slots(
        self, asked: Iterable[tuple[Pair, Sequence[int]]], opens: tuple[date, date] | None = None
    ) -> dict[Pair, Slot]: ...
