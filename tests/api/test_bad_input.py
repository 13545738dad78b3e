"""Whatever is sent: a typed refusal or a coded error, never a fault of our own, and nothing written."""

import asyncio
import json
from datetime import timedelta
from itertools import count
from typing import Any

import httpx2
import pytest
from graphql import GraphQLInputObjectType, get_named_type, is_enum_type, is_list_type, is_non_null_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import ids
from schema.root import schema
from tests.api.client import Answer, Client
from tests.api.town import Place, Town, today
from tests.sizes import FULL

_numbers = count(1)
KINDS = {
    name: field.args["input"].type.of_type.name
    for name, field in schema._schema.mutation_type.fields.items()  # type: ignore[union-attr]
}
ANSWERS = {
    name: {one.name for one in field.type.of_type.types}
    for name, field in schema._schema.mutation_type.fields.items()  # type: ignore[union-attr]
}
LEAVES = {"PolicyViolation": "rule", "InvalidInput": "field"}
DAY = "2027-02-01"
ADDRESS = {"lines": ["1 Elm Street"], "city": "Elmton", "country": "US"}


async def change(client: Client, name: str, token: str, given: dict[str, Any]) -> Answer:
    """One mutation with a fresh key, unless one is given."""
    told = " ".join(f"... on {kind} {{ {leaf} }}" for kind, leaf in LEAVES.items() if kind in ANSWERS[name])
    document = f"mutation M($input: {KINDS[name]}!) {{ {name}(input: $input) {{ __typename {told} }} }}"
    return await client.ask(document, {"input": {"idempotencyKey": f"bad-{next(_numbers)}", **given}}, token)


def said(answer: Answer) -> tuple[str | None, str | None]:
    """(type or code, field or rule) of a refusal."""
    if answer.codes:
        error = answer.body["errors"][0]
        return error["extensions"]["code"], error["extensions"].get("field")
    (found,) = answer.data.values()
    return found["__typename"], found.get("rule") or found.get("field")


LONG = "x" * 10_000
CONTROL = "a\x00b\x07"
BAD = "BAD_USER_INPUT"


def _clinic(**more: Any) -> dict[str, Any]:
    return {"name": "N", "timeZone": "America/New_York", "address": ADDRESS, **more}


def _origins(place: Place, *some: str) -> dict[str, Any]:
    return {"clinicId": place.clinic_id, "origins": list(some)}


def _visit(**more: Any) -> dict[str, Any]:
    return {"name": "V", "durationMinutes": 30, **more}


def _hours(place: Place, **row: Any) -> dict[str, Any]:
    rows = [{"weekday": "MONDAY", "opens": "09:00", "closes": "17:00", **row}]
    return {"providerId": place.provider_id, "clinicId": place.clinic_id, "version": 1, "hours": rows}


def _exception(place: Place, **more: Any) -> dict[str, Any]:
    named = {"providerId": place.provider_id, "clinicId": place.clinic_id, "kind": "OPEN"}
    return {**named, "date": str(today() + timedelta(days=9)), **more}


def _provider(place: Place, **more: Any) -> dict[str, Any]:
    return {
        "name": "Dr", "specialties": [], "clinicIds": [place.clinic_id], "visitTypeIds": [place.visit_type_id], **more
    }  # fmt: skip


def _cancel(place: Place, **more: Any) -> dict[str, Any]:
    return {"appointmentId": place.appointment_id, "version": 1, **more}


WINDOW = ("PolicyViolation", "BOOKING_WINDOW")


def _new(place: Place, **more: Any) -> dict[str, Any]:
    return {"name": "A", "clinicId": place.clinic_id, **more}


