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
from schema.executor import BreadthFirstExecutor
from schema.operations import Operation
from schema.planning import Planner

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
MERGED = """
query ($clinic: ID!, $with: Boolean!, $without: Boolean = false, $count: Int = 2, $after: String) {
    __typename
    at: providers(clinicId: $clinic, first: $count, after: $after) { ...page ... @include(if: $with) { ...page }
        edges { ... on ProviderEdge @skip(if: $without) { node { __typename clinics { same: name name __typename } } } } }
    all: providers(first: 3) { edges { node { id } } edges { cursor node { name @skip(if: $with) kind } } }
    visitTypes { __typename id }
}
fragment page on ProviderConnection { pageInfo { hasNextPage } edges { node { ...person } } }
fragment person on Provider { id clinics @include(if: $with) { id location { latitude } } }
"""
ANYTHING = """
query ($id: ID!, $clinic: ID!, $type: ID!, $from: Date!, $to: Date!, $first: Int) {
    node(id: $id) { __typename id ... on Clinic { name address { lines } } ... on Node { again: id } ... on Provider {
        name slots(clinicId: $clinic, visitTypeId: $type, from: $from, to: $to, first: $first) { id startsAt provider { id } } } }
}
"""
FINDS = """
query ($filter: SearchFilter!, $sort: SearchSort!= BEST, $first: Int! = 3, $after: String) {
    search(filter: $filter, sort: $sort, first: $first, after: $after) { totalCount degraded
        edges { cursor node { distanceKm matched provider { id name } clinic { id address { city } }
            nextSlot { id startsAt visitType { name } } } }
        pageInfo { hasNextPage endCursor } facets { field values { value count } } } }
"""
FILTERS: list[dict[str, Any]] = [
    {},
    {"filter": None},
    {"filter": {"text": "doctor"}, "sort": "NAME"},
    {"filter": {"text": None, "specialties": None, "near": None}},
    {"filter": {"near": {"latitude": 43.6, "longitude": -116.2}, "withinKm": 5000}, "sort": "DISTANCE", "first": 2},
    {"filter": {"modality": "VIDEO", "acceptingNewPatients": True, "clinicIds": ["nothing"]}, "sort": "SOONEST"},
    {"filter": {"languages": ["en", "es"], "specialties": ["Dermatology", "Family Medicine"]}, "sort": "SOONEST"},
    {"filter": {"openFrom": "2027-01-01"}},
    {"filter": {"openFrom": "2027-01-01", "openTo": "2027-01-08"}, "first": 0},
    {"filter": {"near": {"latitude": 43.6}}},
    {"filter": {"text": "doctor"}, "sort": None},
    {"filter": {"text": "doctor"}, "sort": "FASTEST"},
    {"filter": {"text": "doctor"}, "after": "no"},
]
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


@pytest.mark.parametrize(
    "given", [{}, {"with": False}, {"without": True}, {"count": 1}, {"count": None}, {"after": "no"}]
)
async def test_a_plan_serves_other_variables_too(built: Product, variables: dict[str, Any], given: Any) -> None:
    """The same text each time: what a plan was made for once must not be answered where variables differ."""
    known = {"clinic": variables["clinic"], "with": True}
    failed = bool(given.keys() & {"after"}) or given == {"count": None}
    for one in (known, known | given, known):
        short = await _answer(root.schema, built, ANONYMOUS, MERGED, one)
        assert short == await _answer(STOCK, built, ANONYMOUS, MERGED, one)
        assert bool(short[1]) == (failed and one != known)


@pytest.mark.parametrize("given", FILTERS, ids=str)
async def test_searches_take_the_same_filters_on_both_ways(built: Product, given: dict[str, Any]) -> None:
    short = await _answer(root.schema, built, ANONYMOUS, FINDS, given)
    assert short == await _answer(STOCK, built, ANONYMOUS, FINDS, given)
    inside = FINDS.replace("sort: $sort", "sort: NAME").replace("$sort: SearchSort!= BEST, ", "")
    rest = {name: one for name, one in given.items() if name != "sort"}
    assert await _answer(root.schema, built, ANONYMOUS, inside, rest) == await _answer(
        STOCK, built, ANONYMOUS, inside, rest
    )


@pytest.mark.parametrize("given", FILTERS[2:7], ids=str)
async def test_a_search_goes_the_short_way(
    built: Product, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _answer(root.schema, built, ANONYMOUS, FINDS, given)
    assert not first[1]
    monkeypatch.setattr(Planner, "plan", None)
    monkeypatch.setattr(BreadthFirstExecutor, "execute_field", None, raising=False)
    assert await _answer(root.schema, built, ANONYMOUS, FINDS, given) == first


@pytest.mark.parametrize("which", range(6))
async def test_things_of_any_kind_are_planned_by_their_class(
    built: Product, variables: dict[str, Any], which: int
) -> None:
    asked = {name: one for name, one in variables.items() if name not in ("with", "ids")}
    asked["id"] = [*variables["ids"], variables["type"]][which]
    for given in (asked, asked | {"first": 1}, asked | {"first": 0}, asked | {"type": variables["clinic"]}):
        short = await _answer(root.schema, built, STAFF, ANYTHING, given)
        assert short == await _answer(STOCK, built, STAFF, ANYTHING, given)


async def test_an_error_in_the_middle_leaves_the_rest(built: Product, variables: dict[str, Any]) -> None:
    """Null where it may be, beside what was found; the list around a null that may not be goes with it."""
    text = PROVIDERS.replace(
        "nextSlot(clinicId: $clinic, visitTypeId: $type)", 'nextSlot(clinicId: "x", visitTypeId: $type)'
    )
    text = text.replace("again: slots(clinicId: $clinic", 'again: slots(clinicId: "y"')
    (data, errors) = await _same(built, ANONYMOUS, text, variables)
    assert len(errors) > 1
    nodes = [edge["node"] for edge in data["providers"]["edges"]]
    assert all(node["again"] is None and node["nextSlot"] is None and node["slots"] is not None for node in nodes)


async def test_the_second_asking_makes_no_plan_and_looks_at_no_single_field(
    built: Product, variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"clinic": variables["clinic"], "with": True}
    first = await _answer(root.schema, built, ANONYMOUS, MERGED, given)
    monkeypatch.setattr(Planner, "plan", None)
    monkeypatch.setattr(BreadthFirstExecutor, "execute_field", None, raising=False)
    assert await _answer(root.schema, built, ANONYMOUS, MERGED, given | {"count": 2}) == first


def test_every_resolver_for_many_has_one_for_one() -> None:
    for kind, field in MANY:
        assert field in root.schema._schema.type_map[kind].fields, f"{kind}.{field}"
        texts = PROVIDERS + VISITS + MERGED + ANYTHING + CLINICS + FINDS
        asked = f"{field} {{" in texts or f"{field}(" in texts
        assert asked, f"{kind}.{field} is compared by no document here"
