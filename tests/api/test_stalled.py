"""Whoever does not read, does not answer or has to go: what becomes of their connections, with short times (rules 31 and 34)."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing
from time import monotonic
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest

from app.embedded import Addresses
from app.live.events import EventStream
from app.live.guests import Guests
from app.live.pace import Pace
from app.live.wire import WIRE
from app.settings import Settings
from domain import ids
from tests.api.scripted import ScriptedLive, staged, until
from tests.api.talker import AVAILABILITY, opened

TIMES = AVAILABILITY % ids.node(ids.VISIT_TYPE, 1)
CLINIC = {"c": ids.node(ids.CLINIC, 1)}


@pytest.fixture
def addresses(settings: Settings, embedded: Any) -> Addresses:
    return Addresses(str(settings.database_url), None, embedded.redis_url)


@asynccontextmanager
async def _deaf(url: str, request: bytes, more: bytes = b"") -> AsyncIterator[socket.socket]:
    """A peer with little room that reads its handshake, if it has more to say, and nothing after."""
    host, port = url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    with closing(socket.socket()) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, int(port)))
        await loop.sock_sendall(peer, request)
        if more:
            await loop.sock_recv(peer, 4096)
            await loop.sock_sendall(peer, more)
        yield peer


def _frame(message: dict[str, Any]) -> bytes:
    """A client's text frame, masked with zeros."""
    data = json.dumps(message).encode()
    assert 126 <= len(data) < 65_536
    return b"\x81" + bytes([0x80 | 126]) + len(data).to_bytes(2, "big") + bytes(4) + data


def _upgrade() -> tuple[bytes, bytes]:
    key = base64.b64encode(bytes(16)).decode()
    head = (
        "GET /graphql HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": TIMES, "variables": CLINIC}}
    return head.encode(), _frame({"type": "connection_init", "payload": {"why": "x" * 100}}) + _frame(subscribe)


