"""What is read is whole, bounded and true, whatever the cache holds."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import orjson
import pytest
import redis.asyncio

from app.embedded import Addresses
from app.settings import Settings
from domain import ids
from schema.root import schema
from tests import builders
from tests.api.client import Client
from tests.api.inside import DAY, SNAPSHOT, Counted, inside
from tests.api.town import Town, today
from tests.services.test_race import own_redis


async def _all(client: Client, document: str, first: int, token: str | None = None, **variables: Any) -> list[str]:
    """Every page after the other."""
    found: list[str] = []
    after = None
    while True:
        answer = await client.ask(document, {"first": first, "after": after, **variables}, token)
        (page,) = answer.data.values()
        found += [edge["node"]["id"] for edge in page["edges"]]
        info = page["pageInfo"]
        assert info["hasPreviousPage"] == (after is not None)
        assert len(page["edges"]) <= first
        if page["edges"]:
            assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
        if not info["hasNextPage"]:
            return found
        after = info["endCursor"]


PAGE = "{ edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
BY_NAME = f"query Q($first: Int!, $after: String) {{ clinics(first: $first, after: $after) {PAGE} }}"
NEAR = f"""query Q($first: Int!, $after: String, $km: Float) {{
    clinics(near: {{ latitude: 40.7, longitude: -74.0 }}, withinKm: $km, first: $first, after: $after) {PAGE} }}"""
PROVIDERS = f"query Q($first: Int!, $after: String) {{ providers(first: $first, after: $after) {PAGE} }}"
PATIENTS = f'query Q($first: Int!, $after: String) {{ patients(search: "a", first: $first, after: $after) {PAGE} }}'


@pytest.fixture(scope="module")
async def namesakes(town: Town) -> None:
    """Clinics of one name, some at one place: only the id tells them apart."""
    for number in range(9):
        await town.pool.execute(
            """INSERT INTO clinics (name, time_zone, city, country, latitude, longitude)
            VALUES ('Namesake', 'UTC', 'Town', 'US', $1, -74)""", 40.0 + number // 3,
        )  # fmt: skip
    await town.pool.execute(
        "INSERT INTO clinics (name, time_zone, city, country, active) VALUES ('Closed', 'UTC', 'T', 'US', false)"
    )


@pytest.mark.parametrize("document", [BY_NAME, NEAR])
@pytest.mark.parametrize("first", [1, 2, 4, 100])
async def test_pages_of_clinics_cover_everything_once(
    client: Client, town: Town, namesakes: None, document: str, first: int
) -> None:
    found = await _all(client, document, first)
    keys = await town.pool.fetch("SELECT id FROM clinics WHERE active")
    assert sorted(found) == sorted(ids.node(ids.CLINIC, row["id"]) for row in keys)
    if document == BY_NAME:
        order = await town.pool.fetch("SELECT id FROM clinics WHERE active ORDER BY lower(name), id")
        assert found == [ids.node(ids.CLINIC, row["id"]) for row in order]
    else:
        assert found == await _all(client, document, 100)
        assert len(await _all(client, document, first, km=50.0)) == 3
        placed = await town.pool.fetchval("SELECT count(*) FROM clinics WHERE active AND latitude IS NOT NULL")
        assert len(await _all(client, document, first, km=20_100.0)) == placed < len(keys)


async def test_pages_of_the_demo_cover_everything_once(live: Client) -> None:
    assert len(set(await _all(live, BY_NAME, 3))) == 8
    assert await _all(live, NEAR, 3) == await _all(live, NEAR, 100)
    providers = await _all(live, PROVIDERS, 7)
    assert len(providers) == len(set(providers)) > 20
    patients = await _all(live, PATIENTS, 7, live.admin())
    assert len(patients) == len(set(patients))


@pytest.mark.parametrize(
    "forged",
    [
        "", "nonsense", "W10", b"[]", b"{}", b"null", b'["clinics"]', b'["clinics","a"]', b'["clinics","a",1,2]', b'["near",1.5,3]',
        b'["clinics",1,"a"]', b'["clinics","a",true]', b'["clinics","a",-7]', b'["clinics","a",9223372036854775808]',
        b'["clinics","a\\u0000",1]', b'["clinics","a",1.5]', b'["providers","a",1]', b"[" * 5000,
    ],
)  # fmt: skip
async def test_a_forged_cursor_is_refused(client: Client, forged: str | bytes) -> None:
    after = forged if isinstance(forged, str) else base64.urlsafe_b64encode(forged).decode()
    answer = await client.ask(BY_NAME, {"first": 3, "after": after})
    assert answer.codes == ["BAD_USER_INPUT"]


async def test_a_cursor_with_odd_numbers_is_refused_or_harmless(client: Client, town: Town) -> None:
    for kind, values in (
        ("near", [1e308, 1]),
        ("near", [-1e308, 1]),
        ("providers", ["\U0010ffff", 1]),
        ("near", [0, 1]),
    ):
        after = base64.urlsafe_b64encode(orjson.dumps([kind, *values])).decode()
        answer = await client.ask(NEAR if kind == "near" else PROVIDERS, {"first": 3, "after": after})
        assert set(answer.codes) <= {"BAD_USER_INPUT"}
    patient = town.east
    document = (
        """query Q($t: ID!, $after: String) { patient(id: $t) { appointments(after: $after) { edges { cursor } } } }"""
    )
    for at in (1e308, -1e18, 0.0):
        after = base64.urlsafe_b64encode(orjson.dumps([f"appointments:{patient.patient}:ALL", at, 5])).decode()
        answer = await client.ask(document, {"t": patient.patient_id, "after": after}, client.patient(patient.patient))
        assert set(answer.codes) <= {"BAD_USER_INPUT"}


async def test_limits_bind_patients_and_the_snapshot_shows_theirs_to_everyone(client: Client, town: Town) -> None:
    """Rule 6: a day's notice, five days ahead; staff are shown what they may book."""
    kind = await builders.visit_type(town.pool, name="Bound", notice=1440)
    await town.pool.execute("UPDATE visit_types SET bookable_days_ahead = 5 WHERE id = $1", kind)
    east = town.east
    await town.pool.execute("INSERT INTO provider_visit_types VALUES ($1, $2)", east.provider, kind)
    asked = {"p": east.provider_id, "c": east.clinic_id, "v": ids.node(ids.VISIT_TYPE, kind)}
    dates = {"a": str(today()), "b": str(today() + timedelta(days=6))}
    open_days: dict[str, set[str]] = {}
    document = DAY.replace("startsAt", "localDate")
    seen = {"anonymous": None, "patient": client.patient(east.patient), "staff": client.staff([east.clinic])}
    for viewer, token in seen.items():
        found = (await client.ask(document, {**asked, **dates}, token)).data["node"]["slots"]
        open_days[viewer] = {slot["localDate"] for slot in found}
        snapshot = (await client.ask(SNAPSHOT, {k: v for k, v in {**asked, **dates}.items() if k != "p"}, token)).data
        open_days[f"{viewer}'s snapshot"] = {slot["startsAt"][:10] for slot in snapshot["availability"]["slots"]}
    far = str(today() + timedelta(days=6))
    assert far in open_days.pop("staff")
    for viewer, days in open_days.items():
        assert days == open_days["anonymous"], viewer
        assert far not in days
        assert str(today() + timedelta(days=5)) in days
        assert str(today()) not in days


