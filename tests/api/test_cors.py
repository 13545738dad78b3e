"""Web sites that a clinic has allowed may ask from a browser, others not; and who may know which they are (rule 39)."""

from itertools import count
from typing import Any

import httpx2
import pytest

from tests.api.client import Client, read
from tests.api.town import Town

SET = """mutation M($input: SetClinicOriginsInput!) { setClinicOrigins(input: $input) {
    __typename ... on ClinicOriginsSet { clinic { id allowedOrigins } } ... on InvalidInput { field } } }"""
ALLOWED = "query Q($id: ID!) { node(id: $id) { ... on Clinic { allowedOrigins } } }"
MANY = "{ clinics(first: 20) { edges { node { id allowedOrigins } } } }"
SITE, OTHER = "https://widgets.example", "https://elsewhere.example"
BODY = {"query": "{ viewer { role } }"}
CORS = {
    name for name in ("access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods")
}
_numbers = count(1)


async def allow(client: Client, clinic_id: str, *origins: str) -> dict[str, Any]:
    given = {"clinicId": clinic_id, "origins": list(origins), "idempotencyKey": f"cors-{next(_numbers)}"}
    found: dict[str, Any] = (await client.ask(SET, {"input": given}, client.admin())).data["setClinicOrigins"]
    return found


async def preflight(client: Client, origin: str, path: str = "/graphql", **headers: str) -> httpx2.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    return await client.http.options(path, headers=asked | headers)


def vary(response: httpx2.Response) -> set[str]:
    return {one.strip() for one in response.headers.get("vary", "").split(",")}


async def test_an_allowed_site_may_ask_and_no_longer_when_it_is_taken_out(client: Client, town: Town) -> None:
    assert (await preflight(client, SITE)).status_code == 400
    assert await allow(client, town.east.clinic_id, "https://Widgets.Example:443", "http://localhost:3000") == {
        "__typename": "ClinicOriginsSet",
        "clinic": {"id": town.east.clinic_id, "allowedOrigins": ["http://localhost:3000", SITE]},
    }
    for site in (SITE, "http://localhost:3000"):
        asked = await preflight(client, site)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == site
        named = asked.headers["access-control-allow-headers"].lower()
        assert {"authorization", "content-type"} <= {one.strip() for one in named.split(",")}
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in asked.headers
        assert "Origin" in vary(asked)
        answered = await client.http.post("/graphql", json=BODY, headers={"Origin": site})
        assert answered.headers["access-control-allow-origin"] == site
        assert {"Origin", "Accept", "Authorization"} <= vary(answered)
        assert read(answered).data == {"viewer": {"role": "ANONYMOUS"}}
        got = await client.http.get("/graphql", params=BODY, headers={"Origin": site})
        assert got.headers["access-control-allow-origin"] == site
    await allow(client, town.east.clinic_id)
    assert (await preflight(client, SITE)).status_code == 400
    answered = await client.http.post("/graphql", json=BODY, headers={"Origin": SITE})
    assert not CORS & answered.headers.keys()


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "https://widgets.example.evil.example", SITE + ":8443", "http://widgets.example"]
)
async def test_others_get_no_leave_to_read(client: Client, town: Town, origin: str) -> None:
    await allow(client, town.east.clinic_id, SITE)
    refused = await preflight(client, origin)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    answered = await client.http.post("/graphql", json=BODY, headers={"Origin": origin})
    assert not CORS & answered.headers.keys()
    assert "Origin" in vary(answered)


async def test_our_own_pages_and_scripts_are_answered_as_before(client: Client, town: Town) -> None:
    await allow(client, town.east.clinic_id, SITE)
    for headers in ({}, {"Origin": str(client.http.base_url).rstrip("/")}):
        answered = await client.http.post("/graphql", json=BODY, headers=headers)
        assert read(answered).data == {"viewer": {"role": "ANONYMOUS"}}
        assert not CORS & answered.headers.keys()


async def test_errors_and_refusals_can_be_read_from_an_allowed_site(client: Client, town: Town) -> None:
    await allow(client, town.east.clinic_id, SITE)
    for headers, status in (({"Authorization": "Bearer x"}, 401), ({"Content-Type": "text/plain"}, 415)):
        refused = await client.http.post("/graphql", content=b"{}", headers={"Origin": SITE} | headers)
        assert refused.status_code == status
        assert refused.headers["access-control-allow-origin"] == SITE
        assert "X-Request-Id" in refused.headers["access-control-expose-headers"]


async def test_a_preflight_for_more_than_we_take_is_refused(client: Client, town: Town) -> None:
    await allow(client, town.east.clinic_id, SITE)
    assert (await preflight(client, SITE, **{"Access-Control-Request-Method": "DELETE"})).status_code == 400
    assert (await preflight(client, SITE, **{"Access-Control-Request-Headers": "x-anything"})).status_code == 400


async def test_the_embedded_calendar_is_governed_by_the_same_set_and_other_paths_by_none(
    client: Client, town: Town
) -> None:
    await allow(client, town.east.clinic_id, SITE)
    assert (await preflight(client, SITE, "/embed/v1/widget.js")).status_code == 200
    assert (await preflight(client, OTHER, "/embed/v1/widget.js")).status_code == 400
    for path in ("/metrics", "/", "/schema.graphql", "/embedded"):
        found = await client.http.get(path, headers={"Origin": SITE})
        assert not CORS & found.headers.keys(), path


async def test_only_admin_sees_whom_a_clinic_lets_in(client: Client, town: Town) -> None:
    await allow(client, town.east.clinic_id, SITE)
    await allow(client, town.west.clinic_id, OTHER)
    staff, patient = client.staff([town.east.clinic]), client.patient(town.east.patient)
    for token in (None, staff, patient):
        found = await client.ask(ALLOWED, {"id": town.east.clinic_id}, token)
        assert found.data["node"] == {"allowedOrigins": []}
    found = await client.ask(MANY, None, client.admin())
    sets = {edge["node"]["id"]: edge["node"]["allowedOrigins"] for edge in found.data["clinics"]["edges"]}
    assert sets == {town.east.clinic_id: [SITE], town.west.clinic_id: [OTHER]}
    assert (await allow(client, town.east.clinic_id, "*")) == {"__typename": "InvalidInput", "field": "origins.0"}
