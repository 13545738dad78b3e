"""What may have gone is asked about before anything else is done with it: no text twice, none lost to another's answer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from secrets import token_hex

import pytest

from adapters.notifications.email import Paper
from adapters.notifications.folder import Copied, Folder
from adapters.notifications.sms import Texter
from domain.appointments import AppointmentStatus
from domain.letters import Accepted, Letter, NotSent, OutcomeUnknown
from domain.messages import Why
from services import messaging as sending
from services.messaging import Messaging
from services.verify import verify
from tests import peers
from tests.peers import Provider
from tests.services.test_messaging import EMAIL, FAR, PUBLIC, SMS, Town, Tray
from tests.world import MONDAY, World

EVENING = MONDAY + timedelta(hours=11, minutes=59, seconds=50)  # 20:59:50 in New York
MORNING = MONDAY + timedelta(hours=23, seconds=1)
NUMBERS = count(1)
LATE, NEVER, KILLED, AWAY = "late", "never", "killed", "away"


@dataclass
class Gateway:
    """An SMS provider without a network. `does`: what happens to the next ones; LATE and KILLED arrive."""

    does: list[str] = field(default_factory=list)
    got: list[tuple[str, Letter]] = field(default_factory=list)
    asked: int = 0
    hidden: bool = False
    deaf: bool = False
    asks_first: bool = True

    async def send(self, letter: Letter) -> Accepted:
        what = self.does.pop(0) if self.does else ""
        if what == AWAY:
            raise NotSent("away")
        if what == NEVER:
            raise OutcomeUnknown("never")
        sid = f"SM{token_hex(16)}"
        self.got.append((sid, letter))
        await asyncio.sleep(0)
        if what == KILLED:
            raise asyncio.CancelledError
        if what == LATE:
            raise OutcomeUnknown("late")
        return Accepted(sid, "queued")

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        self.asked += 1
        if self.deaf:
            raise OutcomeUnknown("deaf")
        if self.hidden:
            return []
        return [Accepted(sid) for sid, one in reversed(self.got) if (one.to, one.sms) == (letter.to, letter.sms)]

    async def close(self) -> None: ...

    def rules(self) -> list[str]:
        return [letter.rule.name for _, letter in self.got]


@pytest.fixture
async def town(world: World) -> Town:
    found = await Town(world).build()
    number = f"+1202555{next(NUMBERS):07d}"
    await world.run("UPDATE patients SET phone = $2 WHERE id = $1", found.ann.patient_key, number)
    return found


@pytest.fixture
def gateway(town: Town) -> Gateway:
    found = Gateway()
    town.messaging = town.with_carriers(town.mail, found)
    return found


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with peers.provider() as found:
        yield found


@pytest.fixture
async def texter(provider: Provider) -> AsyncIterator[Texter]:
    found = Texter(provider.url, peers.ACCOUNT, peers.TOKEN, peers.NUMBER, PUBLIC)
    yield found
    await found.close()


async def killed(town: Town) -> None:
    """A worker that dies in its call; whoever comes later has to find out."""
    await town.messaging.plan()
    with pytest.raises(asyncio.CancelledError):
        await town.messaging.send(SMS)


async def broken(town: Town) -> list[str]:
    return [one.rule async for one in verify(town.world.database) if one.broken and "message" in one.rule]


async def seconds(town: Town, *some: float) -> None:
    for one in some:
        await town.world.wait(seconds=one)
        await town.work()


# --- what may have gone is asked about, whatever is to become of it


async def test_what_a_dead_worker_left_before_quiet_hours_does_not_go_again_after_them(
    town: Town, gateway: Gateway
) -> None:
    await town.prefer(SMS)
    await town.world.clock(EVENING)
    one = await town.book()
    gateway.does = [KILLED]
    await killed(town)
    await town.at(EVENING + timedelta(minutes=15))
    await town.at(MORNING)
    assert gateway.rules() == ["CONFIRMATION"]
    assert (await town.told(one))[0][2:] == ("SENT", None)


async def test_what_cannot_be_asked_about_before_quiet_hours_is_asked_about_after_them(
    town: Town, gateway: Gateway
) -> None:
    await town.prefer(SMS)
    await town.world.clock(EVENING)
    await town.book()
    gateway.does, gateway.deaf = [KILLED], True
    await killed(town)
    later = replace_clock(town, gateway, timedelta(hours=1))
    await town.world.clock(EVENING + timedelta(hours=1))
    await town.work(later)
    gateway.deaf = False
    await town.at(MORNING)
    assert gateway.rules() == ["CONFIRMATION"]


async def test_a_sure_failure_does_not_make_an_unsure_one_forgotten(town: Town, gateway: Gateway) -> None:
    """The first try arrives, but is listed only after the second was turned away."""
    await town.prefer(SMS)
    await town.book()
    gateway.does, gateway.hidden = [LATE, AWAY], True
    await seconds(town, 0, 6)
    gateway.hidden = False
    await seconds(town, 11)
    assert (gateway.rules(), gateway.asked) == (["CONFIRMATION"], 2)


async def test_what_may_have_gone_is_asked_about_before_the_next_channel_says_it(town: Town, gateway: Gateway) -> None:
    await town.prefer(SMS)
    one = await town.book()
    gateway.does = [LATE]
    await town.work()
    await town.prefer(EMAIL)
    await seconds(town, 6)
    assert (gateway.rules(), town.mail.rules()) == (["CONFIRMATION"], [])
    assert ("CONFIRMATION", "SMS", "SENT", None) in await town.told(one)


async def test_the_next_channel_says_what_did_not_go(town: Town, gateway: Gateway) -> None:
    await town.prefer(SMS)
    one = await town.book()
    gateway.does = [NEVER]
    await town.work()
    await town.prefer(EMAIL)
    await seconds(town, 6)
    assert (gateway.rules(), town.mail.rules()) == ([], ["CONFIRMATION"])
    assert ("CONFIRMATION", "SMS", "SKIPPED", Why.NOT_CHOSEN.value) in await town.told(one)


async def test_a_gateway_that_cannot_be_asked_keeps_the_next_channel_waiting_for_a_while_only(
    town: Town, gateway: Gateway
) -> None:
    await town.prefer(SMS)
    await town.book()
    gateway.does, gateway.deaf = [NEVER], True
    await town.work()
    await town.prefer(EMAIL)
    await seconds(town, 6)
    assert town.mail.rules() == []
    town.messaging = replace_clock(town, gateway, sending.ASKED_FOR)
    await seconds(town, 11)
    assert (gateway.rules(), town.mail.rules()) == ([], ["CONFIRMATION"])


async def test_a_reminder_that_may_have_gone_is_known_to_have_gone_though_its_version_is_over(
    town: Town, gateway: Gateway
) -> None:
    await town.prefer(SMS, quiet_from=None)
    one = await town.book()
    await town.work()
    gateway.does = [LATE]
    await town.at(FAR - timedelta(hours=24))
    one = await town.mark(one, AppointmentStatus.ARRIVED)
    await town.work()
    one = await town.mark(one, AppointmentStatus.BOOKED)
    await seconds(town, 0, 6, 31)
    assert gateway.rules() == ["CONFIRMATION", "DAY_BEFORE"]
    assert ("DAY_BEFORE", "SMS", "SENT", None) in await town.told(one)


async def test_what_waits_to_be_asked_about_is_no_fault(town: Town, gateway: Gateway) -> None:
    await town.prefer(SMS)
    one = await town.book()
    gateway.does = [LATE]
    await town.work()
    one = await town.cancel(one)
    await town.messaging.plan()
    assert await broken(town) == []
    await seconds(town, 6)
    assert gateway.rules() == ["CONFIRMATION", "CANCELLED"]
    assert ("CONFIRMATION", "SMS", "SENT", None) in await town.told(one)
    assert await broken(town) == []


# --- the same text twice: who may take a message found at the provider for its own


async def twins(town: Town) -> None:
    """A mother's number for two children who come at the same time, to two doctors."""
    number = f"+1202555{next(NUMBERS):07d}"
    for provider in (town.provider, await town.world.provider([town.clinic], [town.kind], opens=0, closes=1440)):
        town.provider = provider
        who = await town.patient(None, number)
        await town.prefer(SMS, who=who)
        await town.book(who=who)


