"""Clinics, providers and visit types as admins save them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from adapters.postgres import calendars, clinics
from adapters.postgres.database import Database
from domain import countries, ids
from domain.access import ANONYMOUS, AccessDenied
from domain.catalog import ClinicDraft, ProviderDraft, VisitTypeDraft
from domain.clinics import Address, GeoPoint, Modality, ProviderKind
from domain.outcomes import (
    ClinicSaved,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    ProviderSaved,
    StaleVersion,
    VisitTypeSaved,
)
from services.catalog import Catalog
from tests import builders
from tests.builders import World, admin, key, patient_viewer

ADDRESS = Address(["2 Oak Lane", "Floor 3"], "Oakton", "VA", "22124", "US")
CLINIC = ClinicDraft("Oak Lane Clinic", "America/New_York", ADDRESS, GeoPoint(38.88, -77.3), "+12127365000")
PROVIDER = ProviderDraft("Dr Yew", None, ["Dermatology"], ["en-US"], [], [])
VISIT_TYPE = VisitTypeDraft("Follow-up", 20)
INVALIDATED = {"invalidated": True}
NPI = "1234567893"


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with builders.opened(database_url) as database:
        yield database


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database)


@pytest.fixture
async def world(database: Database) -> World:
    return await builders.world(database.primary)


async def version_of(database: Database, provider_key: int) -> int:
    found: int = await database.primary.fetchval("SELECT version FROM resources WHERE id = $1", provider_key)
    return found


async def newest(database: Database) -> int:
    found: int = await database.primary.fetchval("SELECT coalesce(max(id), 0) FROM outbox")
    return found


async def told_after(database: Database, outbox_id: int) -> list[tuple[int | None, int | None, int | None]]:
    found = await builders.rows(database.primary, "SELECT * FROM outbox WHERE id > $1 ORDER BY id", outbox_id)
    assert all(row["payload"] == INVALIDATED and row["topic"] == "availability" for row in found)
    return sorted((row["clinic_id"], row["resource_id"] or 0, row["resource_version"] or 0) for row in found)


async def drafted(database: Database, key: int) -> ClinicDraft:
    """The clinic as it is, to be saved with a difference."""
    one = (await clinics.clinics(database.primary, [key]))[key]
    return ClinicDraft(one.name, one.time_zone, one.address, one.location, one.phone, one.active)


# ---------------------------------------------------------------- clinics


async def test_a_clinic_is_created_and_replaced_as_a_whole(database: Database, catalog: Catalog) -> None:
    created = await catalog.save_clinic(admin(), None, None, CLINIC, key())
    assert isinstance(created, ClinicSaved)
    clinic = created.clinic
    assert (clinic.version, clinic.name, clinic.time_zone, clinic.active) == (1, CLINIC.name, CLINIC.time_zone, True)
    assert (clinic.address, clinic.location, clinic.phone) == (ADDRESS, CLINIC.location, CLINIC.phone)
    bare = ClinicDraft("Bare", "Asia/Kathmandu", Address([], "Patan", None, None, "NP"), active=False)
    replaced = await catalog.save_clinic(admin(), clinic.id, 1, bare, key())
    assert isinstance(replaced, ClinicSaved)
    assert replaced.clinic == replace(clinic, version=2, name="Bare", time_zone="Asia/Kathmandu", active=False,
        address=bare.address, location=None, phone=None)  # fmt: skip
    assert (await clinics.clinics(database.primary, [clinic.key]))[clinic.key] == replaced.clinic
    audited = await builders.rows(
        database.primary, "SELECT * FROM audit WHERE entity = $1 ORDER BY id", f"clinic:{clinic.key}"
    )
    assert [(row["operation"], row["role"]) for row in audited] == [("saveClinic", "admin")] * 2


@pytest.mark.parametrize(
    ("field", "draft"),
    [
        ("name", replace(CLINIC, name=" ")),
        ("name", replace(CLINIC, name="x" * 201)),
        ("name", replace(CLINIC, name="Oak\x00")),
        ("timeZone", replace(CLINIC, time_zone="Mars/Olympus")),
        ("timeZone", replace(CLINIC, time_zone="")),
        ("timeZone", replace(CLINIC, time_zone="../../etc/passwd")),
        ("timeZone", replace(CLINIC, time_zone="America/New_York\x00")),
        ("address.lines", replace(CLINIC, address=replace(ADDRESS, lines=["a"] * 6))),
        ("address.lines.1", replace(CLINIC, address=replace(ADDRESS, lines=["a", ""]))),
        ("address.lines.0", replace(CLINIC, address=replace(ADDRESS, lines=["a" * 201]))),
        ("address.city", replace(CLINIC, address=replace(ADDRESS, city=""))),
        ("address.region", replace(CLINIC, address=replace(ADDRESS, region="r" * 101))),
        ("address.postalCode", replace(CLINIC, address=replace(ADDRESS, postal_code="1" * 21))),
        ("address.country", replace(CLINIC, address=replace(ADDRESS, country="us"))),
        ("address.country", replace(CLINIC, address=replace(ADDRESS, country="ZZ"))),
        ("address.country", replace(CLINIC, address=replace(ADDRESS, country="USA"))),
        ("location.latitude", replace(CLINIC, location=GeoPoint(90.1, 0))),
        ("location.latitude", replace(CLINIC, location=GeoPoint(float("nan"), 0))),
        ("location.longitude", replace(CLINIC, location=GeoPoint(0, -180.5))),
        ("location.longitude", replace(CLINIC, location=GeoPoint(0, float("inf")))),
        ("phone", replace(CLINIC, phone="12")),
    ],
)
async def test_a_broken_clinic_is_not_saved(
    database: Database, catalog: Catalog, field: str, draft: ClinicDraft
) -> None:
    before = await database.primary.fetchval("SELECT count(*) FROM clinics")
    answer = await catalog.save_clinic(admin(), None, None, draft, key())
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert await database.primary.fetchval("SELECT count(*) FROM clinics") == before


async def test_a_change_of_zone_or_of_active_touches_every_provider_there(
    database: Database, catalog: Catalog, world: World
) -> None:
    second = await builders.clinic(database.primary)
    both = await builders.provider(database.primary, [world.clinic, second], [world.visit_type])
    draft, mark = await drafted(database, world.clinic), await newest(database)
    await catalog.save_clinic(admin(), world.clinic_id, 1, replace(draft, name="Renamed"), key())
    assert await told_after(database, mark) == [(world.clinic, 0, 0)]
    mark = await newest(database)
    assert (await version_of(database, world.provider), await version_of(database, both)) == (0, 0)
    await catalog.save_clinic(admin(), world.clinic_id, 2, replace(draft, time_zone="America/Denver"), key())
    once = [(world.clinic, 0, 0), (world.clinic, world.provider, 1), (world.clinic, both, 1), (second, both, 1)]
    assert await told_after(database, mark) == sorted(once)
    moved = replace(draft, time_zone="America/Denver", active=False)
    await catalog.save_clinic(admin(), world.clinic_id, 3, moved, key())
    assert (await version_of(database, world.provider), await version_of(database, both)) == (2, 2)
    triple = (world.provider, world.clinic, world.visit_type)
    offering = (await calendars.offerings(database.primary, [triple]))[triple]
    assert (str(offering.zone), offering.open) == ("America/Denver", False)


async def test_clinics_and_providers_saved_at_once_do_not_wait_in_a_circle(
    database: Database, catalog: Catalog, world: World
) -> None:
    """Each change of zone finds exactly the providers that are there when it is made."""
    draft = await drafted(database, world.clinic)
    there = replace(PROVIDER, clinic_ids=[world.clinic_id], visit_type_ids=[world.visit_type_id])

    async def zone(version: int) -> Any:
        name = "America/Denver" if version % 2 else "America/New_York"
        return await catalog.save_clinic(admin(), world.clinic_id, version, replace(draft, time_zone=name), key())

    for version in range(1, 6):
        answers = await asyncio.gather(
            zone(version), *(catalog.save_provider(admin(), None, None, there, key()) for _ in range(3))
        )
        assert isinstance(answers[0], ClinicSaved)
        assert all(isinstance(one, ProviderSaved) for one in answers[1:])
    gaps = await builders.rows(
        database.primary,
        "SELECT r.id FROM resources AS r JOIN provider_clinics AS w ON w.provider_id = r.id WHERE w.clinic_id = $1"
        " AND r.version <> (SELECT count(*) FROM outbox AS o WHERE o.resource_id = r.id)",
        world.clinic,
    )
    assert gaps == []


# ---------------------------------------------------------------- providers


async def test_a_provider_is_created_and_replaced_as_a_whole(
    database: Database, catalog: Catalog, world: World
) -> None:
    mark = await newest(database)
    draft = ProviderDraft(
        " Dr  Yew ", NPI, ["Dermatology", "Podiatrist", "Dermatology"], ["EN-us", "zh-hant", "de"],
        [world.clinic_id, world.clinic_id], [world.visit_type_id], accepting_new_patients=False,
    )  # fmt: skip
    created = await catalog.save_provider(admin(), None, None, draft, key())
    assert isinstance(created, ProviderSaved)
    provider = created.provider
    assert (provider.version, provider.kind, provider.name, provider.npi) == (1, ProviderKind.PERSON, "Dr Yew", NPI)
    assert (provider.specialties, provider.languages) == (["Dermatology", "Podiatrist"], ["en-US", "zh-Hant", "de"])
    assert (provider.clinic_keys, provider.visit_type_keys) == ((world.clinic,), (world.visit_type,))
    assert (provider.active, provider.accepting_new_patients) == (True, False)
    assert await told_after(database, mark) == [(world.clinic, provider.key, 1)]
    second, mark = await builders.clinic(database.primary), await newest(database)
    moved = replace(draft, npi=None, languages=[], clinic_ids=[ids.node(ids.CLINIC, second)], visit_type_ids=[])
    replaced = await catalog.save_provider(admin(), provider.id, 1, moved, key())
    assert isinstance(replaced, ProviderSaved)
    assert (replaced.provider.version, replaced.provider.npi, replaced.provider.languages) == (2, None, [])
    assert (replaced.provider.clinic_keys, replaced.provider.visit_type_keys) == ((second,), ())
    assert await told_after(database, mark) == [(world.clinic, provider.key, 2), (second, provider.key, 2)]


@pytest.mark.parametrize(
    ("field", "draft"),
    [
        ("name", replace(PROVIDER, name="")),
        ("name", replace(PROVIDER, name="x" * 201)),
        ("npi", replace(PROVIDER, npi="1234567890")),
        ("npi", replace(PROVIDER, npi="123")),
        ("npi", replace(PROVIDER, npi="")),
        ("npi", replace(PROVIDER, npi="١٢٣٤٥٦٧٨٩٣")),
        ("specialties", replace(PROVIDER, specialties=["a"] * 21)),
        ("specialties.1", replace(PROVIDER, specialties=["a", " "])),
        ("specialties.0", replace(PROVIDER, specialties=["a" * 101])),
        ("languages", replace(PROVIDER, languages=["en"] * 21)),
        ("languages.0", replace(PROVIDER, languages=["english language"])),
        ("languages.1", replace(PROVIDER, languages=["en", "e"])),
        ("languages.0", replace(PROVIDER, languages=["en_US"])),
        ("languages.0", replace(PROVIDER, languages=["a-" * 5000])),
        ("clinicIds", replace(PROVIDER, clinic_ids=["x"] * 501)),
    ],
)
async def test_a_broken_provider_is_not_saved(
    database: Database, catalog: Catalog, field: str, draft: ProviderDraft
) -> None:
    before = await database.primary.fetchval("SELECT count(*) FROM resources")
    answer = await catalog.save_provider(admin(), None, None, draft, key())
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert await database.primary.fetchval("SELECT count(*) FROM resources") == before


@pytest.mark.parametrize(
    ("field", "draft"),
    [
        ("clinicIds.0", replace(PROVIDER, clinic_ids=["nonsense"])),
        ("clinicIds.0", replace(PROVIDER, clinic_ids=[ids.node(ids.CLINIC, 999_999)])),
        ("visitTypeIds.0", replace(PROVIDER, visit_type_ids=[ids.node(ids.VISIT_TYPE, 999_999)])),
        ("visitTypeIds.0", replace(PROVIDER, visit_type_ids=[ids.node(ids.CLINIC, 1)])),
    ],
)
async def test_a_provider_of_unknown_clinics_or_visits_is_not_saved(
    database: Database, catalog: Catalog, field: str, draft: ProviderDraft
) -> None:
    before = await database.primary.fetchval("SELECT count(*) FROM resources")
    answer = await catalog.save_provider(admin(), None, None, draft, key())
    assert isinstance(answer, NotFound)
    assert field in answer.message
    assert await database.primary.fetchval("SELECT count(*) FROM resources") == before


async def test_an_npi_belongs_to_one_provider(database: Database, catalog: Catalog, world: World) -> None:
    await database.primary.execute("UPDATE providers SET npi = NULL")
    draft = replace(PROVIDER, npi=NPI)
    answers = await asyncio.gather(*(catalog.save_provider(admin(), None, None, draft, key()) for _ in range(5)))
    assert sorted(type(one).__name__ for one in answers) == ["InvalidInput"] * 4 + ["ProviderSaved"]
    assert {one.field for one in answers if isinstance(one, InvalidInput)} == {"npi"}
    taken = await catalog.save_provider(admin(), world.provider_id, 1, draft, key())
    assert isinstance(taken, InvalidInput)
    assert taken.field == "npi"
    assert await version_of(database, world.provider) == 0
    owner = next(one.provider for one in answers if isinstance(one, ProviderSaved))
    assert isinstance(await catalog.save_provider(admin(), owner.id, 1, draft, key()), ProviderSaved)


async def test_who_leaves_a_clinic_offers_nothing_there_and_keeps_hours_and_appointments(
    database: Database, catalog: Catalog, world: World
) -> None:
    reader = database.primary
    moment = await reader.fetchval("SELECT date_trunc('hour', app_now()) + interval '3 days'")
    booked = await builders.appointment(reader, world, moment)
    gone = replace(PROVIDER, visit_type_ids=[world.visit_type_id])
    assert isinstance(await catalog.save_provider(admin(), world.provider_id, 1, gone, key()), ProviderSaved)
    triple = (world.provider, world.clinic, world.visit_type)
    assert await calendars.offerings(reader, [triple]) == {}
    assert await reader.fetchval("SELECT status FROM appointments WHERE id = $1", booked) == "booked"
    back = replace(gone, clinic_ids=[world.clinic_id])
    assert isinstance(await catalog.save_provider(admin(), world.provider_id, 2, back, key()), ProviderSaved)
    assert (await calendars.offerings(reader, [triple]))[triple].schedule_version == 1


async def test_a_pool_stays_a_pool(database: Database, catalog: Catalog, world: World) -> None:
    pool = await builders.provider(database.primary, [world.clinic], [], kind="pool")
    draft = replace(PROVIDER, clinic_ids=[world.clinic_id])
    answer = await catalog.save_provider(admin(), ids.node(ids.PROVIDER, pool), 1, draft, key())
    assert isinstance(answer, ProviderSaved)
    assert answer.provider.kind is ProviderKind.POOL


# ---------------------------------------------------------------- visit types


async def test_a_visit_type_is_created_and_replaced_as_a_whole(database: Database, catalog: Catalog) -> None:
    created = await catalog.save_visit_type(admin(), None, None, VISIT_TYPE, key())
    assert isinstance(created, VisitTypeSaved)
    kind = created.visit_type
    assert (kind.version, kind.name, kind.duration_minutes, kind.start_every_minutes) == (1, "Follow-up", 20, 20)
    assert (kind.buffer_before_minutes, kind.buffer_after_minutes, kind.minimum_notice_minutes) == (0, 0, 60)
    assert (kind.bookable_days_ahead, kind.cancel_until_minutes) == (90, 1440)
    assert (kind.modality, kind.active) == (Modality.IN_PERSON, True)
    wide = VisitTypeDraft("Wide", 720, 240, 240, 5, 525_600, 730, 525_600, Modality.VIDEO, False)
    replaced = await catalog.save_visit_type(admin(), kind.id, 1, wide, key())
    assert isinstance(replaced, VisitTypeSaved)
    assert (replaced.visit_type.version, replaced.visit_type.modality, replaced.visit_type.active) == (
        2, Modality.VIDEO, False,
    )  # fmt: skip
    assert replaced.visit_type.start_every_minutes == 5
    assert (await clinics.visit_types(database.primary, [kind.key]))[kind.key] == replaced.visit_type
    assert kind.key not in [one.key for one in await clinics.active_visit_types(database.primary)]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": ""}),
        ("durationMinutes", {"duration_minutes": 7}),
        ("durationMinutes", {"duration_minutes": 0}),
        ("durationMinutes", {"duration_minutes": -5}),
        ("durationMinutes", {"duration_minutes": 725}),
        ("bufferBeforeMinutes", {"buffer_before_minutes": -5}),
        ("bufferBeforeMinutes", {"buffer_before_minutes": 245}),
        ("bufferAfterMinutes", {"buffer_after_minutes": 3}),
        ("startEveryMinutes", {"start_every_minutes": 0}),
        ("startEveryMinutes", {"start_every_minutes": 12}),
        ("startEveryMinutes", {"start_every_minutes": 725}),
        ("minimumNoticeMinutes", {"minimum_notice_minutes": -1}),
        ("minimumNoticeMinutes", {"minimum_notice_minutes": 525_601}),
        ("bookableDaysAhead", {"bookable_days_ahead": 731}),
        ("bookableDaysAhead", {"bookable_days_ahead": -1}),
        ("cancelUntilMinutes", {"cancel_until_minutes": -1}),
        ("cancelUntilMinutes", {"cancel_until_minutes": 2_147_483_647}),
    ],
)
async def test_a_broken_visit_type_is_not_saved(
    database: Database, catalog: Catalog, field: str, given: dict[str, Any]
) -> None:
    before = await database.primary.fetchval("SELECT count(*) FROM visit_types")
    answer = await catalog.save_visit_type(admin(), None, None, replace(VISIT_TYPE, **given), key())
    assert isinstance(answer, InvalidInput)
    assert answer.field == field
    assert await database.primary.fetchval("SELECT count(*) FROM visit_types") == before


async def test_a_visit_type_touches_no_calendar_and_tells_the_clinics_that_offer_it(
    database: Database, catalog: Catalog, world: World
) -> None:
    second = await builders.clinic(database.primary)
    await builders.provider(database.primary, [world.clinic, second], [world.visit_type])
    mark = await newest(database)
    answer = await catalog.save_visit_type(admin(), world.visit_type_id, 1, VISIT_TYPE, key())
    assert isinstance(answer, VisitTypeSaved)
    assert await told_after(database, mark) == [(world.clinic, 0, 0), (second, 0, 0)]
    assert await version_of(database, world.provider) == 0
    triple = (world.provider, world.clinic, world.visit_type)
    offering = (await calendars.offerings(database.primary, [triple]))[triple]
    assert offering.visit_type.duration_minutes == 20


async def test_the_visit_type_of_published_openings_has_no_duration_to_set(
    database: Database, catalog: Catalog
) -> None:
    kind = await builders.visit_type(database.primary, duration=None)
    answer = await catalog.save_visit_type(admin(), ids.node(ids.VISIT_TYPE, kind), 1, VISIT_TYPE, key())
    assert isinstance(answer, InvalidInput)
    assert answer.field == "durationMinutes"


# ---------------------------------------------------------------- all three


@pytest.mark.parametrize("what", ["clinic", "provider", "visit_type"])
async def test_saves_are_replayed_versioned_and_for_admins(
    database: Database, catalog: Catalog, world: World, what: str
) -> None:
    save = getattr(catalog, f"save_{what}")
    draft: Any = {"clinic": CLINIC, "provider": PROVIDER, "visit_type": VISIT_TYPE}[what]
    again = key()
    first = await save(admin(), None, None, draft, again)
    saved = getattr(first, what)
    count = await database.primary.fetchval("SELECT count(*) FROM audit")
    assert await save(admin(), None, None, draft, again) == first
    assert await database.primary.fetchval("SELECT count(*) FROM audit") == count
    assert isinstance(await save(admin(), None, None, replace(draft, name="Other"), again), IdempotencyMismatch)
    assert isinstance(await save(admin(), saved.id, 1, draft, again), IdempotencyMismatch)
    assert isinstance(await save(admin(), "nonsense", 1, replace(draft, name=""), again), IdempotencyMismatch)
    second = await save(admin(), saved.id, 1, replace(draft, name="Second"), key())
    assert getattr(second, what).version == 2
    assert await save(admin(), None, None, draft, again) == second
    assert await save(admin(), saved.id, 1, replace(draft, name=""), key()) == StaleVersion(2)
    missing = await save(admin(), saved.id, None, draft, key())
    assert isinstance(missing, InvalidInput)
    assert missing.field == "version"
    for unknown in (world.patient_id, "", "nonsense", ids.node(ids.HOLD, saved.key), saved.id[:-1]):
        assert await save(admin(), unknown, 2, draft, key()) == NotFound()
    for viewer, code in (
        (ANONYMOUS, "UNAUTHENTICATED"), (world.staff, "FORBIDDEN"), (patient_viewer(world.patient), "FORBIDDEN"),
    ):  # fmt: skip
        with pytest.raises(AccessDenied, match=code):
            await save(viewer, "nonsense", None, draft, key())
    answers = await asyncio.gather(*(save(admin(), saved.id, 2, draft, key()) for _ in range(5)))
    assert sum(one == StaleVersion(3) for one in answers) == 4


def test_countries_are_those_of_the_pinned_zone_data() -> None:
    lines = files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text(encoding="utf-8").splitlines()
    assert {line.split("\t")[0] for line in lines if line and not line.startswith("#")} == countries.CODES
