"""Planning beside what changes meanwhile: nobody waits for it, and nothing that changed is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from adapters.postgres import messages, offer_messages, sending
from domain.outcomes import OfferAccepted, PatientUpdated
from domain.recipients import Channel
from services.messaging import Messaging
from services.patients import Patients
from services.stopping import Stopping
from services.verify import verify
from tests.services.test_messaging import EMAIL, FAR, SMS, Town, Tray
from tests.services.waiters import place
from tests.world import World, new_key, patient_id

PROMPT = 2.0  # seconds: what waits for nothing


@pytest.fixture
async def town(world: World) -> Town:
    return await Town(world).build()


@asynccontextmanager
async def at_planning(
    messaging: Messaging, monkeypatch: pytest.MonkeyPatch, where: ModuleType = messages
) -> AsyncIterator[None]:
    """A worker that has read all that it plans by stands still for as long as this lasts, before it writes anything down."""
    ready, go, real = asyncio.Event(), asyncio.Event(), where.plan

    async def slow(tx: Any, some: Any) -> None:
        ready.set()
        await go.wait()
        await real(tx, some)

    monkeypatch.setattr(where, "plan", slow)
    planning = asyncio.create_task(messaging.plan())
    await asyncio.wait_for(ready.wait(), PROMPT)
    monkeypatch.setattr(where, "plan", real)
    yield
    go.set()
    await planning


async def test_an_address_that_is_given_while_a_visit_is_planned_is_used(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await town.patient(email=None, phone=None)
    one = await town.book(who=who)
    patients, wanted = Patients(town.world.database), {"email": "new@example.org"}
    version = await town.world.value("SELECT version FROM patients WHERE id = $1", who.patient_key)
    async with at_planning(town.messaging, monkeypatch):
        updating = patients.update(town.staff, patient_id(who), version, wanted, new_key())
        assert isinstance(await asyncio.wait_for(updating, PROMPT), PatientUpdated)
    await town.work()
    await town.at(FAR - timedelta(hours=2))
    assert town.mail.rules() == ["CONFIRMATION", "TWO_HOURS_BEFORE"]
    assert one.version == 1


async def test_an_address_is_used_for_a_visit_that_was_booked_and_planned_before_its_change_was_committed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change has looked at everything, and is not committed yet."""
    who = await town.patient(email=None, phone=None)
    patients, wanted = Patients(town.world.database), {"email": "late@example.org"}
    version = await town.world.value("SELECT version FROM patients WHERE id = $1", who.patient_key)
    ready, go, real = asyncio.Event(), asyncio.Event(), messages.plan_again

    async def slow(tx: Any, keys: Any) -> None:
        await real(tx, keys)
        ready.set()
        await go.wait()

    monkeypatch.setattr(messages, "plan_again", slow)
    updating = asyncio.create_task(patients.update(town.staff, patient_id(who), version, wanted, new_key()))
    await asyncio.wait_for(ready.wait(), PROMPT)
    other = await town.patient("other@example.org")
    await town.book(FAR + timedelta(days=1), other)
    await town.world.run(  # A booking waits for the patient's lock; what an import or a demo writes does not.
        "WITH moved AS (UPDATE appointments SET patient_id = $1 WHERE patient_id = $2 RETURNING id)"
        " UPDATE appointment_events SET subject = 'import' WHERE appointment_id IN (SELECT id FROM moved)",
        who.patient_key,
        other.patient_key,
    )
    await town.work()
    go.set()
    await updating
    await town.work()
    assert [letter.to for letter in town.mail.sent] == ["late@example.org"]


async def test_an_offer_is_accepted_while_a_worker_plans_to_tell_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await place(world)
    await world.run("DELETE FROM offers_to_plan")
    await here.join()
    await here.cancel(await here.booked())
    offer = await here.only()
    messaging = Messaging(world.database, {EMAIL: Tray(), SMS: Tray()}, Stopping(world.database))
    async with at_planning(messaging, monkeypatch, offer_messages):
        assert isinstance(await asyncio.wait_for(here.accept(offer), PROMPT), OfferAccepted)
    while await messaging.plan():
        pass
    waiting = (
        "SELECT count(*) FROM messages WHERE status = 'scheduled'"
        " AND offer_id IN (SELECT id FROM waitlist_offers WHERE clinic_id = $1)"
    )
    assert await world.value(waiting, here.clinic) == 0


async def test_another_choice_and_a_message_that_falls_due_do_not_wait_in_a_circle(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.book()
    await town.work()
    await town.world.clock(FAR - timedelta(hours=23, minutes=59))
    await town.prefer(SMS)
    reached, real = asyncio.Event(), sending.give_up

    async def give_up(tx: Any, some: Any) -> None:
        reached.set()
        await real(tx, some)

    monkeypatch.setattr(sending, "give_up", give_up)
    async with at_planning(town.messaging, monkeypatch):
        sent = asyncio.create_task(town.messaging.send(Channel.EMAIL))
        await asyncio.wait_for(reached.wait(), PROMPT)
    assert await asyncio.wait_for(sent, PROMPT) == 1
    await town.work()
    assert (town.mail.rules(), town.texts.rules()) == (["CONFIRMATION"], ["DAY_BEFORE"])


async def test_what_one_worker_read_first_is_not_written_over_what_another_read_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both plan the same version; between them the patient gave an address."""
    who = await town.patient(email=None, phone=None)
    one = await town.book(who=who)
    async with at_planning(town.messaging, monkeypatch):
        await town.world.run("UPDATE patients SET email = 'new@example.org' WHERE id = $1", who.patient_key)
        await town.world.run("INSERT INTO messages_to_plan (appointment_id, version) VALUES ($1, 1)", one.key)
        await asyncio.wait_for(town.with_carriers(town.mail, town.texts).plan(), PROMPT)
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"]


async def test_a_version_that_is_over_before_it_is_planned_leaves_nothing_scheduled(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await town.book()
    async with at_planning(town.messaging, monkeypatch):
        await town.move(one, FAR + timedelta(days=1))
        await town.messaging.plan()
    left = "SELECT rule FROM messages WHERE appointment_id = $1 AND version = 1 AND status = 'scheduled'"
    assert await town.world.fetch(left, one.key) == []
    await town.work()
    assert await town.world.fetch(left, one.key) == []
    assert town.mail.rules() == ["MOVED"]
    broken = [finding.rule async for finding in verify(town.world.database) if finding.broken]
    assert not {rule for rule in broken if "message" in rule}


async def test_a_version_that_is_asked_for_twice_is_planned_once(town: Town) -> None:
    one = await town.book()
    await town.world.run("INSERT INTO messages_to_plan (appointment_id, version) VALUES ($1, 1), ($1, 1)", one.key)
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"]
