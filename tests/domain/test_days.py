"""Minutes of a day and visits outside the hours, also on the days when the clocks change."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain import days, zones
from domain.appointments import Appointment, AppointmentStatus
from domain.schedules import ExceptionKind, Schedule, ScheduleException, WeeklyHours

NEW_YORK = zones.named("America/New_York")
MONDAY = date(2026, 6, 1)
CLOSED, OPEN, REPLACED = ExceptionKind.CLOSED, ExceptionKind.OPEN, ExceptionKind.REPLACED


def schedule(*rows: WeeklyHours | ScheduleException) -> Schedule:
    hours = tuple(row for row in rows if isinstance(row, WeeklyHours))
    return Schedule(1, 2, 1, hours, tuple(row for row in rows if isinstance(row, ScheduleException)))


def exception(kind: ExceptionKind, opens: int, closes: int, day: date = MONDAY) -> ScheduleException:
    return ScheduleException(1, 1, 2, kind, day, opens, closes, None)


def visit(day: date, minute: int, length: int = 30, status: str = "booked", opening: int | None = None) -> Appointment:
    starts_at = zones.at(zones.instant(NEW_YORK, day, minute), NEW_YORK)
    ends_at = datetime.fromtimestamp(starts_at.timestamp() + length * 60, NEW_YORK)
    return Appointment(9, 1, AppointmentStatus(status), 3, 1, 2, 4, opening, starts_at, ends_at, None)


def test_minutes_are_the_union_over_the_kinds_of_visit() -> None:
    mixed = schedule(
        WeeklyHours(0, 540, 720, visit_type_keys=(4,)),
        WeeklyHours(0, 600, 780, visit_type_keys=(5,)),
        WeeklyHours(0, 840, 900),
        WeeklyHours(1, 540, 720),
    )
    assert days.open_minutes(mixed, NEW_YORK, MONDAY) == 240 + 60
    assert days.open_minutes(mixed, NEW_YORK, MONDAY + timedelta(days=1)) == 180
    assert days.open_minutes(mixed, NEW_YORK, MONDAY + timedelta(days=2)) == 0


def test_exceptions_replace_add_and_remove() -> None:
    weekly = WeeklyHours(0, 540, 720)
    assert days.open_minutes(schedule(weekly, exception(CLOSED, 0, 1440)), NEW_YORK, MONDAY) == 0
    assert days.open_minutes(schedule(weekly, exception(CLOSED, 600, 660)), NEW_YORK, MONDAY) == 120
    assert days.open_minutes(schedule(weekly, exception(OPEN, 660, 780)), NEW_YORK, MONDAY) == 240
    assert days.open_minutes(schedule(weekly, exception(REPLACED, 60, 120)), NEW_YORK, MONDAY) == 60


@pytest.mark.parametrize(("day", "minutes"), [(date(2026, 3, 8), 1380), (date(2026, 11, 1), 1500)])
def test_a_whole_day_has_the_hours_that_pass_in_it(day: date, minutes: int) -> None:
    assert days.open_minutes(schedule(WeeklyHours(6, 0, 1440)), NEW_YORK, day) == minutes


def test_booked_minutes_count_live_visits_without_openings() -> None:
    visits = [
        visit(MONDAY, 540),
        visit(MONDAY, 600, 45, "fulfilled"),
        visit(MONDAY, 660, 30, "noshow"),
        visit(MONDAY, 700, 30, "cancelled"),
        visit(MONDAY, 740, 9, opening=7),
    ]
    assert days.booked_minutes(visits) == 105


def test_a_visit_is_orphaned_as_soon_as_a_part_of_it_is() -> None:
    open_until_noon = schedule(WeeklyHours(0, 540, 720))
    cases = [(535, True), (540, False), (545, False), (690, False), (695, True), (800, True)]
    for minute, outside in cases:
        assert bool(days.orphaned(open_until_noon, NEW_YORK, [visit(MONDAY, minute)])) is outside, minute


def test_a_zone_that_is_changed_moves_the_hours_under_the_visits() -> None:
    hours, booked = schedule(WeeklyHours(0, 540, 720)), [visit(MONDAY, 540)]
    assert days.orphaned(hours, NEW_YORK, booked) == []
    assert days.orphaned(hours, ZoneInfo("America/Denver"), booked) == booked
