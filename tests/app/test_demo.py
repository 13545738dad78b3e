"""The demo: the same each time, true to hours and grids, half full near by and open further on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tzfpy import get_tz

from adapters.notifications.email import Paper
from adapters.notifications.folder import Folder
from adapters.postgres.calendars import KnownSchedules, schedules
from adapters.postgres.clinics import visit_types
from adapters.postgres.database import Database, pool
from adapters.postgres.open_times import OpenTimes
from app.demo import Summary, fill
from app.demo.names import npi
from app.demo.places import LARGE, SMALL, placed
from app.refusal import Refused
from domain import booking, ids, zones
from domain.outcomes import AppointmentCancelled
from domain.recipients import Channel
from services.messaging import Messaging
from services.stopping import Stopping
from services.verify import verify
from tests.conftest import MakeDatabase
from tests.world import World, faults, new_key, staff

NOW = datetime(2027, 3, 10, 16, 30, tzinfo=UTC)  # a Wednesday; on Sunday most of the clocks change
CLINICS = 6
OPEN_DAYS = 13

TABLES = {
    "clinics": "SELECT * FROM clinics ORDER BY id",
    "visit types": "SELECT * FROM visit_types ORDER BY id",
    "providers": "SELECT * FROM providers ORDER BY id",
    "hours": "SELECT * FROM weekly_hours ORDER BY id",
    "exceptions": "SELECT * FROM schedule_exceptions ORDER BY id",
    "patients": "SELECT * FROM patients ORDER BY id",
    "registrations": "SELECT * FROM patient_clinics ORDER BY patient_id, clinic_id",
    "appointments": "SELECT * FROM appointments ORDER BY id",
    "waitlist": "SELECT * FROM waitlist_entries ORDER BY id",
    "wishes": "SELECT * FROM waitlist_wishes ORDER BY entry_id",
    "events": "SELECT * FROM appointment_events ORDER BY appointment_id, version",
    "messages": "SELECT to_jsonb(m) - 'id' FROM messages AS m ORDER BY appointment_id, version, rule, channel",
    "allocations": "SELECT resource_id, starts_at, ends_at, state, appointment_id FROM allocations ORDER BY appointment_id",
}


@pytest.fixture(scope="module")
async def demo(database_url: str) -> AsyncIterator[tuple[Database, Summary]]:
    database = Database(await pool(database_url, size=4))
    await database.primary.execute("UPDATE test_clock SET shift = $1 - clock_timestamp()", NOW)
    yield database, await fill(database, clinics=CLINICS, now=NOW)
    await database.close()


async def _dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    return {name: [tuple(row) for row in await database.primary.fetch(query)] for name, query in TABLES.items()}


async def test_what_is_filled_in(demo: tuple[Database, Summary]) -> None:
    database, summary = demo
    counted = await database.primary.fetchrow(
        "SELECT (SELECT count(*) FROM clinics), (SELECT count(*) FROM providers), (SELECT count(*) FROM visit_types),"
        " (SELECT count(*) FROM patients), (SELECT count(*) FROM appointments),"
        " (SELECT count(*) FROM waitlist_entries WHERE status = 'active')"
    )
    assert summary == Summary(*counted)
    assert (summary.clinics, summary.visit_types) == (CLINICS, 8)
    assert summary.providers >= 5 * CLINICS
    assert summary.patients >= 2000 * CLINICS // 210
    assert summary.appointments > 50 * CLINICS
    states = {row["status"] for row in await database.primary.fetch("SELECT DISTINCT status FROM appointments")}
    assert {"booked", "fulfilled", "noshow", "cancelled"} <= states
    assert not await database.primary.fetchval("SELECT count(*) FROM patients WHERE email !~ '@example.(com|org)$'")


async def test_the_same_again(demo: tuple[Database, Summary], make_database: MakeDatabase) -> None:
    other = Database(await pool(await make_database(), size=4))
    try:
        await fill(other, clinics=CLINICS, now=NOW)
        assert await _dump(other) == await _dump(demo[0])
    finally:
        await other.close()


async def test_another_seed_is_another_demo(make_database: MakeDatabase) -> None:
    one, other = [Database(await pool(await make_database(), size=4)) for _ in range(2)]
    try:
        await fill(one, clinics=1, seed=1, now=NOW)
        await fill(other, clinics=1, seed=2, now=NOW)
        first, second = await _dump(one), await _dump(other)
        assert all(first[name] != second[name] for name in ("clinics", "providers", "patients", "appointments"))
    finally:
        await one.close()
        await other.close()


async def test_only_an_empty_database_is_filled(demo: tuple[Database, Summary]) -> None:
    before = await _dump(demo[0])
    with pytest.raises(Refused, match="only fills an empty one"):
        await fill(demo[0], clinics=1, now=NOW)
    assert await _dump(demo[0]) == before


async def test_every_rule_holds(demo: tuple[Database, Summary]) -> None:
    found = [finding async for finding in verify(demo[0])]
    assert [(finding.rule, finding.examples) for finding in found if finding.broken] == []
    assert await faults(World.on(demo[0].primary)) == []


async def test_patients_were_told_of_visits_near_by_and_will_be_reminded(demo: tuple[Database, Summary]) -> None:
    reader = demo[0].primary
    rows = await reader.fetch(
        "SELECT m.*, a.version AS present FROM messages AS m JOIN appointments AS a ON a.id = m.appointment_id"
    )
    assert {row["status"] for row in rows} == {"sent", "scheduled", "skipped"}
    assert {row["channel"] for row in rows} == {"email", "sms"}
    assert {"confirmation", "day-before", "two-hours-before", "cancelled"} <= {row["rule"] for row in rows}
    late = [row for row in rows if row["status"] == "scheduled" and row["due_at"] <= NOW]
    assert {row["rule"] for row in late} == {"confirmation"}
    assert 5 < len(late) <= 24
    assert not [row for row in rows if row["status"] == "scheduled" and row["version"] < row["present"]]
    assert not [row for row in rows if row["status"] == "sent" and not row["sent_at"] == row["due_at"] <= NOW]
    bare = await reader.fetchval(
        "SELECT count(*) FROM appointments AS a WHERE status = 'booked' AND starts_at > $1"
        " AND NOT EXISTS (SELECT FROM messages AS m WHERE m.appointment_id = a.id AND m.rule = 'confirmation')",
        NOW,
    )
    assert bare == 0


async def test_a_worker_sends_what_lies_ready_and_the_folder_shows_it(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    database = Database(await pool(await make_database(), size=4))
    try:
        await fill(database, clinics=2)
        folder = Folder(tmp_path, Paper("a@b.example", "http://localhost"))
        messaging = Messaging(database, {Channel.EMAIL: folder, Channel.SMS: folder}, Stopping(database))
        while await messaging.plan() + await messaging.send(Channel.EMAIL):
            pass
        assert len(folder.latest(50)) > 5
        assert await faults(World.on(database.primary)) == []
    finally:
        await database.close()


async def test_visits_lie_on_times_that_are_offered(demo: tuple[Database, Summary]) -> None:
    reader = demo[0].primary
    rows = await reader.fetch("SELECT a.*, c.time_zone FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id")
    known = await schedules(reader, list({(row["provider_id"], row["clinic_id"]) for row in rows}))
    kinds = await visit_types(reader, list({row["visit_type_id"] for row in rows}))
    for row in rows:
        schedule = known[row["provider_id"], row["clinic_id"]]
        zone = zones.named(row["time_zone"])
        kind, start = kinds[row["visit_type_id"]], zones.minutes(row["starts_at"])
        assert booking.offered_start(schedule, zone, kind, start), dict(row)
        assert row["ends_at"] - row["starts_at"] == timedelta(minutes=kind.duration_minutes or 0)


async def test_every_clinic_has_open_times(demo: tuple[Database, Summary]) -> None:
    reader = demo[0].primary
    triples = [
        tuple(row)
        for row in await reader.fetch(
            "SELECT provider_id, clinic_id, visit_type_id FROM provider_clinics JOIN provider_visit_types USING (provider_id)"
        )
    ]
    first = NOW.date()
    found = await OpenTimes(KnownSchedules()).free(
        reader, triples, first, first + timedelta(days=OPEN_DAYS), binding=True, limit=50
    )
    open_at = {clinic: sum(len(some) for (_, at, _), some in found.items() if at == clinic) for _, clinic, _ in found}
    assert len(open_at) == CLINICS
    assert min(open_at.values()) > 20


async def test_near_days_are_fuller_than_later_ones(demo: tuple[Database, Summary]) -> None:
    rows = await demo[0].primary.fetch("SELECT starts_at FROM appointments WHERE starts_at > $1", NOW)
    ahead = [(row["starts_at"] - NOW).days for row in rows]
    assert sum(day < 7 for day in ahead) > 2 * sum(7 <= day < 14 for day in ahead)
    assert any(day >= 14 for day in ahead)


async def test_most_of_what_is_cancelled_soon_is_offered_to_who_waits(make_database: MakeDatabase) -> None:
    database = Database(await pool(await make_database(), size=4))
    try:
        await fill(database, clinics=2)
        world = World.on(database.primary)
        rows = await database.primary.fetch(
            "SELECT id, version FROM appointments WHERE status = 'booked' AND starts_at BETWEEN app_now() + interval '2 days'"
            " AND app_now() + interval '9 days' AND clinic_id = 1 ORDER BY starts_at LIMIT 3"
        )
        for row in rows:
            done = await world.changing.cancel(
                staff(1), ids.node(ids.APPOINTMENT, row["id"]), row["version"], None, new_key()
            )
            assert isinstance(done, AppointmentCancelled), done
        assert await database.primary.fetchval("SELECT count(*) FROM waitlist_offers WHERE status = 'live'") >= 2
        assert await faults(world) == []
    finally:
        await database.close()


async def test_patients_come_where_they_are_registered(demo: tuple[Database, Summary]) -> None:
    missing = await demo[0].primary.fetchval(
        "SELECT count(*) FROM patient_clinics AS r WHERE NOT EXISTS (SELECT FROM appointments AS a"
        " WHERE a.patient_id = r.patient_id AND a.clinic_id = r.clinic_id)"
    )
    assert missing == 0


async def test_a_commit_has_at_most_500_rows(demo: tuple[Database, Summary]) -> None:
    tables = ("clinics", "patients", "patient_clinics", "weekly_hours", "schedule_exceptions", "provider_visit_types",
              "providers", "resources", "appointments", "appointment_events", "allocations", "outbox", "audit",
              "waitlist_entries", "waitlist_wishes", "messages")  # fmt: skip
    union = " UNION ALL ".join(f"SELECT xmin::text AS tx FROM {table}" for table in tables)
    assert (
        await demo[0].primary.fetchval(
            f"SELECT max(n) FROM (SELECT count(*) AS n FROM ({union}) AS x GROUP BY tx) AS y"
        )
        <= 500
    )


def test_places_are_in_their_zones() -> None:
    wrong = [place for place in (*LARGE, *SMALL) if get_tz(place.longitude, place.latitude) != place.zone]
    assert wrong == []


def test_the_whole_demo_has_every_zone_of_the_united_states() -> None:
    chosen = {place.zone for place in placed(210)}
    assert {"Phoenix", "Boise", "Anchorage", "Adak", "Detroit", "Indiana/Knox", "Puerto_Rico"} <= {
        zone.removeprefix("America/") for zone in chosen
    }
    assert {"Pacific/Honolulu", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"} <= chosen
    assert [len(placed(count)) for count in (0, 1, 5, 75, 400)] == [0, 1, 5, 75, 400]


def test_npis_are_valid_and_beyond_those_given_out() -> None:
    for number in (0, 1, 12_345, 99_999):
        made = npi(number)
        assert made is not None
        assert made.startswith("1999")
        digits = [int(digit) for digit in reversed(f"80840{made}")]
        doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
        assert (sum(digits[::2]) + sum(doubled)) % 10 == 0
    assert npi(100_000) is None
    assert all(int(one) < int(other) for one, other in pairwise(str(npi(number)) for number in range(20)))
