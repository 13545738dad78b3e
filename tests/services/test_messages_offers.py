"""Messages about offers of the waitlist: one each, at once, and only while the offer stands."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.notifications.email import Mailer, Paper
from adapters.notifications.folder import Folder
from adapters.notifications.sms import Texter
from adapters.postgres.changes import Request
from adapters.postgres.open_times import OpenTimes
from dataloaders.calendars import RecentWrites
from dataloaders.loaders import Loaders
from domain.access import Viewer
from domain.appointments import Appointment
from domain.letters import AddressRefused, Letter, NotSent, septets
from domain.outcomes import NotificationPreferencesSet, OfferDeclined, OfferGone, WaitlistEntryUpdated
from domain.recipients import Channel
from domain.waitlist import Entry
from services.accepting import Wanted, accept
from services.messaging import Messaging
from services.preferences import Preferences
from services.stopping import Stopping
from services.sweeping import SYSTEM
from tests import peers
from tests.peers import Mailbox, Provider
from tests.services.test_messaging import EMAIL, SMS, Tray
from tests.services.waiters import Place, place
from tests.world import MONDAY, World, faults, new_key, staff

PUBLIC = "https://clinic.example"
PHONE = "+12025550100"
EVENING = MONDAY + timedelta(hours=13)  # 22:00 in New York
BEFORE_DAWN = MONDAY + timedelta(hours=20)  # 05:00


@dataclass
class Street:
    """A clinic whose patients wait; `mail` and `texts` keep what they are sent."""

    here: Place
    mail: Tray
    texts: Tray
    messaging: Messaging

    @property
    def world(self) -> World:
        return self.here.world

    async def patient(self, email: str | None = "ann@example.org", phone: str | None = PHONE) -> Viewer:
        found = await self.world.patient(self.here.clinic)
        await self.world.run(
            "UPDATE patients SET email = $2, phone = $3 WHERE id = $1", found.patient_key, email, phone
        )
        return found

    async def wait(self, *channels: Channel, **wishes: Any) -> Entry:
        """An entry of somebody new who is reached so."""
        who = await self.patient()
        if channels:
            done = await Preferences(self.world.database).set(who, None, {"channels": channels}, new_key())
            assert isinstance(done, NotificationPreferencesSet)
        found = await self.here.join(who, **wishes)
        await self.world.wait(seconds=1)
        return found

    async def free(self, **later: float) -> None:
        """Somebody without an address books and gives it up."""
        await self.here.cancel(await self.here.booked(await self.patient(None, None), **later))

    async def work(self) -> None:
        one = self.messaging
        while await one.plan() + await one.send(EMAIL) + await one.send(SMS):
            pass

    def told(self) -> list[Letter]:
        return [one for one in self.mail.sent + self.texts.sent if one.rule.name == "OFFER"]

    async def kept(self) -> list[tuple[str, str, str | None]]:
        rows = await self.world.fetch(
            "SELECT m.* FROM messages AS m JOIN waitlist_offers AS o ON o.id = m.offer_id WHERE o.clinic_id = $1 ORDER BY m.id",
            self.here.clinic,
        )
        return [(row["channel"], row["status"], row["why"]) for row in rows]

    async def timeline(self, one: Appointment, viewer: Viewer) -> list[tuple[str, str, str, str | None]]:
        """Its lines about offers."""
        database = self.world.database
        loaders = Loaders(database, OpenTimes(self.world.desk.known), RecentWrites(), viewer)
        lines = await loaders.reminders.load(one.key) or []
        found = [(line.rule.name, line.channel.name, line.status.name, line.why) for line in lines]
        return [line for line in found if line[0] == "OFFER"]

    async def over(self) -> None:
        """The live offer runs out and goes to the next."""
        stored = await self.here.only()
        await self.world.clock(stored.offer.expires_at + timedelta(seconds=1))
        await self.world.sweeping.expire_offers()  # Those of other tests too.


@pytest.fixture
async def street(world: World) -> Street:
    # What other tests of this module left is not this one's.
    await world.run("DELETE FROM offers_to_plan")
    await world.run("DELETE FROM messages_to_plan")
    await world.run("UPDATE messages SET status = 'skipped', why = 'SAID' WHERE status IN ('scheduled', 'sending')")
    await world.run("DELETE FROM stopped_addresses")
    mail, texts = Tray(), Tray()
    messaging = Messaging(world.database, {EMAIL: mail, SMS: texts}, Stopping(world.database), public_url=PUBLIC)
    return Street(await place(world), mail, texts, messaging)


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with peers.mailbox() as found:
        yield found


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with peers.provider() as found:
        yield found


async def test_an_offer_is_told_once_through_real_peers(street: Street, box: Mailbox, provider: Provider) -> None:
    texter = Texter(provider.url, peers.ACCOUNT, peers.TOKEN, peers.NUMBER, PUBLIC)
    carriers = {EMAIL: Mailer(box.url, Paper("a@b.example", PUBLIC)), SMS: texter}
    street.messaging = Messaging(
        street.world.database, carriers, Stopping(street.world.database), public_url=f"{PUBLIC}/"
    )
    await street.wait()
    await street.wait(SMS)
    await street.free()
    await street.free(minutes=30)
    for _ in range(2):
        await street.work()
    await texter.close()
    by_mail, by_sms = await street.here.live()
    (mail,) = box.got
    (text,) = provider.bodies(PHONE)
    part = mail.get_body(("plain",))
    assert part is not None
    said = part.get_content().replace("\r", "")
    name = await street.world.value("SELECT name FROM clinics WHERE id = $1", street.here.clinic)
    assert mail["Subject"] == "A time is free for you: Wednesday, March 3 at 9:00 AM"
    for needed in (
        name, "Wednesday, March 3, 2027, 9:00 AM to 9:30 AM (New York time)",
        "until Monday, March 1 at 1:00 PM (New York time)", f"{PUBLIC}/offer/{by_mail.offer.id}\n",
    ):  # fmt: skip
        assert needed in said
    assert "calendar" not in str(mail)
    assert septets(text) <= 160
    assert "a time is free for you, Wed, Mar 3 at 9:30 AM EST. Take it by 1:00 PM: " in text
    assert f": {PUBLIC}/offer/{by_sms.offer.id}" in text
    kind = await street.world.value("SELECT name FROM visit_types WHERE id = $1", street.here.kind)
    assert kind not in said + text + str(mail["Subject"])
    assert await faults(street.world) == []


@pytest.mark.parametrize("end", ["accepted", "declined", "run out", "run out by the clock"])
@pytest.mark.parametrize("planned", [False, True])
async def test_an_offer_that_is_over_is_not_told(street: Street, end: str, planned: bool) -> None:
    await street.wait()
    await street.free()
    if planned:
        await street.messaging.plan()
    stored = await street.here.only()
    if end == "accepted":
        await street.here.accepted(stored)
    elif end == "declined":
        assert isinstance(await street.here.decline(stored), OfferDeclined)
    elif end == "run out":
        await street.over()
    else:
        await street.world.clock(stored.offer.expires_at)
    await street.messaging.send(EMAIL)  # Looked at again even where nobody has planned anew.
    assert street.told() == []
    await street.work()
    assert street.told() == []
    assert await street.kept() in ([], [("email", "skipped", "OFFER_OVER")])
    assert await faults(street.world) == []


async def test_a_message_that_waits_for_the_morning_is_void_once_the_offer_is_over(street: Street) -> None:
    await street.world.clock(BEFORE_DAWN)
    await street.wait(SMS)
    await street.free()
    await street.work()
    assert await street.kept() == [("sms", "scheduled", "AFTER_QUIET")]
    await street.here.accepted(await street.here.only())
    assert await faults(street.world) == []
    await street.messaging.plan()
    assert await street.kept() == [("sms", "skipped", "OFFER_OVER")]
    await street.world.clock(BEFORE_DAWN + timedelta(hours=3, seconds=1))
    await street.work()
    assert [one.rule.name for one in street.texts.sent] == ["CONFIRMATION"]


async def test_quiet_hours_hold_back_an_sms_and_no_email(street: Street) -> None:
    await street.world.clock(BEFORE_DAWN)
    await street.wait(SMS)
    await street.wait(EMAIL)
    await street.free()
    await street.free(minutes=30)
    await street.work()
    assert [one.channel for one in street.told()] == [EMAIL]
    await street.world.clock(BEFORE_DAWN + timedelta(hours=3, seconds=1))
    await street.work()
    assert [one.channel for one in street.told()] == [EMAIL, SMS]


async def test_an_sms_is_left_out_where_the_offer_ends_before_the_quiet_hours_do(street: Street) -> None:
    await street.world.clock(EVENING)
    await street.wait(SMS)
    await street.free()
    await street.work()
    assert await street.kept() == [("sms", "skipped", "OFFER_SHORT")]
    assert street.told() == []


async def test_a_gateway_that_is_away_until_quiet_hours_sends_no_offer_in_them(street: Street) -> None:
    await street.world.clock(EVENING - timedelta(hours=1, seconds=10))
    await street.wait(SMS)
    street.texts.faults = [NotSent("away")]
    await street.free()
    await street.work()
    await street.world.clock(EVENING)
    await street.work()
    assert (street.told(), await street.kept()) == ([], [("sms", "failed", "UNREACHED")])


async def test_each_offer_of_a_cascade_is_told_once(street: Street) -> None:
    entries = [await street.wait() for _ in range(3)]
    await street.free()
    for _ in entries:
        await street.work()
        await street.work()
        await street.over()
    await street.work()
    own = await street.world.fetch("SELECT id FROM waitlist_offers WHERE clinic_id = $1", street.here.clinic)
    told = Counter(one.offer_key for one in street.told())
    assert {row["id"]: told[row["id"]] for row in own} == dict.fromkeys((row["id"] for row in own), 1)
    assert len(own) == 3
    assert await faults(street.world) == []


async def test_a_channel_that_finally_fails_leads_to_the_next_while_the_offer_stands(street: Street) -> None:
    street.texts.faults = [AddressRefused("21211")]
    await street.wait(SMS, EMAIL)
    await street.free()
    await street.work()
    assert [one.channel for one in street.told()] == [EMAIL]
    assert await street.kept() == [("sms", "failed", "REFUSED"), ("email", "sent", None)]


async def test_another_choice_counts_for_an_offer_that_could_not_be_told(street: Street) -> None:
    who = await street.patient(None)
    await street.here.join(who)
    await street.world.run("UPDATE patients SET phone = NULL WHERE id = $1", who.patient_key)
    await street.free()
    await street.work()
    assert await street.kept() == [("sms", "skipped", "NO_PHONE")]
    await street.world.run("UPDATE patients SET email = 'a@example.org' WHERE id = $1", who.patient_key)
    await Preferences(street.world.database).set(who, None, {"channels": (EMAIL,)}, new_key())
    await street.work()
    assert [one.to for one in street.told()] == ["a@example.org"]


async def test_who_is_booked_without_being_asked_hears_of_the_booking_only(street: Street) -> None:
    await street.wait(auto_book=True)
    await street.free()
    await street.work()
    assert await street.world.sweeping.take_up_consented() == 1
    await street.work()
    assert [one.rule.name for one in street.mail.sent] == ["CONFIRMATION"]
    assert await street.kept() == []


async def test_move_me_earlier_names_the_present_appointment(street: Street) -> None:
    who = await street.patient()
    own = await street.here.booked(who, minutes=120)
    await street.work()
    await street.here.join(who, appointment_id=own.id)
    await street.free()
    await street.work()
    (letter,) = street.told()
    written = Paper("a@b.example", PUBLIC).write(letter)
    part = written.get_body(("plain",))
    assert part is not None
    assert "Your appointment is now on Wednesday, March 3 at 11:00 AM. It stays as it is" in part.get_content()
    await street.here.accepted(await street.here.only())
    await street.work()
    assert [one.rule.name for one in street.mail.sent] == ["CONFIRMATION", "OFFER", "MOVED"]


async def test_the_timeline_of_an_appointment_tells_of_offers_that_concern_it(street: Street) -> None:
    world, who = street.world, await street.patient()
    own = await street.here.booked(who, minutes=120)
    await street.work()
    await street.here.join(who, appointment_id=own.id)
    await street.free()
    lines = [("OFFER", "EMAIL", "SCHEDULED", None)]
    assert await street.timeline(own, who) == lines, "also before a worker comes"
    await street.messaging.plan()
    assert await street.timeline(own, who) == lines
    assert await street.timeline(own, street.here.clerk) == lines
    await street.work()
    assert await street.timeline(own, who) == [("OFFER", "EMAIL", "SENT", None)]
    assert await street.timeline(own, staff(await world.clinic())) == []
    await street.here.accepted(await street.here.only())
    await street.work()
    assert await street.timeline(own, who) == [("OFFER", "EMAIL", "SENT", None)]


async def test_a_timeline_has_no_offer_of_another_time(street: Street) -> None:
    who = await street.patient()
    own = await street.here.booked(who, minutes=120)
    await street.here.join(who)
    await street.free()
    await street.here.decline(await street.here.only())
    await street.work()
    assert await street.timeline(own, who) == []
    await street.free(minutes=30)
    await street.work()
    taken = (await street.here.accepted(await street.here.only())).appointment
    assert await street.timeline(taken, who) == [("OFFER", "EMAIL", "SENT", None)]
    assert await street.timeline(own, who) == []


async def test_who_no_longer_agrees_to_be_booked_is_told_of_the_live_offer(street: Street) -> None:
    entry = await street.wait(auto_book=True)
    await street.free()
    await street.work()
    assert street.told() == []
    who = street.here.who(entry.patient_key)
    changed = await street.world.waiting.change(who, entry.id, 1, {"auto_book": False}, new_key())
    assert isinstance(changed, WaitlistEntryUpdated)
    late = Wanted(SYSTEM, Request("", "acceptOffer", b""), (await street.here.only()).offer.key)
    assert isinstance(await accept(street.world.desk, late), OfferGone), "a sweeper that had looked before"
    assert await street.world.sweeping.take_up_consented() == 0
    await street.work()
    assert [one.rule.name for one in street.mail.sent] == ["OFFER"]
    assert await street.kept() == [("email", "sent", None)]
    assert await faults(street.world) == []


async def test_who_books_such_a_visit_themselves_is_told_of_the_offer_that_consent_would_have_taken(
    street: Street,
) -> None:
    entry = await street.wait(auto_book=True)
    await street.free()
    await street.work()
    assert street.told() == []
    await street.here.booked(street.here.who(entry.patient_key), days=3)
    await street.work()
    assert [one.rule.name for one in street.told()] == ["OFFER"]
    assert await street.world.sweeping.take_up_consented() == 0
    assert await faults(street.world) == []


async def test_the_folder_shows_offers_as_people_would_see_them(street: Street, tmp_path: Path) -> None:
    folder = Folder(tmp_path, Paper("a@b.example", PUBLIC))
    street.messaging = Messaging(
        street.world.database, {EMAIL: folder, SMS: folder}, Stopping(street.world.database), public_url=PUBLIC
    )
    await street.wait()
    await street.wait(SMS)
    await street.free()
    await street.free(minutes=30)
    await street.work()
    by_mail, by_sms = await street.here.live()
    shown = {one.channel: one for one in folder.latest(10) if one.name.startswith("offer.")}
    assert f'href="{PUBLIC}/offer/{by_mail.offer.id}"' in (shown[EMAIL].html or "")
    assert f"{PUBLIC}/offer/{by_sms.offer.id}" in shown[SMS].text
