"""GraphQL over HTTP as its draft says, what one document may ask, and the paths beside it (surface.md)."""

import asyncio
import json
from time import perf_counter
from typing import Any

import httpx2
import pytest
from graphql import get_introspection_query
from joserfc import jwt

from app.auth import development_key
from app.embedded import Addresses
from app.serving import running
from app.settings import Settings
from schema.root import schema
from services.catalog import Catalog
from tests.api.client import Client, read
from tests.api.town import Town

RESPONSE = "application/graphql-response+json"
PLAIN = "application/json"
ROLE = "{ viewer { role } }"
RELEASE = 'mutation { releaseHold(input: { holdId: "x", idempotencyKey: "k" }) { __typename } }'


async def _post(client: Client, body: Any, accept: str | None = RESPONSE, kind: str = PLAIN) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": kind} | ({"Accept": accept} if accept is not None else {})
    return await client.http.post("/graphql", content=content, headers=headers)


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        (RESPONSE, 200, RESPONSE),
        (PLAIN, 200, PLAIN),
        (f"{RESPONSE}, {PLAIN};q=0.9", 200, RESPONSE),
        (f"{PLAIN};q=0.5, {RESPONSE}", 200, RESPONSE),
        ("*/*", 200, PLAIN),
        ("application/*", 200, PLAIN),
        (f"{RESPONSE}; charset=utf-8, text/html", 200, RESPONSE),
        ("text/plain", 406, PLAIN),
        ("text/html", 406, PLAIN),
    ],
)
async def test_the_answer_comes_as_the_client_takes_it(client: Client, accept: str, status: int, kind: str) -> None:
    response = await _post(client, {"query": ROLE}, accept)
    assert response.status_code == status
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    assert read(response).body.get("data") == ({"viewer": {"role": "ANONYMOUS"}} if status == 200 else None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{ node { id } }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query Q($a: ID!) { node(id: $a) { id } }"}, "BAD_USER_INPUT"),
        ({"query": "query Q($a: ID!) { node(id: $a) { id } }", "variables": {"a": {}}}, "BAD_USER_INPUT"),
        ({"query": "query A { specialties } query B { specialties }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { specialties }", "operationName": "B"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "fragment A on Query { specialties }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { __typename }"}, None),
    ],
)
async def test_a_request_that_never_runs_is_400_as_graphql_response(
    client: Client, body: dict[str, Any], code: str | None
) -> None:
    strict, plain = await _post(client, body, RESPONSE), await _post(client, body, PLAIN)
    assert strict.status_code == 400
    assert "data" not in read(strict).body
    assert read(strict).body["errors"][0]["message"] == read(plain).body["errors"][0]["message"]
    assert plain.status_code in (200, 400)
    if code is not None:
        assert read(strict).codes == [code]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"[" * 5000, 400),
        (b'{"query": "{ specialties }", "query": 7}', 400),
        ([{"query": ROLE}], 400),
        ([], 400),
        ({}, 400),
        ({"query": None}, 400),
        ({"query": ""}, 400),
        ({"query": {"a": 1}}, 400),
        ({"query": ROLE, "variables": []}, 400),
        ({"query": ROLE, "variables": "{}"}, 400),
        ({"query": ROLE, "operationName": 7}, 400),
        ({"query": ROLE, "extensions": 7}, 400),
        (b'{"query": "{ specialties }", "variables": {"a": "\\ud800"}}', 400),
        ({"query": ROLE, "variables": None, "operationName": None, "extensions": None}, 200),
        ({"query": ROLE, "extensions": {"persistedQuery": {"version": 1}}, "id": "1"}, 200),
    ],
)
@pytest.mark.parametrize("accept", [RESPONSE, PLAIN])
async def test_what_is_no_request_is_refused_in_both_media_types(
    client: Client, body: Any, status: int, accept: str
) -> None:
    """A batch is an array, and so no request either."""
    response = await _post(client, body, accept)
    assert response.status_code == status, response.text
    assert status == 200 or read(response).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_only_json_is_taken_so_no_foreign_page_can_post(client: Client, kind: str) -> None:
    assert (await _post(client, {"query": ROLE}, kind=kind)).status_code == 415


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_taken_however_it_is_spelled(client: Client, kind: str) -> None:
    assert (await _post(client, {"query": ROLE}, kind=kind)).status_code == 200


async def test_a_body_that_is_too_long_is_413(client: Client) -> None:
    response = await _post(client, {"query": ROLE, "variables": {"a": "x" * 300_000}})
    assert response.status_code == 413
    assert read(response).codes == ["LIMIT_EXCEEDED"]


