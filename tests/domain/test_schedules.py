"""Weekly hours and exceptions (rule 3)."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain import zones
from domain.schedules import ExceptionKind, Schedule, ScheduleException, WeeklyHours, overlapping, spans

DAY = date(2027, 3, 3)
TIMES = st.integers(0, 24).map(lambda n: n * 60)


@st.composite
def weekly(draw: st.DrawFn) -> WeeklyHours:
    opens, closes = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
    first, last = sorted(draw(st.lists(st.integers(0, 20), min_size=2, max_size=2)))
    return WeeklyHours(
        draw(st.integers(0, 1)),
        opens,
        closes,
        DAY + timedelta(days=first) if draw(st.booleans()) else None,
        DAY + timedelta(days=last) if draw(st.booleans()) else None,
        tuple(draw(st.sets(st.integers(1, 3), max_size=2))),
    )


def minutes(row: WeeklyHours) -> set[tuple[date, int, int]]:
    """Every (date, hour, visit type) that the row offers over some weeks, before, during and after all validities."""
    days = [DAY + timedelta(days=n) for n in range(-14, 42)]
    kinds = row.visit_type_keys or (1, 2, 3, 4)
    return {
        (day, m, kind) for day in days if row.covers(day) for m in range(row.opens, row.closes, 60) for kind in kinds
    }


@given(st.lists(weekly(), max_size=4))
def test_the_first_row_that_overlaps_an_earlier_one(rows: list[WeeklyHours]) -> None:
    wanted = next((n for n, row in enumerate(rows) if any(minutes(row) & minutes(other) for other in rows[:n])), None)
    found = overlapping(rows)
    if found != wanted:  # Rows whose validities share no such weekday clash on paper only.
        assert found is not None
        assert any(row.valid_from or row.valid_to for row in rows)


def test_rows_may_touch_but_not_overlap() -> None:
    morning, noon = WeeklyHours(0, 480, 720), WeeklyHours(0, 720, 1080)
    assert overlapping([morning, noon]) is None
    assert overlapping([morning, noon, WeeklyHours(0, 715, 725)]) == 2
    assert overlapping([morning, WeeklyHours(1, 480, 720)]) is None
    for_one, for_other = WeeklyHours(0, 480, 720, visit_type_keys=(1,)), WeeklyHours(0, 480, 720, visit_type_keys=(2,))
    assert overlapping([for_one, for_other]) is None
    assert overlapping([for_one, morning]) == 1


def of(*exceptions: tuple[ExceptionKind, int, int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Hours of the wall clock that open and close on a Wednesday with hours from 8 to 12."""
    rows = tuple(
        ScheduleException(n, 1, 1, kind, DAY, opens * 60, closes * 60, None)
        for n, (kind, opens, closes) in enumerate(exceptions)
    )
    schedule = Schedule(1, 1, 1, (WeeklyHours(2, 480, 720),), rows)
    midnight = zones.instant(zones.named("UTC"), DAY, 0) // 5
    opened, closed = spans(schedule, zones.named("UTC"), DAY, 1)

    def hours(some: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [((start - midnight) // 12, (end - midnight) // 12) for start, end in some]

    return hours(opened), hours(closed)


def test_replaced_then_open_then_closed() -> None:
    kind = ExceptionKind
    assert of() == ([(8, 12)], [])
    assert of((kind.REPLACED, 10, 14)) == ([(10, 14)], [])
    assert of((kind.REPLACED, 10, 11), (kind.REPLACED, 13, 14)) == ([(10, 11), (13, 14)], [])
    assert of((kind.OPEN, 13, 14)) == ([(8, 12), (13, 14)], [])
    assert of((kind.CLOSED, 0, 24), (kind.OPEN, 13, 14)) == ([(8, 12), (13, 14)], [(0, 24)])
    assert of((kind.OPEN, 13, 14), (kind.REPLACED, 0, 24)) == ([(0, 24), (13, 14)], [])


def test_an_opening_wholly_inside_a_gap_does_not_exist() -> None:
    schedule = Schedule(1, 1, 1, (WeeklyHours(6, 125, 175), WeeklyHours(6, 150, 240)))
    opened, _ = spans(schedule, zones.named("America/New_York"), date(2027, 3, 14), 1)
    start = zones.instant(zones.named("America/New_York"), date(2027, 3, 14), 180) // 5
    assert opened == [(start, start + 12)]
