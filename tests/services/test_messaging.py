"""Messages from the booking to the peer: planned once, looked at again, sent once, whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from adapters.notifications import email as mailing
from adapters.notifications.carriers import Carrier
from adapters.notifications.email import Mailer, Paper
from adapters.notifications.sms import Texter
from adapters.postgres import messages, preferences
from domain import ids
from domain.access import Role, Viewer
from domain.appointments import Appointment, AppointmentStatus
from domain.letters import Accepted, AddressRefused, Letter, NotSent, OutcomeUnknown
from domain.messages import MessageRule, Reminder, timeline
from domain.outcomes import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentRescheduled,
    AppointmentStatusSet,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    NotificationPreferencesSet,
    PatientUpdated,
)
from domain.recipients import Channel
from services.messaging import Messaging
from services.patients import Patients
from services.preferences import Preferences
from services.stopping import Stopping
from tests import peers
from tests.peers import Mailbox, Provider
from tests.world import MONDAY, World, new_key, patient_id, slot_id, staff

PUBLIC = "https://clinic.example"
PHONE = "+12025550100"
EMAIL, SMS = Channel.EMAIL, Channel.SMS
FAR = MONDAY + timedelta(days=3, hours=1)


@dataclass
class Tray:
    """A carrier that keeps letters; `faults` happen to the next ones, `dies` is what a kill leaves: nothing is written down."""

    sent: list[Letter] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    asks_first: bool = False

    async def send(self, letter: Letter) -> Accepted:
        if self.faults:
            raise self.faults.pop(0)
        self.sent.append(letter)
        return Accepted()

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        return []

    async def close(self) -> None: ...

    def rules(self) -> list[str]:
        return [one.rule.name for one in self.sent]


class Town:
    """A clinic with a provider; `ann` is a patient with an e-mail address and a number."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mail, self.texts = Tray(), Tray()
        self.stopping = Stopping(world.database)
        self.outcomes: list[str] = []
        self.messaging = self.with_carriers(self.mail, self.texts)

    def with_carriers(self, mail: Carrier, texts: Carrier) -> Messaging:
        def observe(rule: Any, channel: Any, outcome: str) -> None:
            self.outcomes.append(outcome)

        return Messaging(self.world.database, {EMAIL: mail, SMS: texts}, self.stopping, observe)

    async def build(self, zone: str = "America/New_York") -> "Town":
        # What other tests of this module left is not this one's.
        await self.world.run("DELETE FROM messages_to_plan")
        await self.world.run("DELETE FROM patients_to_plan")
        await self.world.run(
            "UPDATE messages SET status = 'skipped', why = 'SAID' WHERE status IN ('scheduled', 'sending')"
        )
        await self.world.run("DELETE FROM stopped_addresses")
        self.clinic = await self.world.clinic(zone)
        self.kind = await self.world.visit_type(notice=0, cancel=0)
        self.provider = await self.world.provider([self.clinic], [self.kind], opens=0, closes=1440)
        self.staff = staff(self.clinic)
        self.ann = await self.patient()
        return self

    async def patient(self, email: str | None = "ann@example.org", phone: str | None = PHONE) -> Viewer:
        found = await self.world.patient(self.clinic)
        await self.world.run(
            "UPDATE patients SET email = $2, phone = $3 WHERE id = $1", found.patient_key, email, phone
        )
        return found

    async def prefer(self, *channels: Channel, who: Viewer | None = None, **other: Any) -> NotificationPreferencesSet:
        asked = {"channels": channels, **other}
        done = await Preferences(self.world.database).set(who or self.ann, None, asked, new_key())
        assert isinstance(done, NotificationPreferencesSet), done
        return done

    async def book(self, at: datetime = FAR, who: Viewer | None = None) -> Appointment:
        slot = slot_id(self.provider, self.clinic, self.kind, at)
        done = await self.world.booking.book(who or self.ann, slot, None, "a private reason", new_key())
        assert isinstance(done, AppointmentBooked), done
        return done.appointment

    async def move(self, one: Appointment, at: datetime) -> Appointment:
        slot = slot_id(self.provider, self.clinic, self.kind, at)
        done = await self.world.changing.reschedule(self.staff, one.id, slot, one.version, new_key())
        assert isinstance(done, AppointmentRescheduled), done
        return done.appointment

    async def cancel(self, one: Appointment) -> Appointment:
        done = await self.world.changing.cancel(self.staff, one.id, one.version, None, new_key())
        assert isinstance(done, AppointmentCancelled), done
        return done.appointment

    async def mark(self, one: Appointment, status: AppointmentStatus) -> Appointment:
        done = await self.world.changing.set_status(self.staff, one.id, one.version, status, None, new_key())
        assert isinstance(done, AppointmentStatusSet), done
        return done.appointment

    async def work(self, messaging: Messaging | None = None) -> None:
        """Until nothing is due."""
        one = messaging or self.messaging
        while await one.plan() + await one.send(EMAIL) + await one.send(SMS):
            pass

    async def at(self, when: datetime) -> None:
        await self.world.clock(when)
        await self.work()

    async def lines(self, one: Appointment) -> list[Reminder]:
        reader = self.world.database.primary
        kept = await messages.of_appointments(reader, [one.key])
        unplanned = [(each.version, each.recipient) for each in await messages.unplanned(reader, [one.key])]
        return timeline(kept.get(one.key, []), unplanned)

    async def told(self, one: Appointment) -> list[tuple[str, str, str, str | None]]:
        return [(each.rule.name, each.channel.name, each.status.name, each.why) for each in await self.lines(one)]


