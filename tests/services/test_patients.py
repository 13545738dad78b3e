"""Registering, correcting and finding patients."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from adapters.postgres import patients as stored
from adapters.postgres.database import Database
from domain import ids, zones
from domain.access import ANONYMOUS, AccessDenied, Viewer
from domain.appointments import Patient
from domain.faults import BadInput
from domain.outcomes import (
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    PatientRegistered,
    PatientUpdated,
    PossibleDuplicate,
    StaleVersion,
)
from services.patients import Patients
from tests import builders
from tests.builders import World, admin, key, patient_viewer, staff

BORN = date(1980, 5, 17)
UNKNOWN = ids.node(ids.PATIENT, 999_999_999)


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with builders.opened(database_url) as database:
        yield database


@pytest.fixture
def patients(database: Database) -> Patients:
    return Patients(database)


@pytest.fixture
async def world(database: Database) -> World:
    return await builders.world(database.primary)


async def register(patients: Patients, world: World, viewer: Viewer | None = None, **given: Any) -> Any:
    asked = {
        "name": f"Person {key()}", "birth_date": None, "email": None, "phone": None, "clinic_id": world.clinic_id,
        "confirmed_new": False, "idempotency_key": key(),
    }  # fmt: skip
    return await patients.register(viewer or world.staff, **(asked | given))


async def audited(database: Database, patient: Patient) -> list[tuple[str, str, str]]:
    found = await builders.rows(database.primary, "SELECT * FROM audit WHERE patient_id = $1 ORDER BY id", patient.key)
    return [(row["operation"], row["subject"], row["request_id"]) for row in found]


async def test_a_registered_patient_is_clean_audited_and_the_clinics(
    database: Database, patients: Patients, world: World
) -> None:
    answer = await register(
        patients,
        world,
        name="  Mary\u00a0 Ann  Oak ",
        birth_date=BORN,
        email=" m.oak@example.org ",
        phone="(212) 736-5000",
    )
    assert isinstance(answer, PatientRegistered)
    patient = answer.patient
    assert patient == Patient(patient.key, 1, "Mary Ann Oak", BORN, "m.oak@example.org", "+12127365000")
    assert await stored.clinics_of_registration(database.primary, [patient.key]) == {patient.key: [world.clinic]}
    assert await audited(database, patient) == [("registerPatient", "test-staff", "request-staff")]


async def test_a_number_without_plus_is_read_as_in_the_clinics_country(
    database: Database, patients: Patients, world: World
) -> None:
    abroad = await builders.clinic(database.primary, zone="Europe/Berlin", country="DE")
    answer = await register(patients, world, staff(abroad), clinic_id=ids.node(ids.CLINIC, abroad), phone="030 901820")
    assert answer.patient.phone == "+4930901820"


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": ""}),
        ("name", {"name": " \t"}),
        ("name", {"name": "A" * 201}),
        ("name", {"name": "A" * 10_000}),
        ("name", {"name": "Ada\x00Birch"}),
        ("name", {"name": "Ada\x1b[2J"}),
        ("name", {"name": "Ada \u202egnp"}),
        ("birthDate", {"birth_date": date(1899, 12, 31)}),
        ("birthDate", {"birth_date": date(9999, 12, 31)}),
        ("birthDate", {"birth_date": date.today() + timedelta(days=2)}),  # noqa: DTZ011 (two days off in any zone)
        ("email", {"email": ""}),
        ("email", {"email": "nobody"}),
        ("email", {"email": "a@b"}),
        ("email", {"email": "a b@example.org"}),
        ("email", {"email": "a@example.org, b@example.org"}),
        ("email", {"email": ".a@example.org"}),
        ("email", {"email": "a@-example.org"}),
        ("email", {"email": "a" * 65 + "@example.org"}),
        ("email", {"email": "a@" + "long." * 60 + "org"}),
        ("email", {"email": "a@example.org\x00"}),
        ("phone", {"phone": ""}),
        ("phone", {"phone": "12"}),
        ("phone", {"phone": "+1 999 999 9999"}),
        ("phone", {"phone": "call 212 736 5000"}),
        ("phone", {"phone": "212 736 5000 ext. 4"}),
        ("phone", {"phone": "9" * 300}),
    ],
)
async def test_fields_that_break_a_rule_are_named(
    database: Database, patients: Patients, world: World, field: str, given: dict[str, Any]
) -> None:
    before = await database.primary.fetchval("SELECT count(*) FROM patients")
    answer = await register(patients, world, **given)
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert await database.primary.fetchval("SELECT count(*) FROM patients") == before


async def test_today_is_a_date_of_birth_by_the_clinics_clock(
    database: Database, patients: Patients, world: World
) -> None:
    now = await database.primary.fetchval("SELECT app_now()")
    today = zones.today(now, zones.named(builders.ZONE))
    assert isinstance(await register(patients, world, birth_date=today), PatientRegistered)
    refused = await register(patients, world, birth_date=today + timedelta(days=1))
    assert isinstance(refused, InvalidInput)


async def test_the_same_key_answers_the_same_patient_and_registers_once(patients: Patients, world: World) -> None:
    same: dict[str, Any] = {"name": "Once Only", "idempotency_key": key()}
    first = await register(patients, world, **same)
    changed = await patients.update(world.staff, first.patient.id, 1, {"email": "once@example.org"}, key())
    assert await register(patients, world, **same) == PatientRegistered(changed.patient)
    assert isinstance(await register(patients, world, **(same | {"name": "Twice"})), IdempotencyMismatch)
    assert isinstance(await register(patients, world, **(same | {"name": ""})), IdempotencyMismatch)
    assert isinstance(await register(patients, world, **(same | {"clinic_id": "?"})), IdempotencyMismatch)
    other = await patients.update(world.staff, first.patient.id, 2, {}, same["idempotency_key"])
    assert isinstance(other, IdempotencyMismatch)


async def test_a_refusal_is_not_remembered(patients: Patients, world: World) -> None:
    again = key()
    assert isinstance(await register(patients, world, name="", idempotency_key=again), InvalidInput)
    assert isinstance(await register(patients, world, idempotency_key=again), PatientRegistered)


@pytest.mark.parametrize(
    "given",
    [
        {"name": "ada BIRCH", "birth_date": BORN},
        {"email": "ADA@Example.org"},
        {"phone": "212-736-5001"},
    ],
)
async def test_who_looks_like_a_patient_is_asked_about(
    database: Database, patients: Patients, given: dict[str, Any]
) -> None:
    world = await builders.world(database.primary)
    known = await builders.patient(
        database.primary, [world.clinic], "Ada Birch", BORN, "ada@example.org", "+12127365001"
    )
    answer = await register(patients, world, **given)
    assert isinstance(answer, PossibleDuplicate)
    assert known in [one.key for one in answer.candidates]
    confirmed = await register(patients, world, confirmed_new=True, **given)
    assert isinstance(confirmed, PatientRegistered)


async def test_the_same_name_without_the_same_date_of_birth_is_another_person(
    database: Database, patients: Patients, world: World
) -> None:
    name = f"Common {key()}"
    await builders.patient(database.primary, [world.clinic], name, BORN)
    for birth_date in (None, BORN + timedelta(days=1)):
        assert isinstance(await register(patients, world, name=name, birth_date=birth_date), PatientRegistered)


async def test_candidates_are_only_those_the_caller_may_see(
    database: Database, patients: Patients, world: World
) -> None:
    other = await builders.world(database.primary)
    email = f"{key()}@example.org"
    hidden = await builders.patient(database.primary, [other.clinic], email=email)
    answer = await register(patients, world, admin(), email=email)
    assert isinstance(answer, PossibleDuplicate)
    assert [one.key for one in answer.candidates] == [hidden]
    assert isinstance(await register(patients, world, email=email), PatientRegistered)


async def test_of_two_who_register_one_person_at_once_the_second_is_warned(patients: Patients, world: World) -> None:
    for same in ({"email": f"{key()}@example.org"}, {"name": f"Twin {key()}", "birth_date": BORN}):
        answers = await asyncio.gather(*(register(patients, world, **same) for _ in range(6)))
        names = [type(one).__name__ for one in answers]
        assert sorted(names) == ["PatientRegistered"] + ["PossibleDuplicate"] * 5


async def test_only_staff_register_and_only_at_their_clinics(
    database: Database, patients: Patients, world: World
) -> None:
    other = await builders.world(database.primary)
    for clinic_id in (other.clinic_id, "nonsense", ids.node(ids.CLINIC, 999_999), world.provider_id):
        assert await register(patients, world, clinic_id=clinic_id) == NotFound()
    assert await register(patients, world, staff()) == NotFound()
    assert isinstance(await register(patients, world, admin()), PatientRegistered)
    with pytest.raises(AccessDenied, match="UNAUTHENTICATED"):
        await register(patients, world, ANONYMOUS)
    with pytest.raises(AccessDenied, match="FORBIDDEN"):
        await register(patients, world, patient_viewer(world.patient))


async def test_a_correction_changes_what_is_named_and_nothing_else(
    database: Database, patients: Patients, world: World
) -> None:
    before = (await register(patients, world, birth_date=BORN, email="c@example.org", phone="+12127365002")).patient
    answer = await patients.update(world.staff, before.id, 1, {"name": "Carol Cedar", "email": None}, key())
    assert answer == PatientUpdated(Patient(before.key, 2, "Carol Cedar", BORN, None, "+12127365002"))
    assert [row[0] for row in await audited(database, before)] == ["registerPatient", "updatePatient"]


async def test_a_stale_version_is_told_the_present_one(patients: Patients, world: World) -> None:
    assert isinstance(await patients.update(world.staff, world.patient_id, 1, {"name": "B"}, key()), PatientUpdated)
    assert await patients.update(world.staff, world.patient_id, 1, {"name": ""}, key()) == StaleVersion(2)


async def test_of_two_corrections_of_one_version_one_wins(patients: Patients, world: World) -> None:
    answers = await asyncio.gather(
        *(patients.update(world.staff, world.patient_id, 1, {"name": f"Name {at}"}, key()) for at in range(8))
    )
    assert sum(isinstance(one, PatientUpdated) for one in answers) == 1
    assert all(one == StaleVersion(2) for one in answers if not isinstance(one, PatientUpdated))


async def test_a_replayed_correction_is_not_done_twice(patients: Patients, world: World) -> None:
    again = key()
    first = await patients.update(world.staff, world.patient_id, 1, {"email": "r@example.org"}, again)
    assert await patients.update(world.staff, world.patient_id, 1, {"email": "r@example.org"}, again) == first
    other = await patients.update(world.staff, world.patient_id, 1, {"email": "s@example.org"}, again)
    assert isinstance(other, IdempotencyMismatch)
    absent = await patients.update(world.staff, world.patient_id, 1, {}, again)
    assert isinstance(absent, IdempotencyMismatch)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": None}),
        ("name", {"name": "\x07"}),
        ("birthDate", {"birth_date": date(1850, 1, 1)}),
        ("email", {"email": "x"}),
        ("phone", {"phone": "1"}),
    ],
)
async def test_a_broken_correction_changes_nothing(
    database: Database, patients: Patients, world: World, field: str, fields: dict[str, Any]
) -> None:
    answer = await patients.update(world.staff, world.patient_id, 1, fields, key())
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert (await stored.by_key(database.primary, world.patient)).version == 1


async def test_what_does_not_change_is_not_judged(database: Database, patients: Patients, world: World) -> None:
    old = await builders.patient(database.primary, [world.clinic], "Old\tRecord", date(1890, 1, 1), "broken", "12")
    answer = await patients.update(world.staff, ids.node(ids.PATIENT, old), 1, {"email": "new@example.org"}, key())
    assert isinstance(answer, PatientUpdated)
    assert answer.patient.birth_date == date(1890, 1, 1)


async def test_patients_change_their_own_email_and_phone_only(
    database: Database, patients: Patients, world: World
) -> None:
    viewer = patient_viewer(world.patient)
    changes = {"email": "own@example.org", "phone": "212 736 5003"}
    answer = await patients.update(viewer, world.patient_id, 1, changes, key())
    assert isinstance(answer, PatientUpdated)
    assert (answer.patient.email, answer.patient.phone) == ("own@example.org", "+12127365003")
    for field, spelled in (("name", "name"), ("birth_date", "birthDate")):
        refused = await patients.update(viewer, world.patient_id, 2, {field: None}, key())
        assert isinstance(refused, InvalidInput)
        assert refused.field == spelled
    other = await builders.patient(database.primary, [world.clinic])
    assert await patients.update(viewer, ids.node(ids.PATIENT, other), 1, {"email": None}, key()) == NotFound()


async def test_who_may_not_see_a_patient_can_not_tell_whether_there_is_one(
    database: Database, patients: Patients, world: World
) -> None:
    other = await builders.world(database.primary)
    for patient_id in (UNKNOWN, other.patient_id, "", "nonsense", world.clinic_id):
        assert await patients.update(world.staff, patient_id, 1, {"name": "X"}, key()) == NotFound()
    with pytest.raises(AccessDenied, match="UNAUTHENTICATED"):
        await patients.update(ANONYMOUS, world.patient_id, 1, {}, key())


async def test_staff_see_whom_their_clinics_registered_or_had(database: Database, world: World) -> None:
    reader = database.primary
    other = await builders.world(reader)
    moment = builders.wall(date(2026, 1, 5), 600)
    visitor = await builders.patient(reader, [other.clinic])
    cancelled = await builders.patient(reader, [other.clinic])
    await builders.appointment(reader, world, moment, patient_key=visitor)
    await builders.appointment(reader, world, moment, status="cancelled", patient_key=cancelled)
    every = [world.patient, visitor, cancelled, other.patient, 999_999_999]

    async def seen(viewer: Viewer) -> set[int]:
        return set(await stored.patients(reader, viewer, every))

    assert await seen(world.staff) == {world.patient, visitor, cancelled}
    assert await seen(staff()) == set()
    assert await seen(admin()) == {world.patient, visitor, cancelled, other.patient}
    assert await seen(patient_viewer(visitor)) == {visitor}
    assert await seen(ANONYMOUS) == set()


async def test_search_finds_by_name_birth_date_phone_and_email(database: Database, world: World) -> None:
    reader = database.primary
    mary = await builders.patient(
        reader, [world.clinic], "Mary Ann Smith-Jones", date(1971, 2, 3), "Mary@Example.org", "+12127365004"
    )
    john = await builders.patient(reader, [world.clinic], "John 100% Marsh_", date(1971, 2, 3))

    async def found(text: str, viewer: Viewer | None = None) -> list[int]:
        page = await stored.search(database.primary, viewer or world.staff, text, ("", 0), 10)
        return [patient.key for _, patient in page]

    for text in (
        "mary",
        "MARY ann",
        "ann s",
        "smith",
        "Jones",
        "smith-j",
        "mary@example.ORG",
        "+1 212 736 5004",
        "(212) 736-5004",
    ):
        assert await found(text) == [mary], text
    assert await found("1971-02-03") == [john, mary]
    assert await found("mar") == [john, mary]
    for text in ("ary", "1971-02-04", "%", "_", "mary@example.or", "212 736 5005", "1971-02-31"):
        assert await found(text) == [], text
    assert await found("mary", staff()) == []
    assert mary in await found("mary ann smith", admin())


async def test_pages_of_a_search_follow_one_another(database: Database, world: World) -> None:
    made = [await builders.patient(database.primary, [world.clinic], f"Paged {at // 2}") for at in range(7)]
    after, found = ("", 0), []
    while page := await stored.search(database.primary, world.staff, "paged", after, 3):
        found += [patient.key for _, patient in page]
        sort_name, last = page[-1]
        after = (sort_name, last.key)
    assert found == made


async def test_a_search_that_can_not_be_made_is_refused(database: Database, world: World) -> None:
    for text in ("", "  ", "a\x00", "x" * 10_000):
        with pytest.raises(BadInput) as raised:
            await stored.search(database.primary, world.staff, text, ("", 0), 10)
        assert raised.value.field == "search"
