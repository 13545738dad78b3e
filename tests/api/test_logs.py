"""No patient data in any log line: a marker in every column of a patient, through all that is done with appointments (rule 36)."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from itertools import count
from typing import Any

import httpx2
import pytest

from app.embedded import Addresses
from app.serving import running
from app.settings import Settings
from domain import ids
from tests import builders
from tests.api.client import Answer, Client
from tests.api.town import Town, today
from tests.logged import logged
from tests.services.test_relaying import until

MARKER = "Zq7mark"  # short enough for a part of a language tag
BORN = date(1903, 7, 19)
ZONE = "Antarctica/Troll"
KINDS = {"setNotificationPreferences": "NotificationPreferencesInput"}
_numbers = count(1)
TELLING = """
    CREATE FUNCTION tell_all() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.status = 'noshow' THEN
            RAISE EXCEPTION 'a row of %', (SELECT name FROM patients WHERE id = NEW.patient_id)
                USING ERRCODE = 'check_violation', DETAIL = NEW::text;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER tell_all BEFORE UPDATE ON appointments FOR EACH ROW EXECUTE FUNCTION tell_all();
"""


@pytest.fixture
def written(settings: Settings) -> Iterator[io.StringIO]:
    """All that is logged, at the most talkative level, as in production."""
    with logged(settings.model_copy(update={"env": "production", "log_level": "debug"})) as out:
        yield out


@pytest.fixture
async def talking(settings: Settings, embedded: Any, town: Town, written: io.StringIO) -> AsyncIterator[Client]:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    loud = settings.model_copy(update={"log_level": "debug"})
    async with running(loud, addresses) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        yield Client(http, loud)


async def marked(town: Town) -> None:
    """The marker in every column of the east's patient that takes text."""
    columns = await town.pool.fetch(
        "SELECT column_name AS name, data_type AS kind FROM information_schema.columns WHERE table_name = 'patients'"
    )
    assert {row["kind"] for row in columns} <= {"bigint", "integer", "text", "date"}, "mark the new column here too"
    texts = [row["name"] for row in columns if row["kind"] == "text"]
    assert {"name", "email", "phone"} <= set(texts)
    marks = ", ".join(f"{name} = '{MARKER}-{name}'" for name in texts)
    await town.pool.execute(f"UPDATE patients SET {marks}, birth_date = $2 WHERE id = $1", town.east.patient, BORN)


async def do(client: Client, name: str, token: str, selection: str = "", **fields: Any) -> Answer:
    kind = KINDS.get(name, name[0].upper() + name[1:] + "Input")
    text = f"mutation {MARKER}($input: {kind}!) {{ {name}(input: $input) {{ __typename {selection} }} }}"
    return await client.ask(text, {"input": {**fields, "idempotencyKey": f"{MARKER}-{next(_numbers)}"}}, token)


async def waited(talking: Client, town: Town, staff: str, patient: str) -> None:
    """Wishes, preferences and offers: the marked patient gets two, declines one and takes the other; the messages go."""
    east = town.east
    chosen = {"channels": ["EMAIL", "SMS"], "language": f"en-x-{MARKER}", "timeZone": ZONE}
    done = await do(talking, "setNotificationPreferences", patient, **chosen)
    assert done.data["setNotificationPreferences"]["__typename"] == "NotificationPreferencesSet"
    wishes = {"windows": [{"opens": "08:05", "closes": "17:55"}], "autoBook": False}
    dates = {"from": str(today()), "to": str(today() + timedelta(days=30))}
    joined = await do(
        talking, "joinWaitlist", patient, "... on WaitlistJoined { entry { id version } }",
        clinicId=east.clinic_id, visitTypeId=east.visit_type_id, **wishes, **dates,
    )  # fmt: skip
    entry = joined.data["joinWaitlist"]["entry"]
    bad = [{"opens": "17:55", "closes": "08:05"}]
    for asked in (wishes["windows"], bad):
        await do(talking, "updateWaitlistEntry", patient, entryId=entry["id"], version=entry["version"], windows=asked)
    other = await builders.patient(town.pool, [east.clinic])
    live = "{ viewer { patient { waitlistEntries { id status offer { id } } } } }"
    for number, answer in enumerate(("declineOffer", "acceptOffer")):
        booked = await do(
            talking, "bookAppointment", staff, "... on AppointmentBooked { appointment { id version } }",
            slotId=east.slot_in(18 + number), patientId=ids.node(ids.PATIENT, other), reason=MARKER,
        )  # fmt: skip
        made = booked.data["bookAppointment"]["appointment"]
        await do(talking, "cancelAppointment", staff, appointmentId=made["id"], version=made["version"], reason=MARKER)
        [mine] = (await talking.ask(live, token=patient)).data["viewer"]["patient"]["waitlistEntries"]
        done = await do(talking, answer, patient, offerId=mine["offer"]["id"])
        assert done.data[answer]["__typename"] == ("OfferDeclined", "OfferAccepted")[number]

    async def sent() -> bool:
        waiting = "SELECT count(*) FROM messages WHERE status IN ('scheduled', 'sending') AND due_at < now()"
        unplanned = "SELECT count(*) FROM messages_to_plan"
        return not await town.pool.fetchval(waiting) and not await town.pool.fetchval(unplanned)

    await until(sent)
    await do(talking, "leaveWaitlist", patient, entryId=entry["id"])