WRITES: list[tuple[str, str, Any, tuple[str, str | None]]] = [
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(), "reason": LONG}, (BAD, "reason")),
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(), "reason": CONTROL}, (BAD, "reason")),
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(), "reason": "x" * 256}, (BAD, "reason")),
    ("bookAppointment", "staff", lambda p: {"slotId": p.slot_in()}, (BAD, "patientId")),
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(-3)}, ("PolicyViolation", "PAST")),
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(3, 60)}, ("PolicyViolation", "NOT_OFFERED")),
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(3, 9 * 60 + 5)}, ("PolicyViolation", "NOT_OFFERED")),
    ("bookAppointment", "patient", lambda p: {"slotId": p.slot_in(600)}, ("PolicyViolation", "BOOKING_WINDOW")),
    ("bookAppointment", "staff", lambda p: {"slotId": p.slot_in(800), "patientId": p.patient_id}, WINDOW),
    ("bookAppointment", "patient", lambda p: {"slotId": p.clinic_id}, ("NotFound", None)),
    ("bookAppointment", "patient", lambda p: {"slotId": LONG}, ("NotFound", None)),
    ("holdSlot", "patient", lambda p: {"slotId": p.slot_in(-3)}, ("PolicyViolation", "PAST")),
    ("holdSlot", "patient", lambda p: {"slotId": p.slot_in(3, 60)}, ("PolicyViolation", "NOT_OFFERED")),
    ("holdSlot", "patient", lambda p: {"slotId": p.slot_in(), "idempotencyKey": ""}, (BAD, "idempotencyKey")),
    ("holdSlot", "patient", lambda p: {"slotId": p.slot_in(), "idempotencyKey": "k" * 256}, (BAD, "idempotencyKey")),
    ("holdSlot", "patient", lambda p: {"slotId": p.slot_in(), "idempotencyKey": CONTROL}, (BAD, "idempotencyKey")),
    ("cancelAppointment", "patient", lambda p: _cancel(p, reason=LONG), (BAD, "reason")),
    ("cancelAppointment", "patient", lambda p: _cancel(p, version=0), ("VersionConflict", None)),
    ("cancelAppointment", "patient", lambda p: _cancel(p, version=2**31), (BAD, None)),
    ("setAppointmentStatus", "staff", lambda p: _cancel(p, status="CANCELLED"), ("InvalidTransition", None)),
    ("setAppointmentStatus", "staff", lambda p: _cancel(p, status="NOSHOW"), ("PolicyViolation", "TOO_EARLY")),
    ("setAppointmentStatus", "staff", lambda p: _cancel(p, status="LOST"), (BAD, None)),
    ("setAppointmentStatus", "staff", lambda p: _cancel(p, status="ARRIVED", reason=CONTROL), (BAD, "reason")),
    ("registerPatient", "staff", lambda p: {"name": " ", "clinicId": p.clinic_id}, ("InvalidInput", "name")),
    ("registerPatient", "staff", lambda p: {"name": LONG, "clinicId": p.clinic_id}, ("InvalidInput", "name")),
    ("registerPatient", "staff", lambda p: {"name": CONTROL, "clinicId": p.clinic_id}, ("InvalidInput", "name")),
    ("registerPatient", "staff", lambda p: _new(p, email="no"), ("InvalidInput", "email")),
    ("registerPatient", "staff", lambda p: _new(p, phone="12"), ("InvalidInput", "phone")),
    ("registerPatient", "staff", lambda p: _new(p, birthDate="2199-01-01"), ("InvalidInput", "birthDate")),
    ("registerPatient", "staff", lambda p: _new(p, birthDate="0001-01-01"), (BAD, None)),
    ("registerPatient", "staff", lambda p: _new(p, birthDate="2001-02-30"), (BAD, None)),
    ("registerPatient", "staff", lambda p: _new(p, birthDate="2001-W05-1"), (BAD, None)),
    ("registerPatient", "staff", lambda p: _new(p, birthDate=20010230), (BAD, None)),
    ("updatePatient", "staff", lambda p: {"id": p.patient_id, "version": 1, "name": None}, ("InvalidInput", "name")),
    ("updatePatient", "patient", lambda p: {"id": p.patient_id, "version": 1, "name": "Me"}, ("InvalidInput", "name")),
    ("updatePatient", "staff", lambda p: {"id": p.patient_id, "version": -1}, ("StaleVersion", None)),
    ("saveClinic", "admin", lambda p: _clinic(timeZone="Mars/Olympus"), ("InvalidInput", "timeZone")),
    ("saveClinic", "admin", lambda p: _clinic(timeZone="../../etc/passwd"), ("InvalidInput", "timeZone")),
    ("saveClinic", "admin", lambda p: _clinic(timeZone=""), ("InvalidInput", "timeZone")),
    ("saveClinic", "admin", lambda p: _clinic(timeZone=LONG), ("InvalidInput", "timeZone")),
    ("saveClinic", "admin", lambda p: _clinic(name=CONTROL), ("InvalidInput", "name")),
    ("saveClinic", "admin", lambda p: _clinic(location={"latitude": 91, "longitude": 0}), ("InvalidInput", "location.latitude")),
    ("saveClinic", "admin", lambda p: _clinic(address={**ADDRESS, "country": "Mars"}), ("InvalidInput", "address.country")),
    ("saveClinic", "admin", lambda p: _clinic(id=p.clinic_id), ("InvalidInput", "version")),
    ("setClinicOrigins", "admin", lambda p: _origins(p, "*"), ("InvalidInput", "origins.0")),
    ("setClinicOrigins", "admin", lambda p: _origins(p, LONG), ("InvalidInput", "origins.0")),
    ("setClinicOrigins", "admin", lambda p: _origins(p, CONTROL), ("InvalidInput", "origins.0")),
    ("setClinicOrigins", "admin", lambda p: _origins(p, "https://a.example", "http://b.example"), ("InvalidInput", "origins.1")),
    ("setClinicOrigins", "admin", lambda p: _origins(p, *["https://a.example"] * 51), ("InvalidInput", "origins")),
    ("saveVisitType", "admin", lambda p: _visit(durationMinutes=7), ("InvalidInput", "durationMinutes")),
    ("saveVisitType", "admin", lambda p: _visit(durationMinutes=0), ("InvalidInput", "durationMinutes")),
    ("saveVisitType", "admin", lambda p: _visit(durationMinutes=725), ("InvalidInput", "durationMinutes")),
    ("saveVisitType", "admin", lambda p: _visit(durationMinutes=-30), ("InvalidInput", "durationMinutes")),
    ("saveVisitType", "admin", lambda p: _visit(bufferBeforeMinutes=7), ("InvalidInput", "bufferBeforeMinutes")),
    ("saveVisitType", "admin", lambda p: _visit(bookableDaysAhead=731), ("InvalidInput", "bookableDaysAhead")),
    ("saveVisitType", "admin", lambda p: _visit(durationMinutes=1.5), (BAD, None)),
    ("saveProvider", "admin", lambda p: _provider(p, npi="1234567890"), ("InvalidInput", "npi")),
    ("saveProvider", "admin", lambda p: _provider(p, languages=["english language"]), ("InvalidInput", "languages.0")),
    ("setWeeklyHours", "staff", lambda p: _hours(p, opens="17:00", closes="09:00"), ("InvalidInput", "hours.0.closes")),
    ("setWeeklyHours", "staff", lambda p: _hours(p, opens="09:00", closes="09:00"), ("InvalidInput", "hours.0.closes")),
    ("setWeeklyHours", "staff", lambda p: _hours(p, opens="09:07"), (BAD, None)),
    ("setWeeklyHours", "staff", lambda p: _hours(p, opens="25:00"), (BAD, None)),
    ("setWeeklyHours", "staff", lambda p: _hours(p, validFrom=DAY, validTo="2027-01-01"), ("InvalidInput", "hours.0.validTo")),
    ("setWeeklyHours", "staff", lambda p: {**_hours(p), "hours": _hours(p)["hours"] * 201}, ("InvalidInput", "hours")),
    ("addScheduleException", "staff", lambda p: _exception(p, opens="12:00", closes="11:00"), ("InvalidInput", "closes")),
    ("addScheduleException", "staff", lambda p: _exception(p, opens="12:00"), ("InvalidInput", "closes")),
    ("addScheduleException", "staff", lambda p: _exception(p, date="2199-01-01"), ("InvalidInput", "date")),
    ("addScheduleException", "staff", lambda p: _exception(p, date="2010-01-01"), ("InvalidInput", "date")),
    ("addScheduleException", "staff", lambda p: _exception(p, date="99999-01-01"), (BAD, None)),
    ("addScheduleException", "staff", lambda p: _exception(p, reason=LONG), ("InvalidInput", "reason")),
    ("addScheduleException", "staff", lambda p: _exception(p, reason=CONTROL), ("InvalidInput", "reason")),
]  # fmt: skip


