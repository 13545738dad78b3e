"""E-mail and SMS against real servers: what arrives, and what is made of their answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

from adapters.notifications import email as mailing
from adapters.notifications import sms as texting
from adapters.notifications.email import Mailer, Paper
from adapters.notifications.folder import Folder
from adapters.notifications.sms import Texter, is_signed, signature
from domain import zones
from domain.letters import SEGMENT, Accepted, AddressRefused, Letter, NotSent, OutcomeUnknown, gsm, septets
from domain.messages import MessageRule
from domain.recipients import Channel
from tests import peers
from tests.peers import Mailbox, Provider

ZONE = zones.named("America/New_York")
PUBLIC = "https://clinic.example"
PAPER = Paper("Town Clinics <mail@clinic.example>", PUBLIC)
TO = {Channel.EMAIL: "pat@example.org", Channel.SMS: "+12025550100"}


def letter(rule: MessageRule = MessageRule.CONFIRMATION, channel: Channel = Channel.EMAIL, **other: Any) -> Letter:
    starts = datetime(2027, 3, 9, 14, 30, tzinfo=ZONE)
    fields = {
        "message_key": 7, "rule": rule, "channel": channel, "to": TO[channel], "appointment_key": 3, "version": 1,
        "sequence": 0, "clinic_name": "Elm Street Clinic", "clinic_address": "1 Elm Street, Town, NY 10001",
        "clinic_phone": "+12025550111", "provider_name": "Ann Lee", "starts_at": starts,
        "ends_at": starts + timedelta(minutes=30), "starts_at_before": None,
        "written_at": datetime(2027, 3, 1, 9, tzinfo=ZONE), "stop_token": "a-token",
    }  # fmt: skip
    return Letter(**(fields | other))


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


# --- e-mail


async def test_an_email_arrives_as_text_html_and_calendar(box: Mailbox) -> None:
    await Mailer(box.url, PAPER).send(letter())
    (got,) = box.got
    assert (got["From"], got["To"]) == ("Town Clinics <mail@clinic.example>", "pat@example.org")
    assert got["Subject"] == "Your appointment is booked: Tuesday, March 9 at 2:30 PM"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["List-Unsubscribe"] == f"<{PUBLIC}/unsubscribe/a-token>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = got.get_body(("plain",)), got.get_body(("html",))
    assert text is not None
    assert html is not None
    for part in (text.get_content(), html.get_content()):
        for said in ("Tuesday, March 9, 2027", "2:30 PM to 3:00 PM", "New York time", "Elm Street Clinic", "Ann Lee"):
            assert said in part
        assert f"{PUBLIC}/unsubscribe/a-token" in part
        assert "{{" not in part
    kinds = {part.get_content_type() for part in got.walk()}
    assert {"text/calendar", "application/ics"} <= kinds


def _event(message: Any) -> tuple[Any, Any]:
    (part,) = [one for one in message.walk() if one.get_content_type() == "text/calendar"]
    (file,) = [one for one in message.walk() if one.get_content_type() == "application/ics"]
    read = Calendar.from_ical(part.get_content())
    assert Calendar.from_ical(file.get_content()) == read
    assert part.get_param("method") == read["METHOD"]
    return read, next(one for one in read.walk("VEVENT"))


async def test_the_calendar_is_read_back_moved_and_cancelled(box: Mailbox) -> None:
    mailer, later = Mailer(box.url, PAPER), datetime(2027, 3, 16, 9, tzinfo=ZONE)
    await mailer.send(letter())
    await mailer.send(
        letter(MessageRule.MOVED, version=2, sequence=1, starts_at=later, ends_at=later + timedelta(minutes=30),
               starts_at_before=datetime(2027, 3, 9, 14, 30, tzinfo=ZONE))
    )  # fmt: skip
    await mailer.send(letter(MessageRule.CANCELLED, version=3, sequence=2))
    read = [_event(one) for one in box.got]
    assert [calendar["METHOD"] for calendar, _ in read] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [event["SEQUENCE"] for _, event in read] == [0, 1, 2]
    assert len({str(event["UID"]) for _, event in read}) == 1
    assert [str(event["STATUS"]) for _, event in read] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert read[1][1]["DTSTART"].dt.astimezone(UTC) == later.astimezone(UTC)
    assert read[1][1]["DTSTART"].params["TZID"] == "America/New_York"
    assert [one.name for one in read[0][0].subcomponents] == ["VTIMEZONE", "VEVENT"]
    moved = box.got[1].get_body(("plain",))
    assert moved is not None
    assert "Before it was: Tuesday, March 9 at 2:30 PM" in moved.get_content()


async def test_a_long_link_stays_one_and_whole(box: Mailbox) -> None:
    public = f"https://{'a' * 60}.{'b' * 60}.example/{'c' * 60}"
    await Mailer(box.url, Paper("mail@clinic.example", public)).send(letter(clinic_name="Clínica 日本"))
    assert str(box.got[0]["List-Unsubscribe"]) == f"<{public}/unsubscribe/a-token>"
    text = box.got[0].get_body(("plain",))
    assert text is not None
    assert "Clínica 日本" in text.get_content()


async def test_reminders_have_no_calendar_and_every_try_the_same_id(box: Mailbox) -> None:
    mailer = Mailer(box.url, PAPER)
    for _ in range(2):
        await mailer.send(letter(MessageRule.DAY_BEFORE))
    await mailer.send(letter(MessageRule.TWO_HOURS_BEFORE))
    first, again, other = box.ids()
    assert first == again != other
    assert all(one.get_content_type() != "text/calendar" for one in box.got[0].walk())


async def test_no_email_says_more_than_is_needed(box: Mailbox) -> None:
    for rule in MessageRule:
        if rule is not MessageRule.OFFER:
            await Mailer(box.url, PAPER).send(letter(rule, clinic_name="<b>Clinic & Sons</b>"))
    for one in box.got:
        html = one.get_body(("html",))
        assert html is not None
        assert "<b>Clinic" not in html.get_content()
        assert "&lt;b&gt;Clinic &amp; Sons" in html.get_content()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [("550 no such user", AddressRefused), ("451 later", NotSent), ("421 busy", NotSent), ("554 spam", AddressRefused)],
)
async def test_a_mail_servers_refusal(box: Mailbox, answer: str, fault: type[Exception]) -> None:
    box.answers = [answer]
    with pytest.raises(fault) as raised:
        await Mailer(box.url, PAPER).send(letter())
    assert "pat" not in str(raised.value)


async def test_a_mail_server_that_hangs_or_is_away(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "TRY_SECONDS", 0.3)
    box.answers = ["hang"]
    with pytest.raises(OutcomeUnknown):
        await Mailer(box.url, PAPER).send(letter())
    with pytest.raises(NotSent):
        await Mailer("smtp://127.0.0.1:1", PAPER).send(letter())


# --- SMS


@pytest.mark.parametrize("rule", [one for one in MessageRule if one is not MessageRule.OFFER])
@pytest.mark.parametrize(
    "name", ["Elm", "Clínica São João", "日本橋クリニック", "A very long name " * 12, "€" * 90, ""]
)
def test_every_sms_is_one_segment_without_clinical_detail(rule: MessageRule, name: str) -> None:
    text = letter(rule, Channel.SMS, clinic_name=name).sms
    assert septets(text) <= SEGMENT
    assert gsm(text) == text
    assert "Tue, Mar 9 at 2:30 PM" in text
    assert "STOP" in text
    assert "Ann Lee" not in text


@pytest.mark.parametrize("name", ["Elm", "日本橋クリニック", "A very long name " * 12, "€" * 90, ""])
@pytest.mark.parametrize(
    "host", [PUBLIC, "https://appointments.of-a-long-name.health.example", f"https://{'long.' * 12}example"]
)
def test_an_sms_about_an_offer_is_one_segment_with_its_whole_link(name: str, host: str) -> None:
    one = letter(MessageRule.OFFER, Channel.SMS, clinic_name=name, offer_key=5)
    one = replace(one, answer_by=datetime(2027, 3, 2, 0, 30, tzinfo=ZONE), link=f"{host}/offer/{one.offer_id}")
    assert septets(one.sms) <= SEGMENT
    assert "Tue, Mar 9 at 2:30 PM EST" in one.sms
    assert ("Take it by Tue, Mar 2 at 12:30 AM: " in one.sms) is (host == PUBLIC)
    assert f": {one.link}" in one.sms
    assert one.sms.endswith(one.link) or one.sms.endswith("STOP to end texts.")
    assert "Ann Lee" not in one.sms


def test_an_email_about_an_offer_has_its_link_and_its_end() -> None:
    one = letter(MessageRule.OFFER, offer_key=5, answer_by=datetime(2027, 3, 1, 13, tzinfo=ZONE))
    one = replace(one, link=f"{PUBLIC}/offer/{one.offer_id}")
    written = PAPER.write(one)
    html = written.get_body(("html",))
    assert html is not None
    assert f'href="{one.link}"' in html.get_content()
    assert "until <strong>Monday, March 1 at 1:00 PM</strong> (New York time)" in html.get_content()
    assert "Your appointment is now" not in html.get_content()
    assert [part.get_content_type() for part in written.walk()] == ["multipart/alternative", "text/plain", "text/html"]


async def test_an_sms_is_posted_as_the_provider_documents_it(provider: Provider, texter: Texter) -> None:
    one = letter(channel=Channel.SMS)
    accepted = await texter.send(one)
    (got,) = provider.messages
    assert (got["to"], got["from"], got["body"]) == (one.to, peers.NUMBER, one.sms)
    assert got["callback"] == f"{PUBLIC}/hooks/sms/status?message={one.key_id}"
    assert accepted == Accepted(got["sid"], "queued")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((429, {"code": 20429}), NotSent), ((401, {"code": 20003}), NotSent), ((500, {}), OutcomeUnknown),
        ((400, {"code": 21211}), AddressRefused), ((201, {"no": "sid"}), OutcomeUnknown), ("lost", OutcomeUnknown),
        ((400, []), AddressRefused),
    ],
)  # fmt: skip
async def test_a_providers_refusal(provider: Provider, texter: Texter, answer: Any, fault: type[Exception]) -> None:
    provider.answers = [answer]
    with pytest.raises(fault) as raised:
        await texter.send(letter(channel=Channel.SMS))
    assert "+1202" not in str(raised.value)
    if isinstance(raised.value, AddressRefused):
        assert not raised.value.stopped


async def test_the_provider_knows_who_stopped(provider: Provider, texter: Texter) -> None:
    provider.answers = [(400, {"code": 21610})]
    with pytest.raises(AddressRefused) as raised:
        await texter.send(letter(channel=Channel.SMS))
    assert raised.value.stopped


async def test_a_provider_that_hangs_or_is_away(
    provider: Provider, texter: Texter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texting, "TRY_SECONDS", 0.3)
    provider.answers, provider.hang_seconds = ["hang"], 1
    with pytest.raises(OutcomeUnknown):
        await texter.send(letter(channel=Channel.SMS))
    away = Texter("http://127.0.0.1:1", "a", "t", "+1", PUBLIC)
    with pytest.raises(NotSent):
        await away.send(letter(channel=Channel.SMS))
    with pytest.raises(OutcomeUnknown):
        await away.find(letter(channel=Channel.SMS), datetime.now(UTC))
    await away.close()


async def test_a_lost_message_is_found_by_number_text_and_time(provider: Provider, texter: Texter) -> None:
    one, since = letter(channel=Channel.SMS), datetime.now(UTC)
    assert await texter.find(one, since) == []
    provider.answers = ["lost"]
    with pytest.raises(OutcomeUnknown):
        await texter.send(one)
    await texter.send(letter(MessageRule.DAY_BEFORE, Channel.SMS))
    assert await texter.find(one, since) == [Accepted(provider.messages[1]["sid"], "queued")]
    assert await texter.find(one, since + timedelta(hours=1)) == []
    assert await texter.find(letter(channel=Channel.SMS, to="+12025550101"), since) == []


def test_the_signature_is_the_documented_one() -> None:
    """The example of the provider's own documentation."""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    fields = [("CallSid", "CA1234567890ABCDE"), ("Caller", "+14158675310"), ("Digits", "1234"), ("From", "+14158675310"),
              ("To", "+18005551212")]  # fmt: skip
    assert signature("12345", url, fields) == "GvWf1cFY/Q7PnoempGyD5oXAezc="
    assert is_signed("12345", url, fields, "GvWf1cFY/Q7PnoempGyD5oXAezc=")
    assert not is_signed("12345", url, [*fields, ("Digits", "5")], "GvWf1cFY/Q7PnoempGyD5oXAezc=")
    assert not is_signed("12346", url, fields, "GvWf1cFY/Q7PnoempGyD5oXAezc=")
    assert not is_signed("12345", url, fields, None)
    assert not is_signed("12345", url, fields, "ünlesbar")


# --- folder


async def test_the_folder_shows_what_was_sent_newest_first(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "outbox", PAPER)
    assert folder.latest(5) == []
    await folder.send(letter())
    await folder.send(letter(channel=Channel.SMS))
    await folder.send(letter(channel=Channel.SMS))
    sms, mail = folder.latest(5)
    assert (sms.channel, sms.to, sms.text) == (Channel.SMS, "+12025550100", letter(channel=Channel.SMS).sms)
    assert mail.subject == "Your appointment is booked: Tuesday, March 9 at 2:30 PM"
    assert mail.html is not None
    assert mail.calendar is not None
    assert mail.calendar.startswith("BEGIN:VCALENDAR")