@pytest.fixture
async def town(world: World) -> Town:
    return await Town(world).build()


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with peers.mailbox() as found:
        yield found


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with peers.provider() as found:
        yield found


@pytest.fixture
async def texter(provider: Provider) -> AsyncIterator[Texter]:
    found = Texter(provider.url, peers.ACCOUNT, peers.TOKEN, peers.NUMBER, PUBLIC)
    yield found
    await found.close()


# --- the plain story


async def test_booked_reminded_moved_and_cancelled(town: Town) -> None:
    one = await town.book()
    before = await town.told(one)
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"]
    assert [line[0] for line in before] == [line[0] for line in await town.told(one)]
    await town.at(FAR - timedelta(hours=24))
    one = await town.move(one, FAR + timedelta(days=2))
    await town.work()
    await town.at(FAR + timedelta(days=1))
    await town.at(FAR + timedelta(days=2, hours=-2))
    await town.cancel(one)
    await town.work()
    expected = ["CONFIRMATION", "DAY_BEFORE", "MOVED", "DAY_BEFORE", "TWO_HOURS_BEFORE", "CANCELLED"]
    assert town.mail.rules() == expected
    assert [letter.sequence for letter in town.mail.sent] == [0, 0, 1, 1, 1, 2]
    assert town.texts.sent == []
    replaced = ("TWO_HOURS_BEFORE", "EMAIL", "SKIPPED", "The appointment has changed since.")
    assert replaced in await town.told(one)


async def test_the_timeline_is_there_before_any_worker_comes(town: Town) -> None:
    one = await town.book()
    assert await town.told(one) == [
        ("CONFIRMATION", "EMAIL", "SCHEDULED", None),
        ("DAY_BEFORE", "EMAIL", "SCHEDULED", None),
        ("TWO_HOURS_BEFORE", "EMAIL", "SCHEDULED", None),
    ]
    assert [line.due_at.isoformat() for line in await town.lines(one)][1:] == [
        "2027-03-03T10:00:00-05:00",
        "2027-03-04T08:00:00-05:00",
    ]


async def test_a_letter_says_where_and_when_and_no_more(town: Town) -> None:
    await town.book()
    await town.work()
    (letter,) = town.mail.sent
    written = Paper("a@b.example", PUBLIC).write(letter).as_string()
    kind = await town.world.value("SELECT name FROM visit_types WHERE id = $1", town.kind)
    for private in ("a private reason", kind, "Pat Doe"):
        assert private not in written + letter.sms


