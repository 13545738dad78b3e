"""Who read or wrote what about whom: N operations leave exactly their rows, and without rows there is no answer (rule 22)."""

from typing import Any

import pytest

from adapters.postgres.changes import AUDIT_READS
from domain import ids
from tests.api.client import Answer, Client, read
from tests.api.town import Town

PATIENT = "query Chart($t: ID!) { patient(id: $t) { name email } }"
BOOK = """mutation Book($input: BookAppointmentInput!) { bookAppointment(input: $input) { __typename
    ... on AppointmentBooked { appointment { id version reason patient { name } } }
    ... on PatientConflict { other: appointment { reason } } } }"""
CANCEL = """mutation Cancel($input: CancelAppointmentInput!) { cancelAppointment(input: $input) { __typename
    ... on AppointmentCancelled { appointment { version } } ... on VersionConflict { current { reason } } } }"""
REGISTER = """mutation Register($input: RegisterPatientInput!) { registerPatient(input: $input) { __typename
    ... on PossibleDuplicate { candidates { name email } } ... on PatientRegistered { patient { id } } } }"""
HOURS = """mutation Hours($input: SetWeeklyHoursInput!) { setWeeklyHours(input: $input) { __typename
    ... on ScheduleSaved { schedule { version } orphaned { reason } } } }"""


async def _rows(town: Town, answer: Answer) -> list[tuple[Any, ...]]:
    """What one request left: subject, role, patient, operation."""
    rows = [row for row in await town.audits() if row["request_id"] == answer.headers["x-request-id"]]
    return [(row["subject"], row["role"], row["patient_id"], row["operation"]) for row in rows]


async def test_each_read_by_staff_leaves_one_row_and_a_patients_own_none(client: Client, town: Town) -> None:
    before = len(await town.audits())
    east = town.east
    for token, subject, role in (
        (client.staff([east.clinic], "ann"), "ann", "staff"),
        (client.admin("zoe"), "zoe", "admin"),
    ):
        for _ in range(3):
            answer = await client.ask(PATIENT, {"t": east.patient_id}, token)
            assert await _rows(town, answer) == [(subject, role, east.patient, "patient")]
    assert await _rows(town, await client.ask(PATIENT, {"t": east.patient_id}, client.patient(east.patient))) == []
    assert await _rows(town, await client.ask(PATIENT, {"t": east.patient_id}, client.staff([town.west.clinic]))) == []
    assert await _rows(town, await client.ask(PATIENT, {"t": east.patient_id})) == []
    assert len(await town.audits()) == before + 6


@pytest.mark.parametrize(
    ("operation", "selection"),
    [
        ("patients", 'patients(search: "Pat East") { edges { node { name } } }'),
        ("appointment", 'appointment(id: "%a") { reason }'),
        ("appointment", 'appointment(id: "%a") { patient { name } clinic { name } history { at } }'),
        ("node", 'node(id: "%t") { ... on Patient { name } }'),
        ("nodes", 'nodes(ids: ["%t", "%a", "%t"]) { ... on Patient { name } ... on Appointment { reason } }'),
        ("patient", 'patient(id: "%t") { appointments { edges { node { patient { name } } } } }'),
        ("clinicDay", 'clinicDay(clinicId: "%c", date: "%d") { providers { appointments { startsAt } } }'),
        (
            "patient appointment",
            'a: patient(id: "%t") { name } b: patient(id: "%t") { name } appointment(id: "%a") { patient { name } }',
        ),
    ],
)
async def test_every_way_to_a_patients_data_leaves_one_row(
    client: Client, town: Town, operation: str, selection: str
) -> None:
    east = town.east
    day = await town.pool.fetchval(
        "SELECT (starts_at - interval '5 hours')::date FROM appointments WHERE id = $1", east.appointment
    )
    for mark, value in (("%t", east.patient_id), ("%a", east.appointment_id), ("%c", east.clinic_id), ("%d", str(day))):
        selection = selection.replace(mark, value)
    answer = await client.ask(f"query Whatever {{ {selection} }}", token=client.staff([east.clinic], "ann"))
    assert answer.data
    assert await _rows(town, answer) == [("ann", "staff", east.patient, operation)]


async def test_public_reads_leave_nothing(client: Client, town: Town) -> None:
    answer = await client.ask(
        "{ clinics { edges { node { name providers { edges { node { name } } } } } } }", token=client.admin()
    )
    assert answer.data
    assert await _rows(town, answer) == []


async def test_each_write_leaves_one_row_whoever_writes(client: Client, town: Town) -> None:
    east = town.east
    for token, subject, role in (
        (client.patient(east.patient), east.patient_id, "patient"),
        (client.staff([east.clinic], "ann"), "ann", "staff"),
        (client.admin("zoe"), "zoe", "admin"),
    ):
        booked = await client.ask(
            BOOK,
            {"input": {"slotId": east.slot_in(9), "patientId": east.patient_id, "idempotencyKey": f"b-{subject}"}},
            token,
        )
        assert await _rows(town, booked) == [(subject, role, east.patient, "bookAppointment")]
        made = booked.data["bookAppointment"]["appointment"]
        wanted = {"appointmentId": made["id"], "version": made["version"], "idempotencyKey": f"c-{subject}"}
        cancelled = await client.ask(CANCEL, {"input": wanted}, token)
        assert cancelled.data["cancelAppointment"]["__typename"] == "AppointmentCancelled"
        assert await _rows(town, cancelled) == [(subject, role, east.patient, "cancelAppointment")]
        replayed = await client.ask(CANCEL, {"input": wanted}, token)
        assert replayed.data == cancelled.data
        read_again = [] if role == "patient" else [(subject, role, east.patient, "cancelAppointment")]
        assert await _rows(town, replayed) == read_again