def _token(client: Client, role: str, place: Place) -> str:
    if role == "patient":
        return client.patient(place.patient)
    return client.staff([place.clinic]) if role == "staff" else client.admin()


async def test_each_bad_write_is_refused_by_name_and_changes_nothing(client: Client, town: Town) -> None:
    before, wrong = await town.counts(audit=True), []
    for name, role, make, expected in WRITES:
        given = make(town.east)
        answer = await change(client, name, _token(client, role, town.east), given)
        if said(answer) != expected:
            wrong.append(f"{name} {json.dumps(given)[:200]}: {answer.body}, not {expected}")
    assert wrong == []
    after = await town.counts(audit=True)
    after["audit"] = before["audit"]  # VersionConflict shows an appointment: a read.
    assert after == before


async def test_an_expired_hold_is_not_found_and_another_callers_neither(client: Client, town: Town) -> None:
    east, token = town.east, client.patient(town.east.patient)
    document = "mutation M($input: HoldSlotInput!) { holdSlot(input: $input) { ... on SlotHeld { hold { id } } } }"
    held = await client.ask(document, {"input": {"slotId": east.slot_in(20), "idempotencyKey": "held"}}, token)
    hold = held.data["holdSlot"]["hold"]["id"]
    before = await town.counts()
    assert said(await change(client, "releaseHold", client.admin(), {"holdId": hold}))[0] == "NotFound"
    await town.pool.execute("UPDATE test_clock SET shift = interval '6 minutes'")
    try:
        assert said(await change(client, "releaseHold", token, {"holdId": hold}))[0] == "NotFound"
        gone = await client.ask("query Q($h: ID!) { node(id: $h) { id } viewer { holds { id } } }", {"h": hold}, token)
        assert gone.data == {"node": None, "viewer": {"holds": []}}
    finally:
        await town.pool.execute("UPDATE test_clock SET shift = '0'")
    assert await town.counts() == before


