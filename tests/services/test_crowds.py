"""What an engine named is believed for a moment, and is the same crowd as long as it names the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from domain.search import Candidate, FacetField, Found, Sort, Wanted
from domain.search_order import Place
from services.searching import crowds
from services.searching.crowds import Crowds
from services.searching.engines import EngineAway, Engines

EVERY = Wanted()


def candidate(number: int) -> Candidate:
    return Candidate((number, 1), 0, f"name {number}", ("Surgery",), (), (1,), (), None)


@dataclass
class Names:
    """An engine that names these, and how often it was asked."""

    candidates_now: list[Candidate] = field(default_factory=lambda: [candidate(1), candidate(2)])
    asked: int = 0
    away: bool = False

    async def page(self, _wanted: Wanted, _sort: Sort, _first: int, _after: Place | None) -> Found:
        return Found([], len(self.candidates_now), {field: [] for field in FacetField})

    async def candidates(self, _wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]:
        if self.away:
            raise EngineAway
        self.asked += 1
        return list(self.candidates_now)


async def test_it_is_asked_once_in_a_moment_whatever_the_dates() -> None:
    engine = Names()
    kept = Crowds(Engines([engine]))
    first = await kept.crowd(EVERY)
    later = await kept.crowd(replace(EVERY, opens=(date(2026, 1, 1), date(2026, 1, 7))))
    assert later is first
    assert engine.asked == 1
    assert (await kept.crowd(EVERY, hits_only=True)).counted is not None
    assert (await kept.crowd(replace(EVERY, accepting=True))) is not first
    assert engine.asked == 3


async def test_who_is_named_after_that_is_found_and_the_same_are_the_same_crowd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowds, "KEPT_SECONDS", 0.0)
    engine = Names()
    kept = Crowds(Engines([engine]))
    first = await kept.crowd(EVERY)
    assert (await kept.crowd(EVERY)).crowd is first.crowd
    engine.candidates_now.append(candidate(3))
    grown = await kept.crowd(EVERY)
    assert [pair for pair, _ in grown.crowd.asked] == [(1, 1), (2, 1), (3, 1)]
    assert engine.asked == 3


async def test_another_engine_s_answer_is_degraded_as_long_as_it_is_believed() -> None:
    first, other = Names(away=True), Names()
    kept = Crowds(Engines([first, other]))
    assert (await kept.crowd(EVERY)).degraded
    assert (await kept.crowd(EVERY)).degraded
    assert other.asked == 1


async def test_those_asked_for_long_ago_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "CANDIDATES_MAX", 5)
    engine = Names()
    kept = Crowds(Engines([engine]))
    for specialty in ("One", "Two", "Three", "Three", "Two", "One"):
        await kept.crowd(replace(EVERY, specialties=(specialty,)))
    assert engine.asked == 4