async def test_a_refusal_that_shows_a_patients_data_to_staff_is_a_read(client: Client, town: Town) -> None:
    east, token = town.east, client.staff([town.east.clinic], "ann")
    seen = [("ann", "staff", east.patient)]
    alike = {"name": "Somebody", "email": "east@example.org", "clinicId": east.clinic_id, "idempotencyKey": "dup"}
    found = await client.ask(REGISTER, {"input": alike}, token)
    assert found.data["registerPatient"]["__typename"] == "PossibleDuplicate"
    assert await _rows(town, found) == [(*seen[0], "registerPatient")]
    stale = {"appointmentId": east.appointment_id, "version": 7, "idempotencyKey": "stale"}
    found = await client.ask(CANCEL, {"input": stale}, token)
    assert found.data["cancelAppointment"]["__typename"] == "VersionConflict"
    assert await _rows(town, found) == [(*seen[0], "cancelAppointment")]
    visit = await town.pool.fetchval(
        "SELECT extract(epoch FROM starts_at)::bigint / 60 FROM appointments WHERE id = $1", east.appointment
    )
    other = await town.pool.fetchval("INSERT INTO resources (kind) VALUES ('provider') RETURNING id")
    await town.pool.execute("INSERT INTO providers (id, name) VALUES ($1, 'Dr Second')", other)
    for statement in (
        "INSERT INTO provider_clinics VALUES ($1, $2)",
        "INSERT INTO provider_visit_types VALUES ($1, $2)",
    ):
        await town.pool.execute(statement, other, east.clinic if "clinics" in statement else east.visit_type)
    await town.pool.execute("INSERT INTO schedules (provider_id, clinic_id) VALUES ($1, $2)", other, east.clinic)
    await town.pool.execute(
        """INSERT INTO weekly_hours (provider_id, clinic_id, weekday, opens, closes)
        SELECT $1, $2, day, 0, 1440 FROM generate_series(0, 6) AS day""",
        other, east.clinic,
    )  # fmt: skip
    slot = str(ids.SlotKey(other, east.clinic, east.visit_type, visit))
    wanted = {"slotId": slot, "patientId": east.patient_id, "idempotencyKey": "conflict"}
    found = await client.ask(BOOK, {"input": wanted}, token)
    assert found.data["bookAppointment"]["__typename"] == "PatientConflict"
    assert await _rows(town, found) == [(*seen[0], "bookAppointment")]


async def test_orphaned_appointments_are_a_read_too(client: Client, town: Town) -> None:
    west = town.west
    hours = {
        "providerId": west.provider_id,
        "clinicId": west.clinic_id,
        "version": 1,
        "hours": [],
        "idempotencyKey": "none",
    }
    found = await client.ask(HOURS, {"input": hours}, client.staff([west.clinic], "bob"))
    assert len(found.data["setWeeklyHours"]["orphaned"]) == 1
    rows = await _rows(town, found)
    assert rows == [("bob", "staff", None, "setWeeklyHours"), ("bob", "staff", west.patient, "setWeeklyHours")]


async def test_where_audit_cant_be_written_there_is_no_answer(client: Client, town: Town) -> None:
    """Reads of patients are refused and writes undone; what needs no row is answered."""
    east, staff = town.east, client.staff([town.east.clinic])
    await town.pool.execute("ALTER TABLE audit ADD CONSTRAINT full_up CHECK (id < 0) NOT VALID")
    try:
        before = await town.counts(audit=True)
        chart = await client.ask(PATIENT, {"t": east.patient_id}, staff)
        assert (chart.codes, chart.body["data"]) == (["UNAVAILABLE"], None)
        assert b"Pat East" not in chart.raw
        wanted = {"slotId": east.slot_in(11), "idempotencyKey": "unwritten"}
        written = await client.ask(BOOK, {"input": wanted}, client.patient(east.patient))
        assert written.codes == ["UNAVAILABLE"]
        assert (await client.ask("{ clinics { edges { node { name } } } }", token=staff)).data
        assert await town.counts(audit=True) == before
    finally:
        await town.pool.execute("ALTER TABLE audit DROP CONSTRAINT full_up")
    assert (await client.ask(BOOK, {"input": wanted}, client.patient(east.patient))).data["bookAppointment"][
        "appointment"
    ]


async def test_the_row_names_the_fields_whatever_the_client_calls_them(client: Client, town: Town) -> None:
    east = town.east
    document = """query Innocent { ...Root ... on Query { viewer { role } } } query Other { specialties }
        fragment Root on Query { nothing: patient(id: "%t") { name } }""".replace("%t", east.patient_id)
    response = await client.http.post(
        "/graphql",
        json={"query": document, "operationName": "Innocent"},
        headers={"Authorization": f"Bearer {client.staff([east.clinic], 'ann')}"},
    )
    assert await _rows(town, read(response)) == [("ann", "staff", east.patient, "patient viewer")]


def test_reads_are_written_down_in_one_statement() -> None:
    assert AUDIT_READS.count("INSERT") == 1
