"""The process's own calendars answer without a question to anybody, and the same as everybody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio

from adapters.postgres.open_times import weeks
from app.embedded import Addresses
from app.settings import Settings
from services.background import beside
from tests.api.client import Client
from tests.api.inside import DAY, SLOT_PAGE, SNAPSHOT, Counted, inside
from tests.api.streamed import Streamed
from tests.api.town import Town, today
from tests.services.test_race import own_redis

OFFERED = """
SELECT w.provider_id, w.clinic_id, o.visit_type_id FROM provider_clinics AS w
JOIN clinics AS c ON c.id = w.clinic_id AND c.active
JOIN providers AS p ON p.id = w.provider_id AND p.active
JOIN provider_visit_types AS o ON o.provider_id = p.id
JOIN visit_types AS v ON v.id = o.visit_type_id AND v.active AND v.duration_minutes IS NOT NULL
"""
BOOK = "mutation M($input: BookAppointmentInput!) { bookAppointment(input: $input) { __typename } }"
CLOSE = "mutation M($input: AddScheduleExceptionInput!) { addScheduleException(input: $input) { __typename } }"
RENAME = """mutation M($input: SaveVisitTypeInput!) { saveVisitType(input: $input) {
    __typename ... on VisitTypeSaved { visitType { version } } } }"""
NAMED = """query Q($p: ID!, $v: ID!) { node(id: $p) { ... on Provider { name visitTypes { id name startEveryMinutes } } }
    visitType: node(id: $v) { ... on VisitType { name version } } }"""


@dataclass
class Case:
    """`tried` keeps calendars, `truth` nothing."""

    tried: Counted
    truth: Counted
    streamed: Streamed
    redis: Any
    town: Town
    asked: dict[str, str]

    async def shown(self, one: Counted) -> list[Any]:
        there = {name: value for name, value in self.asked.items() if name != "p"}
        return [
            (await one.client.ask(DAY, self.asked)).data,
            (await one.client.ask(SNAPSHOT, there)).data["availability"]["slots"],
            (await one.client.ask(SLOT_PAGE, {**there, "first": 20})).data,
        ]

    async def warm(self) -> None:
        """Twice: where a quiet clinic's stream stands counts from the next pulse on."""
        await self.shown(self.tried)
        await self.streamed.pulse(later=timedelta(seconds=0.1))
        await self.shown(self.tried)

    async def right(self, *, alone: bool) -> list[Any]:
        """What everybody says; `alone`: with no question to anybody."""
        expected = await self.shown(self.truth)
        self.tried.statements.clear()
        commands = await self._commands()
        assert await self.shown(self.tried) == expected
        if alone:
            assert self.tried.statements == []
            assert await self._commands() == commands + 1  # the question itself
        return expected

    async def _commands(self) -> int:
        found: int = (await self.redis.info("stats"))["total_commands_processed"]
        return found

    async def book(self, one: Counted, slot: str, key: str) -> None:
        token = one.client.patient(self.town.east.patient)
        made = await one.client.ask(BOOK, {"input": {"slotId": slot, "idempotencyKey": key}}, token)
        assert made.data["bookAppointment"]["__typename"] == "AppointmentBooked"


