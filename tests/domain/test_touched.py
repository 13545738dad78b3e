"""Which starts a change touches, against minutes counted one by one."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain import touched, zones
from domain.clinics import Modality, VisitType
from domain.streams import CalendarEvent

MOMENT = datetime(2027, 3, 1, tzinfo=UTC)
TICKS = 400
SECONDS = st.integers(-90 * 300, (TICKS + 90) * 300)
KINDS = st.builds(
    lambda minutes, before, after: VisitType(
        1, 1, True, "", minutes * 5, before * 5, after * 5, None, 0, 90, 0, Modality.IN_PERSON
    ),
    st.integers(1, 144), st.integers(0, 48), st.integers(0, 48),
)  # fmt: skip
SPANS = st.lists(st.tuples(SECONDS, SECONDS), max_size=4)


def event(opened: list[tuple[int, int]], closed: list[tuple[int, int]]) -> CalendarEvent:
    ended = tuple((start, end, 0) for start, end in closed)
    return CalendarEvent("e", 1, 1, MOMENT, 1, 1, 1, None, 1, tuple(opened), ended)


@given(KINDS, SPANS, st.integers(-50, 50))
def test_a_start_is_touched_where_its_visit_with_buffers_meets_the_change(
    kind: VisitType, spans: list[tuple[int, int]], base: int
) -> None:
    assert kind.duration_minutes is not None
    expected = 0
    for tick in range(base, base + TICKS):
        begins = (tick * 5 - kind.buffer_before_minutes) * 60
        ends = (tick * 5 + kind.duration_minutes + kind.buffer_after_minutes) * 60
        # What occupies time is kept in whole ticks, rounded outwards.
        rounded = [(start // 300 * 300, -(-end // 300) * 300) for start, end in spans if start < end]
        if any(begins < end and start < ends for start, end in rounded):
            expected |= 1 << (tick - base)
    assert touched.starts(kind, spans, base, base + TICKS) == expected


@given(KINDS, st.tuples(SECONDS, SECONDS).filter(lambda one: one[0] < one[1]), st.booleans(), st.integers(0, 5))
def test_what_touches_a_start_of_the_dates_is_within_their_reach(
    kind: VisitType, span: tuple[int, int], opened: bool, days: int
) -> None:
    zone, first = zones.named("America/New_York"), date(2027, 3, 12)  # the clock changes on the 14th
    last = first + timedelta(days=days)
    begin = zones.instant(zone, first, 0)
    moved = [(begin * 60 + start, begin * 60 + end) for start, end in [span]]
    ticks = (begin // 5, zones.instant(zone, last, 1440) // 5)
    within = touched.within(event(moved, []) if opened else event([], moved), *touched.reach(zone, first, last))
    assert within or not touched.starts(kind, moved, *ticks)


def test_what_is_far_off_is_not_within_reach() -> None:
    zone, first = zones.named("Asia/Kolkata"), date(2027, 3, 1)
    begin, end = touched.reach(zone, first, first)
    assert end - begin == 3 * 86400
    assert not touched.within(event([(end, end + 60)], [(begin - 60, begin)]), begin, end)
    assert touched.within(event([(end - 1, end + 60)], []), begin, end)


def test_spans_are_all_that_was_opened_and_closed() -> None:
    assert list(touched.spans(event([(1, 2)], [(3, 4), (5, 6)]))) == [(1, 2), (3, 4), (5, 6)]