READS = [
    ("slots", "from > to", ("2027-02-02", "2027-02-01"), (BAD, "to")),
    ("slots", "32 days", ("2027-02-01", "2027-03-04"), (BAD, "to")),
    ("slots", "absurd years", ("0001-01-01", "0001-01-02"), (BAD, None)),
    ("slots", "five digits", ("12027-01-01", "12027-01-02"), (BAD, None)),
    ("slots", "the far end", ("2200-12-30", "2200-12-31"), None),
    ("slots", "the first year", ("1900-01-01", "1900-01-31"), None),
    ("availability", "from > to", ("2027-02-02", "2027-02-01"), (BAD, "filter.to")),
    ("availability", "8 days unnamed", ("2027-02-01", "2027-02-08"), (BAD, "filter.to")),
    ("availability", "absurd years", ("9999-12-31", "9999-12-31"), (BAD, None)),
    ("availability", "the far end", ("2200-12-30", "2200-12-31"), None),
    ("clinicDay", "the far end", ("2200-12-31", ""), None),
    ("clinicDay", "the first year", ("1900-01-01", ""), None),
    ("clinicDay", "no date", ("tomorrow", ""), (BAD, None)),
    ("schedule", "801 days", ("2027-01-01", "2029-03-12"), (BAD, "to")),
    ("schedule", "from > to", ("2027-01-02", "2027-01-01"), (BAD, "to")),
]
SELECTED = {
    "slots": """query Q($p: ID!, $c: ID!, $v: ID!, $a: Date!, $b: Date!) { node(id: $p) { ... on Provider {
        slots(clinicId: $c, visitTypeId: $v, from: $a, to: $b) { id } } } }""",
    "availability": """query Q($c: ID!, $v: ID!, $a: Date!, $b: Date!) {
        availability(filter: { clinicId: $c, visitTypeId: $v, from: $a, to: $b }) { through } }""",
    "clinicDay": "query Q($c: ID!, $a: Date!) { clinicDay(clinicId: $c, date: $a) { providers { openMinutes } } }",
    "schedule": """query Q($p: ID!, $c: ID!, $a: Date!, $b: Date!) { schedule(providerId: $p, clinicId: $c) {
        exceptions(from: $a, to: $b) { id } } }""",
}


@pytest.mark.parametrize(("what", "how", "dates", "expected"), READS)
async def test_dates_that_make_no_sense_are_refused(
    client: Client, town: Town, what: str, how: str, dates: tuple[str, str], expected: tuple[str, str | None] | None
) -> None:
    east = town.east
    given = {"p": east.provider_id, "c": east.clinic_id, "v": east.visit_type_id, "a": dates[0], "b": dates[1]}
    asked = {name: value for name, value in given.items() if f"${name}:" in SELECTED[what]}
    answer = await client.ask(SELECTED[what], asked, client.staff([east.clinic]))
    assert (said(answer) if answer.codes else None) == expected, answer.body