@pytest.fixture(params=["process", "process and redis"])
async def case(request: Any, settings: Settings, town: Town, client: Client) -> AsyncIterator[Case]:
    east, day = town.east, today() + timedelta(days=30)
    asked = {
        "p": east.provider_id, "c": east.clinic_id, "v": east.visit_type_id, "a": str(day), "b": str(day + timedelta(days=6)),
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(own_redis())
        addresses = Addresses(str(settings.database_url), None, server.url)
        mine = settings.model_copy(update={"cache": "redis" in request.param, "cache_from": 1})
        straight = settings.model_copy(update={"cache": False, "process_calendars": False})
        tried = await stack.enter_async_context(inside(mine, addresses))
        truth = await stack.enter_async_context(inside(straight, addresses))
        store = await stack.enter_async_context(redis.asyncio.from_url(server.url))
        streamed = Streamed(town.pool, tried.product)
        await streamed.begin()
        yield Case(tried, truth, streamed, store, town, asked)


def _first(shown: list[Any]) -> str:
    found: str = shown[0]["node"]["slots"][0]["id"]
    return found


async def test_what_is_kept_is_answered_with_no_question_to_anybody(case: Case) -> None:
    await case.warm()
    expected = await case.right(alone=True)
    assert expected[0]["node"]["slots"]
    assert expected[2]["providers"]["edges"]


async def test_bookings_from_here_and_elsewhere_are_true_at_once_and_with_their_event(case: Case, request: Any) -> None:
    await case.warm()
    name = request.node.name
    for turn in range(2):
        slot = _first(await case.right(alone=True))
        await case.book(case.tried, slot, f"{name} here {turn}")
        assert _first(await case.right(alone=False)) != slot
        assert _first(await case.right(alone=True)) != slot  # Read once, kept again.
        assert await case.streamed.catch_up() > 0
        slot = _first(await case.right(alone=True))
        await case.book(case.truth, slot, f"{name} elsewhere {turn}")
        assert await case.streamed.catch_up() > 0
        assert _first(await case.right(alone=True)) != slot


async def test_without_a_pulse_everything_is_asked_for(case: Case, request: Any) -> None:
    await case.warm()
    slot = _first(await case.right(alone=True))
    for age in (3.0, 60.0):
        await case.streamed.pulse(horizon_age=age)
        await case.book(case.truth, slot, f"{request.node.name} {age}")
        slot = _first(await case.right(alone=False))
        assert case.tried.statements
    assert await case.streamed.catch_up() > 0
    await case.streamed.pulse()
    await case.right(alone=True)


async def test_edits_of_hours_and_records_from_here_and_elsewhere(case: Case, request: Any) -> None:
    await case.warm()
    east, name = case.town.east, request.node.name
    for turn, one in enumerate((case.tried, case.truth)):
        before = _first(await case.right(alone=True))
        day = next(slot["startsAt"][:10] for slot in (await case.right(alone=True))[0]["node"]["slots"])
        closed = {"providerId": east.provider_id, "clinicId": east.clinic_id, "kind": "CLOSED", "date": day}
        saved = await one.client.ask(
            CLOSE, {"input": {**closed, "idempotencyKey": f"{name} {turn}"}}, one.client.staff([east.clinic])
        )
        assert saved.data["addScheduleException"]["__typename"] == "ScheduleSaved"
        if one is case.tried:
            assert _first(await case.right(alone=False)) != before
        assert await case.streamed.catch_up() > 0
        assert _first(await case.right(alone=False)) != before
        await case.right(alone=True)
    for turn, one in enumerate((case.tried, case.truth)):
        read = await case.tried.client.ask(NAMED, case.asked)
        version = read.data["visitType"]["version"]
        record = {
            "name": f"Look {name} {turn}", "durationMinutes": 30, "startEveryMinutes": 30 + 30 * turn,
            "id": east.visit_type_id, "version": version, "idempotencyKey": f"{name} rename {turn}",
        }  # fmt: skip
        saved = await one.client.ask(RENAME, {"input": record}, one.client.admin())
        assert saved.data["saveVisitType"]["__typename"] == "VisitTypeSaved", saved
        if one is case.truth:
            assert await case.streamed.catch_up() > 0
        again = await case.tried.client.ask(NAMED, case.asked)
        assert again.data["visitType"] == {"name": f"Look {name} {turn}", "version": version + 1}
        await case.right(alone=False)
        await case.right(alone=True)


async def test_after_a_restore_everything_is_read_again(case: Case) -> None:
    await case.warm()
    await case.right(alone=True)
    pool = case.town.pool
    # A night before: other bookings under the same versions.
    await pool.execute("UPDATE stream_epoch SET epoch = gen_random_uuid()")
    key = await pool.fetchval(
        """INSERT INTO allocations (resource_id, starts_at, ends_at, state)
        SELECT $1, now() + interval '31 days', now() + interval '31 days 6 hours', 'blocked'
        WHERE NOT EXISTS (SELECT FROM allocations WHERE resource_id = $1 AND state <> 'released'
            AND starts_at < now() + interval '32 days' AND ends_at > now() + interval '31 days') RETURNING id""",
        case.town.east.provider,
    )  # fmt: skip
    await case.streamed.steady()
    await case.right(alone=False)
    await case.warm()
    await case.right(alone=True)
    await pool.execute("UPDATE allocations SET state = 'released' WHERE id = $1", key)


async def test_what_was_read_ahead_is_answered_without_having_been_asked_before(case: Case) -> None:
    first = {**case.asked, "a": str(today() + timedelta(days=1)), "b": str(today() + timedelta(days=7))}
    assert case.tried.product is not None
    process = case.tried.product.process
    warming = case.tried.product.warming
    async with beside(warming.run()):
        async with asyncio.timeout(20):
            while not warming.done:
                await asyncio.sleep(0.05)
                await case.streamed.pulse()
    assert not await _unread(case)
    believed = False
    async with asyncio.timeout(20):
        while not believed:  # On a busy machine the streams may be doubted just then, and the database is asked.
            await case.streamed.pulse()
            case.tried.statements.clear()
            began = process.now()
            found = (await case.tried.client.ask(DAY, first)).data
            believed = began is not None and process.now() is not None
    assert case.tried.statements == []
    assert found == (await case.truth.client.ask(DAY, first)).data
    assert found["node"]["slots"]


async def _unread(case: Case) -> list[Any]:
    """Offerings at active clinics of which the process knows nothing yet."""
    assert case.tried.product is not None
    rows = await case.town.pool.fetch(OFFERED)
    keys = [(row["provider_id"], row["clinic_id"], row["visit_type_id"]) for row in rows]
    numbers = weeks(today(), today() + timedelta(days=30))
    return sorted(set(keys) - set(case.tried.product.process.peek(keys, numbers)))