NODE = "query Q($id: ID!) { node(id: $id) { __typename id ... on Slot { status left provider { id } } } }"


async def test_every_type_is_found_by_its_id(client: Client, town: Town) -> None:
    east = town.east
    patient, staff = client.patient(east.patient), client.staff([east.clinic])
    hold = "mutation M($input: HoldSlotInput!) { holdSlot(input: $input) { ... on SlotHeld { hold { id } } } }"
    held = await client.ask(hold, {"input": {"slotId": east.slot_in(2), "idempotencyKey": "node"}}, patient)
    made = held.data["holdSlot"]["hold"]
    entry, offer = await builders.offered(town.pool, east)
    expected = {
        "Clinic": (east.clinic_id, None), "Provider": (east.provider_id, None), "VisitType": (east.visit_type_id, None),
        "Slot": (east.slot_in(), None), "Patient": (east.patient_id, patient), "Appointment": (east.appointment_id, patient),
        "Hold": (made["id"], patient), "WaitlistEntry": (ids.node(ids.WAITLIST_ENTRY, entry), patient),
        "WaitlistOffer": (ids.node(ids.OFFER, offer), patient), "ScheduleException": (east.exception_id, staff),
    }  # fmt: skip
    nodes = {one.name for one in schema._schema.get_implementations(schema._schema.type_map["Node"]).objects}
    assert nodes == set(expected)
    for name, (node_id, token) in expected.items():
        found = (await client.ask(NODE, {"id": node_id}, token)).data["node"]
        assert (found["__typename"], found["id"]) == (name, node_id)
    several = await client.ask(
        "query Q($ids: [ID!]!) { nodes(ids: $ids) { __typename } }",
        {"ids": [node_id for node_id, _ in expected.values()] + ["nonsense"]}, patient,
    )  # fmt: skip
    assert [one and one["__typename"] for one in several.data["nodes"]] == [*list(expected)[:-1], None, None]


