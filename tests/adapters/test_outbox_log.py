"""The log where there is no broker: everything once, in order, from where the reader stood."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import orjson
import pytest

from adapters.postgres import database, stream
from adapters.postgres.database import Database, connect, disconnect, pool
from adapters.postgres.epoch import renew_epoch
from adapters.postgres.outbox_log import OutboxLog
from domain import streams
from domain.faults import Unavailable
from domain.outcomes import AppointmentBooked
from domain.streams import AVAILABILITY, PATIENTS, STAFF, CalendarEvent, OfferEvent, Pulse, VisitEvent
from services.relaying import Relay
from tests.conftest import MakeDatabase
from tests.services.waiters import place
from tests.world import MONDAY, World, new_key, opening_id, relayed, slot_id

WINDOW = timedelta(minutes=2)


@pytest.fixture
async def url(make_database: MakeDatabase) -> str:
    return await make_database()


@pytest.fixture
async def opened(url: str) -> AsyncIterator[asyncpg.Pool]:
    found = await pool(url, size=5)
    yield found
    await found.close()


@pytest.fixture
def log(url: str) -> OutboxLog:
    return OutboxLog(partial(connect, url))


@dataclass
class Read:
    """What a reader got within a while."""

    events: list[tuple[str, Any]] = field(default_factory=list)

    async def of(self, log: OutboxLog, count: int, since: timedelta = WINDOW) -> "Read":
        async with asyncio.timeout(15), aclosing(log.read(since)) as found:
            async for topic, text in found:
                self.events.append((topic, streams.event(orjson.loads(text))))
                if len(self.events) == count:
                    break
        return self

    def numbers(self) -> list[int]:
        return [event.seq for _, event in self.events if isinstance(event, CalendarEvent)]


async def add(opened: asyncpg.Pool, *payloads: Any, resource: int | None = None) -> None:
    for payload in payloads:
        await opened.execute(
            "INSERT INTO outbox (at, topic, clinic_id, resource_id, resource_version, payload)"
            " VALUES (app_now(), 'availability', 7, $1, 3, $2)",
            resource, payload,
        )  # fmt: skip
    await relayed(Database(opened))


async def test_a_booking_is_three_messages(opened: asyncpg.Pool, log: OutboxLog) -> None:
    world = World.on(opened)
    clinic, kind = await world.clinic(), await world.visit_type()
    provider, who = await world.provider([clinic], [kind]), await world.patient(clinic)
    at = (await opened.fetchval("SELECT app_now()")).replace(hour=16, minute=0, second=0, microsecond=0)
    booked = await world.booking.book(
        who, slot_id(provider, clinic, kind, at + timedelta(days=3)), None, None, new_key()
    )
    assert isinstance(booked, AppointmentBooked)
    await relayed(world.database)
    found = (await Read().of(log, 3)).events
    assert [topic for topic, _ in found] == [AVAILABILITY, STAFF, PATIENTS]
    calendar, staff, patient = (event for _, event in found)
    assert isinstance(calendar, CalendarEvent)
    assert (calendar.clinic_key, calendar.seq, calendar.provider_key, calendar.opening_key) == (
        clinic,
        1,
        provider,
        None,
    )
    assert (calendar.version, len(calendar.closed), calendar.invalidated) == (1, 1, False)
    assert staff == patient
    assert isinstance(staff, VisitEvent)
    assert (staff.clinic_keys, staff.patient_key, staff.version) == ((clinic,), who.patient_key, 1)
    assert staff.appointment_key == booked.appointment.key


async def test_an_offer_is_told_to_its_patient_alone_as_it_is_made_and_as_it_ends(
    opened: asyncpg.Pool, log: OutboxLog
) -> None:
    world = World.on(opened)
    await world.clock(MONDAY)
    here = await place(world)
    first, second = await here.wait(how_many=2)
    made = await here.booked()
    await here.cancel(made)
    offer = await here.only()
    await here.decline(offer)
    passed_on = await here.only()
    await here.accepted(passed_on)
    await relayed(world.database)
    told = [one for one in (await Read().of(log, 14)).events if isinstance(one[1], OfferEvent)]
    assert [(topic, event.patient_key, event.offer_key) for topic, event in told] == [
        (PATIENTS, first.patient_key, offer.offer.key),
        (PATIENTS, first.patient_key, offer.offer.key),
        (PATIENTS, second.patient_key, passed_on.offer.key),
        (PATIENTS, second.patient_key, passed_on.offer.key),
    ]


async def test_an_opening_is_told_with_its_provider(opened: asyncpg.Pool, log: OutboxLog) -> None:
    world = World.on(opened)
    clinic, service = await world.clinic(), await world.visit_type(None)
    line, who = await world.provider([clinic], [service], pool=True), await world.patient(clinic)
    at = await opened.fetchval("SELECT date_trunc('hour', app_now()) + interval '3 days'")
    opening = await world.opening(line, clinic, at)
    booked = await world.booking.book(who, opening_id(line, clinic, service, opening), None, None, new_key())
    assert isinstance(booked, AppointmentBooked)
    await relayed(world.database)
    [(_, event)] = (await Read().of(log, 1)).events
    assert (event.provider_key, event.opening_key, event.resource_key) == (line, opening, opening)


async def test_rows_of_earlier_versions_are_understood_and_odd_ones_say_read_all_again(
    opened: asyncpg.Pool, log: OutboxLog
) -> None:
    await add(
        opened,
        {"opened": [[0, 300]], "closed": [[300, 600]]},
        {"opened": [], "closed": [[300, 600, 900]]},
        {"kind": "invalidated"},
        {"opened": [], "closed": [], "invalidated": True},
        {"invalidated": True},
        {"opened": [[1]], "closed": []},
        {"something": "new"},
        resource=5,
    )
    await add(opened, {"invalidated": True})
    events = [event for _, event in (await Read().of(log, 8)).events]
    assert (events[0].opened, events[0].closed) == (((0, 300),), ((300, 600, 0),))
    assert (events[1].opened, events[1].closed) == ((), ((300, 600, 900),))
    assert [event.invalidated for event in events] == [False, False, *[True] * 6]
    assert [event.resource_key for event in events] == [*[5] * 7, None]
    assert [(event.clinic_key, event.seq) for event in events] == [(7, number) for number in range(1, 9)]


async def test_a_lost_source_raises_and_reading_goes_on_where_it_stood(opened: asyncpg.Pool, log: OutboxLog) -> None:
    await add(opened, *[{"invalidated": True}] * 3)
    read = Read()

    async def until_lost() -> None:
        async for topic, text in log.read(WINDOW):
            read.events.append((topic, streams.event(orjson.loads(text))))
            if len(read.events) == 2:
                await opened.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND query LIKE '%stream_pulse AS p JOIN stream_epoch%' AND pid <> pg_backend_pid()"
                )

    with pytest.raises(Unavailable):
        await asyncio.wait_for(until_lost(), 15)
    await add(opened, {"invalidated": True})
    await read.of(log, 4)
    assert read.numbers() == [1, 2, 3, 4]


async def test_a_new_reader_begins_as_long_ago_as_it_is_told(opened: asyncpg.Pool, url: str) -> None:
    await add(opened, {"invalidated": True})
    await opened.execute("UPDATE stream SET at = at - interval '3 minutes'")
    await add(opened, *[{"invalidated": True}] * 2)
    assert (await Read().of(OutboxLog(partial(connect, url)), 2)).numbers() == [2, 3]
    assert (await Read().of(OutboxLog(partial(connect, url)), 3, timedelta(minutes=4))).numbers() == [1, 2, 3]


async def test_a_page_cut_by_its_limit_goes_on(opened: asyncpg.Pool, log: OutboxLog) -> None:
    await opened.execute(
        "INSERT INTO outbox (at, topic, clinic_id, payload)"
        " SELECT app_now(), 'availability', 1, '{\"invalidated\": true}' FROM generate_series(1, 1203)"
    )
    await relayed(Database(opened))
    assert (await Read().of(log, 1203)).numbers() == list(range(1, 1204))


async def test_a_plan_that_was_made_while_nothing_was_there_reads_by_key(opened: asyncpg.Pool, url: str) -> None:
    """VACUUM notes that a table is empty, as after an idle day; what reads on with that plan must not read all for each row."""
    await opened.execute("VACUUM (ANALYZE) outbox, stream, openings")
    connection = await connect(url)
    try:
        await connection.execute(f"PREPARE page AS {stream.READ}")
        assert len(await connection.fetch("EXECUTE page (0, 10)")) == 1
        await opened.execute(
            "INSERT INTO outbox (at, topic, clinic_id, resource_id, payload)"
            " SELECT app_now(), 'availability', 1, n, '{\"invalidated\": true}' FROM generate_series(1, 1000) AS n"
        )
        await relayed(Database(opened))
        (plan,) = orjson.loads(await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page (990, 10)"))
    finally:
        await disconnect(connection)
    assert plan["Plan"]["Actual Rows"] == 10
    assert _rows_read(plan["Plan"]) < 100


async def test_a_reader_that_is_hinted_looks_seldom_by_itself(log: OutboxLog, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, read = 0, stream.read

    async def counted(connection: asyncpg.Connection, position: int) -> stream.Page:
        nonlocal looks
        looks += 1
        return await read(connection, position)

    monkeypatch.setattr(stream, "read", counted)
    reading = asyncio.create_task(Read().of(log, 1_000_000))
    taken = []
    for hinted in (False, True):
        before = looks
        for _ in range(3):
            if hinted:
                log.wake()
            await asyncio.sleep(0.5)
        taken.append(looks - before)
    reading.cancel()
    await asyncio.wait({reading})
    assert 0 < taken[1] < taken[0] / 2, taken


EACH_IN_A_TRANSACTION = """
DO $$ BEGIN
    FOR n IN 1..3000 LOOP
        INSERT INTO outbox (at, topic, clinic_id, payload) VALUES (app_now(), 'availability', 1, '{"invalidated": true}');
        COMMIT;
    END LOOP;
