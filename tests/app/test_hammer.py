"""The hammer against a real server; and that it sees what is wrong."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from adapters.postgres.database import Database, pool
from adapters.postgres.hammering import Booked
from app.hammer import endpoint, hammer
from app.hammer.clients import Answer, Server
from app.hammer.groups import groups
from app.hammer.hammering import _told, _winners
from app.refusal import Refused
from domain import ids, zones
from tests.app.test_cli import run
from tests.conftest import LiveServer

AT = datetime(2027, 3, 1, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
async def database(live_server: LiveServer) -> AsyncIterator[Database]:
    opened = Database(await pool(live_server.addresses.database_url, size=2, bounded=False))
    yield opened
    await opened.close()


async def test_nobody_is_booked_twice(live_server: LiveServer, database: Database) -> None:
    report = await hammer(database, live_server.settings, live_server.url, slots=5, clients=20, attempts=100)
    assert [(check.name, check.wrong) for check in report.checks if check.wrong] == []
    assert (report.groups, report.clients, report.attempts) == (5, 20, 100)
    assert report.told["AppointmentBooked"] == 5
    assert report.told["SlotTaken"] >= 90
    assert sum(report.told.values()) == len(report.latencies) == 100
    assert report.percentile(0.5) <= report.percentile(0.99) <= report.percentile(1)


async def test_more_clients_than_patients(live_server: LiveServer, database: Database) -> None:
    patients = await database.primary.fetchval("SELECT count(*) FROM patients")
    report = await hammer(
        database, live_server.settings, live_server.url, slots=1, clients=patients + 2, attempts=patients + 2
    )
    assert report.holds
    assert report.told["AppointmentBooked"] == 1
    assert await database.primary.fetchval("SELECT count(*) FROM patients") == patients + 2


async def test_slots_of_a_group_overlap_and_groups_do_not(database: Database) -> None:
    chosen = await groups(database.primary, 30)
    assert len(chosen) == 30
    assert max(len({one.slot.visit_type_key for one in group}) for group in chosen) > 1
    for number, group in enumerate(chosen):
        assert all(one.from_at < other.to_at and other.from_at < one.to_at for one in group for other in group)
        for other_group in chosen[:number]:
            assert not any(
                one.slot.provider_key == other.slot.provider_key
                and one.from_at < other.to_at
                and other.from_at < one.to_at
                for one in group
                for other in other_group
            )


@pytest.mark.parametrize(
    "url", ["http://example.org", "http://10.0.0.1:8000", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "nonsense"]
)
def test_only_this_machine_is_hammered(url: str) -> None:
    with pytest.raises(Refused, match="loopback"):
        endpoint(url)
    answer = run("hammer", "--url", url)
    assert (answer.returncode, answer.stdout) == (1, "")


def test_where_graphql_is() -> None:
    assert endpoint("http://127.0.0.1:8000") == "http://127.0.0.1:8000/graphql"
    assert endpoint("http://[::1]:8000/") == "http://[::1]:8000/graphql"
    assert endpoint("http://localhost/graphql") == "http://localhost/graphql"


async def test_without_a_server_it_says_so(live_server: LiveServer, database: Database) -> None:
    with pytest.raises(Refused, match="no server answers"):
        await hammer(database, live_server.settings, "http://127.0.0.1:9", slots=1, clients=1, attempts=1)


async def test_an_unknown_outcome_is_asked_again_with_the_same_key() -> None:
    keys = []

    async def flaky(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)
        keys.append(request.content.partition(b'"idempotencyKey":')[2].split(b'"')[1])
        if len(keys) == 1:
            raise httpx2.ReadTimeout("too late")
        if len(keys) == 2:
            return httpx2.Response(503, json={"errors": [{"extensions": {"code": "UNAVAILABLE"}}]})
        data = {"bookAppointment": {"__typename": "AppointmentBooked", "appointment": {"id": "A"}}}
        return httpx2.Response(200, json={"data": data})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(flaky)) as client:
        server = Server(client, "http://127.0.0.1/graphql")
        answer = await server.book(0, "slot", 1, "token")
    assert (answer.told, answer.appointment_id, answer.tries) == ("AppointmentBooked", "A", 3)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert server.faults == {"ReadTimeout": 1, "UNAVAILABLE": 1}


def _answer(group: int, told: str, key: int | None = None) -> Answer:
    slot = str(ids.SlotKey(1, 1, 1, zones.minutes(AT)))
    return Answer(group, slot, 7, told, None if key is None else ids.node(ids.APPOINTMENT, key), 0.1, 1)


def test_two_winners_and_none_are_seen() -> None:
    answers = [_answer(0, "AppointmentBooked", 1), _answer(0, "AppointmentBooked", 2), _answer(1, "SlotTaken")]
    assert _winners(3, answers).wrong == ["group 0 has 2 winners", "group 1 has no winner"]
    assert not _winners(1, [_answer(0, "PatientConflict")]).wrong


def test_a_booking_that_nobody_has_or_nobody_was_told_is_seen() -> None:
    there = Booked(1, 7, 1, 1, 1, AT)
    assert not _told([_answer(0, "AppointmentBooked", 1)], [there]).wrong
    assert _told([_answer(0, "AppointmentBooked", 1)], []).wrong == ["appointment 1 was told and is not there"]
    assert _told([], [there]).wrong == ["appointment 1 is there and was not told"]
    moved = Booked(1, 7, 1, 1, 1, AT + timedelta(hours=1))
    assert len(_told([_answer(0, "AppointmentBooked", 1)], [moved]).wrong) == 2
