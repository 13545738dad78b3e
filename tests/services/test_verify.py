"""What `verify` proves: a database that the services wrote passes, and each fault planted beside the guards is found."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from adapters.notifications.carriers import Carrier
from adapters.postgres.database import Database, pool
from adapters.postgres.verify import (
    APPOINTMENTS_OWN,
    APPOINTMENTS_TOLD,
    BOUNDS,
    CALENDARS_TOLD,
    CAPACITY,
    CLINICS_NUMBERED,
    ENTRIES_OFFERED,
    HISTORY,
    HOLDS_OWN,
    IN_THEIR_OPENING,
    MESSAGES_AFTER_THEIR_VERSION,
    MESSAGES_OF_OFFERS,
    MESSAGES_OF_THE_VERSION,
    MESSAGES_ONCE,
    NOBODY_ELSE_OWNS,
    OFFERS_OWN,
    OFFERS_TOLD,
    ONE_IN_AN_OPENING,
    OUTCOMES,
    OVERLAPS,
    PATIENTS,
    RELAYED_OR_WAITING,
    RULES,
    WAITING_ONCE,
    findings,
)
from domain import ids
from domain.appointments import AppointmentStatus
from domain.outcomes import AppointmentBooked, SlotHeld
from domain.recipients import Channel
from services.messaging import Messaging
from services.stopping import Stopping
from services.verify import verify
from services.waiting import Joining
from tests.app.test_cli import run
from tests.conftest import MakeDatabase
from tests.services.test_messaging import Tray
from tests.services.waiters import TODAY
from tests.world import MONDAY, World, admin, new_key, opening_id, relayed, slot_id

HOUR = timedelta(hours=1)
UNGUARDED = """
ALTER TABLE allocations DROP CONSTRAINT one_owner_of_a_time;
ALTER TABLE appointments DROP CONSTRAINT patient_in_one_place;
DROP INDEX one_visit_in_an_opening, one_time_of_an_appointment, one_time_of_a_hold,
    waiting_once, one_live_offer_of_an_entry;
ALTER TABLE allocations DROP CONSTRAINT allocations_check, DROP CONSTRAINT held_until_an_end_or_offered,
    DROP CONSTRAINT allocations_check2, DROP CONSTRAINT allocations_lane_check;
