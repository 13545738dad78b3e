"""Search as clients ask for it: rules 52 to 58, but the page."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from app.embedded import Addresses
from app.serving import running
from app.settings import Settings
from domain import ids, search_order
from domain.clinics import GeoPoint
from tests import builders, indexed
from tests.api.client import Client, read
from tests.api.inside import inside

BOISE = GeoPoint(43.6150, -116.2023)
NAMPA = GeoPoint(43.5407, -116.5635)
SEARCH = """query Q($f: SearchFilter!, $sort: SearchSort! = BEST, $first: Int! = 20, $after: String) {
    search(filter: $f, sort: $sort, first: $first, after: $after) {
        totalCount degraded
        edges { cursor node { distanceKm matched
            provider { id name } clinic { id name } nextSlot { id startsAt localDate status visitType { id name } } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        facets { field values { value count } } } }"""
SUGGEST = """query Q($p: String!, $near: GeoPointInput, $first: Int! = 8) { suggest(prefix: $p, near: $near, first: $first) {
    __typename ... on SpecialtySuggestion { name synonym } ... on Provider { providerName: name }
    ... on Clinic { clinicName: name } } }"""


@dataclass(frozen=True, slots=True)
class Valley:
    """Two clinics half an hour apart, one without a place, one closed, and who works there."""

    pool: asyncpg.Pool
    clinics: dict[str, int]
    kinds: dict[str, int]
    providers: dict[str, int]

    def clinic(self, name: str) -> str:
        return ids.node(ids.CLINIC, self.clinics[name])

    def kind(self, name: str) -> str:
        return ids.node(ids.VISIT_TYPE, self.kinds[name])

    def provider(self, name: str) -> str:
        return ids.node(ids.PROVIDER, self.providers[name])


async def _clinic(pool: asyncpg.Pool, name: str, city: str, at: GeoPoint | None, active: bool = True) -> int:
    found: int = await pool.fetchval(
        """INSERT INTO clinics (name, time_zone, city, region, postal_code, country, latitude, longitude, active)
        VALUES ($1, 'America/Boise', $2, 'ID', '83702', 'US', $3, $4, $5) RETURNING id""",
        name, city, at.latitude if at else None, at.longitude if at else None, active,
    )  # fmt: skip
    return found


@pytest.fixture(scope="module")
async def valley(connections: asyncpg.Pool) -> Valley:
    pool = connections
    clinics = {
        "Boise": await _clinic(pool, "Foothills Clinic", "Boise", BOISE),
        "Nampa": await _clinic(pool, "Canyon Clinic", "Nampa", NAMPA),
        "Lost": await _clinic(pool, "Lost River Clinic", "Mackay", None),
        "Closed": await _clinic(pool, "Closed Clinic", "Boise", BOISE, active=False),
    }
    kinds = {
        "Check-up": await builders.visit_type(pool, "Check-up"),
        "Video": await builders.visit_type(pool, "Video call", 20, notice=2880),
        "Vaccination": await builders.visit_type(pool, "Vaccination", None),
        "Old": await builders.visit_type(pool, "Old way"),
    }
    await pool.execute("UPDATE visit_types SET modality = 'video' WHERE id = $1", kinds["Video"])
    await pool.execute("UPDATE visit_types SET active = false WHERE id = $1", kinds["Old"])
    people = (
        ("Ana Osei", ["Boise", "Nampa"], ["Check-up"], ["Dermatology"], ["en", "pl"]),
        ("Łukasz Żak", ["Boise"], ["Check-up", "Video"], ["Cardiovascular Disease"], ["pl"]),
        ("María Smith", ["Nampa"], ["Check-up", "Video", "Old"], ["Family Medicine", "Dermatology"], ["es", "pt-BR"]),
        ("Boise O'Brien", ["Lost"], ["Check-up"], ["Own Speciality"], []),
        ("Full Up", ["Boise"], ["Check-up"], ["Dermatology"], ["en"]),
        ("Ana Closed", ["Closed"], ["Check-up"], ["Dermatology"], ["en"]),
        ("Ana Gone", ["Boise"], ["Check-up"], ["Dermatology"], ["en"]),
    )
    providers = {}
    for name, places, offered, specialties, languages in people:
        keys = [clinics[place] for place in places]
        key = await builders.provider(pool, keys, [kinds[kind] for kind in offered], name)
        await pool.execute(
            "UPDATE providers SET specialties = $2, languages = $3 WHERE id = $1", key, specialties, languages
        )
        for place in places if name != "Full Up" else ():
            await builders.schedule(pool, key, clinics[place], opens=600 if place == "Nampa" else 540)
        providers[name] = key
    await pool.execute("UPDATE providers SET active = false WHERE id = $1", providers["Ana Gone"])
    await pool.execute("UPDATE providers SET accepting_new_patients = false WHERE id = $1", providers["María Smith"])
    hall = await builders.provider(pool, [clinics["Nampa"]], [kinds["Vaccination"]], "Nampa Town Hall", kind="pool")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await builders.opening(pool, hall, clinics["Nampa"], tomorrow.replace(hour=18, minute=0, second=0, microsecond=0))
    providers["Nampa Town Hall"] = hall
    assert await indexed.fill(pool) == 9
    return Valley(pool, clinics, kinds, providers)


@pytest.fixture(scope="module")
async def finder(settings: Settings, embedded: Addresses, valley: Valley) -> AsyncIterator[Client]:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with (
        running(settings, addresses, working=False) as url,
        httpx2.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Client(http, settings)


async def find(client: Client, token: str | None = None, /, sort: str = "BEST", first: int = 20, **filter: Any) -> Any:
    variables = {"f": filter, "sort": sort, "first": first}
    return (await client.ask(SEARCH, variables, token)).data["search"]


def names(found: Any) -> list[str]:
    return [edge["node"]["provider"]["name"] for edge in found["edges"]]


def places(found: Any) -> list[tuple[str, str]]:
    return [(edge["node"]["provider"]["name"], edge["node"]["clinic"]["name"].split()[0]) for edge in found["edges"]]


def facet(found: Any, field: str) -> dict[str, int]:
    (values,) = [one["values"] for one in found["facets"] if one["field"] == field]
    return {one["value"]: one["count"] for one in values}


async def refused(client: Client, sort: str = "BEST", first: int = 20, after: str | None = None, **filter: Any) -> str:
    """The field that is told to be wrong."""
    answer = await client.ask(SEARCH, {"f": filter, "sort": sort, "first": first, "after": after})
    assert answer.codes == ["BAD_USER_INPUT"]
    return str(answer.body["errors"][0]["extensions"]["field"])


async def test_an_empty_filter_finds_everybody_active(finder: Client) -> None:
    found = await find(finder)
    assert found["totalCount"] == 7
    assert not found["degraded"]
    assert {"Ana Closed", "Ana Gone"}.isdisjoint(names(found))
    for text in ("", "   ", "!!! ?? ---", "\u200b"):
        assert (await find(finder, text=text))["totalCount"] == 7


@pytest.mark.parametrize(
    ("text", "first", "matched"),
    [
        ("osei", "Ana Osei", ["name"]),
        ("Dr. Osei", "Ana Osei", ["name"]),
        ("OSEI ana", "Ana Osei", ["name"]),
        ("ose", "Ana Osei", ["name"]),
        ("osie", "Ana Osei", ["name"]),
        ("lukasz zak", "Łukasz Żak", ["name"]),
        ("ŁUKASZ", "Łukasz Żak", ["name"]),
        ("obrien", "Boise O'Brien", ["name"]),
        ("O’Brien", "Boise O'Brien", ["name"]),
        ("heart doctor", "Łukasz Żak", ["specialty: Cardiovascular Disease"]),
        ("cardiologist", "Łukasz Żak", ["specialty: Cardiovascular Disease"]),
        ("heart docter", "Łukasz Żak", ["specialty: Cardiovascular Disease"]),
        ("family doctors in nampa", "María Smith", ["specialty: Family Medicine", "place: Nampa"]),
        ("a skin doctor near me who speaks Spanish", "María Smith", ["specialty: Dermatology", "language: Spanish"]),
        ("portuguese", "María Smith", ["language: Brazilian Portuguese"]),
        ("polski", "Ana Osei", ["language: Polish"]),
        ("video smith", "María Smith", ["visit type: Video call", "name"]),
        ("dermatology boise", "Ana Osei", ["specialty: Dermatology", "place: Boise"]),
        ("boise", "Boise O'Brien", ["name"]),
        ("own speciality", "Boise O'Brien", ["specialty: Own Speciality"]),
    ],
)
async def test_words_find_who_is_meant_and_say_why(finder: Client, text: str, first: str, matched: list[str]) -> None:
    found = await find(finder, text=text)
    assert names(found)[0] == first
    assert found["edges"][0]["node"]["matched"] == matched


@pytest.mark.parametrize("text", ["xyzzy", "osei xyzzy", "osei spanish", "q"])
async def test_every_part_of_the_text_has_to_match(finder: Client, text: str) -> None:
    found = await find(finder, text=text)
    assert (found["totalCount"], found["edges"]) == (0, [])
    assert all(one["values"] == [] for one in found["facets"])


async def test_the_better_match_comes_first_then_the_nearer(finder: Client) -> None:
    found = await find(finder, text="skin doctor", near={"latitude": 43.54, "longitude": -116.56})
    assert [place for _, place in places(found)] == ["Canyon", "Canyon", "Foothills", "Foothills"]
    assert names(await find(finder, text="boise"))[0] == "Boise O'Brien"


async def test_filters_take_any_of_a_list_and_all_of_them_together(finder: Client, valley: Valley) -> None:
    assert set(names(await find(finder, specialties=["Dermatology", "Own Speciality"]))) == {
        "Ana Osei",
        "María Smith",
        "Full Up",
        "Boise O'Brien",
    }
    assert names(await find(finder, specialties=["dermatology"])) == []
    assert names(await find(finder, languages=["pt"])) == []
    assert names(await find(finder, languages=["pt-BR", "de"])) == ["María Smith"]
    assert places(await find(finder, languages=["pl"], clinicIds=[valley.clinic("Nampa")])) == [("Ana Osei", "Canyon")]
    assert (await find(finder, specialties=[], languages=[], clinicIds=[]))["totalCount"] == 7


async def test_accepting_new_patients_filters_only_where_it_is_true(finder: Client) -> None:
    assert "María Smith" not in names(await find(finder, acceptingNewPatients=True))
    for value in (False, None):
        assert (await find(finder, acceptingNewPatients=value))["totalCount"] == 7


async def test_modality_is_that_of_an_active_visit_type(finder: Client, valley: Valley) -> None:
    assert set(names(await find(finder, modality="VIDEO"))) == {"Łukasz Żak", "María Smith"}
    assert await find(finder, modality="PHONE") == await find(finder, modality="PHONE", sort="BEST")
    assert (await find(finder, modality="PHONE"))["totalCount"] == 0
    own = await find(finder, visitTypeId=valley.kind("Check-up"), modality="VIDEO")
    assert own["totalCount"] == 0
    assert facet(own, "MODALITY") == {"IN_PERSON": 6 - 0}
    assert (await find(finder, visitTypeId=valley.kind("Video"), modality="VIDEO"))["totalCount"] == 2
    assert (await find(finder, visitTypeId=valley.kind("Old")))["totalCount"] == 0


async def test_what_does_not_exist_finds_nothing(finder: Client, valley: Valley) -> None:
    for filter in (
        {"visitTypeId": "nonsense"},
        {"visitTypeId": ids.node(ids.VISIT_TYPE, 999_999)},
        {"visitTypeId": valley.clinic("Boise")},
        {"clinicIds": ["nonsense"]},
        {"clinicIds": [ids.node(ids.CLINIC, (1 << 63) - 1)]},
        {"specialties": ["\x00", "Nobody's"]},
        {"languages": ["x" * 5000]},
    ):
        assert (await find(finder, **filter))["totalCount"] == 0, filter


async def test_distance_is_the_great_circle_and_near_filters_nothing(finder: Client) -> None:
    near = {"latitude": BOISE.latitude, "longitude": BOISE.longitude}
    found = await find(finder, sort="DISTANCE", near=near)
    assert found["totalCount"] == 7
    kilometres = [edge["node"]["distanceKm"] for edge in found["edges"]]
    assert kilometres[:3] == [0, 0, 0]
    assert kilometres[3:6] == pytest.approx([search_order.distance_km(BOISE, NAMPA)] * 3)
    assert kilometres[3] == pytest.approx(30.2, abs=0.2)
    assert kilometres[6] is None
    assert places(found)[6] == ("Boise O'Brien", "Lost")
    assert {place for _, place in places(await find(finder, near=near, withinKm=10))} == {"Foothills"}
    assert (await find(finder, near=near, withinKm=20_100))["totalCount"] == 6
    assert (await find(finder, near=near, withinKm=0))["totalCount"] == 3


async def test_names_are_sorted_folded_then_by_id(finder: Client) -> None:
    assert names(await find(finder, sort="NAME")) == [
        "Ana Osei",
        "Ana Osei",
        "Boise O'Brien",
        "Full Up",
        "Łukasz Żak",
        "María Smith",
        "Nampa Town Hall",
    ]


async def test_soonest_is_what_the_calendar_says_and_those_without_a_time_come_last(
    finder: Client, valley: Valley
) -> None:
    found = await find(finder, sort="SOONEST")
    starts = [edge["node"]["nextSlot"] and edge["node"]["nextSlot"]["startsAt"] for edge in found["edges"]]
    times = [datetime.fromisoformat(start) for start in starts if start]
    assert times == sorted(times)
    assert names(found)[-1] == "Full Up"
    assert starts[-1] is None
    assert found["totalCount"] == 7


async def test_the_next_slot_is_the_providers_own(finder: Client, valley: Valley) -> None:
    """Of the visit type asked for, else the earliest of all; where two start together the first by name."""
    own = """query Q($p: ID!, $c: ID!, $v: ID!) { node(id: $p) { ... on Provider {
        nextSlot(clinicId: $c, visitTypeId: $v) { id startsAt } } } }"""
    for kind in ("Check-up", "Video"):
        for edge in (await find(finder, visitTypeId=valley.kind(kind)))["edges"]:
            node = edge["node"]
            variables = {"p": node["provider"]["id"], "c": node["clinic"]["id"], "v": valley.kind(kind)}
            expected = (await finder.ask(own, variables)).data["node"]["nextSlot"]
            assert (node["nextSlot"] and node["nextSlot"]["id"]) == (expected and expected["id"])
    (both,) = (await find(finder, text="Łukasz"))["edges"]
    assert both["node"]["nextSlot"]["visitType"]["name"] == "Check-up"
    assert both["node"]["nextSlot"]["status"] == "FREE"


async def test_pools_are_hits_named_by_their_place(finder: Client) -> None:
    (edge,) = (await find(finder, text="town hall"))["edges"]
    assert edge["node"]["provider"]["name"] == "Nampa Town Hall"
    assert edge["node"]["nextSlot"]["visitType"]["name"] == "Vaccination"


async def test_open_between_dates_is_decided_by_the_calendar(finder: Client, valley: Valley) -> None:
    today = datetime.now(UTC).date()
    soon = {"openFrom": str(today - timedelta(days=1)), "openTo": str(today + timedelta(days=3))}
    found = await find(finder, **soon)
    assert set(names(found)) == {"Ana Osei", "Łukasz Żak", "María Smith", "Boise O'Brien", "Nampa Town Hall"}
    assert found["totalCount"] == 6
    assert facet(found, "SPECIALTY")["Dermatology"] == 3
    filtered = await find(finder, **soon, specialties=["Dermatology"], sort="SOONEST")
    assert facet(filtered, "SPECIALTY") == facet(found, "SPECIALTY")
    assert facet(filtered, "CLINIC") == {valley.clinic("Boise"): 1, valley.clinic("Nampa"): 2}
    far = {"openFrom": str(today + timedelta(days=900)), "openTo": str(today + timedelta(days=905))}
    assert (await find(finder, **far))["totalCount"] == 0
    past = {"openFrom": str(today - timedelta(days=30)), "openTo": str(today - timedelta(days=5))}
    assert (await find(finder, **past))["totalCount"] == 0
    lost = await find(finder, **soon, visitTypeId=valley.kind("Vaccination"))
    assert names(lost) == ["Nampa Town Hall"]


async def test_facets_count_under_all_filters_but_their_own(finder: Client, valley: Valley) -> None:
    found = await find(finder, specialties=["Dermatology"], languages=["en"])
    assert found["totalCount"] == 3
    assert facet(found, "SPECIALTY") == {"Dermatology": 3}
    assert facet(found, "LANGUAGE") == {"en": 3, "pl": 2, "es": 1, "pt-BR": 1}
    assert facet(found, "CLINIC") == {valley.clinic("Boise"): 2, valley.clinic("Nampa"): 1}
    assert facet(found, "MODALITY") == {"IN_PERSON": 3}
    for one in found["facets"]:
        counts = [value["count"] for value in one["values"]]
        assert counts == sorted(counts, reverse=True)
    # Each value is what the filter takes.
    everybody = await find(finder)
    for field, name in (("SPECIALTY", "specialties"), ("LANGUAGE", "languages"), ("CLINIC", "clinicIds")):
        for value, count in facet(everybody, field).items():
            assert (await find(finder, **{name: [value]}))["totalCount"] == count
    for value, count in facet(everybody, "MODALITY").items():
        assert (await find(finder, modality=value))["totalCount"] == count


@pytest.mark.parametrize("sort", ["BEST", "DISTANCE", "SOONEST", "NAME"])
async def test_pages_join_up(finder: Client, sort: str) -> None:
    filter = {"near": {"latitude": 43.6, "longitude": -116.3}, "text": "clinic"}
    whole = await find(finder, sort=sort, **filter)
    assert whole["totalCount"] == len(whole["edges"]) == 7
    seen, after, pages = [], None, 0
    while True:
        variables = {"f": filter, "sort": sort, "first": 2, "after": after}
        page = (await finder.ask(SEARCH, variables)).data["search"]
        seen += page["edges"]
        pages += 1
        info = page["pageInfo"]
        assert page["totalCount"] == 7
        assert info["hasPreviousPage"] == (after is not None)
        assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
        if not info["hasNextPage"]:
            break
        after = info["endCursor"]
    assert pages == 4
    assert [edge["node"] for edge in seen] == [edge["node"] for edge in whole["edges"]]


async def test_a_cursor_belongs_to_its_filter_and_sort(finder: Client) -> None:
    page = (await find(finder, first=1))["pageInfo"]["endCursor"]
    assert await refused(finder, after=page, text="skin") == "after"
    assert await refused(finder, after=page, sort="NAME") == "after"
    assert await refused(finder, after=page, acceptingNewPatients=True) == "after"
    for forged in ("", "x", "AAAA", "W10=", page[:-4], "ł"):
        assert await refused(finder, after=forged) == "after"
    spaced = await find(finder, first=1, text="Skin  DOCTOR")
    variables = {"f": {"text": "skin doctor"}, "after": spaced["pageInfo"]["endCursor"]}
    assert len((await finder.ask(SEARCH, variables)).data["search"]["edges"]) == 3


async def test_the_role_changes_nothing(finder: Client, valley: Valley) -> None:
    """The patients' limits hold for everyone: staff see no time that notice has closed."""
    patient = await builders.patient(valley.pool, [valley.clinics["Boise"]], name="Pat")
    tokens = [None, finder.patient(patient), finder.staff([valley.clinics["Boise"]]), finder.admin()]
    for sort in ("BEST", "SOONEST"):
        answers = [
            await find(finder, token, sort=sort, text="polish", visitTypeId=valley.kind("Video")) for token in tokens
        ]
        assert all(answer == answers[0] for answer in answers)
    start = datetime.fromisoformat(answers[0]["edges"][0]["node"]["nextSlot"]["startsAt"])
    assert start > datetime.now(UTC) + timedelta(minutes=2879)


@pytest.mark.parametrize(
    ("filter", "field"),
    [
        ({"text": "x" * 201}, "text"),
        ({"text": "x" * 10_000}, "text"),
        ({"withinKm": 5}, "withinKm"),
        ({"withinKm": -1, "near": {"latitude": 1, "longitude": 1}}, "withinKm"),
        ({"withinKm": 1e300, "near": {"latitude": 1, "longitude": 1}}, "withinKm"),
        ({"near": {"latitude": 90.1, "longitude": 1}}, "near"),
        ({"near": {"latitude": 1, "longitude": -180.5}}, "near"),
        ({"openFrom": "2026-05-01"}, "openTo"),
        ({"openTo": "2026-05-01"}, "openFrom"),
        ({"openFrom": "2026-05-02", "openTo": "2026-05-01"}, "openTo"),
        ({"openFrom": "2026-05-01", "openTo": "2026-06-01"}, "openTo"),
        ({"specialties": ["x"] * 101}, "specialties"),
    ],
)
async def test_a_filter_that_can_not_be_is_told_by_its_field(
    finder: Client, filter: dict[str, Any], field: str
) -> None:
    assert await refused(finder, **filter) == field


async def test_sort_and_first_are_told_too(finder: Client) -> None:
    assert await refused(finder, sort="DISTANCE") == "sort"
    for first in (0, -1, 101):
        assert await refused(finder, first=first) == "first"
    day = date(2026, 5, 1)
    longest = {"openFrom": str(day), "openTo": str(day + timedelta(days=30))}
    assert (await find(finder, **longest))["totalCount"] >= 0


@pytest.mark.parametrize(
    "text",
    [
        '"osei', "osei AND (", "osei*", "name:osei", "-osei", "osei & | !", "\\", "%' OR 1=1 --", "{}[]^~/:", "osei\x00",
        "\x07\x1b", "🙂", "\u202eosei", "a" * 200, " ".join("ab" for _ in range(66)), "皮膚科", "ﬁ", "'", "''''", "_", "%",
    ],
)  # fmt: skip
async def test_signs_that_mean_something_elsewhere_are_just_text(finder: Client, text: str) -> None:
    found = await find(finder, text=text)
    assert isinstance(found["totalCount"], int)
    await finder.ask(SUGGEST, {"p": text})


async def test_half_a_letter_is_refused_or_found_nowhere(finder: Client) -> None:
    body = b'{"query": "{ search(filter: { text: \\"\\\\ud83d\\" }) { totalCount } }"}'
    for sent in (body, body.replace(b"\\\\ud83d", b"\\ud83d")):
        answer = read(await finder.http.post("/graphql", content=sent, headers={"content-type": "application/json"}))
        assert answer.codes or answer.data["search"]["totalCount"] >= 0


async def test_the_calendar_is_asked_and_not_the_index(finder: Client, valley: Valley) -> None:
    """A time that has just been taken is none, though the index was not told."""
    (before,) = (await find(finder, text="Łukasz", visitTypeId=valley.kind("Check-up")))["edges"]
    slot = before["node"]["nextSlot"]
    start = datetime.fromisoformat(slot["startsAt"])
    patient = await builders.patient(valley.pool, [valley.clinics["Boise"]], name="Pat Two")
    book = """mutation M($s: ID!, $k: String!) { bookAppointment(input: { slotId: $s, idempotencyKey: $k }) { __typename } }"""
    done = await finder.ask(book, {"s": slot["id"], "k": builders.key()}, finder.patient(patient))
    assert done.data["bookAppointment"]["__typename"] == "AppointmentBooked"
    (after,) = (await find(finder, text="Łukasz", visitTypeId=valley.kind("Check-up")))["edges"]
    assert datetime.fromisoformat(after["node"]["nextSlot"]["startsAt"]) > start


async def test_twenty_hits_take_as_many_statements_as_one(
    settings: Settings, embedded: Addresses, valley: Valley
) -> None:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with inside(settings, addresses) as counted:
        for sort in ("BEST", "SOONEST"):
            variables = {"f": {"text": "clinic"}, "sort": sort}
            one, few = await counted.ask(SEARCH, variables | {"first": 1})
            all_of_them, many = await counted.ask(SEARCH, variables | {"first": 20})
            assert (len(one["search"]["edges"]), len(all_of_them["search"]["edges"])) == (1, 7)
            # One of the seven has published openings: those are read each time, and when now is.
            assert many <= few + 2
            assert many <= 12


async def test_suggestions_begin_any_word_folded(finder: Client) -> None:
    async def suggested(prefix: str, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await finder.ask(SUGGEST, {"p": prefix, **more})).data["suggest"]
        return found

    def shown(found: list[dict[str, Any]]) -> list[str]:
        return [one.get("name") or one.get("providerName") or one["clinicName"] for one in found]

    assert shown(await suggested("ose")) == ["Ana Osei"]
    assert shown(await suggested("zak")) == ["Łukasz Żak"]
    assert shown(await suggested("ŻAK LU")) == ["Łukasz Żak"]
    assert shown(await suggested("derm")) == ["Dermatology"]
    assert await suggested("skin doc") == [
        {"__typename": "SpecialtySuggestion", "name": "Dermatology", "synonym": "skin doctor"}
    ]
    assert (await suggested("dermatology"))[0]["synonym"] is None
    assert shown(await suggested("own")) == ["Own Speciality"]
    assert shown(await suggested("podiat")) == []
    assert shown(await suggested("gone")) == []
    assert shown(await suggested("clos")) == []
    assert shown(await suggested("clinic")) == ["Canyon Clinic", "Foothills Clinic", "Lost River Clinic"]
    near = {"latitude": BOISE.latitude, "longitude": BOISE.longitude}
    assert shown(await suggested("clinic", near=near)) == ["Foothills Clinic", "Canyon Clinic", "Lost River Clinic"]
    for nothing in ("", "  ", "!", "\x00"):
        assert await suggested(nothing) == []
    kinds = [one["__typename"] for one in await suggested("f")]
    assert kinds == ["SpecialtySuggestion", "Provider", "Clinic"]
    for prefix, more, field in (
        ("x" * 201, {}, "prefix"),
        ("a", {"first": 0}, "first"),
        ("a", {"first": 101}, "first"),
        ("a", {"near": {"latitude": 91, "longitude": 0}}, "near"),
    ):
        answer = await finder.ask(SUGGEST, {"p": prefix, **more})
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.body["errors"][0]["extensions"]["field"] == field


async def test_many_at_once_are_answered(finder: Client) -> None:
    texts = ("skin", "osei", "polish", "boise", "video", "zzz")
    found = await asyncio.gather(
        *(find(finder, text=text, sort=sort) for text in texts for sort in ("BEST", "SOONEST"))
    )
    for best, soonest in zip(found[::2], found[1::2], strict=True):
        assert best["totalCount"] == soonest["totalCount"]
        assert best["facets"] == soonest["facets"]