@pytest.mark.parametrize(
    "selection",
    [
        "clinics(first: 0) { edges { cursor } }",
        "clinics(first: 101) { edges { cursor } }",
        "clinics(first: -1) { edges { cursor } }",
        "clinics(withinKm: 5) { edges { cursor } }",
        "clinics(near: { latitude: 91, longitude: 0 }) { edges { cursor } }",
        "clinics(near: { latitude: 1e308, longitude: -1e308 }) { edges { cursor } }",
        "clinics(near: { latitude: 1, longitude: 1 }, withinKm: -1) { edges { cursor } }",
        'clinics(after: "") { edges { cursor } }',
        'clinics(after: "nonsense") { edges { cursor } }',
        f'clinics(name: "{"x" * 201}") {{ edges {{ cursor }} }}',
        'clinics(name: "a\\u0000") { edges { cursor } }',
        'providers(specialty: "a\\u0000") { edges { cursor } }',
        "providers(first: 1000) { edges { cursor } }",
        'patients(search: "\\u0000") { edges { cursor } }',
        f"nodes(ids: [{', '.join(['7'] * 101)}]) {{ id }}",
    ],
)
async def test_lists_that_cant_be_asked_for_are_refused(client: Client, selection: str) -> None:
    answer = await client.ask(f"{{ {selection} }}", token=client.admin())
    assert answer.codes == [BAD], answer.body


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Mostly of the right type, with extremes; sometimes anything at all."""
    bare = kind.of_type if is_non_null_type(kind) else kind
    if is_list_type(bare):
        right: st.SearchStrategy[Any] = st.lists(_values(bare.of_type), max_size=3)
    else:
        named = get_named_type(bare)
        if isinstance(named, GraphQLInputObjectType):
            required = {name: _values(one.type) for name, one in named.fields.items() if is_non_null_type(one.type)}
            optional = {name: _values(one.type) for name, one in named.fields.items() if not is_non_null_type(one.type)}
            right = st.fixed_dictionaries(required, optional=optional)
        elif is_enum_type(named):
            right = st.sampled_from(list(named.values))
        else:
            right = _scalars(named.name)
    anything = st.one_of(
        st.none(), TEXT, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.just([]), st.just({})
    )
    return st.one_of(*[right] * 12, anything)


TEXT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "\x00", "a" * 300, "'; DROP TABLE patients; --", "%", "\u202e", "a\u0301", "\U0001f600", "ß" * 200]
    ),
)
DATES = st.one_of(st.dates().map(str), st.sampled_from([DAY, "2027-02-30", "1900-01-01", "2200-12-31", "2027-W05-1"]))
TIMES = st.sampled_from(["00:00", "09:00", "09:05", "17:00", "24:00", "24:05", "9:00", "-1:00", "09:60"])
KNOWN_IDS: list[str] = []


def _scalars(name: str) -> st.SearchStrategy[Any]:
    numbers = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([0, 1, 5, 30, 60, 2**31, 2**63, -1]))
    return {
        "Int": numbers,
        "Float": st.one_of(numbers, st.floats(allow_nan=False, allow_infinity=False)),
        "Boolean": st.booleans(),
        "Date": DATES,
        "LocalTime": TIMES,
        "ID": st.one_of(st.deferred(lambda: st.sampled_from(KNOWN_IDS)), TEXT),
        "StreamCursor": TEXT,
    }.get(name, TEXT)


@pytest.mark.parametrize("role", ["staff", "patient"])
async def test_no_input_whatever_brings_a_fault_of_our_own(client: Client, town: Town, role: str) -> None:
    """In a thread, since Hypothesis drives plain functions and the server runs in this loop."""
    east = town.east
    KNOWN_IDS[:] = [
        east.clinic_id, east.provider_id, east.visit_type_id, east.patient_id, east.appointment_id, east.slot_in(30),
        east.exception_id, town.west.clinic_id, town.west.patient_id, ids.node(ids.CLINIC, (1 << 63) - 1),
    ]  # fmt: skip
    token = client.admin() if role == "staff" else client.patient(east.patient)
    inputs = {name: schema._schema.type_map[kind] for name, kind in KINDS.items()}

    with httpx2.Client(base_url=str(client.http.base_url), timeout=20) as http:

        @settings(
            max_examples=2000 if FULL else 150, deadline=None, suppress_health_check=list(HealthCheck), database=None,
            derandomize=not FULL,
        )  # fmt: skip
        @given(st.sampled_from(sorted(inputs)).flatmap(lambda name: st.tuples(st.just(name), _values(inputs[name]))))
        def tried(asked: tuple[str, Any]) -> None:
            name, value = asked
            document = f"mutation M($input: {KINDS[name]}!) {{ {name}(input: $input) {{ __typename }} }}"
            response = http.post(
                "/graphql",
                json={"query": document, "variables": {"input": value}},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert response.status_code < 500, (name, value)
            codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
            assert codes <= {BAD, "FORBIDDEN"}, (name, value, codes)

        await asyncio.to_thread(tried)
