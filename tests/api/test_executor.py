"""The short way of executing and graphql-core's own give the same answers, errors included."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from app.wiring import Product, product
from domain import ids
from domain.access import ANONYMOUS, Role, Viewer
from resolvers.many import MANY
from resolvers.values import SCALARS
from schema import root
from schema.operations import Operation

STOCK = strawberry.Schema(
    root.Query, root.Mutation, config=StrawberryConfig(scalar_map=SCALARS), extensions=[Operation]
)  # fmt: skip
STAFF = Viewer(Role.STAFF, "executor", None, None, "request")

CLINICS = """
query { clinics(first: 3) { pageInfo { hasNextPage endCursor } edges { cursor node {
    __typename id name active version timeZone phone address { lines city region postalCode country }
    location { latitude longitude } } } } }
"""
PROVIDERS = """
query ($clinic: ID!, $type: ID!, $from: Date!, $to: Date!, $with: Boolean!) {
    providers(clinicId: $clinic, first: 5) { edges { node { id kind: kind name npi languages specialties
        clinics { id name } visitTypes { id name modality durationMinutes }
        slots(clinicId: $clinic, visitTypeId: $type, from: $from, to: $to, first: 4) {
            ...when id status left provider { id name } clinic { timeZone } visitType { name } }
        again: slots(clinicId: $clinic, visitTypeId: $type, from: $from, to: $to, first: 2) @include(if: $with) { id }
        nextSlot(clinicId: $clinic, visitTypeId: $type) { ...when }
    } } } }
fragment when on Slot { startsAt endsAt localDate }
"""
NODES = """
query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Clinic { name } ... on Provider { clinics { name } } } }
"""
VISITS = """
query { patients(search: "a", first: 4) { edges { node { id name birthDate appointments(first: 3) { edges { node {
    id version status startsAt endsAt reason changeableUntil patient { id name } provider { name clinics { id } }
    clinic { id timeZone } visitType { id bufferBeforeMinutes } history { at by change version status startsAt }
} } } } } } }
"""
WRONG = [
    "query ($clinic: ID!, $type: ID!) { providers(first: 3) { edges { node { id slots(clinicId: $clinic, "
    'visitTypeId: $type, from: "2027-02-01", to: "2027-01-01") { id } } } } }',
    "query ($clinic: ID!, $type: ID!) { providers(first: 3) { edges { node { name slots(clinicId: $clinic, "
    'visitTypeId: $type, from: "2027-01-01", to: "2027-01-02", first: 100000) { id } } } } }',
    'query { providers(first: 2) { edges { node { id slots(clinicId: "x", visitTypeId: "y", from: "2027-01-01", '
    'to: "2027-01-02") { id } } } } }',
    'query { a: clinics(first: 0) { edges { node { id } } } b: node(id: "x") { id } }',
    'query { patients(search: "a") { edges { node { id appointments(first: -1) { edges { node { id } } } } } } }',
]


@pytest.fixture(scope="module")
async def built(live_server: Any) -> AsyncIterator[Product]:
    async with product(live_server.settings, live_server.addresses) as opened:
        yield opened


@pytest.fixture(scope="module")
async def variables(built: Product) -> dict[str, Any]:
    row = await built.database.primary.fetchrow(
        "SELECT w.clinic_id, w.provider_id, min(o.visit_type_id) AS visit_type_id FROM provider_clinics AS w "
        "JOIN provider_visit_types AS o ON o.provider_id = w.provider_id GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1"
    )
    clinic, provider = ids.node(ids.CLINIC, row["clinic_id"]), ids.node(ids.PROVIDER, row["provider_id"])
    first = datetime.now(UTC).date() + timedelta(days=3)
    return {
        "clinic": clinic,
        "type": ids.node(ids.VISIT_TYPE, row["visit_type_id"]),
        "from": first.isoformat(),
        "to": (first + timedelta(days=7)).isoformat(),
        "with": True,
        "ids": [clinic, provider, "nothing", ids.node(ids.PATIENT, 1), ids.node(ids.CLINIC, 10**9)],
    }


async def _answer(schema: strawberry.Schema, built: Product, viewer: Viewer, text: str, given: Any) -> Any:
    result = await schema.execute(text, variable_values=given, context_value=built.context(viewer))
    return orjson.loads(orjson.dumps([result.data, sorted(str(one.formatted) for one in result.errors or ())]))


async def _same(built: Product, viewer: Viewer, text: str, variables: dict[str, Any]) -> Any:
    given = {name: value for name, value in variables.items() if f"${name}:" in text}
    short = await _answer(root.schema, built, viewer, text, given)
    assert short == await _answer(STOCK, built, viewer, text, given)
    assert orjson.dumps(short) == orjson.dumps(await _answer(root.schema, built, viewer, text, given))
    return short


@pytest.mark.parametrize("text", [CLINICS, PROVIDERS, NODES, VISITS], ids=["clinics", "providers", "nodes", "visits"])
@pytest.mark.parametrize("viewer", [ANONYMOUS, STAFF], ids=["anonymous", "staff"])
async def test_both_ways_answer_the_same(built: Product, variables: dict[str, Any], text: str, viewer: Viewer) -> None:
    data, errors = await _same(built, viewer, text, variables)
    refused = text == VISITS and viewer is ANONYMOUS
    assert bool(errors) == refused
    assert refused or data


async def test_what_is_left_out_is_left_out_on_both_ways(built: Product, variables: dict[str, Any]) -> None:
    data, _ = await _same(built, ANONYMOUS, PROVIDERS, variables | {"with": False})
    assert all("again" not in edge["node"] for edge in data["providers"]["edges"])
    assert any(edge["node"]["slots"] for edge in data["providers"]["edges"])


@pytest.mark.parametrize("text", WRONG)
async def test_both_ways_fail_the_same(built: Product, variables: dict[str, Any], text: str) -> None:
    _, errors = await _same(built, STAFF, text, variables)
    assert errors


def test_every_resolver_for_many_has_one_for_one() -> None:
    for kind, field in MANY:
        assert field in root.schema._schema.type_map[kind].fields, f"{kind}.{field}"
        asked = f"{field} {{" in PROVIDERS + VISITS or f"{field}(" in PROVIDERS + VISITS
        assert asked, f"{kind}.{field} is compared by no document here"
