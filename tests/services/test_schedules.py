"""Weekly hours and exceptions, and the visits that an edit leaves outside them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database
from adapters.postgres.open_times import OpenTimes
from domain import ids, zones
from domain.access import ANONYMOUS, AccessDenied, Viewer
from domain.appointments import Slot
from domain.outcomes import (
    AppointmentBooked,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    PolicyViolation,
    ScheduleSaved,
    StaleVersion,
)
from domain.schedules import ExceptionKind, WeeklyHours
from services.alternatives import Alternatives
from services.booking import Booking
from services.contention import Shield
from services.desk import Desk
from services.schedules import ExceptionInput, HoursInput, Schedules
from tests import builders
from tests.builders import World, admin, key, patient_viewer, staff, wall

CLOSED, OPEN, REPLACED = ExceptionKind.CLOSED, ExceptionKind.OPEN, ExceptionKind.REPLACED
MORNINGS = [HoursInput(weekday, 540, 720) for weekday in range(7)]


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with builders.opened(database_url) as database:
        yield database


@pytest.fixture
def schedules(database: Database) -> Schedules:
    return Schedules(database)


@pytest.fixture
async def world(database: Database) -> World:
    return await builders.world(database.primary)


@pytest.fixture
async def today(database: Database) -> date:
    now: datetime = await database.primary.fetchval("SELECT app_now()")
    return zones.today(now, zones.named(builders.ZONE))


@pytest.fixture
def open_times() -> OpenTimes:
    """As a process keeps it: what it knows of a schedule stays, by version."""
    return OpenTimes(KnownSchedules())


async def set_hours(schedules: Schedules, world: World, hours: list[HoursInput], **given: Any) -> Any:
    asked = {"viewer": world.staff, "version": 1, "idempotency_key": key()} | given
    viewer = asked.pop("viewer")
    return await schedules.set_weekly_hours(viewer, world.provider_id, world.clinic_id, hours=hours, **asked)


async def add(schedules: Schedules, world: World, added: ExceptionInput, again: str = "", **given: Any) -> Any:
    viewer: Viewer = given.get("viewer", world.staff)
    return await schedules.add_exception(viewer, world.provider_id, world.clinic_id, added, again or key())


async def free(database: Database, open_times: OpenTimes, world: World, day: date) -> list[str]:
    """Starts on that day as any caller would read them next, by the clinic's wall clock."""
    triple = (world.provider, world.clinic, world.visit_type)
    found: dict[Any, list[Slot]] = await open_times.free(database.primary, [triple], day, day, binding=False, limit=200)
    return [f"{slot.starts_at:%H:%M}" for slot in found[triple]]


async def versions(database: Database, world: World) -> tuple[int, int]:
    """Of the schedule and of the provider's calendar."""
    reader = database.primary
    schedule = await reader.fetchval("SELECT version FROM schedules WHERE provider_id = $1", world.provider)
    return schedule, await reader.fetchval("SELECT version FROM resources WHERE id = $1", world.provider)


async def told(database: Database, world: World) -> list[tuple[int, int, Any]]:
    found = await builders.rows(
        database.primary, "SELECT * FROM outbox WHERE resource_id = $1 ORDER BY id", world.provider
    )
    return [(row["clinic_id"], row["resource_version"], row["payload"]) for row in found]


async def test_hours_are_replaced_as_a_whole_and_true_in_the_very_next_read(
    database: Database, schedules: Schedules, world: World, today: date, open_times: OpenTimes
) -> None:
    day = today + timedelta(days=7)
    assert len(await free(database, open_times, world, day)) == 16
    rows = [
        HoursInput(day.weekday(), 600, 660, None, day, (world.visit_type_id,)),
        HoursInput(day.weekday(), 1380, 1440, day + timedelta(days=1), None),
    ]
    answer = await set_hours(schedules, world, rows)
    assert isinstance(answer, ScheduleSaved)
    assert answer.schedule.version == 2
    assert answer.schedule.hours == (
        WeeklyHours(day.weekday(), 600, 660, None, day, (world.visit_type,)),
        WeeklyHours(day.weekday(), 1380, 1440, day + timedelta(days=1), None),
    )
    assert await free(database, open_times, world, day) == ["10:00", "10:30"]
    assert await free(database, open_times, world, day + timedelta(days=1)) == []
    assert await free(database, open_times, world, day + timedelta(days=7)) == ["23:00", "23:30"]
    assert isinstance(await set_hours(schedules, world, [], version=2), ScheduleSaved)
    assert await free(database, open_times, world, day) == []