async def test_a_reminder_is_dated_when_it_was_due_and_not_weeks_before(town: Town) -> None:
    later = FAR + timedelta(days=40)
    await town.book(later)
    await town.work()
    due = later - timedelta(days=1)
    await town.at(due + timedelta(minutes=1))
    await town.at(later - timedelta(hours=2) + timedelta(minutes=1))
    paper = Paper("clinic@example.org", PUBLIC)
    dates = [paper.write(letter)["Date"].datetime for letter in town.mail.sent]
    assert town.mail.rules() == ["CONFIRMATION", "DAY_BEFORE", "TWO_HOURS_BEFORE"]
    assert abs(dates[0] - MONDAY) < timedelta(minutes=1)
    assert dates[1:] == [due, later - timedelta(hours=2)]


async def test_a_reminder_that_goes_the_evening_before_does_not_say_today(town: Town) -> None:
    await town.prefer(SMS)
    early = MONDAY + timedelta(days=3, minutes=-30)  # 08:30 in New York
    await town.book(early)
    await town.work()
    await town.at(early - timedelta(hours=12, minutes=29))  # 20:01 the evening before
    letter = town.texts.sent[-1]
    assert letter.rule is MessageRule.TWO_HOURS_BEFORE
    mail = Paper("clinic@example.org", PUBLIC).write(letter).as_string()
    assert "Thu, Mar 4 at 8:30 AM" in letter.sms
    assert "today" not in letter.sms.lower() + mail.lower()


async def test_a_visit_soon_has_no_reminders_that_are_past(town: Town) -> None:
    one = await town.book(MONDAY + timedelta(hours=1))
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"]
    assert [line[2] for line in await town.told(one)].count("SKIPPED") == 2


async def test_a_reminder_is_sent_late_but_not_too_late(town: Town) -> None:
    one, other = await town.book(), await town.book(FAR + timedelta(hours=5))
    await town.work()
    await town.at(FAR - timedelta(hours=24) + timedelta(hours=6, minutes=1))
    assert town.mail.rules() == ["CONFIRMATION", "CONFIRMATION", "DAY_BEFORE"]
    assert town.mail.sent[-1].appointment_key == other.key
    assert ("DAY_BEFORE", "EMAIL", "SKIPPED", "It could not go in time.") in await town.told(one)


async def test_days_on_which_the_clock_changes(town: Town) -> None:
    for starts, due in (
        (datetime(2027, 3, 14, 18, tzinfo=UTC), datetime(2027, 3, 13, 19, tzinfo=UTC)),
        (datetime(2027, 3, 15, 6, 30, tzinfo=UTC), datetime(2027, 3, 14, 7, tzinfo=UTC)),
    ):
        one = await town.book(starts)
        found = {line.rule.name: line.due_at for line in await town.lines(one)}
        assert found["DAY_BEFORE"].astimezone(UTC) == due


# --- quiet hours


async def test_an_sms_waits_for_the_end_of_quiet_hours_and_an_email_does_not(town: Town) -> None:
    late = MONDAY.replace(hour=3) + timedelta(days=1)  # 22:00 in New York
    await town.prefer(SMS)
    bob = await town.patient("bob@example.org", None)
    await town.world.clock(late)
    one, other = await town.book(), await town.book(FAR + timedelta(hours=1), bob)
    await town.work()
    assert (town.mail.rules(), town.texts.rules()) == (["CONFIRMATION"], [])
    assert town.mail.sent[0].appointment_key == other.key
    line = (await town.lines(one))[0]
    assert (line.rule.name, line.due_at.isoformat()) == ("CONFIRMATION", "2027-03-02T08:00:00-05:00")
    assert line.why == "Waits for the end of the quiet hours."
    await town.at(late + timedelta(hours=10))
    assert town.texts.rules() == ["CONFIRMATION"]


