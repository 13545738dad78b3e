"""Messages as clients, mail programs and the SMS provider meet them: over HTTP."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import asyncpg
import httpx2
import pytest

from adapters.notifications.sms import signature
from app.embedded import Addresses
from app.serving import running
from app.settings import Settings
from domain import ids
from tests import peers
from tests.api.client import Client
from tests.api.town import Town
from tests.peers import Mailbox, Provider
from tests.services.test_relaying import until
from tests.world import new_key

PHONE = "+12025550123"
SET = """mutation S($input: NotificationPreferencesInput!) { setNotificationPreferences(input: $input) { __typename
    ... on Refusal { message } ... on InvalidInput { field }
    ... on NotificationPreferencesSet { preferences { channels timeZone quietFrom quietTo language } } } }"""
BOOK = """mutation B($input: BookAppointmentInput!) { bookAppointment(input: $input) { __typename
    ... on AppointmentBooked { appointment { id reminders { rule channel dueAt status why } } } } }"""
TOLD = "query T($id: ID!) { appointment(id: $id) { reminders { rule channel dueAt status why } } }"


@pytest.fixture(scope="module")
async def box() -> AsyncIterator[Mailbox]:
    async with peers.mailbox() as found:
        yield found


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[Provider]:
    async with peers.provider() as found:
        yield found


@pytest.fixture(scope="module")
async def client(
    settings: Settings, embedded: Any, town: Town, box: Mailbox, provider: Provider
) -> AsyncIterator[Client]:
    """With its worker, and both peers."""
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    channels = {
        "smtp_url": box.url, "mail_from": "Town <mail@town.example>", "sms_url": provider.url,
        "sms_account": peers.ACCOUNT, "sms_token": peers.TOKEN, "sms_from": peers.NUMBER,
    }  # fmt: skip
    configured = Settings(**{**settings.model_dump(), **channels})
    async with running(configured, addresses) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        yield Client(http, configured)


async def book(client: Client, town: Town, days: int, minute: int = 600) -> dict[str, Any]:
    token = client.patient(town.east.patient)
    asked = {"slotId": town.east.slot_in(days, minute), "idempotencyKey": new_key()}
    found = (await client.ask(BOOK, {"input": asked}, token)).data["bookAppointment"]
    assert found["__typename"] == "AppointmentBooked", found
    appointment: dict[str, Any] = found["appointment"]
    return appointment


async def prefer(client: Client, town: Town, **asked: Any) -> dict[str, Any]:
    token = client.patient(town.east.patient)
    answer = await client.ask(SET, {"input": {"idempotencyKey": new_key(), **asked}}, token)
    found: dict[str, Any] = answer.data["setNotificationPreferences"]
    return found


async def told(client: Client, town: Town, appointment_id: str) -> list[tuple[str, str, str]]:
    answer = await client.ask(TOLD, {"id": appointment_id}, client.patient(town.east.patient))
    return [(one["rule"], one["channel"], one["status"]) for one in answer.data["appointment"]["reminders"]]


async def test_a_booking_is_confirmed_by_email_within_seconds(client: Client, town: Town, box: Mailbox) -> None:
    one = await book(client, town, 4)
    assert [(line["rule"], line["status"]) for line in one["reminders"]] == [
        ("CONFIRMATION", "SCHEDULED"), ("DAY_BEFORE", "SCHEDULED"), ("TWO_HOURS_BEFORE", "SCHEDULED"),
    ]  # fmt: skip

    async def sent() -> bool:
        return ("CONFIRMATION", "EMAIL", "SENT") in await told(client, town, one["id"])

    await until(sent)
    assert len(box.got) == 1
    link = str(box.got[0]["List-Unsubscribe"]).strip("<>")
    assert link.startswith(f"{str(client.http.base_url).rstrip('/')}/unsubscribe/")
    seen = await client.http.get("/dev/messages")
    assert seen.status_code == 200
    assert "Your appointment is booked" in seen.text
    assert 'data-channel="EMAIL"' in seen.text


async def test_a_link_shows_first_and_stops_by_post_only(
    client: Client, town: Town, box: Mailbox, connections: asyncpg.Pool
) -> None:
    path = urlsplit(str(box.got[0]["List-Unsubscribe"]).strip("<>")).path
    stopped = "SELECT count(*) FROM stopped_addresses"
    page = await client.http.get(path)
    assert page.status_code == 200
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert await connections.fetchval(stopped) == 0
    done = await client.http.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (done.status_code, await connections.fetchval(stopped)) == (200, 1)
    one = await book(client, town, 5, 660)
    assert {line["status"] for line in one["reminders"]} == {"SKIPPED"}
    again = await client.http.post(path, data={"wish": "resume"})
    assert (again.status_code, await connections.fetchval(stopped)) == (200, 0)


@pytest.mark.parametrize("token", ["nothing", "a" * 32, "%00", "é", "x" * 3000, "..%2F..%2Fetc"])
async def test_a_link_that_we_never_gave_out_changes_nothing(
    client: Client, connections: asyncpg.Pool, token: str
) -> None:
    before = await connections.fetchval("SELECT count(*) FROM stopped_addresses")
    for method in ("GET", "POST"):
        answer = await client.http.request(method, f"/unsubscribe/{token}")
        assert answer.status_code == 404, answer.text
    assert await connections.fetchval("SELECT count(*) FROM stopped_addresses") == before


def signed(client: Client, path: str, fields: dict[str, str], token: str = peers.TOKEN) -> dict[str, Any]:
    url = f"{str(client.http.base_url).rstrip('/')}{path}"
    headers = {
        "X-Twilio-Signature": signature(token, url, list(fields.items())),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return {"content": urlencode(fields), "headers": headers}


async def test_an_sms_its_callbacks_and_its_stop(
    client: Client, town: Town, provider: Provider, connections: asyncpg.Pool
) -> None:
    await connections.execute("UPDATE patients SET phone = $2 WHERE id = $1", town.east.patient, PHONE)
    chosen = await prefer(client, town, channels=["SMS", "EMAIL"], quietFrom=None)
    assert chosen["preferences"]["channels"] == ["SMS", "EMAIL"]
    one = await book(client, town, 6, 630)

    async def status(wanted: tuple[str, str, str]) -> None:
        async def there() -> bool:
            return wanted in await told(client, town, one["id"])

        await until(there)

    await status(("CONFIRMATION", "SMS", "SENT"))
    # What an earlier test stopped went on too, at another time of day.
    (sms,) = [each for each in provider.messages if "10:30 AM" in each["body"]]
    path = sms["callback"].removeprefix(str(client.http.base_url).rstrip("/"))
    for delivery in ("delivered", "queued"):
        fields = {"MessageSid": sms["sid"], "MessageStatus": delivery, "To": PHONE}
        answer = await client.http.post(path, **signed(client, path, fields))
        assert answer.status_code == 204
    noted = await connections.fetchval("SELECT delivery FROM messages WHERE provider_id = $1", sms["sid"])
    assert noted == "delivered"
    said = {"From": PHONE, "To": peers.NUMBER, "Body": " stop ", "MessageSid": "SM9"}
    answer = await client.http.post("/hooks/sms/inbound", **signed(client, "/hooks/sms/inbound", said))
    assert (answer.status_code, answer.text) == (200, "<Response/>")
    await status(("DAY_BEFORE", "EMAIL", "SCHEDULED"))
    assert ("DAY_BEFORE", "SMS", "SKIPPED") in await told(client, town, one["id"])


async def test_a_forged_callback_changes_nothing(
    client: Client, town: Town, provider: Provider, connections: asyncpg.Pool
) -> None:
    state = "SELECT array_agg(row(m.status, m.delivery)::text ORDER BY m.id) FROM messages AS m"
    before = await connections.fetchval(state)
    stops = await connections.fetchval("SELECT count(*) FROM stopped_addresses")
    sid = provider.messages[0]["sid"]
    fields = {"MessageSid": sid, "MessageStatus": "failed", "From": "+12025550188", "Body": "STOP"}
    for path in ("/hooks/sms/status", "/hooks/sms/inbound"):
        plain = urlencode(fields)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        wrong = signed(client, path, fields, token="guessed")
        other = signed(client, path, {**fields, "To": "x"}) | {"content": plain}
        elsewhere = signed(client, "/hooks/sms/other", fields)
        for asked in ({"content": plain, "headers": form}, wrong, other, elsewhere):
            assert (await client.http.post(path, **asked)).status_code == 403
        assert (await client.http.post(path, content=b"x" * 20_000, headers=form)).status_code == 413
        assert (await client.http.get(path)).status_code == 405
    assert (
        await client.http.post("/hooks/sms/status", **signed(client, "/hooks/sms/status", {"a": "b"}))
    ).status_code == 400
    unknown = {"MessageSid": "SM0", "MessageStatus": "failed"}
    assert (
        await client.http.post("/hooks/sms/status", **signed(client, "/hooks/sms/status", unknown))
    ).status_code == 204
    assert await connections.fetchval(state) == before
    assert await connections.fetchval("SELECT count(*) FROM stopped_addresses") == stops


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"channels": []}, "channels"),
        ({"channels": ["SMS", "SMS"]}, "channels"),
        ({"channels": ["SMS"], "timeZone": "Nowhere/Atlantis"}, "timeZone"),
        ({"channels": ["SMS"], "quietFrom": "08:00", "quietTo": "08:00"}, "quietTo"),
        ({"channels": ["SMS"], "language": "??"}, "language"),
    ],
)
async def test_preferences_that_cannot_be(client: Client, town: Town, asked: dict[str, Any], field: str) -> None:
    found = await prefer(client, town, **asked)
    assert (found["__typename"], found["field"]) == ("InvalidInput", field)


async def test_preferences_are_read_by_the_patient_and_their_staff(client: Client, town: Town) -> None:
    document = (
        "query P($id: ID!) { patient(id: $id) { notificationPreferences { channels timeZone quietFrom quietTo } } }"
    )
    for token in (client.patient(town.east.patient), client.staff([town.east.clinic]), client.admin()):
        found = (await client.ask(document, {"id": town.east.patient_id}, token)).data["patient"]
        assert found["notificationPreferences"]["timeZone"] == "America/New_York"
    others = (await client.ask(document, {"id": town.east.patient_id}, client.staff([town.west.clinic]))).data
    assert others["patient"] is None
    anonymous = await client.ask(SET, {"input": {"channels": ["SMS"], "idempotencyKey": new_key()}})
    assert anonymous.codes == ["UNAUTHENTICATED"]


async def test_metrics_count_messages_and_name_nobody(client: Client) -> None:
    text = (await client.http.get("/metrics")).text
    assert 'appointments_messages_total{channel="email",outcome="sent",rule="confirmation"}' in text
    assert 'appointments_messages_oldest_due_seconds{channel="sms"}' in text
    assert "@" not in text
    assert PHONE not in text


async def test_production_shows_no_messages(settings: Settings, embedded: Any, town: Town) -> None:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    production = Settings(**{**settings.model_dump(), "env": "production"})
    async with running(production, addresses, working=False) as url, httpx2.AsyncClient(base_url=url) as http:
        assert (await http.get("/dev/messages")).status_code == 404
        forged = await http.post("/hooks/sms/status", data={"MessageSid": "SM1", "MessageStatus": "sent"})
        assert forged.status_code == 403
    assert town.east.clinic_id == ids.node(ids.CLINIC, town.east.clinic)