async def test_a_slot_that_is_not_free_is_busy_to_patients_and_told_finer_to_staff(client: Client, town: Town) -> None:
    """Rule 8."""
    east = town.east
    minute = 10 * 60
    token = client.patient(east.patient, "who holds")
    hold = "mutation M($input: HoldSlotInput!) { holdSlot(input: $input) { __typename } }"
    held = await client.ask(hold, {"input": {"slotId": east.slot_in(4, minute), "idempotencyKey": "busy"}}, token)
    assert held.data["holdSlot"]["__typename"] == "SlotHeld"
    booked, closed = east.slot_in(5, minute), east.slot_in(60, minute)
    for slot_id, public, finer in (
        (east.slot_in(4, 12 * 60), "FREE", "FREE"),
        (booked, "BUSY", "BUSY"),
        (east.slot_in(4, minute), "BUSY", "BUSY_TENTATIVE"),
        (closed, "BUSY", "BUSY_UNAVAILABLE"),
        (east.slot_in(4, 60), "BUSY", "BUSY_UNAVAILABLE"),
    ):
        strangers = (None, client.patient(town.west.patient), client.staff([town.west.clinic]))
        for viewer in strangers:
            found = (await client.ask(NODE, {"id": slot_id}, viewer)).data["node"]
            assert (found["status"], found["left"]) == (public, 1 if public == "FREE" else 0)
        for viewer in (client.staff([east.clinic]), client.admin()):
            assert (await client.ask(NODE, {"id": slot_id}, viewer)).data["node"]["status"] == finer


BOOK = "mutation M($input: BookAppointmentInput!) { bookAppointment(input: $input) { __typename } }"
WRITE = """mutation M($book: BookAppointmentInput!, $cancel: CancelAppointmentInput!, $c: ID!, $v: ID!, $a: Date!) {
    bookAppointment(input: $book) { ... on AppointmentBooked {
        cursor appointment { id status version ...open history { change } } } }
    early: cancelAppointment(input: $cancel) { __typename ... on VersionConflict { current { status } } } }
    fragment open on Appointment { patient { appointments(when: UPCOMING) { edges { node { id status } } } }
        provider { slots(clinicId: $c, visitTypeId: $v, from: $a, to: $a, first: 100) { id } } }"""