async def test_a_gateway_that_comes_back_at_night_sends_nothing_before_the_morning(town: Town) -> None:
    await town.prefer(SMS)
    town.texts.faults = [NotSent("away")] * 3
    await town.world.clock(MONDAY + timedelta(hours=11, minutes=59, seconds=50))  # 20:59:50
    await town.book()
    await town.work()
    await town.at(MONDAY + timedelta(hours=12, seconds=1))
    assert town.texts.sent == []
    await town.at(MONDAY + timedelta(hours=22, minutes=58))
    assert town.texts.sent == []
    town.texts.faults = []
    await town.at(MONDAY + timedelta(hours=23, seconds=1))
    assert town.texts.rules() == ["CONFIRMATION"]


# --- channels


async def test_no_address_stopped_and_finally_failed_lead_to_the_next_channel(town: Town) -> None:
    await town.prefer(SMS, EMAIL)
    nophone = await town.patient("x@example.org", None)
    await town.prefer(SMS, EMAIL, who=nophone)
    one = await town.book(who=nophone)
    await town.work()
    assert (town.mail.rules(), town.texts.rules()) == (["CONFIRMATION"], [])
    assert ("CONFIRMATION", "SMS", "SKIPPED", "There is no telephone number.") in await town.told(one)
    other = await town.book(FAR + timedelta(hours=1))
    await town.stopping.answered(PHONE, "Stop")
    await town.work()
    assert (town.mail.rules(), town.texts.rules()) == (["CONFIRMATION"] * 2, [])
    stopped = ("CONFIRMATION", "SMS", "SKIPPED", "Text messages to this number were stopped.")
    assert stopped in await town.told(other)
    await town.stopping.answered(PHONE, "START")
    town.texts.faults = [AddressRefused("21211")]
    third = await town.book(FAR + timedelta(hours=2))
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"] * 3
    assert ("CONFIRMATION", "SMS", "FAILED", "The address was refused.") in await town.told(third)
    assert ("DAY_BEFORE", "SMS", "SCHEDULED", None) in await town.told(third)


async def test_who_says_stop_to_the_provider_is_stopped_here_too(town: Town) -> None:
    await town.prefer(SMS)
    town.texts.faults = [AddressRefused("21610", stopped=True)]
    one = await town.book()
    await town.work()
    assert await town.world.value("SELECT address FROM stopped_addresses") == PHONE
    assert ("DAY_BEFORE", "SMS", "SKIPPED", "Text messages to this number were stopped.") in await town.told(one)


async def test_a_stop_link_stops_all_that_is_still_to_come(town: Town) -> None:
    one = await town.book()
    await town.work()
    token = town.mail.sent[0].stop_token
    assert token is not None
    found = await town.stopping.linked(token)
    assert found == (EMAIL, "ann@example.org", False)
    await town.stopping.stop(*found[:2], "a stop link")
    await town.at(FAR - timedelta(hours=24))
    await town.book(FAR + timedelta(days=1))
    await town.at(FAR - timedelta(hours=2))
    assert town.mail.rules() == ["CONFIRMATION"]
    assert {line[2] for line in (await town.told(one))[1:]} == {"SKIPPED"}
    await town.stopping.go_on(*found[:2], "a stop link")
    await town.book(FAR + timedelta(days=2))
    await town.work()
    # What was only stopped and is still of use goes too.
    assert sorted(town.mail.rules()) == ["CONFIRMATION"] * 3 + ["TWO_HOURS_BEFORE"]
    assert {one.stop_token for one in town.mail.sent} == {token}


async def test_another_choice_and_another_address_count_for_what_has_not_gone(town: Town) -> None:
    one = await town.book()
    await town.work()
    await town.prefer(SMS, quiet_from=None)
    await town.work()
    assert ("DAY_BEFORE", "SMS", "SCHEDULED", None) in await town.told(one)
    assert ("DAY_BEFORE", "EMAIL", "SKIPPED", "Another channel was chosen.") in await town.told(one)
    await town.prefer(EMAIL)
    updated = await Patients(town.world.database).update(
        town.staff, patient_id(town.ann), 1, {"email": None}, new_key()
    )
    assert isinstance(updated, PatientUpdated)
    await town.at(FAR - timedelta(hours=24))
    assert ("DAY_BEFORE", "EMAIL", "SKIPPED", "There is no e-mail address.") in await town.told(one)
    assert (town.mail.rules(), town.texts.rules()) == (["CONFIRMATION"], [])


