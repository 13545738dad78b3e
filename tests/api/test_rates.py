"""Limits per address over HTTP: told with a code and when to come again, and nobody else's affair (rule 39)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from app.embedded import Addresses
from app.serving import running
from app.settings import Settings
from tests.api.client import Client, read
from tests.api.town import Town

BODY = {"query": "{ viewer { role } }"}
BURST = 5


@pytest.fixture
async def limited(settings: Settings, embedded: Any, town: Town) -> AsyncIterator[httpx2.AsyncClient]:
    """Half a request a second, five at once."""
    strict = settings.model_copy(update={"limits": True, "limit_rate": 0.5, "limit_burst": BURST})
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with running(strict, addresses, working=False) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        yield http


async def post(http: httpx2.AsyncClient, address: str, **headers: str) -> httpx2.Response:
    return await http.post("/graphql", json=BODY, headers={"X-Forwarded-For": address} | headers)


async def test_who_asks_too_often_is_told_so_and_others_are_not(limited: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(limited, "203.0.113.1") for _ in range(3 * BURST)))
    assert sorted(one.status_code for one in answers) == [200] * BURST + [429] * (2 * BURST)
    for one in answers:
        if one.status_code == 429:
            assert read(one).codes == ["RATE_LIMITED"]
            assert 1 <= int(one.headers["retry-after"]) <= 10
            assert one.headers["content-type"].startswith("application/json")
            assert one.headers["cache-control"] == "no-store"
    strict = await post(limited, "203.0.113.1", Accept="application/graphql-response+json")
    assert (strict.status_code, strict.headers["content-type"]) == (
        429,
        "application/graphql-response+json; charset=utf-8",
    )
    got = await limited.get("/graphql", params=BODY, headers={"X-Forwarded-For": "203.0.113.1"})
    assert got.status_code == 429
    assert read(await post(limited, "203.0.113.2")).data == {"viewer": {"role": "ANONYMOUS"}}
    assert (await limited.get("/livez", headers={"X-Forwarded-For": "203.0.113.1"})).status_code == 200


@pytest.mark.parametrize("path", ["/calendar", "/book?slot=x"])
async def test_pages_that_ask_count_like_questions(limited: httpx2.AsyncClient, path: str) -> None:
    headers = {"X-Forwarded-For": "203.0.113.4" if path == "/calendar" else "203.0.113.5"}
    answers = [await limited.get(path, headers=headers) for _ in range(BURST + 1)]
    assert [one.status_code for one in answers] == [200] * BURST + [429]
    assert answers[-1].text == "Too many requests from this address. Please try again in a moment.\n"
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_page_waits_no_longer_than_a_question(settings: Settings, embedded: Any, town: Town) -> None:
    hasty = settings.model_copy(update={"request_seconds": 0.0})
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with running(hasty, addresses, working=False) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        assert (await http.get("/calendar")).status_code == 503


async def test_the_client_is_who_the_trusted_proxy_says_not_who_it_says_itself(limited: httpx2.AsyncClient) -> None:
    """The proxy adds the peer it saw at the end; what stands before is the client's own word."""
    answers = [await post(limited, f"198.51.100.{one}, 203.0.113.3") for one in range(BURST + 1)]
    assert [one.status_code for one in answers] == [200] * BURST + [429]


async def test_nobody_is_limited_unless_it_is_set(client: Client) -> None:
    answers = await asyncio.gather(*(post(client.http, "203.0.113.1") for _ in range(600)))
    assert {one.status_code for one in answers} == {200}