ALTER TABLE appointment_events DROP CONSTRAINT appointment_events_appointment_id_fkey;
ALTER TABLE allocations DROP CONSTRAINT allocations_appointment_id_fkey, DROP CONSTRAINT allocations_hold_id_fkey;
"""


@dataclass(frozen=True)
class Written:
    """Keys of what a small clinic has: two visits of one patient, a hold, two people in one opening, and an offer."""

    provider: int
    first: int
    second: int
    cancelled: int
    hold: int
    opening: int
    opened: int
    offer: int


async def _written(world: World) -> Written:
    clinic = await world.clinic()
    kind, service = await world.visit_type(30, before=5, after=5), await world.visit_type(None)
    provider, line = await world.provider([clinic], [kind]), await world.provider([clinic], [service], pool=True)
    opening = await world.opening(line, clinic, MONDAY + 30 * HOUR, capacity=2)
    one, other = await world.patient(clinic), await world.patient(clinic)

    async def book(viewer: Any, slot: str) -> int:
        outcome = await world.booking.book(viewer, slot, None, None, new_key())
        assert isinstance(outcome, AppointmentBooked), outcome
        return outcome.appointment.key

    first = await book(one, slot_id(provider, clinic, kind, MONDAY + 24 * HOUR))
    second = await book(one, slot_id(provider, clinic, kind, MONDAY + 26 * HOUR))
    opened = await book(one, opening_id(line, clinic, service, opening))
    await book(other, opening_id(line, clinic, service, opening))
    cancelled = await book(other, slot_id(provider, clinic, kind, MONDAY + 25 * HOUR))
    changing, desk = world.changing, admin()
    node = ids.node(ids.APPOINTMENT, cancelled)
    await changing.cancel(desk, node, 1, None, new_key())
    await changing.set_status(desk, ids.node(ids.APPOINTMENT, first), 1, AppointmentStatus.ARRIVED, None, new_key())
    held = await world.booking.hold(other, slot_id(provider, clinic, kind, MONDAY + 27 * HOUR), new_key())
    assert isinstance(held, SlotHeld)
    asked = Joining(ids.node(ids.CLINIC, clinic), ids.node(ids.VISIT_TYPE, kind), TODAY, TODAY + timedelta(days=7))
    await world.waiting.join(await world.patient(clinic), asked, new_key())
    given_up = await book(other, slot_id(provider, clinic, kind, MONDAY + 29 * HOUR))
    await changing.cancel(desk, ids.node(ids.APPOINTMENT, given_up), 1, None, new_key())
    offer = await world.value("SELECT id FROM waitlist_offers WHERE clinic_id = $1", clinic)
    await relayed(world.database)
    await world.run("UPDATE patients SET email = 'pat@example.org'")
    carriers: dict[Channel, Carrier] = {Channel.EMAIL: Tray()}
    messaging = Messaging(world.database, carriers, Stopping(world.database))
    while await messaging.plan() + await messaging.send(Channel.EMAIL):
        pass
    return Written(provider, first, second, cancelled, held.hold.key, opening, opened, offer)


@pytest.fixture(scope="module")
async def written(connections: asyncpg.Pool) -> Written:
    world = World.on(connections)
    await world.clock(MONDAY)
    return await _written(world)


@pytest.fixture
async def unguarded(connections: asyncpg.Pool) -> AsyncIterator[Any]:
    """The same database without its guards, for as long as a transaction lasts."""
    async with connections.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(UNGUARDED)
        yield connection
        await transaction.rollback()


async def test_what_the_services_write_passes(connections: asyncpg.Pool, written: Written) -> None:
    found = [finding async for finding in verify(Database(connections))]
    assert [finding.rule for finding in found] == list(RULES)
    assert [finding for finding in found if finding.broken] == []
    assert [finding.rule for finding in found if not finding.looked_at] == []


FAULTS = {
    "a time given twice": (
        OVERLAPS,
        "INSERT INTO allocations (resource_id, starts_at, ends_at, state, appointment_id)"
        " SELECT resource_id, starts_at + interval '10 minutes', ends_at, state, {second} FROM allocations"
        " WHERE appointment_id = {first}",
    ),
    "a time inside a longer one": (
        OVERLAPS,
        "UPDATE allocations SET ends_at = ends_at + interval '5 hours' WHERE appointment_id = {first}",
    ),
    "a time without end": (
        BOUNDS,
        "UPDATE allocations SET ends_at = starts_at + interval '33 hours' WHERE appointment_id = {second}",
    ),
    "a time that ends before it starts": (
        BOUNDS,
        "UPDATE allocations SET ends_at = starts_at - interval '1 hour' WHERE state = 'released'",
    ),
    "a lane of a person": (BOUNDS, "UPDATE allocations SET lane = 1 WHERE appointment_id = {second}"),
    "more booked than there is room": (CAPACITY, "UPDATE openings SET capacity = 1 WHERE id = {opening}"),
    "a lane at another time": (
        CAPACITY,
        "UPDATE allocations SET ends_at = ends_at + interval '1 minute' WHERE appointment_id = {opened}",
    ),
    "a visit without time": (APPOINTMENTS_OWN, "DELETE FROM allocations WHERE appointment_id = {first}"),
    "a visit whose time was given up": (
        APPOINTMENTS_OWN,
        "UPDATE allocations SET state = 'released' WHERE appointment_id = {first}",
    ),
    "a visit with two times": (
        APPOINTMENTS_OWN,
        "INSERT INTO allocations (resource_id, starts_at, ends_at, state, appointment_id) SELECT resource_id,"
        " starts_at + interval '9 hours', ends_at + interval '9 hours', state, {first} FROM allocations"
        " WHERE appointment_id = {first}",
    ),
    "a visit longer than its time": (
        APPOINTMENTS_OWN,
        "UPDATE allocations SET ends_at = ends_at - interval '10 minutes' WHERE appointment_id = {first}",
    ),
    "a visit with another provider's time": (
        APPOINTMENTS_OWN,
        "UPDATE allocations SET resource_id = {opening} WHERE appointment_id = {first}",
    ),
    "a hold without time": (HOLDS_OWN, "DELETE FROM allocations WHERE hold_id = {hold}"),
    "a hold without end": (HOLDS_OWN, "UPDATE allocations SET expires_at = NULL WHERE hold_id = {hold}"),
    "an offer without time": (
        OFFERS_OWN,
        "UPDATE allocations SET state = 'released' WHERE id IN (SELECT allocation_id FROM waitlist_offers WHERE id = {offer})",
    ),
    "an offer of another provider's time": (
        OFFERS_OWN,
        "UPDATE waitlist_offers SET ends_at = ends_at + interval '1 hour' WHERE id = {offer}",
    ),
    "an entry whose offer is over": (
        ENTRIES_OFFERED,
        "UPDATE waitlist_offers SET status = 'expired' WHERE id = {offer}",
    ),
    "an offer of an entry that waits": (
        ENTRIES_OFFERED,
        "UPDATE waitlist_entries SET status = 'active' WHERE status = 'offered'",
    ),
    "two live offers of an entry": (
        ENTRIES_OFFERED,
        "INSERT INTO waitlist_offers (entry_id, patient_id, allocation_id, cascade_id, provider_id, clinic_id, visit_type_id,"
        " starts_at, ends_at, made_at, expires_at) SELECT entry_id, patient_id, allocation_id - 1, cascade_id, provider_id,"
        " clinic_id, visit_type_id, starts_at, ends_at, made_at, expires_at FROM waitlist_offers WHERE id = {offer}",
    ),
    "a patient who waits twice": (
        WAITING_ONCE,
        "INSERT INTO waitlist_entries (patient_id, clinic_id, visit_type_id, first_date, last_date, notice_minutes, joined_at)"
        " SELECT patient_id, clinic_id, visit_type_id, first_date, last_date, notice_minutes, joined_at FROM waitlist_entries"
        " WHERE status = 'offered'",
    ),
    "time of an offer that is over": (
        NOBODY_ELSE_OWNS,
        "UPDATE waitlist_offers SET status = 'declined' WHERE id = {offer}",
    ),
    "an offer's time with an end": (
        NOBODY_ELSE_OWNS,
        "UPDATE allocations SET expires_at = ends_at WHERE id IN (SELECT allocation_id FROM waitlist_offers WHERE id = {offer})",
    ),
    "time of a cancelled visit": (
        NOBODY_ELSE_OWNS,
        "UPDATE allocations SET state = 'booked' WHERE appointment_id = {cancelled}",
    ),
    "time of a hold that is over": (NOBODY_ELSE_OWNS, "UPDATE holds SET state = 'released' WHERE id = {hold}"),
    "time of nobody": (
        NOBODY_ELSE_OWNS,
        "UPDATE allocations SET appointment_id = 99999 WHERE appointment_id = {first}",
    ),
    "a patient in two places": (
        PATIENTS,
        "UPDATE appointments SET starts_at = starts_at - interval '115 minutes' WHERE id = {second}",
    ),
    "a patient twice in an opening": (
        ONE_IN_AN_OPENING,
        "UPDATE appointments SET patient_id = (SELECT patient_id FROM appointments WHERE id = {first})"
        " WHERE opening_id = {opening}",
    ),
    "a visit besides its opening": (
        IN_THEIR_OPENING,
        "UPDATE appointments SET ends_at = ends_at - interval '1 minute' WHERE id = {opened}",
    ),
    "a version without event": (HISTORY, "UPDATE appointments SET version = version + 1 WHERE id = {second}"),
    "a gap in the events": (HISTORY, "DELETE FROM appointment_events WHERE appointment_id = {first} AND version = 1"),
    "a state that no event tells": (HISTORY, "UPDATE appointments SET status = 'noshow' WHERE id = {second}"),
    "a start that no event tells": (
        HISTORY,
        "UPDATE appointment_events SET starts_at = starts_at + interval '1 hour' WHERE appointment_id = {first} AND version = 2",
    ),
    "a booking that was not told": (
        APPOINTMENTS_TOLD,
        "DELETE FROM outbox WHERE appointment_id = {second} AND topic = 'appointments'",
    ),
    "a booking told twice": (
        APPOINTMENTS_TOLD,
        "INSERT INTO outbox (at, topic, appointment_id, appointment_version, payload)"
        " VALUES (now(), 'appointments', {second}, 1, '{{}}')",
    ),
    "an offer that was not told": (OFFERS_TOLD, "DELETE FROM outbox WHERE topic = 'offers'"),
    "an offer's end that was not told": (
        OFFERS_TOLD,
        "UPDATE waitlist_offers SET status = 'declined' WHERE id = {offer}",
    ),
    "an offer told twice": (
        OFFERS_TOLD,
        "INSERT INTO outbox (at, topic, clinic_id, patient_id, payload)"
        " SELECT at, topic, clinic_id, patient_id, payload FROM outbox WHERE topic = 'offers'",
    ),
    "a calendar's change that was not told": (
        CALENDARS_TOLD,
        "DELETE FROM outbox WHERE resource_id = {provider} AND resource_version = 2",
    ),
    "a calendar's last change that was not told": (
        CALENDARS_TOLD,
        "UPDATE resources SET version = version + 1 WHERE id = {provider}",
    ),
    "an older change than the last one that was not told": (
        CALENDARS_TOLD,
        "WITH trimmed AS (UPDATE stream_pulse SET trimmed_to = now() + interval '9 years')"
        " DELETE FROM outbox WHERE resource_id = {provider} AND resource_version = 3",
    ),
    "a booking that was not told since others were trimmed": (
        APPOINTMENTS_TOLD,
        "WITH trimmed AS (UPDATE stream_pulse SET trimmed_to = now() - interval '1 day')"
        " DELETE FROM outbox WHERE appointment_id = {second} AND topic = 'appointments'",
    ),
    "an event without its number": (CLINICS_NUMBERED, "DELETE FROM stream WHERE seq = 2"),
    "a number that no event has": (CLINICS_NUMBERED, "UPDATE stream_heads SET seq = seq + 1"),
    "an event that the relay passed over": (RELAYED_OR_WAITING, "DELETE FROM stream WHERE seq = 2"),
    "an event that is relayed before its turn": (
        RELAYED_OR_WAITING,
        "UPDATE stream_pulse SET outbox_id = outbox_id - 1",
    ),
    "a key whose booking is gone": (
        OUTCOMES,
        "UPDATE idempotency SET outcome = jsonb_set(outcome, '{{appointment}}', '99999') WHERE outcome ? 'appointment'",
    ),
    "a message that went twice": (
        MESSAGES_ONCE,
        "INSERT INTO messages (appointment_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, sent_at)"
        " SELECT id, version, 'moved', channel, starts_at, starts_at, starts_at, starts_at, 'sent', starts_at"
        " FROM appointments, unnest(ARRAY['email', 'sms']) AS channel",
    ),
    "an offer that was told twice": (
        MESSAGES_ONCE,
        "INSERT INTO messages (offer_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, sent_at)"
        " SELECT id, 1, 'offer', 'sms', starts_at, starts_at, starts_at, starts_at, 'sent', starts_at FROM waitlist_offers",
    ),
    "a message about an offer that is over": (
        MESSAGES_OF_OFFERS,
        "WITH over AS (UPDATE waitlist_offers SET status = 'declined' WHERE id = {offer})"
        " UPDATE messages SET status = 'scheduled' WHERE offer_id = {offer}",
    ),
    "a message for a version that is over": (
        MESSAGES_OF_THE_VERSION,
        "WITH planned AS (DELETE FROM messages_to_plan)"
        " INSERT INTO messages (appointment_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status)"
        " SELECT id, version - 1, 'moved', 'email', starts_at, starts_at, starts_at, starts_at, 'scheduled'"
        " FROM appointments",
    ),
    "a message that went for a version that was over": (
        MESSAGES_AFTER_THEIR_VERSION,
        "INSERT INTO messages (appointment_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, tries,"
        " tried_at, sent_at) SELECT appointment_id, 1, 'day-before', 'sms', starts_at, at, at, at, 'sent', 1,"
        " at + interval '3 minutes', at + interval '1 day' FROM appointment_events"
        " WHERE appointment_id = {cancelled} AND version = 2",
    ),
    "a key whose hold is gone": (
        OUTCOMES,
        "UPDATE idempotency SET outcome = jsonb_set(outcome, '{{hold}}', '99999') WHERE outcome ? 'hold'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_planted_fault_is_found(fault: str, written: Written, unguarded: Any) -> None:
    rule, statement = FAULTS[fault]
    done = await unguarded.execute(statement.format(**vars(written)))
    assert not done.endswith(" 0"), "the fault was not planted"
    broken = {RULES[finding.rule]: finding async for finding in findings(unguarded) if finding.broken}
    assert rule in broken
    assert 1 <= len(broken[rule].examples) <= 5
    assert all(example for example in broken[rule].examples)


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, _ in FAULTS.values()} == set(RULES.values())


async def test_the_command_says_so_and_exits_with_1(make_database: MakeDatabase) -> None:
    url = await make_database()
    opened = await pool(url, size=2)
    try:
        world = World.on(opened)
        await world.clock(MONDAY)
        written = await _written(world)
        answer = run("verify", DATABASE_URL=url)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert len(answer.stdout.splitlines()) == len(RULES)
        assert all("holds" in line and " rows  " in line for line in answer.stdout.splitlines())
        await opened.execute(UNGUARDED)
        await opened.execute(FAULTS["a time given twice"][1].format(**vars(written)))
    finally:
        await opened.close()
    answer = run("verify", DATABASE_URL=url)
    assert answer.returncode == 1
    assert "1 BROKEN" in answer.stdout
    assert "allocation " in answer.stdout
    assert "do not hold" in answer.stderr
