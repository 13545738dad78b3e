"""The live benchmark tells both sides the same changes, and counts what it says. No test asserts speed."""

from pathlib import Path

import pytest

from app.embedded import Addresses
from benchmarks import live_report
from benchmarks.live import FULL, NOBODY, ONE_SHAPE, LiveResults, LiveSizes, Week, measure_live, spread
from benchmarks.population import Population, tomorrow

SMALL = LiveSizes(
    sockets=24, changes=4, changes_of_stock=4, shapes=(12,), spread_changes=6, alone=4, kafka=False
)  # fmt: skip


@pytest.fixture(scope="module")
async def results(embedded: Addresses, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> LiveResults:
    folder: Path = tmp_path_factory.mktemp("live")
    return await measure_live(embedded.database_url, redis_url, folder, SMALL, lambda what: None)


def test_everybody_hears_of_every_change_at_both_sides(results: LiveResults) -> None:
    heard = [(one.side, one.changes, one.frames) for one in results.told if one.case == ONE_SHAPE]
    assert heard == [("product", 4, 96), ("reference", 4, 96), ("product", 4, 96)]
    (alike,) = [one for one in results.told if one.case == FULL]
    assert (alike.side, alike.frames) == ("live", 96)


def test_a_frame_is_made_once_for_all_who_watch_the_same(results: LiveResults) -> None:
    made = {one.case: (one.executions, one.told_shapes) for one in results.told if one.side != "reference"}
    assert made[ONE_SHAPE] == (4, 4)
    assert made[NOBODY] == (0, 0)
    executions, shapes = made["12 shapes"]
    assert executions == shapes < 6 * 12


def test_latency_begins_with_the_commit(results: LiveResults) -> None:
    for one in results.told:
        assert len(one.last_ms) == (one.changes if one.frames else 0)
        assert all(0 < ms < 10_000 for ms in one.last_ms)


def test_the_page_shows_every_case(results: LiveResults) -> None:
    text = "\n".join(live_report.page(results))
    for title in ("all on one calendar", "spread over 12 shapes", "nobody watches", "embedded log"):
        assert title in text
    assert live_report.table(results).row_count == 6


def test_calendars_that_are_spread_are_all_different() -> None:
    population = Population(tomorrow(), clinics=4, providers=40)
    for shapes in (50, 500):
        found = spread(population, shapes)
        assert len(set(found)) == shapes
        assert len({one.visit_type for one in found}) == 3
        assert len({one.number for one in found}) > 1
    assert Week(0, 1, None) in found