async def test_a_mutation_reads_what_it_wrote(client: Client, town: Town) -> None:
    """Field after field: booked and gone from the open times, then cancelled and back."""
    east, token = town.east, client.patient(town.east.patient)
    slot, day = east.slot_in(12), str(today() + timedelta(days=12))
    dates = {"c": east.clinic_id, "v": east.visit_type_id, "a": day}
    nothing = {"appointmentId": east.appointment_id, "version": 9, "idempotencyKey": "early"}
    asked = {"book": {"slotId": slot, "idempotencyKey": "ryw"}, "cancel": nothing, **dates}
    found = (await client.ask(WRITE, asked, token)).data
    made = found["bookAppointment"]["appointment"]
    assert (made["status"], made["version"], made["history"]) == ("BOOKED", 1, [{"change": "BOOKED"}])
    assert slot not in [one["id"] for one in made["provider"]["slots"]]
    assert made["id"] in [edge["node"]["id"] for edge in made["patient"]["appointments"]["edges"]]
    assert found["early"]["current"]["status"] == "BOOKED"
    both = """mutation M($cancel: CancelAppointmentInput!, $book: BookAppointmentInput!, $c: ID!, $v: ID!, $a: Date!) {
        cancelAppointment(input: $cancel) { ... on AppointmentCancelled { cursor appointment { status ...open } } }
        bookAppointment(input: $book) { ... on AppointmentBooked { cursor appointment { id ...open } } } }"""
    both += WRITE[WRITE.index("fragment") - 1 :]
    cancel = {"appointmentId": made["id"], "version": 1, "idempotencyKey": "ryw-cancel"}
    asked = {"cancel": cancel, "book": {"slotId": slot, "idempotencyKey": "ryw-again"}, **dates}
    found = (await client.ask(both, asked, token)).data
    assert found["cancelAppointment"]["appointment"]["status"] == "CANCELLED"
    assert slot in [one["id"] for one in found["cancelAppointment"]["appointment"]["provider"]["slots"]]
    again = found["bookAppointment"]
    assert slot not in [one["id"] for one in again["appointment"]["provider"]["slots"]]
    later = await client.ask(SNAPSHOT, {"c": dates["c"], "v": dates["v"], "a": day, "b": day, "l": again["cursor"]})
    assert slot not in [one["id"] for one in later.data["availability"]["slots"]]


@pytest.mark.parametrize("cursor", ["", "nonsense", "a.b.c", "9" * 400])
async def test_at_least_takes_any_cursor(client: Client, town: Town, cursor: str) -> None:
    east, day = town.east, str(today() + timedelta(days=2))
    asked = {"c": east.clinic_id, "v": east.visit_type_id, "a": day, "b": day, "l": cursor}
    found = (await client.ask(SNAPSHOT, asked)).data["availability"]
    assert found["slots"]
    again = (await client.ask(SNAPSHOT, {**asked, "l": found["cursor"]})).data["availability"]
    assert again["cursor"] == found["cursor"]


@pytest.mark.parametrize("cache", ["on", "off", "away", "garbage", "stale"])
async def test_the_cache_changes_no_answer(
    client: Client, town: Town, settings: Settings, embedded: Any, redis_url: str, cache: str
) -> None:
    """What a product without a cache says is what each must say."""
    east, token = town.east, client.patient(town.east.patient)
    url = {"away": "redis://127.0.0.1:1"}.get(cache, redis_url)
    addresses = Addresses(str(settings.database_url), None, url)
    straight = settings.model_copy(update={"cache": False})
    mine = straight if cache == "off" else settings.model_copy(update={"cache_from": 1})
    day = today() + timedelta(days=14)
    asked = {
        "p": east.provider_id,
        "c": east.clinic_id,
        "v": east.visit_type_id,
        "a": str(day),
        "b": str(day + timedelta(days=6)),
    }
    store = redis.asyncio.from_url(redis_url)
    async with inside(mine, addresses) as tried, inside(straight, addresses) as truth, store:
        await store.flushall()
        for turn in range(3):
            expected = await _shown(truth, asked)
            assert await _shown(tried, asked) == expected, f"turn {turn}"
            if cache in ("on", "garbage", "stale"):
                await _kept(store)
            before = {key: await store.get(key) for key in await store.keys("cal:*")}
            if cache == "garbage":
                await _put(store, dict.fromkeys(before, b"\xff\x00garbage"))
            assert await _shown(tried, asked) == expected, f"turn {turn}"
            slot = expected[0][turn]
            made = await client.ask(BOOK, {"input": {"slotId": slot, "idempotencyKey": f"{cache}-{turn}"}}, token)
            assert made.data["bookAppointment"]["__typename"] == "AppointmentBooked"
            expected = await _shown(truth, asked)
            assert slot not in [*expected[0], *expected[1]]
            # Whoever booked died before telling anybody, or Redis was away: what lies there is of before.
            if cache == "stale":
                await _put(store, before)
            assert await _shown(tried, asked) == expected, f"turn {turn}"