async def test_an_edit_raises_both_versions_and_tells_every_clinic_of_the_provider(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    second = await builders.clinic(database.primary)
    await database.primary.execute("INSERT INTO provider_clinics VALUES ($1, $2)", world.provider, second)
    await set_hours(schedules, world, MORNINGS)
    answer = await add(schedules, world, ExceptionInput(CLOSED, today))
    await schedules.remove_exception(world.staff, answer.schedule.exceptions[0].id, key())
    assert await versions(database, world) == (4, 3)
    assert await told(database, world) == [
        (clinic, version, {"invalidated": True}) for version in (1, 2, 3) for clinic in (world.clinic, second)
    ]
    audited = await builders.rows(
        database.primary,
        "SELECT operation, subject, patient_id FROM audit WHERE operation ~ 'chedule|Hours' ORDER BY id",
    )
    assert [row["operation"] for row in audited[-3:]] == [
        "setWeeklyHours", "addScheduleException", "removeScheduleException",
    ]  # fmt: skip


async def test_a_schedule_that_nobody_set_has_version_0(database: Database, schedules: Schedules, world: World) -> None:
    fresh = await builders.provider(database.primary, [world.clinic], [world.visit_type])
    provider_id = ids.node(ids.PROVIDER, fresh)
    refused = await schedules.set_weekly_hours(world.staff, provider_id, world.clinic_id, 1, MORNINGS, key())
    assert refused == StaleVersion(0)
    answer = await schedules.set_weekly_hours(world.staff, provider_id, world.clinic_id, 0, MORNINGS, key())
    assert isinstance(answer, ScheduleSaved)
    assert answer.schedule.version == 1


async def test_an_exception_may_be_the_first_that_is_set(
    database: Database, schedules: Schedules, world: World, today: date, open_times: OpenTimes
) -> None:
    fresh = await builders.provider(database.primary, [world.clinic], [world.visit_type])
    other = World(world.clinic, fresh, world.visit_type, world.patient)
    day = today + timedelta(days=1)
    answer = await add(schedules, other, ExceptionInput(OPEN, day, 600, 660, " Extra hour "))
    assert answer.schedule.version == 1
    exception = answer.schedule.exceptions[0]
    assert (exception.kind, exception.date, exception.opens, exception.closes) == (OPEN, day, 600, 660)
    assert (exception.reason, exception.whole_day) == ("Extra hour", False)
    assert await free(database, open_times, other, day) == ["10:00", "10:30"]


@pytest.mark.parametrize(
    ("field", "hours"),
    [
        ("hours.1.weekday", [HoursInput(0, 540, 600), HoursInput(7, 540, 600)]),
        ("hours.0.weekday", [HoursInput(-1, 540, 600)]),
        ("hours.0.opens", [HoursInput(0, -5, 600)]),
        ("hours.0.opens", [HoursInput(0, 542, 600)]),
        ("hours.0.opens", [HoursInput(0, 1440, 1440)]),
        ("hours.2.closes", [HoursInput(0, 540, 600), HoursInput(1, 540, 600), HoursInput(2, 600, 540)]),
        ("hours.0.closes", [HoursInput(0, 540, 540)]),
        ("hours.0.closes", [HoursInput(0, 540, 607)]),
        ("hours.0.closes", [HoursInput(0, 540, 1445)]),
        ("hours.0.validTo", [HoursInput(0, 540, 600, date(2027, 1, 2), date(2027, 1, 1))]),
        ("hours.2.opens", [HoursInput(0, 540, 600), HoursInput(0, 600, 660), HoursInput(0, 655, 700)]),
        ("hours", [HoursInput(0, 540, 600)] * 201),
    ],
)
async def test_rows_that_break_a_rule_are_named(
    database: Database, schedules: Schedules, world: World, field: str, hours: list[HoursInput]
) -> None:
    answer = await set_hours(schedules, world, hours)
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert await versions(database, world) == (1, 0)
    assert await told(database, world) == []


@pytest.mark.parametrize("wrong", ["nonsense", ids.node(ids.VISIT_TYPE, 999_999), ids.node(ids.CLINIC, 1)])
async def test_rows_for_an_unknown_visit_type_are_not_saved(
    database: Database, schedules: Schedules, world: World, wrong: str
) -> None:
    answer = await set_hours(schedules, world, [HoursInput(0, 540, 600, visit_type_ids=(wrong,))])
    assert isinstance(answer, NotFound)
    assert "hours.0.visitTypeIds.0" in answer.message
    assert await versions(database, world) == (1, 0)


async def test_rows_for_different_kinds_of_visit_may_overlap(
    database: Database, schedules: Schedules, world: World
) -> None:
    other = ids.node(ids.VISIT_TYPE, await builders.visit_type(database.primary))
    one, two = (
        HoursInput(0, 540, 600, None, None, (world.visit_type_id,)),
        HoursInput(0, 570, 700, None, None, (other,)),
    )
    assert isinstance(await set_hours(schedules, world, [one, two]), ScheduleSaved)
    answer = await set_hours(schedules, world, [one, two, HoursInput(0, 690, 720)], version=2)
    assert isinstance(answer, InvalidInput)
    assert answer.field == "hours.2.opens"


@pytest.mark.parametrize(
    ("field", "days", "given"),
    [
        ("date", -2, {}),
        ("date", 801, {}),
        ("date", 2_000_000, {}),
        ("closes", 1, {"opens": 540}),
        ("opens", 1, {"closes": 540}),
        ("closes", 1, {"opens": 540, "closes": 540}),
        ("closes", 1, {"opens": 540, "closes": 541}),
        ("opens", 1, {"opens": -5, "closes": 540}),
        ("opens", 1, {"opens": 1440, "closes": 1445}),
        ("reason", 1, {"reason": "x" * 256}),
        ("reason", 1, {"reason": "\x00"}),
    ],
)
async def test_exceptions_that_break_a_rule_are_named(
    database: Database, schedules: Schedules, world: World, today: date, field: str, days: int, given: dict[str, Any]
) -> None:
    answer = await add(schedules, world, ExceptionInput(CLOSED, today + timedelta(days=days), **given))
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert await versions(database, world) == (1, 0)


async def test_the_first_and_last_dates_of_an_exception(schedules: Schedules, world: World, today: date) -> None:
    for days in (-1, 800):
        added = ExceptionInput(CLOSED, today + timedelta(days=days))
        assert isinstance(await add(schedules, world, added), ScheduleSaved)


async def test_no_more_exceptions_are_kept_than_a_reader_can_bear(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    await database.primary.execute(
        "INSERT INTO schedule_exceptions (provider_id, clinic_id, kind, date)"
        " SELECT $1, $2, 'closed', $3::date + (n % 700) FROM generate_series(1, 1999) AS n",
        world.provider,
        world.clinic,
        today,
    )
    assert isinstance(await add(schedules, world, ExceptionInput(CLOSED, today)), ScheduleSaved)
    answer = await add(schedules, world, ExceptionInput(CLOSED, today))
    assert isinstance(answer, InvalidInput)
    assert answer.field == "date"


async def test_what_lies_outside_the_new_hours_is_told_and_stays_booked(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    reader, day = database.primary, today + timedelta(days=3)
    tomorrow = day + timedelta(days=1)
    inside = await builders.appointment(reader, world, wall(day, 600))
    across = await builders.appointment(reader, world, wall(day, 705))  # off the grid, and its end lies outside
    after = await builders.appointment(reader, world, wall(tomorrow, 900))
    await builders.appointment(reader, world, wall(day, 960), status="cancelled")
    await builders.appointment(reader, world, wall(tomorrow, 960), status="arrived")
    await builders.appointment(reader, world, wall(today - timedelta(days=1), 960))
    answer = await set_hours(schedules, world, MORNINGS)
    assert [one.key for one in answer.orphaned] == [across, after]
    closed = await add(schedules, world, ExceptionInput(CLOSED, day, 0, 1440))
    assert [one.key for one in closed.orphaned] == [inside, across, after]
    opened = await add(schedules, world, ExceptionInput(OPEN, tomorrow, 900, 930))
    assert [one.key for one in opened.orphaned] == [inside, across]
    removed = await schedules.remove_exception(world.staff, closed.schedule.exceptions[0].id, key())
    assert isinstance(removed, ScheduleSaved)
    assert [one.key for one in removed.orphaned] == [across]
    statuses = await reader.fetch(
        "SELECT DISTINCT status FROM appointments WHERE id = any($1)", [inside, across, after]
    )
    assert [row["status"] for row in statuses] == ["booked"]


async def test_hours_of_another_kind_of_visit_orphan_too(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    day = today + timedelta(days=3)
    booked = await builders.appointment(database.primary, world, wall(day, 600))
    other = ids.node(ids.VISIT_TYPE, await builders.visit_type(database.primary))
    hours = [HoursInput(weekday, 540, 1020, None, None, (other,)) for weekday in range(7)]
    answer = await set_hours(schedules, world, hours)
    assert [one.key for one in answer.orphaned] == [booked]


async def test_a_visit_across_midnight_lies_in_the_hours_of_both_days(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    booked = await builders.appointment(database.primary, world, wall(today + timedelta(days=3), 1425))
    late = [HoursInput(weekday, 1380, 1440) for weekday in range(7)]
    early = [HoursInput(weekday, 0, 30) for weekday in range(7)]
    answer = await set_hours(schedules, world, late + early)
    assert answer.orphaned == []
    answer = await set_hours(schedules, world, late, version=2)
    assert [one.key for one in answer.orphaned] == [booked]


async def test_a_replay_answers_the_schedule_and_the_orphans_as_they_are_now(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    day = today + timedelta(days=3)
    booked = await builders.appointment(database.primary, world, wall(day, 900))
    again = key()
    first = await set_hours(schedules, world, MORNINGS, idempotency_key=again)
    assert [one.key for one in first.orphaned] == [booked]
    assert await set_hours(schedules, world, MORNINGS, idempotency_key=again) == first
    second = await add(schedules, world, ExceptionInput(OPEN, day, 900, 960), again="another")
    assert await set_hours(schedules, world, MORNINGS, idempotency_key=again) == second
    assert (second.schedule.version, second.orphaned) == (3, [])
    assert await versions(database, world) == (3, 2)
    assert isinstance(await set_hours(schedules, world, [], idempotency_key=again), IdempotencyMismatch)
    assert isinstance(await add(schedules, world, ExceptionInput(CLOSED, day), again), IdempotencyMismatch)
    assert isinstance(await schedules.remove_exception(world.staff, "?", again), IdempotencyMismatch)


async def test_an_exception_is_removed_once(schedules: Schedules, world: World, today: date) -> None:
    added = await add(schedules, world, ExceptionInput(CLOSED, today))
    exception_id, again = added.schedule.exceptions[0].id, key()
    first = await schedules.remove_exception(world.staff, exception_id, again)
    assert isinstance(first, ScheduleSaved)
    assert first.schedule.exceptions == ()
    assert await schedules.remove_exception(world.staff, exception_id, again) == first
    assert await schedules.remove_exception(world.staff, exception_id, key()) == NotFound()


async def test_a_stale_version_changes_nothing(database: Database, schedules: Schedules, world: World) -> None:
    assert await set_hours(schedules, world, MORNINGS, version=0) == StaleVersion(1)
    answers = await asyncio.gather(*(set_hours(schedules, world, MORNINGS) for _ in range(6)))
    assert sorted(type(one).__name__ for one in answers) == ["ScheduleSaved"] + ["StaleVersion"] * 5
    assert await versions(database, world) == (2, 1)


async def test_only_staff_of_the_clinic_edit_its_hours(
    database: Database, schedules: Schedules, world: World, today: date
) -> None:
    elsewhere = await builders.world(database.primary)
    added = ExceptionInput(CLOSED, today)
    exception_id = (await add(schedules, world, added)).schedule.exceptions[0].id
    for viewer in (staff(elsewhere.clinic), staff()):
        assert await set_hours(schedules, world, MORNINGS, viewer=viewer, version=2) == NotFound()
        assert await add(schedules, world, added, viewer=viewer) == NotFound()
        assert await schedules.remove_exception(viewer, exception_id, key()) == NotFound()
    for viewer, code in ((ANONYMOUS, "UNAUTHENTICATED"), (patient_viewer(world.patient), "FORBIDDEN")):
        with pytest.raises(AccessDenied, match=code):
            await set_hours(schedules, world, MORNINGS, viewer=viewer)
        with pytest.raises(AccessDenied, match=code):
            await add(schedules, world, added, viewer=viewer)
        with pytest.raises(AccessDenied, match=code):
            await schedules.remove_exception(viewer, exception_id, key())
    assert isinstance(await set_hours(schedules, world, MORNINGS, viewer=admin(), version=2), ScheduleSaved)


async def test_ids_that_name_nothing_here(database: Database, schedules: Schedules, world: World, today: date) -> None:
    elsewhere = await builders.world(database.primary)
    unknown = ids.node(ids.PROVIDER, 999_999)
    for provider_id in (elsewhere.provider_id, unknown, "nonsense", world.clinic_id):
        answer = await schedules.set_weekly_hours(admin(), provider_id, world.clinic_id, 0, MORNINGS, key())
        assert answer == NotFound()
    for clinic_id in (elsewhere.clinic_id, ids.node(ids.CLINIC, 999_999), "", world.provider_id):
        added = ExceptionInput(CLOSED, today)
        assert await schedules.add_exception(admin(), world.provider_id, clinic_id, added, key()) == NotFound()
    for exception_id in (ids.node(ids.EXCEPTION, 999_999), "nonsense", world.provider_id):
        assert await schedules.remove_exception(admin(), exception_id, key()) == NotFound()


async def test_an_edit_knows_every_booking_that_was_faster(database: Database, today: date) -> None:
    """Bookings race an edit that closes the day: each is either refused, or told among the orphans."""

    async def nothing(_: list[int]) -> None:
        """No cache to refresh here."""

    known = KnownSchedules()
    desk = Desk(database, known, Shield(), Alternatives(database, OpenTimes(known)), nothing)
    booking, schedules, day = Booking(desk), Schedules(database), today + timedelta(days=3)
    for _ in range(4):
        world = await builders.world(database.primary)
        people = [await builders.patient(database.primary, [world.clinic]) for _ in range(8)]
        attempts = [
            booking.book(patient_viewer(one), world.slot_id(day, 540 + 30 * at), None, None, key())
            for at, one in enumerate(people)
        ]
        half = len(attempts) // 2
        edit = add(schedules, world, ExceptionInput(CLOSED, day))
        answers = await asyncio.gather(*attempts[:half], edit, *attempts[half:])
        saved = answers.pop(half)
        assert isinstance(saved, ScheduleSaved)
        won = {one.appointment.key for one in answers if isinstance(one, AppointmentBooked)}
        assert won == {one.key for one in saved.orphaned}
        assert all(isinstance(one, AppointmentBooked | PolicyViolation) for one in answers)