async def test_one_text_at_the_provider_settles_one_of_two_that_say_the_same(town: Town, gateway: Gateway) -> None:
    await twins(town)
    gateway.does = [LATE, NEVER]
    await seconds(town, 0, 6)
    assert gateway.rules() == ["CONFIRMATION"] * 2
    assert await named(town) == {sid for sid, _ in gateway.got}


async def test_an_answer_takes_back_what_another_message_was_taken_for(town: Town, gateway: Gateway) -> None:
    """While one call is on its way, its text is found for the other, which in truth never arrived."""
    await twins(town)
    gateway.does = [NEVER]
    await town.messaging.plan()
    await town.world.run(
        "UPDATE messages SET next_at = next_at + interval '5 s'"
        " WHERE id = (SELECT max(id) FROM messages WHERE rule = 'confirmation')"
    )
    await town.messaging.send(SMS)
    other = town.with_carriers(town.mail, gateway)
    inside, on = asyncio.Event(), asyncio.Event()

    class Slow(Gateway):
        async def send(self, letter: Letter) -> Accepted:
            accepted = await gateway.send(letter)
            inside.set()
            await on.wait()
            return accepted

    slow = town.with_carriers(town.mail, Slow())
    await town.world.run("UPDATE messages SET next_at = next_at - interval '5 s' WHERE tries = 0")
    calling = asyncio.create_task(slow.send(SMS))
    await inside.wait()
    await town.world.wait(seconds=6)
    await other.send(SMS)
    on.set()
    await calling
    await town.work()
    assert gateway.rules() == ["CONFIRMATION"] * 2
    assert await named(town) == {sid for sid, _ in gateway.got}