async def _put(store: Any, entries: dict[bytes, bytes]) -> None:
    assert entries
    for key, value in entries.items():
        await store.set(key, value)


async def test_redis_killed_between_two_reads_changes_no_answer(client: Client, town: Town, settings: Settings) -> None:
    west = town.west
    day = today() + timedelta(days=22)
    asked = {"p": west.provider_id, "c": west.clinic_id, "v": west.visit_type_id, "a": str(day), "b": str(day)}
    async with (
        own_redis() as server,
        inside(
            settings.model_copy(update={"cache_from": 1}), Addresses(str(settings.database_url), None, server.url)
        ) as tried,
    ):
        expected = await _shown(tried, asked)
        assert expected == await _shown(tried, asked) == await _shown(Counted(client), asked)
        await server.stop()
        assert await _shown(tried, asked) == expected
        booked = {"slotId": expected[0][0], "idempotencyKey": "killed"}
        made = await tried.client.ask(BOOK, {"input": booked}, client.patient(west.patient))
        assert made.data["bookAppointment"]["__typename"] == "AppointmentBooked"
        assert (await _shown(tried, asked))[0] == expected[0][1:]


async def _kept(store: Any) -> None:
    """Entries are written beside the answer: give them five seconds."""
    for _ in range(500):
        if await store.keys("cal:*"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was kept in Redis")


async def _shown(reader: Counted, asked: dict[str, Any]) -> tuple[list[str], list[str]]:
    slots = (await reader.client.ask(DAY, asked)).data["node"]["slots"]
    named = {name: value for name, value in asked.items() if name != "p"}
    snapshot = (await reader.client.ask(SNAPSHOT, named)).data["availability"]["slots"]
    return [one["id"] for one in slots], [one["id"] for one in snapshot]


async def test_a_schedule_edit_is_true_in_the_very_next_read_of_every_process(
    client: Client, town: Town, settings: Settings, embedded: Any
) -> None:
    west, token = town.west, client.staff([town.west.clinic])
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    day = str(today() + timedelta(days=16))
    asked = {"p": west.provider_id, "c": west.clinic_id, "v": west.visit_type_id, "a": day, "b": day}
    add = """mutation M($input: AddScheduleExceptionInput!) { addScheduleException(input: $input) { __typename
        ... on ScheduleSaved { schedule { exceptions(from: "%s", to: "%s") { id } } } } }""".replace("%s", day)
    remove = (
        "mutation M($input: RemoveScheduleExceptionInput!) { removeScheduleException(input: $input) { __typename } }"
    )
    async with inside(settings, addresses) as other, inside(settings, addresses) as third:
        readers = (Counted(client), other, third)
        for turn in range(3):
            assert [len((await _shown(one, asked))[0]) for one in readers] == [16] * 3
            closed = {"providerId": west.provider_id, "clinicId": west.clinic_id, "kind": "CLOSED", "date": day}
            saved = (await client.ask(add, {"input": {**closed, "idempotencyKey": f"close-{turn}"}}, token)).data
            (exception,) = saved["addScheduleException"]["schedule"]["exceptions"]
            assert [await _shown(one, asked) for one in readers] == [([], [])] * 3
            gone = {"id": exception["id"], "idempotencyKey": f"open-{turn}"}
            assert (await client.ask(remove, {"input": gone}, token)).data["removeScheduleException"][
                "__typename"
            ] == "ScheduleSaved"