END $$
"""


async def test_a_plan_that_was_made_while_nothing_was_there_is_soon_forgotten(
    opened: asyncpg.Pool, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With VACUUM's word that a table is empty all its indexes look alike: of one that begins with another column all is read."""
    await opened.execute("VACUUM (ANALYZE) outbox, stream, openings")
    forgets = await connect(url)
    monkeypatch.setattr(database, "FIRST_PLANS_SECONDS", 3600.0)
    remembers = await connect(url)
    pages = []
    try:
        for one in (forgets, remembers):
            await one.execute(f"PREPARE page AS {stream.READ}")
            await one.fetch("EXECUTE page (0, 10)")
        await opened.execute(EACH_IN_A_TRANSACTION)
        await relayed(Database(opened))
        await asyncio.sleep(1)
        for one in (forgets, remembers):
            (plan,) = orjson.loads(await one.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page (2990, 10)"))
            assert plan["Plan"]["Actual Rows"] == 10
            pages.append(plan["Plan"]["Shared Hit Blocks"])
    finally:
        await disconnect(forgets)
        await disconnect(remembers)
    assert pages[0] < 100 < pages[1], pages


def _rows_read(node: dict[str, Any]) -> float:
    """By all scans of tables below, with what they and the joins above them threw away."""
    own = sum(node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter"))
    if "Relation Name" in node:
        own += node["Actual Rows"]
    own *= node["Actual Loops"]
    return float(own + sum(_rows_read(one) for one in node.get("Plans", ())))


async def test_the_pulse_comes_behind_what_it_speaks_of(opened: asyncpg.Pool, log: OutboxLog, url: str) -> None:
    await opened.execute(
        "INSERT INTO outbox (at, topic, clinic_id, payload)"
        " SELECT app_now(), 'availability', 1, '{\"invalidated\": true}' FROM generate_series(1, 1000)"
    )
    task = asyncio.create_task(Relay(partial(connect, url)).run())
    try:
        found = (await Read().of(log, 1002)).events
    finally:
        task.cancel()
    pulses = [(number, topic, event) for number, (topic, event) in enumerate(found) if isinstance(event, Pulse)]
    assert [topic for _, topic, _ in pulses] == [AVAILABILITY, AVAILABILITY]
    assert [number for number, *_ in pulses] == [1000, 1001]
    assert pulses[0][2] != pulses[1][2]


async def test_a_new_epoch_begins_again(opened: asyncpg.Pool, log: OutboxLog, url: str) -> None:
    await add(opened, *[{"invalidated": True}] * 2)
    read = Read()
    async with asyncio.timeout(15), aclosing(log.read(WINDOW)) as found:
        async for topic, text in found:
            read.events.append((topic, streams.event(orjson.loads(text))))
            if len(read.events) == 2:
                renewing = await asyncpg.connect(url)
                await renew_epoch(renewing)
                await renewing.close()
            if len(read.events) == 4:
                break
    assert read.numbers() == [1, 2, 1, 2]
    assert len({event.epoch for _, event in read.events[:2]}) == len({event.epoch for _, event in read.events[2:]}) == 1
    assert read.events[0][1].epoch != read.events[2][1].epoch


async def test_a_wake_saves_the_wait(opened: asyncpg.Pool, log: OutboxLog) -> None:
    reading = asyncio.create_task(Read().of(log, 1))
    await asyncio.sleep(0.1)
    assert not reading.done()
    await add(opened, {"invalidated": True})
    log.wake()
    assert (await reading).numbers() == [1]