async def test_a_callback_takes_back_what_another_message_was_taken_for(town: Town, gateway: Gateway) -> None:
    await twins(town)
    gateway.does = [LATE, NEVER]
    await town.messaging.plan()
    await town.messaging.send(SMS)
    ((sid, letter),) = gateway.got
    wrong = await town.world.value(
        "SELECT id FROM messages WHERE tries = 1 AND status = 'scheduled' AND id <> $1", letter.message_key
    )
    await town.world.run(
        "UPDATE messages SET status = 'sent', unknown = false, sent_at = app_now(), provider_id = $2 WHERE id = $1",
        wrong, sid,
    )  # fmt: skip
    assert await town.stopping.delivered(sid, letter.key_id, "delivered")
    await seconds(town, 6)
    assert gateway.rules() == ["CONFIRMATION"] * 2
    assert await named(town) == {sid for sid, _ in gateway.got}


async def named(town: Town) -> set[str]:
    rows = await town.world.fetch(
        "SELECT m.provider_id FROM messages AS m JOIN appointments AS a ON a.id = m.appointment_id"
        " WHERE m.status = 'sent' AND a.clinic_id = $1",
        town.clinic,
    )
    found = [row["provider_id"] for row in rows]
    assert len(found) == len(set(found))
    return set(found)


