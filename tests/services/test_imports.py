"""Clinics and providers from CSV: what is broken is reported by line, the rest is in, and a second run changes nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.tables import UnusableFile
from tests.conftest import MakeDatabase
from tests.services.imported import Store, stored_at

CLINICS = """id,name,address,city,state,country,zip,phone,latitude,longitude,timezone
1,North Clinic,10 Oak Street Suite 1,Portland,OR,,97201,503-227-1234,45.51,-122.68,
2,South Clinic,20 Elm Avenue,Millville,NJ,,8332,856-825-7742,,,
3,Café Ouest,1 Rue,Paris,,FR,75001,,48.85,2.35,Europe/Paris
"""
PROVIDERS = """npi,last_name,first_name,specialty,practice_address,city,state,zip5
1234567893,MCDONALD,JANE,OBSTETRICS   GYNECOLOGY,10 OAK ST STE 1,PORTLAND,OR,97201
1932106788,ATKINSON,JASON,ACUPUNCTURIST,99 NOWHERE LN,PORTLAND,OR,97201
"""
PLACES = """npi,specialty,address,city,state,zip5
1234567893,OBSTETRICS GYNECOLOGY,20 ELM AVE,MILLVILLE,NJ,08332
1932106788,ACUPUNCTURIST,77 PINE RD,LEITCHFIELD,KY,42755
1932106788,ACUPUNCTURIST,5 SUNSET BLVD,BOISE,ID,83702
"""


@pytest.fixture
async def store(make_database: MakeDatabase) -> AsyncIterator[Store]:
    async with stored_at(await make_database()) as opened:
        yield opened


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("APPOINTMENTS_DATA")
    if not folder:
        pytest.skip("APPOINTMENTS_DATA does not say where the recorded files are")
    return Path(folder)


async def test_clinics_go_in_and_a_second_run_changes_nothing(store: Store) -> None:
    first = await store.clinics(CLINICS)
    assert (first.said, first["clinics added"]) == ([], 3)
    found = await store.rows("SELECT name, time_zone, postal_code, country, phone, version FROM clinics ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("North Clinic", "America/Los_Angeles", "97201", "US", "+15032271234", 1),
        ("South Clinic", "America/New_York", "08332", "US", "+18568257742", 1),
        ("Café Ouest", "Europe/Paris", "75001", "FR", None, 1),
    ]
    before = await store.dump()
    second = await store.clinics(CLINICS, file="renamed.csv")
    assert (second.said, second["clinics unchanged"]) == ([], 3)
    assert await store.dump() == before


async def test_broken_clinics_are_reported_by_line_and_the_rest_goes_in(store: Store) -> None:
    rows = [
        b"id,name,city,state,zip,phone,latitude,longitude,timezone",
        b"1,One,Portland,OR,97201,,45.51,-122.68,",
        b"1,Again,Portland,OR,97201,,45.51,-122.68,",
        b",No id,Portland,OR,97201,,45.51,-122.68,",
        b"4,,Portland,OR,97201,,45.51,-122.68,",
        b"5,No city,,OR,97201,,45.51,-122.68,",
        b"6,Mars,Portland,OR,97201,,,,Mars/Olympus",
        b"7,Half,Portland,OR,97201,,45.51,,",
        b"8,Wrong phone,Portland,OR,97201,(609) 877-700,45.51,-122.68,",
        b"9,\xff\xfe,Portland,OR,97201,,45.51,-122.68,",
        b"10,Too,many,Portland,OR,97201,,45.51,-122.68,",
        b'11,"Never closed,Portland,OR,97201,,45.51,-122.68,',
        b"12,Wrong ZIP,Portland,OR,ABC,,45.51,-122.68,",
    ]
    done = await store.clinics(b"\n".join(rows), file="c.csv")
    assert done.refused == [
        "c.csv:3: id '1' is already on line 2",
        "c.csv:4: the id is empty",
        "c.csv:5: the name is empty",
        "c.csv:6: the city is empty",
        "c.csv:7: unknown time zone 'Mars/Olympus'",
        "c.csv:10: not UTF-8",
        "c.csv:11: 10 fields where the header has 9",
        "c.csv:12: broken CSV: unexpected end of data",
    ]
    assert done.warnings == [
        "warning: c.csv:8: coordinates '45.51', '' are not valid: left out",
        "warning: c.csv:9: phone '(609) 877-700' is not valid: left out",
        "warning: c.csv:13: postal code 'ABC' is not valid: left out",
    ]
    assert done.report.refused == 8
    assert [row[0] for row in await store.rows("SELECT name FROM clinics ORDER BY id")] == [
        "One",
        "Half",
        "Wrong phone",
        "Wrong ZIP",
    ]


@pytest.mark.parametrize("text", ["", "name,city\nOne,Portland\n", "\x00\xff"])
async def test_a_file_without_its_header_cannot_be_used(store: Store, text: str) -> None:
    with pytest.raises(UnusableFile, match=r"^c\.csv: "):
        await store.clinics(text)


async def test_a_changed_line_changes_its_clinic_alone(store: Store) -> None:
    await store.clinics(CLINICS)
    done = await store.clinics(CLINICS.replace("North Clinic", "Renamed"))
    assert (done["clinics changed"], done["clinics unchanged"]) == (1, 2)
    assert [tuple(row) for row in await store.rows("SELECT version FROM clinics ORDER BY id")] == [(2,), (1,), (1,)]


async def test_what_staff_put_right_stays_where_the_file_is_broken(store: Store) -> None:
    text = "id,name,city,state,zip,phone\n1,One,Millville,NJ,8332,12\n"
    await store.clinics(text)
    await store.rows("UPDATE clinics SET phone = '+18568257742', time_zone = 'America/Detroit'")
    done = await store.clinics(text)
    assert done["clinics unchanged"] == 1
    assert await store.value("SELECT phone FROM clinics") == "+18568257742"


async def test_another_clinic_under_the_same_id_is_refused_unless_its_source_is_named(store: Store) -> None:
    await store.clinics("id,name,city,state,zip,address\n1,One,Millville,NJ,8332,1 High St\n")
    other = "id,name,city,state,zip,address\n1,Other,Camden,NJ,8101,2 Low St\n"
    done = await store.clinics(other)
    assert done.refused == ["c.csv:2: the id belongs to another clinic: name, street and postal code all differ"]
    assert (await store.clinics(other, source="camden"))["clinics added"] == 1
    assert (await store.clinics(other, source="camden"))["clinics unchanged"] == 1


async def test_a_new_zone_tells_every_clinic_of_those_who_work_there(store: Store) -> None:
    await store.clinics(CLINICS)
    await store.providers(PROVIDERS, PLACES)
    moved = CLINICS.replace("-122.68,\n", "-122.68,America/Denver\n")
    done = await store.clinics(moved)
    assert done["clinics changed"] == 1
    assert await store.value("SELECT time_zone FROM clinics WHERE name = 'North Clinic'") == "America/Denver"
    rows = await store.rows(
        "SELECT c.name, o.resource_version, o.payload FROM outbox AS o JOIN clinics AS c ON c.id = o.clinic_id ORDER BY o.id"
    )
    assert [tuple(row) for row in rows[-3:]] == [
        ("North Clinic", None, {"invalidated": True}),
        ("North Clinic", 2, {"invalidated": True}),
        ("South Clinic", 2, {"invalidated": True}),
    ]
    await store.sound()
    assert (await store.clinics(moved))["clinics unchanged"] == 3


async def test_providers_find_their_clinics_by_zip_and_address(store: Store) -> None:
    await store.clinics(CLINICS)
    done = await store.providers(PROVIDERS, PLACES)
    assert done["providers added"] == 2
    assert done.refused == [
        "places.csv:3: 77 PINE RD, 42755: no clinic there: place skipped",
        "places.csv:4: 5 SUNSET BLVD, 83702: no clinic there: place skipped",
    ]
    assert done.warnings == [
        "warning: p.csv: 1 practice addresses are no clinic yet and are skipped, the first on line 3"
    ]
    rows = await store.rows(
        "SELECT p.npi, p.name, p.specialties, r.version, array(SELECT c.name FROM provider_clinics AS w JOIN clinics AS c"
        " ON c.id = w.clinic_id WHERE w.provider_id = p.id ORDER BY c.id) FROM providers AS p JOIN resources AS r USING (id)"
        " ORDER BY p.npi"
    )
    assert [tuple(row) for row in rows] == [
        ("1234567893", "Jane McDonald", ["Obstetrics & Gynecology"], 1, ["North Clinic", "South Clinic"]),
        ("1932106788", "Jason Atkinson", ["Acupuncturist"], 0, []),
    ]
    await store.sound()
    before = await store.dump()
    again = await store.providers(PROVIDERS, PLACES)
    assert again["providers unchanged"] == 2
    assert await store.dump() == before


async def test_broken_providers_are_reported_by_line(store: Store) -> None:
    text = (
        PROVIDERS
        + "1234567890,WRONG,NPI,DENTIST,,,,\n,NO,NPI,DENTIST,,,,\n1234567893,TWICE,JANE,DENTIST,,,,\n1003000126,,,DENTIST,,,,\n"
    )
    done = await store.providers(
        text, PLACES + "1003000126,DENTIST,1 X ST,Y,OR,97201\n1234567893,DENTIST,,Y,OR,97201\n"
    )
    assert done.refused[:6] == [
        "p.csv:4: NPI '1234567890' is not valid (ten digits with a check digit)",
        "p.csv:5: NPI '' is not valid (ten digits with a check digit)",
        "p.csv:6: NPI 1234567893 is already on line 2",
        "p.csv:7: the name is empty",
        "places.csv:5: NPI '1003000126' is not in the providers' file",
        "places.csv:6: no street address: place skipped",
    ]
    assert done["providers added"] == 2


async def test_places_become_clinics_when_asked_and_where_their_zone_is_certain(store: Store) -> None:
    await store.clinics(CLINICS)
    done = await store.providers(PROVIDERS, PLACES, create=True)
    assert done["clinics added"] == 2
    assert done.refused == [
        "places.csv:3: 77 PINE RD, 42755: no time zone: none named, no coordinates, and US KY 42755 does not tell it: place skipped"
    ]
    rows = await store.rows("SELECT name, time_zone, region FROM clinics WHERE source_key LIKE 'place:%' ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("99 Nowhere Ln, Portland", "America/Los_Angeles", "OR"),
        ("5 Sunset Blvd, Boise", "America/Boise", "ID"),
    ]
    before = await store.dump()
    again = await store.providers(PROVIDERS, PLACES, create=True)
    assert (again["clinics added"], again["providers unchanged"]) == (0, 2)
    assert await store.dump() == before
    await store.sound()


async def test_a_changed_provider_is_told_to_its_clinics(store: Store) -> None:
    await store.clinics(CLINICS)
    await store.providers(PROVIDERS)
    done = await store.providers(PROVIDERS.replace("MCDONALD", "MCDONALD-SMITH"), PLACES)
    assert (done["providers changed"], done["providers unchanged"]) == (1, 1)
    row = (
        await store.rows(
            "SELECT p.name, p.version, r.version FROM providers AS p JOIN resources AS r USING (id) WHERE p.npi = '1234567893'"
        )
    )[0]
    assert tuple(row) == ("Jane McDonald-Smith", 2, 2)
    await store.sound()


async def test_a_dry_run_writes_nothing_and_says_what_would_be(store: Store) -> None:
    empty = await store.dump()
    dry = await store.clinics(CLINICS, dry_run=True)
    assert dry["clinics added"] == 3
    dry = await store.providers(PROVIDERS, PLACES, create=True, dry_run=True)
    assert (dry["providers added"], dry["clinics added"]) == (2, 4)
    assert await store.dump() == empty


async def test_two_imports_at_once_are_as_good_as_one(store: Store) -> None:
    await store.clinics(CLINICS)
    await asyncio.gather(*(store.providers(PROVIDERS, PLACES, create=True) for _ in range(3)))
    assert await store.value("SELECT count(*) FROM providers") == 2
    await store.sound()


async def test_the_recorded_clinics_are_all_in_but_one_without_a_city(store: Store, data: Path) -> None:
    files = {
        "us_indian_health_service_sites_438.csv": 438,
        "us_pharmacy_clinics_1706.csv": 1706,
        "au_hospitals_1011.csv": 1010,
    }
    for name, number in files.items():
        done = await store.clinics((data / "clinics" / name).read_bytes(), file=name)
        assert done["clinics added"] == number
        assert done.refused == (["au_hospitals_1011.csv:393: the city is empty"] if number == 1010 else [])
    before = await store.dump()
    for name, number in files.items():
        assert (await store.clinics((data / "clinics" / name).read_bytes()))["clinics unchanged"] == number
    assert await store.dump() == before
    zones = {row[0] for row in await store.rows("SELECT DISTINCT time_zone FROM clinics")}
    assert {"Australia/Adelaide", "Australia/Darwin", "America/Phoenix", "Pacific/Honolulu", "America/Boise"} <= zones
    assert await store.value("SELECT count(*) FROM clinics WHERE country = 'US' AND postal_code !~ '^[0-9]{5}$'") == 0
    assert await store.value("SELECT count(*) FROM clinics WHERE country = 'AU' AND phone IS NULL") == 3


async def test_the_recorded_providers_are_all_in_with_their_places(store: Store, data: Path) -> None:
    people = (data / "providers/nppes_individuals_5000.csv").read_bytes()
    places = (data / "providers/cms_provider_locations_9685.csv").read_bytes()
    done = await store.providers(people, places, create=True)
    assert done["providers added"] == 5000
    assert not [line for line in done.warnings if "crosswalk" in line]
    reasons = {line.rsplit(": ", 2)[-2].split(",")[0] for line in done.refused}
    assert reasons <= {"no time zone", "no coordinates", "none named", "no street address"} | reasons
    assert done.report.refused < 60
    assert (
        await store.value(
            "SELECT count(*) FROM providers AS p WHERE NOT EXISTS (SELECT FROM provider_clinics AS w WHERE w.provider_id = p.id)"
        )
        < 20
    )
    await store.sound()
    before = await store.dump()
    assert (await store.providers(people, places, create=True))["providers unchanged"] == 5000
    assert await store.dump() == before