async def test_who_starts_again_is_not_told_of_bookings_of_weeks_ago(town: Town) -> None:
    await town.prefer(SMS)
    await town.stopping.answered(PHONE, "STOP")
    old = [await town.book(FAR + timedelta(days=20 + day)) for day in range(2)]
    await town.move(old[1], FAR + timedelta(days=25))
    await town.work()
    await town.at(MONDAY + timedelta(days=14))
    new = await town.book(FAR + timedelta(days=30))
    await town.stopping.answered(PHONE, "START")
    await town.work()
    assert [(letter.rule.name, letter.appointment_key) for letter in town.texts.sent] == [("CONFIRMATION", new.key)]
    assert ("CONFIRMATION", "SMS", "SKIPPED", "It could not go in time.") in await town.told(old[0])
    await town.at(FAR + timedelta(days=19))
    assert town.texts.rules() == ["CONFIRMATION", "DAY_BEFORE"]


# --- void versions


async def test_a_mark_that_is_undone_repeats_nothing(town: Town) -> None:
    one = await town.book()
    await town.work()
    await town.at(FAR - timedelta(hours=24))
    one = await town.mark(one, AppointmentStatus.ARRIVED)
    await town.work()
    assert "TWO_HOURS_BEFORE" not in [line[0] for line in await town.told(one) if line[2] == "SCHEDULED"]
    await town.mark(one, AppointmentStatus.BOOKED)
    await town.at(FAR - timedelta(hours=2))
    assert town.mail.rules() == ["CONFIRMATION", "DAY_BEFORE", "TWO_HOURS_BEFORE"]


async def test_what_was_planned_for_an_older_version_does_not_go_even_if_nobody_planned_anew(town: Town) -> None:
    one = await town.book()
    await town.messaging.plan()
    await town.cancel(one)
    await town.messaging.send(EMAIL)
    assert town.mail.sent == []
    await town.work()
    assert town.mail.rules() == ["CANCELLED"]


async def test_visits_from_before_there_were_messages_get_reminders_and_no_confirmation(town: Town) -> None:
    one = await town.book()
    await town.world.run("UPDATE messages_to_plan SET since = app_now()")
    await town.work()
    await town.at(FAR - timedelta(hours=24))
    await town.prefer(EMAIL)
    await town.work()
    assert town.mail.rules() == ["DAY_BEFORE"]
    assert one.version == 1


# --- what dies, hangs or comes twice


async def test_several_workers_at_once_send_each_message_once(town: Town) -> None:
    people = [await town.patient(f"p{number}@example.org", None) for number in range(30)]
    visits = [await town.book(FAR + timedelta(minutes=30 * number), who) for number, who in enumerate(people)]
    workers = [town.with_carriers(town.mail, town.texts) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(town.work(one) for one in workers))
    assert sorted(one.appointment_key for one in town.mail.sent) == sorted(one.key for one in visits)