async def test_what_came_at_another_time_is_another_message_that_says_the_same(
    town: Town, provider: Provider, texter: Texter
) -> None:
    """Moved to a time, back, and to that time again: what never came of the first is not found in what came of the last."""
    await town.prefer(SMS)
    later, messaging = FAR + timedelta(hours=1), town.with_carriers(town.mail, texter)
    one = await town.book()
    await town.work(messaging)
    provider.answers = [(500, {})]
    one = await town.move(one, later)
    await town.work(messaging)
    await town.world.run("UPDATE messages SET tried_at = tried_at - interval '1 h' WHERE unknown")
    one = await town.move(one, FAR)
    one = await town.move(one, later)
    provider.answers = ["lost"]
    for later_by in (0, 6):
        await town.world.wait(seconds=later_by)
        await town.work(messaging)
    said = provider.bodies()
    assert len(said) == len(set(said)) == 2
    told = [line[2] for line in await town.told(one) if line[0] == "MOVED"]
    assert told == ["SKIPPED", "SKIPPED", "SENT"]


# --- a worker that is held up is taken for dead


async def test_a_worker_that_was_held_up_calls_nobody_once_another_may_have(
    town: Town, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.prefer(SMS)
    await town.book()
    gateway.does = [NEVER]
    await town.work()
    monkeypatch.setattr(sending, "LAST_CALL", timedelta(seconds=0.2))
    asking, on = asyncio.Event(), asyncio.Event()

    class Held(Gateway):
        async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
            asking.set()
            await on.wait()
            return []

        async def send(self, letter: Letter) -> Accepted:
            return await gateway.send(letter)

    held = town.with_carriers(town.mail, Held())
    await town.world.wait(seconds=6)
    stuck = asyncio.create_task(held.send(SMS))
    await asking.wait()
    await asyncio.sleep(0.3)
    await seconds(town, 61)
    assert gateway.rules() == ["CONFIRMATION"]
    on.set()
    await stuck
    await town.work()
    assert gateway.rules() == ["CONFIRMATION"]


async def test_an_answer_counts_though_another_worker_has_taken_over(town: Town, gateway: Gateway) -> None:
    await town.prefer(SMS)
    one = await town.book()
    await town.messaging.plan()
    inside, on = asyncio.Event(), asyncio.Event()

    class Slow(Gateway):
        async def send(self, letter: Letter) -> Accepted:
            accepted = await gateway.send(letter)
            inside.set()
            await on.wait()
            return accepted

    calling = asyncio.create_task(town.with_carriers(town.mail, Slow()).send(SMS))
    await inside.wait()
    gateway.deaf = True
    await seconds(town, 61)
    on.set()
    await calling
    assert (await town.told(one))[0][2:] == ("SENT", None)
    await seconds(town, 301)
    assert gateway.rules() == ["CONFIRMATION"]


# --- what was taken back and is asked for again; the copy of a message


async def test_a_message_that_was_tried_and_stopped_goes_once_it_is_wanted_again(town: Town, gateway: Gateway) -> None:
    await town.prefer(SMS)
    one = await town.book()
    gateway.does = [AWAY]
    await town.work()
    number = await town.world.value("SELECT phone FROM patients WHERE id = $1", town.ann.patient_key)
    await town.stopping.answered(number, "STOP")
    await seconds(town, 6)
    assert ("CONFIRMATION", "SMS", "SKIPPED", Why.SMS_STOPPED.value) in await town.told(one)
    await town.stopping.answered(number, "START")
    await seconds(town, 6)
    assert gateway.rules() == ["CONFIRMATION"]


async def test_a_copy_that_cannot_be_kept_does_not_send_the_message_again(town: Town, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("no folder")
    mail = Tray()
    messaging = town.with_carriers(Copied(mail, Folder(place, Paper("a@b.example", PUBLIC))), town.texts)
    await town.book()
    await town.work(messaging)
    await town.world.wait(seconds=61)
    await town.work(messaging)
    assert mail.rules() == ["CONFIRMATION"]


def replace_clock(town: Town, gateway: Gateway, by: timedelta) -> Messaging:
    """Workers on a machine whose clock is ahead."""
    carriers = {EMAIL: town.mail, SMS: gateway}
    return Messaging(town.world.database, carriers, town.stopping, clock=lambda: datetime.now(UTC) + by)
