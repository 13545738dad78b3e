"""Wall time to instants (rule 4): every change of every zone from 2025 to 2031, against readings of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import zones
from tests import sizes
from tests.domain import oracle
from tests.proofs import proof

YEAR = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))


def changes() -> list[tuple[str, datetime]]:
    """All zones in one year and a spread of zones in all years; at full size everything."""
    every = [(name, at) for name in oracle.SPREAD for at in oracle.transitions(name)]
    if sizes.ZONES_EVERY_YEAR:
        return [(name, at) for name in oracle.ALL_ZONES for at in oracle.transitions(name)]
    return every + [(name, at) for name in oracle.ALL_ZONES for at in oracle.transitions(name, *YEAR)]


def test_every_wall_time_around_every_change() -> None:
    """Wall times of the three days around each: clipped in gaps, the first reading in folds."""
    gaps = folds = times = 0
    for name, at in changes():
        zone = zones.named(name)
        after = at.astimezone(zone)
        before = (at - timedelta(minutes=1)).astimezone(zone)
        offsets = before.utcoffset(), after.utcoffset()
        assert offsets[0] is not None
        assert offsets[1] is not None
        gaps += offsets[1] > offsets[0]
        folds += offsets[1] < offsets[0]
        first = after.date() - timedelta(days=2)
        for day in (after.date() + timedelta(days=n) for n in (-1, 0, 1)):
            for minute in range(0, zones.MINUTES_A_DAY + 1, sizes.WALL_MINUTES):
                found = zones.instant(zone, day, minute)
                assert found == zones.minutes(oracle.instant(name, day, minute, first=first)), (name, day, minute)
                times += 1
    assert gaps > 100
    assert folds > 100
    proof(
        "every zone change", zones=len(oracle.ALL_ZONES), changes=gaps + folds, gaps=gaps, folds=folds, wall_times=times
    )


def test_every_offset_is_a_multiple_of_a_quarter_of_an_hour_and_changes_fall_on_ticks() -> None:
    for name in oracle.ALL_ZONES:
        zone = ZoneInfo(name)
        for at in (oracle.FIRST, oracle.LAST, *oracle.transitions(name)):
            offset = at.astimezone(zone).utcoffset()
            assert offset is not None
            assert offset % timedelta(minutes=15) == timedelta(), (name, at)
            assert at.minute % 5 == at.second == 0, (name, at)
    proof("offsets are multiples of 15 minutes, 2025 to 2031", zones=len(oracle.ALL_ZONES))


@settings(max_examples=sizes.CALENDAR_EXAMPLES, deadline=None)
@given(
    st.sampled_from(oracle.ALL_ZONES),
    st.dates(date(2025, 1, 2), date(2031, 12, 30)),
    st.integers(0, zones.MINUTES_A_DAY),
)
def test_any_minute_of_any_day(name: str, day: date, minute: int) -> None:
    found = zones.instant(zones.named(name), day, minute)
    assert found == zones.minutes(oracle.instant(name, day, minute, step=1))


def test_a_gap_is_clipped_and_a_fold_read_first() -> None:
    zone = zones.named("America/New_York")
    gap, fold = date(2027, 3, 14), date(2027, 11, 7)
    assert zones.at(zones.instant(zone, gap, 150), UTC) == datetime(2027, 3, 14, 7, tzinfo=UTC)  # type: ignore[arg-type]
    assert zones.instant(zone, gap, 120) == zones.instant(zone, gap, 150) == zones.instant(zone, gap, 180)
    assert zones.at(zones.instant(zone, fold, 90), UTC) == datetime(2027, 11, 7, 5, 30, tzinfo=UTC)  # type: ignore[arg-type]
    assert zones.instant(zone, fold, 1440) - zones.instant(zone, fold, 0) == 25 * 60
    assert zones.instant(zone, gap, 1440) == zones.instant(zone, gap + timedelta(days=1), 0)


def test_lord_howe_moves_by_half_an_hour() -> None:
    zone = zones.named("Australia/Lord_Howe")
    lengths = {
        zones.instant(zone, day, 1440) - zones.instant(zone, day, 0) for day in (date(2027, 4, 4), date(2027, 10, 3))
    }
    assert lengths == {24 * 60 - 30, 24 * 60 + 30}


@pytest.mark.parametrize(
    "name", ["", "Nowhere/City", "../etc/passwd", "localtime", "America/new_york", "x" * 5000, "\x00"]
)
def test_a_name_that_is_no_zone(name: str) -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        zones.named(name)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2150, 1, 1)), st.sampled_from(oracle.ALL_ZONES))  # noqa: DTZ001 (wall times)
def test_minutes_and_back(naive: datetime, name: str) -> None:
    at = naive.replace(tzinfo=UTC)
    zone = zones.named(name)
    minute = zones.minutes(at)
    assert timedelta() <= at - zones.at(minute, zone) < timedelta(minutes=1)
    assert zones.today(at, zone) == at.astimezone(zone).date()
