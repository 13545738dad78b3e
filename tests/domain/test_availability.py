"""Open times by arithmetic against the slow oracle (rules 2 to 6), over all zones and around their changes."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import availability, booking, zones
from domain.availability import bits, every, runs
from domain.calendars import Calendar, Taken, chunk, chunks, join
from domain.clinics import VisitType
from domain.schedules import ExceptionKind, Schedule, ScheduleException, WeeklyHours, overlapping
from tests import sizes
from tests.domain import oracle
from tests.domain.oracle import Busy, visit_type
from tests.proofs import proof

PLANES = st.integers(0, (1 << 80) - 1)
MOMENTS = st.integers(0, 6 * 366 * 86400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
WALLS = st.tuples(st.integers(0, 287), st.integers(1, 200)).map(lambda w: (w[0] * 5, min(1440, (w[0] + w[1]) * 5)))
tried = {"examples": 0, "starts": 0, "around_changes": 0}


@st.composite
def days(draw: st.DrawFn) -> tuple[str, date]:
    """A zone and a day: every other time one at which its clocks change, or beside it."""
    if draw(st.booleans()):
        name = draw(st.sampled_from(oracle.ALL_ZONES))
        changed = oracle.transitions(name)
        if changed:
            at = draw(st.sampled_from(changed)).astimezone(zones.named(name)).date()
            tried["around_changes"] += 1
            return name, at + timedelta(days=draw(st.integers(-1, 1)))
    return draw(st.sampled_from(oracle.ALL_ZONES)), draw(st.dates(date(2025, 1, 3), date(2031, 12, 28)))


@st.composite
def schedules(draw: st.DrawFn, day: date) -> Schedule:
    rows = [
        WeeklyHours(
            (day.weekday() + draw(st.integers(-1, 1))) % 7,
            *draw(WALLS),
            visit_type_keys=draw(st.sampled_from([(), (), (1,), (2,)])),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    while (clash := overlapping(rows)) is not None:
        del rows[clash]
    kinds = st.sampled_from(list(ExceptionKind))
    exceptions = tuple(
        ScheduleException(n, 1, 1, draw(kinds), day + timedelta(days=draw(st.integers(-1, 1))), *draw(WALLS), None)
        for n in range(draw(st.integers(0, 3)))
    )
    return Schedule(1, 1, 1, tuple(rows), exceptions)


def kinds() -> st.SearchStrategy[VisitType]:
    fives = st.integers(0, 12).map(lambda n: n * 5)
    return st.builds(
        visit_type,
        st.integers(1, 30).map(lambda n: n * 5),
        before=fives,
        after=fives,
        every=st.none() | st.integers(1, 12).map(lambda n: n * 5),
        notice=st.sampled_from([0, 7, 60, 1440]),
        days=st.sampled_from([0, 1, 2, 90]),
    )


def calendar(busy: list[Busy], first: date, last: date, zone: Any) -> Calendar:
    """As it comes from the database: ticks rounded outwards, in chunks that are joined."""
    taken = []
    for one in busy:
        expires_at = int(one.expires.timestamp()) if one.expires else 0
        taken.append(Taken(int(one.starts.timestamp()) // 300, -(-int(one.ends.timestamp()) // 300), expires_at))
    base, end = availability.window(zone, first, last)
    return join(chunk(1, number, taken) for number in chunks(base, end))


@settings(max_examples=sizes.CALENDAR_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), days(), kinds(), st.booleans())
def test_open_starts_are_those_of_the_oracle(
    data: st.DataObject, where: tuple[str, date], kind: VisitType, binding: bool
) -> None:
    name, day = where
    zone = zones.named(name)
    schedule = data.draw(schedules(day))
    last = day + timedelta(days=data.draw(st.integers(0, 1)))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    now = noon + timedelta(
        minutes=data.draw(st.integers(-4 * 1440, 1440)), seconds=data.draw(st.sampled_from([0, 0, 1, 59]))
    )
    busy = []
    for _ in range(data.draw(st.integers(0, 4))):
        starts = noon + timedelta(minutes=5 * data.draw(st.integers(-400, 400)))
        expires = data.draw(st.sampled_from([None, None, now - timedelta(minutes=1), now, now + timedelta(minutes=3)]))
        busy.append(Busy(starts, starts + timedelta(minutes=5 * data.draw(st.integers(1, 60))), expires))
    bound = availability.limits(kind, zone, now, binding=binding)
    found = availability.open_starts(schedule, zone, kind, calendar(busy, day, last, zone), day, last, bound, now)
    wanted = oracle.free(schedule, name, kind, busy, day, last, now, binding=binding)
    assert found == [zones.minutes(at) for at in wanted]
    tried["examples"] += 1
    tried["starts"] += len(wanted)


@settings(max_examples=sizes.CALENDAR_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), days(), kinds())
def test_what_is_offered_one_by_one_is_what_is_listed(
    data: st.DataObject, where: tuple[str, date], kind: VisitType
) -> None:
    """`find` and `book` agree on every tick of the day, and on what lies between ticks."""
    name, day = where
    zone = zones.named(name)
    schedule = data.draw(schedules(day))
    listed = {zones.minutes(at) for at in oracle.offered(schedule, name, kind, day, day)}
    first = zones.instant(zone, day, 0)
    for start in range(first, zones.instant(zone, day, 1440), 5):
        assert booking.offered_start(schedule, zone, kind, start) == (start in listed)
    odd = first + 5 * data.draw(st.integers(0, 287)) + data.draw(st.integers(1, 4))
    assert not booking.offered_start(schedule, zone, kind, odd)


def test_every_change_of_a_spread_of_zones_from_hour_to_hour() -> None:
    """A day of hours that begin and end every hour, on each day on which the clocks change."""
    kind, changed, starts = visit_type(45, every=15), 0, 0
    names = oracle.ALL_ZONES if sizes.ZONES_EVERY_YEAR else oracle.SPREAD
    for name in names:
        zone = zones.named(name)
        found = oracle.transitions(name)
        for at in found[:2] if sizes.ZONES_EVERY_YEAR else found[::3]:
            day = at.astimezone(zone).date()
            rows = tuple(
                WeeklyHours(weekday, 60 * n + 30, 60 * n + 90) for weekday in range(7) for n in range(0, 23, 2)
            )
            schedule = Schedule(1, 1, 1, rows)
            now = at - timedelta(days=5)
            bound = availability.limits(kind, zone, now, binding=False)
            mine = availability.open_starts(schedule, zone, kind, Calendar(1, 0, 0), day, day, bound, now)
            wanted = oracle.free(schedule, name, kind, [], day, day, now, binding=False)
            assert mine == [zones.minutes(at) for at in wanted], (name, day)
            changed, starts = changed + 1, starts + len(wanted)
    proof("open times on days of change", changes=changed, starts=starts)


@settings(max_examples=sizes.CALENDAR_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), days())
def test_the_next_and_the_third_next(data: st.DataObject, where: tuple[str, date]) -> None:
    name, day = where
    zone = zones.named(name)
    kind = visit_type(30, every=15)
    schedule = data.draw(schedules(day))
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2)
    busy = [Busy(now + timedelta(days=1), now + timedelta(days=2, hours=data.draw(st.integers(0, 23))))]
    first = zones.today(now, zone)
    last = first + timedelta(days=8)
    bound = availability.limits(kind, zone, now, binding=True)
    found = availability.open_starts(schedule, zone, kind, calendar(busy, first, last, zone), first, last, bound, now)
    wanted = oracle.free(schedule, name, kind, busy, first, last, now, binding=True)
    nearest = [zones.minutes(at) for at in wanted]
    assert found[:1] == nearest[:1]
    assert found[2:3] == nearest[2:3]


# --- rules by example


def starts(
    schedule: Schedule, kind: VisitType, day: date = date(2027, 3, 3), zone: str = "UTC", busy: list[Busy] | None = None
) -> list[str]:
    where = zones.named(zone)
    now = datetime(2027, 3, 1, tzinfo=UTC)
    bound = availability.limits(kind, where, now, binding=False)
    found = availability.open_starts(schedule, where, kind, calendar(busy or [], day, day, where), day, day, bound, now)
    return [f"{zones.at(minute, where):%H:%M}" for minute in found]


def hours(*rows: tuple[int, int], exceptions: tuple[ScheduleException, ...] = ()) -> Schedule:
    return Schedule(1, 1, 1, tuple(WeeklyHours(day, *row) for day in range(7) for row in rows), exceptions)


def test_what_is_cut_out_does_not_move_the_grid() -> None:
    closed = ScheduleException(1, 1, 1, ExceptionKind.CLOSED, date(2027, 3, 3), 8 * 60 + 10, 8 * 60 + 50, None)
    assert starts(hours((480, 660), exceptions=(closed,)), visit_type(30)) == ["09:00", "09:30", "10:00", "10:30"]
    at = datetime(2027, 3, 3, 8, 10, tzinfo=UTC)
    busy = [Busy(at, at + timedelta(minutes=40))]
    assert starts(hours((480, 660)), visit_type(30), busy=busy) == ["09:00", "09:30", "10:00", "10:30"]


def test_openings_that_touch_are_one_stretch_with_two_grids() -> None:
    assert starts(hours((480, 530), (530, 600)), visit_type(30, every=20)) == [
        "08:00",
        "08:20",
        "08:40",
        "08:50",
        "09:10",
        "09:30",
    ]


def test_a_visit_may_run_over_midnight_into_the_next_day() -> None:
    assert starts(hours((0, 60), (1380, 1440)), visit_type(60, every=30)) == ["00:00", "23:00", "23:30"]


def test_the_visit_lies_in_open_time_its_buffers_need_not() -> None:
    assert starts(hours((480, 540)), visit_type(30, before=60, after=60)) == ["08:00", "08:30"]
    at = datetime(2027, 3, 3, 7, 30, tzinfo=UTC)
    assert starts(hours((480, 540)), visit_type(30, before=25), busy=[Busy(at, at + timedelta(minutes=10))]) == [
        "08:30"
    ]
    assert starts(hours((480, 540)), visit_type(30, before=20), busy=[Busy(at, at + timedelta(minutes=10))]) == [
        "08:00",
        "08:30",
    ]


def test_a_grid_in_a_gap_is_counted_from_the_first_time_that_exists() -> None:
    rows = Schedule(1, 1, 1, (WeeklyHours(6, 150, 240),))
    assert starts(rows, visit_type(25), date(2027, 3, 14), "America/New_York") == ["03:00", "03:25"]


def test_durations_are_elapsed_time() -> None:
    rows = Schedule(1, 1, 1, (WeeklyHours(6, 60, 180),))
    found = starts(rows, visit_type(60), date(2027, 11, 7), "America/New_York")
    assert found == ["01:00", "01:00", "02:00"]  # three hours pass between one and three o'clock


@given(st.sampled_from(oracle.ALL_ZONES), MOMENTS, kinds(), st.booleans())
def test_limits_are_those_of_the_rule(name: str, now: datetime, kind: VisitType, binding: bool) -> None:
    zone = zones.named(name)
    bound = availability.limits(kind, zone, now, binding=binding)
    earliest, before = zones.at(bound.earliest, zone), zones.at(bound.earliest - 1, zone)

    def allowed(at: datetime) -> bool:
        return at > now and (not binding or at - now >= timedelta(minutes=kind.minimum_notice_minutes))

    assert allowed(earliest)
    assert not allowed(before)
    days_ahead = kind.bookable_days_ahead if binding else 730
    assert bound.last_date == now.astimezone(zone).date() + timedelta(days=days_ahead)


# --- planes


@given(PLANES, st.integers(1, 90))
def test_runs(plane: int, length: int) -> None:
    text = f"{plane:0200b}"[::-1]
    assert runs(plane, length) == sum(1 << n for n in range(100) if text[n : n + length] == "1" * length)


@given(st.integers(0, 300), st.integers(1, 300), st.integers(1, 60))
def test_every(start: int, length: int, step: int) -> None:
    assert every(start, start + length, step) == sum(1 << n for n in range(start, start + length, step))


@given(PLANES)
def test_bits(plane: int) -> None:
    assert list(bits(plane)) == [n for n in range(80) if plane >> n & 1]


@given(PLANES, st.integers(1, 20), st.integers(0, 4), st.integers(0, 4))
def test_free(busy: int, length: int, before: int, after: int) -> None:
    kind = visit_type(length * 5, before=before * 5, after=after * 5)
    found = set(bits(availability.free(kind, busy, 80)))
    clear = {n for n in range(80) if not busy >> n & 1}
    assert found == {n for n in range(80) if clear.issuperset(range(n - before, n + length + after))}


def test_what_was_tried_is_told() -> None:
    proof("open times against the oracle", zones=len(oracle.ALL_ZONES), **tried)
