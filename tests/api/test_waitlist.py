"""The waitlist as clients see it: joined, offered, explained, accepted; nothing read more often for many than for few."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.embedded import Addresses
from app.settings import Settings
from domain import ids
from tests import builders
from tests.api.client import Client
from tests.api.inside import inside
from tests.api.town import Place, Town, today

ENTRY = """id status version from to minimumNoticeMinutes urgency autoBook joinedAt
    windows { weekday opens closes } patient { name } clinic { name } visitType { name } providers { name }
    appointment { id startsAt } offer { id status expiresAt slot { id startsAt status } entry { id } }
    receipts { at rank outcome reasons ruleVersion slot { id startsAt provider { name } } }"""
JOIN = f"""mutation M($input: JoinWaitlistInput!) {{ joinWaitlist(input: $input) {{ __typename
    ... on WaitlistJoined {{ entry {{ {ENTRY} }} }} ... on PolicyViolation {{ rule }} ... on InvalidInput {{ field }}
    ... on Refusal {{ message }} }} }}"""
LIST = f"""query Q($c: ID!, $first: Int!, $after: String, $s: [WaitlistStatus!]) {{
    waitlist(clinicId: $c, first: $first, after: $after, status: $s) {{
    edges {{ cursor node {{ {ENTRY} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
OWN = f"query Q($t: ID!) {{ patient(id: $t) {{ waitlistEntries {{ {ENTRY} }} }} }}"
ACCEPT = f"""mutation M($input: AcceptOfferInput!) {{ acceptOffer(input: $input) {{ __typename
    ... on OfferAccepted {{ appointment {{ id startsAt status }} entry {{ {ENTRY} }} }}
    ... on OfferGone {{ status message }} }} }}"""
BOOK = """mutation M($input: BookAppointmentInput!) { bookAppointment(input: $input) { __typename
    ... on AppointmentBooked { appointment { id version } } } }"""
CANCEL = """mutation M($input: CancelAppointmentInput!) { cancelAppointment(input: $input) { __typename } }"""


def joining(place: Place, **more: Any) -> dict[str, Any]:
    dates = {"from": str(today()), "to": str(today() + timedelta(days=20))}
    asked = {"clinicId": place.clinic_id, "visitTypeId": place.visit_type_id, **dates, "idempotencyKey": builders.key()}
    return {"input": {**asked, **more}}


async def test_a_freed_time_is_offered_explained_and_taken(client: Client, town: Town) -> None:
    east = town.east
    patient, staff = client.patient(east.patient), client.staff([east.clinic])
    windows = [{"weekday": None, "opens": "09:00", "closes": "17:00"}]
    joined = (await client.ask(JOIN, joining(east, windows=windows), patient)).data["joinWaitlist"]
    assert joined["__typename"] == "WaitlistJoined"
    entry = joined["entry"]
    assert (entry["status"], entry["windows"], entry["minimumNoticeMinutes"]) == ("ACTIVE", windows, 180)
    assert (entry["offer"], entry["receipts"], entry["providers"]) == (None, [], [])
    again = (await client.ask(JOIN, joining(east), patient)).data["joinWaitlist"]
    assert (again["__typename"], again["rule"]) == ("PolicyViolation", "ALREADY_WAITING")

    other = await builders.patient(town.pool, [east.clinic], name="Other One")
    slot = east.slot_in(9, 14 * 60)
    asked = {"slotId": slot, "patientId": ids.node(ids.PATIENT, other), "idempotencyKey": builders.key()}
    made = (await client.ask(BOOK, {"input": asked}, staff)).data["bookAppointment"]["appointment"]
    gone = {"appointmentId": made["id"], "version": made["version"], "idempotencyKey": builders.key()}
    assert (await client.ask(CANCEL, {"input": gone}, staff)).data["cancelAppointment"][
        "__typename"
    ] == "AppointmentCancelled"

    (mine,) = (await client.ask(OWN, {"t": east.patient_id}, patient)).data["patient"]["waitlistEntries"]
    offer = mine["offer"]
    assert (mine["status"], offer["status"], offer["slot"]["id"], offer["slot"]["status"]) == (
        "OFFERED",
        "LIVE",
        slot,
        "BUSY",
    )
    assert mine["receipts"] == []
    assert datetime.fromisoformat(offer["expiresAt"]) > datetime.now(UTC)
    (seen,) = (await client.ask(LIST, {"c": east.clinic_id, "first": 5}, staff)).data["waitlist"]["edges"]
    (receipt,) = seen["node"]["receipts"]
    assert (receipt["rank"], receipt["outcome"], receipt["slot"]["id"]) == (1, "OFFERED", slot)
    assert receipt["reasons"] == ["urgency 0", "0 whole days waited", "0 minutes left over"]

    asked = {"offerId": offer["id"], "idempotencyKey": builders.key()}
    done = (await client.ask(ACCEPT, {"input": asked}, patient)).data["acceptOffer"]
    assert (done["__typename"], done["entry"]["status"]) == ("OfferAccepted", "FULFILLED")
    assert done["entry"]["appointment"]["id"] == done["appointment"]["id"]
    asked["idempotencyKey"] = builders.key()
    late = (await client.ask(ACCEPT, {"input": asked}, patient)).data["acceptOffer"]
    assert (late["__typename"], late["status"]) == ("OfferGone", "ACCEPTED")
    listed = await client.ask(LIST, {"c": east.clinic_id, "first": 5}, staff)
    assert listed.data["waitlist"]["edges"] == []
    over = await client.ask(LIST, {"c": east.clinic_id, "first": 5, "s": ["FULFILLED"]}, staff)
    assert [one["node"]["id"] for one in over.data["waitlist"]["edges"]] == [entry["id"]]


async def test_what_is_typed_wrong_is_named(client: Client, town: Town) -> None:
    patient = client.patient(town.west.patient)
    for more, field in (
        ({"windows": [{"opens": "12:00", "closes": "09:00"}]}, "windows.0.closes"),
        ({"to": "2020-01-01"}, "to"),
        ({"to": str(today() + timedelta(days=600))}, "to"),
        ({"urgency": 2}, "urgency"),
    ):
        said = (await client.ask(JOIN, joining(town.west, **more), patient)).data["joinWaitlist"]
        assert (said["__typename"], said["field"]) == ("InvalidInput", field)


@pytest.fixture(scope="module")
async def crowd(town: Town) -> Place:
    """Twenty-four who wait at the western clinic, each with an offer that ran out."""
    for number in range(24):
        key = await builders.patient(town.pool, [town.west.clinic], name=f"Waiting {number}")
        place = builders.World(town.west.clinic, town.west.provider, town.west.visit_type, key)
        await builders.offered(town.pool, place)
    return town.west


async def test_the_list_is_paged_in_rank_order_and_audited(client: Client, town: Town, crowd: Place) -> None:
    await town.pool.execute("UPDATE waitlist_entries SET urgency = id % 4 WHERE clinic_id = $1", crowd.clinic)
    staff, found, after = client.staff([crowd.clinic]), [], None
    before = len(await town.audits())
    while True:
        page = (await client.ask(LIST, {"c": crowd.clinic_id, "first": 7, "after": after}, staff)).data["waitlist"]
        found += [edge["node"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len({one["id"] for one in found}) == len(found) == 24
    assert [(-one["urgency"], one["joinedAt"]) for one in found] == sorted(
        (-one["urgency"], one["joinedAt"]) for one in found
    )
    assert len(await town.audits()) - before == 24
    wrong = await client.ask(LIST, {"c": crowd.clinic_id, "first": 7, "after": "nonsense"}, staff)
    assert wrong.codes == ["BAD_USER_INPUT"]


async def test_many_entries_take_as_many_statements_as_few(
    settings: Settings, embedded: Any, town: Town, crowd: Place
) -> None:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with inside(settings, addresses) as counted:
        staff = counted.client.staff([crowd.clinic])
        few, of_few = await counted.ask(LIST, {"c": crowd.clinic_id, "first": 2}, staff)
        many, of_many = await counted.ask(LIST, {"c": crowd.clinic_id, "first": 20}, staff)
    assert (len(few["waitlist"]["edges"]), len(many["waitlist"]["edges"])) == (2, 20)
    assert of_few == of_many <= 10