def _streamed() -> tuple[bytes]:
    body = json.dumps({"query": TIMES, "variables": CLINIC})
    return (
        (
            f"POST /graphql HTTP/1.1\r\nHost: here\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode(),
    )


async def _flooded(live: ScriptedLive, seconds: float) -> float:
    """How long a watch that is told more than it reads lasts."""
    await until(lambda: live.watching == 1)
    began = monotonic()
    while live.watching:
        assert monotonic() - began < seconds
        for _ in range(10):
            live.change(opened=500)
        await asyncio.sleep(0.02)
    return monotonic() - began


@pytest.mark.parametrize("request_", [_upgrade, _streamed], ids=["socket", "events"])
async def test_who_does_not_read_is_cut_off(settings: Settings, addresses: Addresses, request_: Any) -> None:
    async with staged(settings, addresses, Pace(ping=60, send=0.5)) as there, _deaf(there.url, *request_()):
        assert await _flooded(there.live, 5) >= 0.5


async def test_who_answers_no_ping_is_cut_off(settings: Settings, addresses: Addresses) -> None:
    async with staged(settings, addresses, Pace(ping=0.4, pong=0.4)) as there:
        async with _deaf(there.url, *_upgrade()):
            await until(lambda: there.live.watching == 1)
            began = monotonic()
            await until(lambda: there.live.watching == 0)
        assert 0.6 < monotonic() - began < 1.5


async def test_who_answers_stays(settings: Settings, addresses: Addresses) -> None:
    async with staged(settings, addresses, Pace(ping=0.2, pong=0.2)) as there:
        talker = await opened(there.url)
        await talker.begin()
        await talker.subscribe(TIMES, CLINIC)
        await asyncio.sleep(1)
        assert there.live.watching == 1
        await talker.connection.close()


@pytest.mark.parametrize("request_", [_upgrade, _streamed], ids=["socket", "events"])
async def test_a_slow_reader_that_goes_on_reading_is_waited_for(
    settings: Settings, addresses: Addresses, request_: Any
) -> None:
    """The server's ping lies behind what is not read yet, so its answer is late too."""
    async with staged(settings, addresses, Pace(ping=0.3, pong=0.3, send=0.4, comment=0.2)) as there:
        there.live.slots = 5_000
        async with _deaf(there.url, *request_()) as peer:
            await until(lambda: there.live.watching == 1)
            there.live.change()
            loop, got = asyncio.get_running_loop(), b""
            while b"AvailabilityDelta" not in got[-4000:]:
                some = await loop.sock_recv(peer, 8_000)
                assert some, "cut off"
                got += some
                await asyncio.sleep(0.02)
        assert len(got) > 300_000


async def _pinged(peer: socket.socket) -> int:
    """Pings without reading until it is cut off; answers how many bytes it got rid of."""
    pings, sent = (b"\x89" + bytes([0x80 | 125]) + bytes(4) + b"x" * 125) * 500, 0
    while sent < 30_000_000:
        try:
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().sock_sendall(peer, pings)
        except OSError:
            return sent
        sent += len(pings)
    return sent


async def test_who_pings_and_does_not_read_is_heard_no_more(settings: Settings, addresses: Addresses) -> None:
    async with staged(settings, addresses, Pace(ping=0.5, pong=0.5)) as there, _deaf(there.url, *_upgrade()) as peer:
        await until(lambda: there.live.watching == 1)
        assert await _pinged(peer) < 20_000_000  # what two kernels keep
        await until(lambda: there.live.watching == 0)


async def test_a_fault_of_ours_ends_a_stream_and_leaves_nothing_running() -> None:
    async def answers() -> AsyncGenerator[bytes, None]:
        yield b"{}"
        raise KeyError("a bug")

    async def send(_: Any) -> None:
        """Takes it."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    line = SimpleNamespace(room=AsyncMock(), narrow=lambda: None, transport=SimpleNamespace(is_closing=lambda: False))
    before = asyncio.all_tasks()
    with pytest.raises(KeyError):
        await EventStream(answers(), "id", None, Guests(), Pace())({"extensions": {WIRE: line}}, receive, send)
    assert not asyncio.all_tasks() - before


async def test_operations_and_streams_count_for_their_address(settings: Settings, addresses: Addresses) -> None:
    limited = settings.model_copy(update={"limits": True, "limit_rate": 0.1, "limit_burst": 5, "limit_sockets": 2})
    accept = {"Accept": "text/event-stream"}
    alone = Addresses(addresses.database_url, None, None)
    async with staged(limited, alone) as there, httpx2.AsyncClient(base_url=there.url) as http:
        talker = await opened(there.url)
        await talker.begin()
        asked = {"query": TIMES, "variables": CLINIC}
        async with http.stream("POST", "/graphql", json=asked, headers=accept) as first:
            assert first.status_code == 200
            refused = await http.post("/graphql", json=asked, headers=accept)
            assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")
        for number in range(3):
            await talker.subscribe("{ specialties }", name=str(number))
            await talker.next(str(number))
            await talker.hear()
        await talker.subscribe("{ specialties }", name="more")
        [error] = await talker.refused("more")
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert error["extensions"]["retryAfterSeconds"] >= 1
        await talker.connection.close()


async def test_the_server_leaves_its_guests_one_after_another(settings: Settings, addresses: Addresses) -> None:
    talkers, ended = [], []
    async with staged(settings.model_copy(update={"drain_seconds": 1}), addresses) as there:
        for _ in range(120):
            talker = await opened(there.url)
            await talker.begin()
            await talker.subscribe(TIMES, CLINIC)
            await talker.next()
            talkers.append(talker)

        async def end(one: Any) -> None:
            assert await one.closed() == 1012
            ended.append(monotonic())

        ends = [asyncio.create_task(end(one)) for one in talkers]
        began = monotonic()
    await asyncio.gather(*ends)
    assert 0.8 < max(ended) - began < 2.5
    assert max(ended) - min(ended) > 0.7