async def test_no_log_line_holds_a_patients_data(talking: Client, town: Town, written: io.StringIO) -> None:
    await marked(town)
    await town.pool.execute(TELLING)
    east, shown = town.east, "appointment { id version reason patient { name email phone birthDate } }"
    staff, patient = talking.staff([east.clinic], "ann"), talking.patient(east.patient)
    for turn, token in enumerate((patient, staff)):
        held = await do(talking, "holdSlot", token, "... on SlotHeld { hold { id } }", slotId=east.slot_in(10 + turn))
        await do(talking, "releaseHold", token, holdId=held.data["holdSlot"]["hold"]["id"])
        booked = await do(
            talking, "bookAppointment", token, f"... on AppointmentBooked {{ {shown} }}",
            slotId=east.slot_in(12 + turn), patientId=east.patient_id, reason=f"{MARKER}-reason",
        )  # fmt: skip
        made = booked.data["bookAppointment"]["appointment"]
        assert made["patient"]["name"] == f"{MARKER}-name"
        again = await do(
            talking, "bookAppointment", token, slotId=east.slot_in(12 + turn), patientId=east.patient_id, reason=MARKER
        )
        assert again.data["bookAppointment"]["__typename"] == "SlotTaken"
        moved = await do(
            talking, "rescheduleAppointment", token, f"... on AppointmentRescheduled {{ {shown} }}",
            appointmentId=made["id"], version=made["version"], slotId=east.slot_in(14 + turn),
        )  # fmt: skip
        made = moved.data["rescheduleAppointment"]["appointment"]
        done = await do(
            talking, "cancelAppointment", token, f"... on AppointmentCancelled {{ {shown} }}",
            appointmentId=made["id"], version=made["version"], reason=f"{MARKER}-why",
        )  # fmt: skip
        assert done.data["cancelAppointment"]["__typename"] == "AppointmentCancelled"
    await waited(talking, town, staff, patient)
    await town.pool.execute("UPDATE appointments SET starts_at = now() - interval '1 hour', ends_at = now() WHERE id = $1",
                            east.appointment)  # fmt: skip
    failed = await do(
        talking, "setAppointmentStatus", staff, appointmentId=east.appointment_id, version=1, status="NOSHOW",
        reason=f"{MARKER}-status",
    )  # fmt: skip
    assert failed.codes == ["INTERNAL"]
    await talking.ask(f'{{ patients(search: "{MARKER}") {{ edges {{ node {{ name nothing }} }} }} }}', token=staff)
    await talking.http.get("/graphql", params={"query": f'{{ node(id: "{MARKER}") {{ id }} }}'})
    await talking.http.post("/graphql", content=f"{MARKER} {{".encode(), headers={"Content-Type": "application/json"})
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = [line for line in lines if line["event"] == "operation failed"]
    assert [line["request_id"] for line in told] == [failed.headers["x-request-id"]]
    assert told[0]["sqlstate"] == "23514"
    for private in (MARKER, BORN.isoformat(), ZONE, patient, staff):
        assert private.lower() not in written.getvalue().lower()