async def test_get_answers_queries_and_no_mutation(client: Client) -> None:
    get = client.http.get
    several = "query A($n: Int) { clinics(first: $n) { edges { node { id } } } } query B { specialties }"
    found = await get("/graphql", params={"query": several, "variables": '{"n": 1}', "operationName": "A"})
    assert len(read(found).data["clinics"]["edges"]) == 1
    refused = await get("/graphql", params={"query": RELEASE})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    sneaky = await get(
        "/graphql",
        params={
            "query": f"query A {{ specialties }} {RELEASE.replace('mutation', 'mutation B')}",
            "operationName": "B",
        },
    )
    assert sneaky.status_code == 405
    assert (await get("/graphql", params={"query": ROLE, "variables": "{"})).status_code == 400
    assert (await get("/graphql", params={"query": ROLE, "variables": "[]"})).status_code == 400
    assert (await get("/graphql")).status_code == 400


async def test_other_methods_run_nothing(client: Client) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        response = await client.http.request(method, "/graphql", json={"query": ROLE})
        assert response.status_code == 405
    head = await client.http.request("HEAD", "/graphql", json={"query": RELEASE})
    assert head.status_code == 405


async def test_every_answer_has_a_request_id_of_its_own_and_is_not_cached(client: Client) -> None:
    answers = [await _post(client, body) for body in ({"query": ROLE}, {"query": ROLE}, b"{", {"query": "{"})]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_errors_of_our_own_show_nothing_of_the_inside(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "password=hunter2 of Jane Canary"

    async def broken(*_arguments: Any) -> None:
        raise ValueError(message)

    monkeypatch.setattr(Catalog, "save_clinic", broken)
    document = """mutation { saveClinic(input: { name: "N", timeZone: "UTC", idempotencyKey: "k",
        address: { lines: [], city: "C", country: "US" } }) { __typename } }"""
    response = await client.http.post(
        "/graphql", json={"query": document}, headers={"Authorization": f"Bearer {client.admin()}"}
    )
    assert response.status_code == 200
    answer = read(response)
    assert answer.codes == ["INTERNAL"]
    assert answer.body["errors"][0].keys() == {"message", "locations", "path", "extensions"}
    logged = "".join(capsys.readouterr())
    for secret in (b"hunter2", b"Canary", b"ValueError", b"Traceback", b".py"):
        assert secret not in answer.raw
    assert "ValueError" in logged
    assert "Canary" not in logged


NO_HOLD = '(input: {holdId: "x", idempotencyKey: "k"}) { __typename }'
NO_TIMES = '(filter: {clinicId: "x", visitTypeId: "x", from: "2027-01-01", to: "2027-01-02"}) { slots { id } }'
MANY_SLOTS = 'slots(clinicId: "x", visitTypeId: "x", from: "2027-01-01", to: "2027-01-02", first: 200) { id }'
PAGES = "{ clinics(first: $n) { edges { node { providers(first: $n) { edges { node { id } } } } } } }"
RECURSION = "{" + "clinics{edges{node{providers{edges{node{" * 4 + "clinics{id}" + "}}}}}}" * 4 + "}"
FRAGMENT_BOMB = (
    "{...f0}"
    + "".join(f"fragment f{n} on Query{{...f{n + 1} ...f{n + 1}}}" for n in range(60))
    + "fragment f60 on Query{specialties}"
)
WIDE_BOMB = (
    "{...f0}"
    + "".join(f'fragment f{n} on Query{{a{n}:node(id:"x"){{id}} ...f{n + 1} ...f{n + 1}}}' for n in range(25))
    + "fragment f25 on Query{viewer{role}}"
)


@pytest.mark.parametrize(
    ("what", "document"),
    [
        ("recursion of 180 bytes", RECURSION),
        ("depth", "{" + "viewer{holds{slot{provider{clinics{providers{edges{node{" * 2 + "id" + "}}}}}}}}" * 2 + "}"),
        ("aliases", "{" + " ".join(f"a{n}: specialties" for n in range(100)) + "}"),
        ("aliases in a fragment", "{...f} fragment f on Query{" + " ".join(f"a{n}: specialties" for n in range(100)) + "}"),
        ("directives", "{ specialties " + "@include(if: true) " * 100 + "}"),
        ("unknown directives", "{ specialties " + "@a" * 5000 + "}"),
        ("tokens", "{" + " specialties" * 1100 + "}"),
        ("bytes", "{ specialties } #" + "x" * 40_000),
        ("braces", "{" * 900),
        ("lists", "{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }"),
        ("mutations", "mutation {" + " ".join(f"a{n}: releaseHold{NO_HOLD}" for n in range(20)) + "}"),
        ("snapshots", "{" + " ".join(f"a{n}: availability{NO_TIMES}" for n in range(3)) + "}"),
        ("pages of pages", PAGES.replace("$n", "100")),
        ("slots of many", f"{{ providers(first: 100) {{ edges {{ node {{ {MANY_SLOTS} }} }} }} }}"),
    ],
)  # fmt: skip
async def test_a_document_that_asks_too_much_is_refused_at_once(client: Client, what: str, document: str) -> None:
    started = perf_counter()
    response = await _post(client, {"query": document})
    took = perf_counter() - started
    assert response.status_code == 400, response.text[:300]
    assert set(read(response).codes) <= {"LIMIT_EXCEEDED", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}
    if what not in ("braces", "lists"):
        assert read(response).codes == ["LIMIT_EXCEEDED"], what
    assert took < 0.5, f"{what} took {took:.2f} s"


@pytest.mark.parametrize(
    "document", [FRAGMENT_BOMB, WIDE_BOMB, "{...a} fragment a on Query{...b} fragment b on Query{...a}"]
)
async def test_fragments_that_spread_one_another_cost_no_time(client: Client, document: str) -> None:
    started = perf_counter()
    read(await _post(client, {"query": document}))
    assert perf_counter() - started < 0.5


@pytest.mark.parametrize("variables", [{"n": 100}, {"n": 100_000_000}, {}, {"n": -5}])
async def test_sizes_that_come_as_variables_count_too(client: Client, variables: dict[str, int]) -> None:
    document = "query Q($n: Int! = 100) " + PAGES
    answer = read(await _post(client, {"query": document, "variables": variables}))
    assert answer.codes == (["BAD_USER_INPUT"] if variables.get("n", 1) < 0 else ["LIMIT_EXCEEDED"])


async def test_what_people_need_is_admitted_for_the_anonymous(client: Client, town: Town) -> None:
    """Rule 39: a page of 20 providers with clinics and 10 slots each; a snapshot of 5,000 times; GraphiQL's introspection."""
    east = town.east
    ids = {"c": east.clinic_id, "v": east.visit_type_id}
    page = """query Q($c: ID!, $v: ID!) { providers(clinicId: $c, first: 20) { pageInfo { hasNextPage } edges { cursor node {
        id name specialties clinics { id name timeZone address { city } location { latitude } visitTypes { id name } }
        nextSlot(clinicId: $c, visitTypeId: $v) { id startsAt }
        slots(clinicId: $c, visitTypeId: $v, from: "2027-01-04", to: "2027-01-10", first: 10) { id startsAt } } } } }"""
    assert (await client.ask(page, ids)).data["providers"]["edges"]
    snapshot = """query Q($c: ID!, $v: ID!) { availability(
        filter: { clinicId: $c, visitTypeId: $v, from: "2027-01-04", to: "2027-01-10" })
        { cursor through slots { id startsAt endsAt left } } }"""
    assert (await client.ask(snapshot, ids)).data["availability"]
    for asked in (
        get_introspection_query(),
        get_introspection_query(specified_by_url=True, input_value_deprecation=True),
    ):
        assert (await client.ask(asked)).data["__schema"]["queryType"]["name"] == "Query"


async def test_introspection_is_for_staff_only_in_production(settings: Settings, embedded: Any, client: Client) -> None:
    """With our own key as the issuer's."""
    keys = settings.data_dir / "issuer.json"
    keys.write_text(json.dumps({"keys": [development_key(settings).as_dict(private=False)]}))
    named = {
        "env": "production",
        "auth_jwks": str(keys),
        "auth_issuer": "https://issuer.example",
        "auth_audience": "us",
    }
    production = settings.model_copy(update=named)
    claims = {"sub": "ann", "role": "admin", "exp": 4_000_000_000, "iss": "https://issuer.example", "aud": "us"}
    good, others = (
        jwt.encode({"alg": "Ed25519"}, claims | more, development_key(settings), algorithms=["Ed25519"])
        for more in ({}, {"aud": "others"})
    )
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with (
        running(production, addresses, working=False) as url,
        httpx2.AsyncClient(base_url=url, timeout=20) as http,
    ):
        there = Client(http, production)
        hidden = await there.ask("{ __schema { queryType { name } } }")
        assert set(hidden.codes) == {"GRAPHQL_VALIDATION_FAILED"}
        assert "Did you mean" not in (await there.ask("{ clinix { id } }")).raw.decode()
        assert (await there.ask("{ __typename viewer { role } }")).data["__typename"] == "Query"
        assert "data" not in hidden.body
        assert (await there.ask("{ __schema { queryType { name } } }", token=good)).data
        assert (await there.ask(ROLE, token=others)).status == 401
        assert (await there.ask(ROLE, token=client.admin())).status == 401
        assert (await http.get("/dev/examples.json")).status_code == 404


async def test_the_paths_beside_graphql(client: Client) -> None:
    sdl = await client.http.get("/schema.graphql")
    assert sdl.text == schema.as_str()
    assert (await client.http.get("/livez")).status_code == 200
    assert (await client.http.get("/readyz")).status_code == 200
    await client.ask(ROLE)
    metrics = (await client.http.get("/metrics")).text
    assert 'appointments_http_requests_total{path="/graphql",status="200"}' in metrics
    assert (await client.http.get("/nothing-here")).status_code == 404


async def test_the_relay_works_beside_the_api(client: Client) -> None:
    async with asyncio.timeout(10):
        while "appointments_relay_leading 1.0" not in (await client.http.get("/metrics")).text:  # noqa: ASYNC110 - a page
            await asyncio.sleep(0.1)


async def test_many_at_once_are_all_answered(client: Client) -> None:
    answers = await asyncio.gather(*(client.ask(ROLE) for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
