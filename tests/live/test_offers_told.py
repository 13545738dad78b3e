"""Offers reach their patient through another process, by table and by Kafka; and the log carries nothing but ids and times."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from app.auth import development_token
from app.settings import Settings
from domain import ids
from tests import builders
from tests.api.talker import Talker, talking
from tests.api.town import today
from tests.kafka import Kafka
from tests.live.place import MARKER, asked
from tests.live.processes import Api, kafka_texts
from tests.live.test_killed import Scene, everything_said, there
from tests.services.test_relaying import until

__all__ = ["there"]  # The fixture is that of the other tests with two processes.
MINE: Final = """subscription { myAppointments { __typename
    ... on OfferChanged { offer { id status slot { id } entry { status } } }
    ... on AppointmentChanged { appointment { id status } } } }"""
ZONE: Final = "Antarctica/Troll"  # a preference that nobody else has


class Waiter:
    """A patient with the marker in every text, who speaks to one process."""

    def __init__(self, there: Scene, http: httpx2.AsyncClient, settings: Settings, key: int) -> None:
        self._there, self._http, self.key = there, http, key
        self.token = development_token(settings, role="patient", patient=ids.node(ids.PATIENT, key))

    async def do(self, name: str, selection: str, **fields: Any) -> dict[str, Any]:
        kind = {"setNotificationPreferences": "NotificationPreferencesInput"}.get(
            name, f"{name[0].upper()}{name[1:]}Input"
        )
        text = f"mutation M($i: {kind}!) {{ {name}(input: $i) {{ __typename {selection} }} }}"
        given = {"i": fields | {"idempotencyKey": f"{MARKER} {name} {len(fields)} {fields.get('offerId', '')}"}}
        found: dict[str, Any] = (await asked(self._http, self._there.apis[0].url, text, given, self.token))[name]
        return found


@asynccontextmanager
async def working(worker: Api) -> AsyncIterator[None]:
    worker.begin()
    try:
        yield
    finally:
        worker.end()


@pytest.mark.timeout(600)
async def test_an_offer_is_told_in_another_process_and_the_log_names_nobody(
    there: Scene, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, env="test")
    pool = there.place.pool
    key = await builders.patient(pool, [there.place.clinic], name=f"Pat {MARKER}", email=f"{MARKER}@example.org")
    worker = Api(tmp_path, there.apis[0].settings, "work")
    async with httpx2.AsyncClient(timeout=15) as http, talking(there.apis[1].url) as talker, working(worker):
        who = Waiter(there, http, settings, key)
        chosen = {
            "channels": ["EMAIL"],
            "language": f"en-x-{MARKER}",
            "timeZone": ZONE,
            "quietFrom": "03:35",
            "quietTo": "04:40",
        }
        done = await who.do("setNotificationPreferences", "... on Refusal { message }", **chosen)
        assert done["__typename"] == "NotificationPreferencesSet", done
        await talker.begin(who.token)
        await talker.subscribe(MINE)
        assert (await talker.next())["myAppointments"]["__typename"] == "StreamReset"
        wishes = {
            "clinicId": there.place.clinic_id, "visitTypeId": there.place.kind_id, "from": str(today()),
            "to": there.place.asked(1, 40)["to"], "minimumNoticeMinutes": 7,
            "windows": [{"opens": "08:05", "closes": "17:55"}],
        }  # fmt: skip
        joined = await who.do(
            "joinWaitlist", "... on WaitlistJoined { entry { id } } ... on Refusal { message }", **wishes
        )
        assert joined["__typename"] == "WaitlistJoined", joined
        declined = await _offered(there, http, talker, 0)
        assert (await who.do("declineOffer", "", offerId=declined))["__typename"] == "OfferDeclined"
        assert await _next(talker) == ("OfferChanged", declined, "DECLINED")
        taken = await _offered(there, http, talker, 1)
        accepted = await who.do("acceptOffer", "... on OfferAccepted { appointment { id } }", offerId=taken)
        told = {await _next(talker), await _next(talker)}
        assert told == {
            ("OfferChanged", taken, "ACCEPTED"), ("AppointmentChanged", accepted["appointment"]["id"], "BOOKED"),
        }  # fmt: skip
        await until(_sent(pool, key))
    shown = [frame for watcher in there.watchers for frame in watcher.view.frames]
    again = [slot["id"] for frame in shown for slot in frame.get("opened", ())]
    assert there.place.slot_id(1) not in again, "it went straight to the offer, and from there to its patient"
    kafka: Kafka | None = None
    if request.node.callspec.params["there"] == "kafka":
        kafka = request.getfixturevalue("kafka")
        patients = [text for text in await kafka_texts(kafka.address) if '"offer"' in text]
        assert sum(ids.node(ids.PATIENT, key) in text for text in patients) == 4, "made and ended, twice"
    said = [*await everything_said(there, kafka), worker.log.read_text()]
    for private in (MARKER, ZONE):
        assert [text for text in said if private.lower() in text.lower()] == []


async def _offered(there: Scene, http: httpx2.AsyncClient, talker: Talker, number: int) -> str:
    """Staff book somebody else and cancel it; the offer as the patient hears of it."""
    await there.booker.cancel(http, await there.booker.book(http, number))
    told = (await talker.next())["myAppointments"]
    assert (told["__typename"], told["offer"]["status"]) == ("OfferChanged", "LIVE")
    assert told["offer"]["entry"]["status"] == "OFFERED"
    assert told["offer"]["slot"]["id"] == there.place.slot_id(number)
    found: str = told["offer"]["id"]
    return found


async def _next(talker: Talker) -> tuple[str, str, str]:
    told = (await talker.next())["myAppointments"]
    one = told.get("offer") or told["appointment"]
    return told["__typename"], one["id"], one["status"]


def _sent(pool: Any, patient: int) -> Callable[[], Awaitable[bool]]:
    """Whether the confirmation of what was taken has gone: by then the workers have said what they say of messages."""

    async def sent() -> bool:
        found = await pool.fetchval(
            "SELECT count(*) FROM messages AS m JOIN appointments AS a ON a.id = m.appointment_id"
            " WHERE a.patient_id = $1 AND m.rule = 'confirmation' AND m.status = 'sent'",
            patient,
        )
        return bool(found)

    return sent
