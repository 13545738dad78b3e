"""graphql-sse, distinct connections: the same operations, bytes and refusals as over a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time
from typing import Any

import httpx2
import orjson
import pytest
from joserfc import jwt

from app.auth import ALGORITHMS, development_key, development_token
from app.embedded import Addresses
from app.live.pace import Pace
from app.settings import Settings
from domain import ids
from tests.api.scripted import UNKNOWN_CLINIC, Stage, staged, until
from tests.api.talker import AVAILABILITY, talking
from tests.api.town import Town

TIMES = AVAILABILITY % ids.node(ids.VISIT_TYPE, 1)
CLINIC = {"c": ids.node(ids.CLINIC, 1)}
ROLE = "{ viewer { role } }"


@pytest.fixture(scope="module")
async def stage(settings: Settings, embedded: Any, town: Town) -> AsyncIterator[Stage]:
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with staged(settings, addresses, Pace(comment=0.3)) as there:
        yield there


@pytest.fixture
async def http(stage: Stage) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=stage.url, timeout=10) as client:
        yield client
    await until(lambda: stage.live.watching == 0)


class Stream:
    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._parts = response.aiter_bytes()
        self._text = b""

    async def raw(self) -> bytes:
        """The next block, up to its empty line; empty at the end."""
        while b"\n\n" not in self._text:
            try:
                self._text += await anext(self._parts)
            except StopAsyncIteration:
                return b""
        block, _, self._text = self._text.partition(b"\n\n")
        return block

    async def event(self) -> tuple[str, Any]:
        while (block := await self.raw()).startswith(b":"):
            pass
        if not block:
            return "end", None
        first, _, rest = block.partition(b"\n")
        data = rest.removeprefix(b"data:").strip()
        return first.decode().removeprefix("event: "), orjson.loads(data) if data else None

    async def next(self) -> Any:
        kind, body = await self.event()
        assert kind == "next"
        assert "errors" not in body, body
        return body["data"]


@asynccontextmanager
async def streaming(
    http: httpx2.AsyncClient, query: str, variables: dict[str, Any] | None = None, token: str | None = None
) -> AsyncIterator[Stream]:
    headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = {"query": query, "variables": variables or {}}
    async with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        yield Stream(response)


async def test_frames_come_as_events_and_the_member_goes_with_its_client(
    stage: Stage, http: httpx2.AsyncClient
) -> None:
    async with streaming(http, TIMES, CLINIC) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["x-request-id"]
        assert stream.response.headers["cache-control"] == "no-store"
        cursor = (await stream.next())["availability"]["cursor"]
        stage.live.change()
        assert (await stream.next())["availability"]["previousCursor"] == cursor
        assert stage.live.watching == 1
    await until(lambda: stage.live.watching == 0, 1)


async def test_both_transports_send_the_same_bytes(stage: Stage, http: httpx2.AsyncClient) -> None:
    async with streaming(http, TIMES, CLINIC) as stream, talking(stage.url) as talker:
        await talker.begin()
        await talker.subscribe(TIMES, CLINIC)
        await talker.next()
        await stream.next()
        delta = stage.live.change()
        block = await stream.raw()
        while block.startswith(b":"):
            block = await stream.raw()
        sent = await talker.connection.recv(decode=False)
        payload = block.removeprefix(b"event: next\ndata: ")
        assert sent == b'{"id":"1","type":"next","payload":' + payload + b"}"
        assert list(delta.encoded.values()) == [payload]


async def test_silence_is_filled_with_comments(http: httpx2.AsyncClient) -> None:
    async with streaming(http, TIMES, CLINIC) as stream:
        await stream.next()
        assert await stream.raw() == b":"
        assert await stream.raw() == b":"


async def test_a_query_is_one_event(http: httpx2.AsyncClient) -> None:
    async with streaming(http, ROLE) as stream:
        assert await stream.next() == {"viewer": {"role": "ANONYMOUS"}}
        assert await stream.event() == ("complete", None)
        assert await stream.event() == ("end", None)
    async with streaming(
        http, 'mutation { releaseHold(input: { holdId: "x", idempotencyKey: "k" }) { __typename } }'
    ) as stream:
        kind, body = await stream.event()
        assert (kind, body["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "viewer { role } " * 400 + " }", {}, "LIMIT_EXCEEDED"),
        (TIMES, {"c": ids.node(ids.CLINIC, UNKNOWN_CLINIC)}, "BAD_USER_INPUT"),
        (TIMES.replace("slots { id left", "a: slots { id } slots { id left"), CLINIC, "LIMIT_EXCEEDED"),
        ("subscription { myAppointments { __typename } }", {}, "UNAUTHENTICATED"),
    ],
)
async def test_refusals_are_coded(http: httpx2.AsyncClient, query: str, variables: dict[str, Any], code: str) -> None:
    async with streaming(http, query, variables) as stream:
        kind, body = await stream.event()
        assert kind == "next"
        assert {error["extensions"]["code"] for error in body["errors"]} == {code}
        assert await stream.event() == ("complete", None)


async def test_bad_requests_begin_no_stream(stage: Stage, http: httpx2.AsyncClient) -> None:
    accept = {"Accept": "text/event-stream"}
    expired = development_token(stage.settings, role="admin", expires_seconds=-1)
    for response, status in (
        (await http.post("/graphql", content=b"{", headers=accept | {"Content-Type": "application/json"}), 400),
        (await http.post("/graphql", content=b"{}", headers=accept | {"Content-Type": "text/plain"}), 415),
        (await http.post("/graphql", json={"query": ROLE}, headers=accept | {"Authorization": "Bearer x"}), 401),
        (
            await http.post("/graphql", json={"query": ROLE}, headers=accept | {"Authorization": f"Bearer {expired}"}),
            401,
        ),
    ):
        assert response.status_code == status
        assert response.json()["errors"][0]["extensions"]["code"]


async def test_get_reads_only(http: httpx2.AsyncClient) -> None:
    accept = {"Accept": "text/event-stream"}
    found = await http.get("/graphql", params={"query": ROLE}, headers=accept)
    assert found.text == 'event: next\ndata: {"data":{"viewer":{"role":"ANONYMOUS"}}}\n\nevent: complete\ndata:\n\n'
    refused = await http.get("/graphql", params={"query": "mutation { __typename }"}, headers=accept)
    assert "BAD_USER_INPUT" in refused.text


async def test_a_tokens_end_ends_the_stream_without_completing_it(stage: Stage, http: httpx2.AsyncClient) -> None:
    claims = {"sub": "someone", "role": "admin", "exp": time() + 0.6}
    token = jwt.encode({"alg": "Ed25519"}, claims, development_key(stage.settings), algorithms=ALGORITHMS)
    async with asyncio.timeout(3), streaming(http, TIMES, CLINIC, token) as stream:
        await stream.next()
        assert await stream.event() == ("end", None)


async def test_who_is_too_slow_has_to_come_again(stage: Stage, http: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(3), streaming(http, TIMES, CLINIC) as stream:
        await stream.next()
        stage.live.slow()
        assert await stream.event() == ("end", None)