async def test_a_worker_that_dies_between_sending_and_writing_down(
    town: Town, box: Mailbox, provider: Provider, texter: Texter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E-mail goes again with its Message-ID; an SMS is asked for first and found."""
    await town.prefer(SMS)
    await town.book()
    await town.book(FAR + timedelta(hours=1), await town.patient("bob@example.org", None))
    dying = town.with_carriers(Mailer(box.url, Paper("a@b.example", PUBLIC)), texter)

    async def killed(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(dying, "_accepted", killed)
        await dying.plan()
        for channel in (EMAIL, SMS):
            with pytest.raises(asyncio.CancelledError):
                await dying.send(channel)
    assert len(box.got) == len(provider.messages) == 1
    other = town.with_carriers(Mailer(box.url, Paper("a@b.example", PUBLIC)), texter)
    await town.work(other)
    assert len(box.got) == len(provider.messages) == 1
    await town.world.wait(seconds=61)
    await town.work(other)
    assert len(box.got) == 2
    assert len(set(box.ids())) == 1
    assert (len(provider.messages), len(provider.asked)) == (1, 1)
    assert {row["status"] for row in await town.world.fetch("SELECT status FROM messages WHERE tries > 1")} == {"sent"}


async def test_an_answer_that_was_lost_is_asked_about_and_the_sms_goes_once(
    town: Town, provider: Provider, texter: Texter
) -> None:
    await town.prefer(SMS)
    provider.answers = ["lost", (500, {}), (429, {})]
    messaging = town.with_carriers(town.mail, texter)
    one = await town.book()
    await town.work(messaging)
    assert (await town.told(one))[0][2:] == ("SCHEDULED", "The last try was not answered; it is looked into.")
    await town.world.wait(seconds=6)
    await town.work(messaging)
    assert (provider.posted, len(provider.messages)) == (1, 1)
    other = await town.book(FAR + timedelta(hours=1))
    for seconds in (0, 6, 11, 21):
        await town.world.wait(seconds=seconds)
        await town.work(messaging)
    assert (provider.posted, len(provider.messages)) == (4, 2)
    assert (await town.told(other))[0][2] == "SENT"


async def test_retries_back_off_until_the_message_is_of_no_use(town: Town) -> None:
    one = await town.book(MONDAY + timedelta(hours=3))
    town.mail.faults = [NotSent("away")] * 1000
    times = []
    for second in range(0, 3 * 3600 + 60, 5):
        await town.world.clock(MONDAY + timedelta(seconds=second))
        left = len(town.mail.faults)
        await town.work()
        times += [second] * (left - len(town.mail.faults))
        if len(times) > 9:
            break
    gaps = [after - before for before, after in pairwise(times)]
    confirmation = [gap for gap in gaps if gap]
    assert all(abs(gap - wanted) <= 5 for gap, wanted in zip(confirmation, (5, 10, 20, 40, 80, 160, 300), strict=False))
    await town.at(MONDAY + timedelta(hours=3, seconds=1))
    failed = [line for line in await town.told(one) if line[2] == "FAILED"]
    assert ("CONFIRMATION", "EMAIL", "FAILED", "No try succeeded in time.") in failed


async def test_a_dead_gateway_delays_no_email_and_no_booking(town: Town) -> None:
    class Dead(Tray):
        async def send(self, letter: Letter) -> Accepted:
            await asyncio.sleep(2)
            raise OutcomeUnknown("hangs")

    await town.prefer(SMS)
    messaging = town.with_carriers(town.mail, Dead(asks_first=True))
    for number in range(5):
        await town.book(FAR + timedelta(hours=number))
    await messaging.plan()
    hanging = asyncio.create_task(messaging.send(SMS))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(1):
        await town.book(FAR + timedelta(hours=9), await town.patient("bob@example.org", None))
        await messaging.plan()
        await messaging.send(EMAIL)
    assert town.mail.rules() == ["CONFIRMATION"]
    assert not hanging.done()
    await hanging
    assert (await messaging.behind())[0].waiting == 0


async def test_a_letter_that_cannot_be_written_keeps_no_other(town: Town) -> None:
    town.mail.faults = [RuntimeError("broken")]
    await town.book()
    await town.book(FAR + timedelta(hours=1))
    with pytest.raises(RuntimeError):
        await town.work()
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"]
    await town.world.wait(seconds=61)
    await town.work()
    assert town.mail.rules() == ["CONFIRMATION"] * 2


async def test_a_mail_server_that_hangs_after_taking_it(
    town: Town, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "TRY_SECONDS", 0.3)
    box.answers = ["lost", "451 later"]
    messaging = town.with_carriers(Mailer(box.url, Paper("a@b.example", PUBLIC)), town.texts)
    await town.book()
    for seconds in (0, 6, 11):
        await town.world.wait(seconds=seconds)
        await town.work(messaging)
    assert box.tried == 3
    assert len(set(box.ids())) == 1
    assert town.outcomes == ["unknown", "retried", "sent"]


# --- callbacks


async def test_callbacks_never_go_backwards_and_a_late_failure_takes_the_next_channel(
    town: Town, provider: Provider, texter: Texter
) -> None:
    await town.prefer(SMS, EMAIL)
    one = await town.book()
    messaging = town.with_carriers(town.mail, texter)
    await town.work(messaging)
    sid = provider.messages[0]["sid"]
    for delivery in ("sent", "queued", "undelivered", "delivered", "undelivered"):
        assert await town.stopping.delivered(sid, None, delivery)
    assert await town.world.value("SELECT delivery FROM messages WHERE provider_id = $1", sid) == "undelivered"
    await town.work(messaging)
    assert town.mail.rules() == ["CONFIRMATION"]
    told = await town.told(one)
    assert ("CONFIRMATION", "SMS", "FAILED", "It could not be delivered.") in told
    assert ("CONFIRMATION", "EMAIL", "SENT", None) in told
    assert not await town.stopping.delivered("SM-unknown", None, "delivered")
    assert not await town.stopping.delivered("SM-unknown", "no id", "delivered")


async def test_a_callback_that_comes_before_the_answer_settles_it(
    town: Town, provider: Provider, texter: Texter
) -> None:
    await town.prefer(SMS)
    provider.answers = ["lost"]
    one = await town.book()
    messaging = town.with_carriers(town.mail, texter)
    await town.work(messaging)
    taken = provider.messages[0]
    assert await town.stopping.delivered(taken["sid"], taken["callback"].partition("message=")[2], "delivered")
    await town.world.wait(seconds=6)
    await town.work(messaging)
    assert (provider.posted, provider.asked) == (1, [])
    assert (await town.told(one))[0][2] == "SENT"


# --- preferences


async def test_preferences_of_who_chose_nothing_and_what_a_choice_leaves(town: Town) -> None:
    reader = town.world.database.primary
    assert town.ann.patient_key is not None
    before = (await preferences.recipients(reader, [town.ann.patient_key]))[town.ann.patient_key].preferences
    assert (before.channels, before.time_zone, before.quiet_from, before.quiet_to) == (
        (EMAIL,), "America/New_York", 1260, 480,
    )  # fmt: skip
    done = await town.prefer(SMS, time_zone="Europe/Berlin", language="de")
    assert (done.preferences.time_zone, done.preferences.quiet_from, done.preferences.language) == (
        "Europe/Berlin", 1260, "de",
    )  # fmt: skip
    done = await town.prefer(EMAIL, quiet_from=None)
    assert (done.preferences.time_zone, done.preferences.quiet_to) == ("Europe/Berlin", None)


async def test_who_may_set_whose_preferences(town: Town) -> None:
    service, asked = Preferences(town.world.database), {"channels": (SMS,)}
    elsewhere = staff(await town.world.clinic())
    ann = patient_id(town.ann)
    assert isinstance(await service.set(town.staff, ann, asked, new_key()), NotificationPreferencesSet)
    for viewer, named in (
        (elsewhere, ann),
        (await town.patient(), ann),
        (town.staff, "nonsense"),
        (town.staff, ids.node("C", 1)),
    ):
        assert isinstance(await service.set(viewer, named, asked, new_key()), NotFound)
    refused = await service.set(town.staff, None, asked, new_key())
    assert isinstance(refused, InvalidInput)
    assert refused.field == "patientId"
    key = new_key()
    first = await service.set(town.ann, None, asked, key)
    assert await service.set(town.ann, None, asked, key) == first
    assert isinstance(await service.set(town.ann, None, {"channels": (EMAIL,)}, key), IdempotencyMismatch)
    audited = "SELECT count(*) FROM audit WHERE patient_id = $1 AND operation = 'setNotificationPreferences'"
    assert await town.world.value(audited, town.ann.patient_key) == 2
    assert town.staff.role is Role.STAFF
