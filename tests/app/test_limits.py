"""What one address may ask: in this process, in all of them, and while Redis is away."""

import asyncio
from time import monotonic, perf_counter
from typing import Any

import pytest

from adapters.redis import connection
from adapters.redis.rates import SharedRates
from app import limits
from app.limits import AddressLimits, Limited, Rates, counted_as
from app.settings import Settings

ONE, TWO = "203.0.113.1", "203.0.113.2"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_in_then_so_many_a_second() -> None:
    clock = Clock()
    rates = Rates(10, 20, clock)
    assert [rates.wait(ONE) for _ in range(20)] == [0.0] * 20
    assert rates.wait(ONE) == pytest.approx(0.1)
    assert rates.wait(ONE) == pytest.approx(0.1)  # who is refused is not put off further
    clock.now += 0.1
    assert rates.wait(ONE) == 0
    assert rates.wait(ONE) == pytest.approx(0.1)
    clock.now += 1
    assert [rates.wait(ONE) for _ in range(10)] == [0.0] * 10
    assert rates.wait(ONE) > 0
    clock.now += 3600
    assert [rates.wait(ONE) for _ in range(20)] == [0.0] * 20
    assert rates.wait(ONE) > 0


def test_one_address_does_not_touch_another() -> None:
    rates = Rates(1, 3, Clock())
    assert [rates.wait(ONE) > 0 for _ in range(10)] == [False] * 3 + [True] * 7
    assert [rates.wait(TWO) > 0 for _ in range(4)] == [False] * 3 + [True]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED_MAX", 100)
    rates = Rates(1, 1, Clock())
    assert not any(rates.wait(f"203.0.113.{one}") for one in range(1000))
    assert len(rates._full_at) == 100
    assert rates.wait("203.0.113.999") > 0
    assert rates.wait("203.0.113.1") == 0  # forgotten: let in


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_network_counts_as_one(host: str, counted: str) -> None:
    assert counted_as(host) == counted


async def test_websockets_are_counted_while_they_are_open() -> None:
    some = AddressLimits(Rates(1, 1), None, sockets_max=2)
    assert [some.enter(ONE), some.enter(ONE), some.enter(ONE), some.enter(TWO)] == [True, True, False, True]
    some.leave(ONE)
    assert some.enter(ONE)
    for address in (ONE, ONE, TWO):
        some.leave(address)
    assert not some._sockets


def _scope(*extensions: str) -> dict[str, Any]:
    return {
        "type": "websocket", "path": "/graphql", "headers": [], "client": (ONE, 1), "query_string": b"",
        "extensions": {name: {} for name in extensions},
    }  # fmt: skip


async def test_a_websocket_too_many_is_turned_away_and_a_closed_one_makes_room() -> None:
    opened, go = [], asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        opened.append(scope)
        await go.wait()
        raise ConnectionError

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def open_one(*extensions: str) -> list[dict[str, Any]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await limited(_scope(*extensions), receive, send)
        return sent

    limited = Limited(app, AddressLimits(Rates(1, 1), None, sockets_max=2))
    two = [asyncio.create_task(open_one()) for _ in range(2)]
    await asyncio.sleep(0)
    refused = await open_one("websocket.http.response")
    assert (refused[0]["type"], refused[0]["status"]) == ("websocket.http.response.start", 429)
    assert b"RATE_LIMITED" in refused[1]["body"]
    assert (await open_one())[0]["type"] == "websocket.close"
    assert len(opened) == 2
    go.set()
    assert [type(one) for one in await asyncio.gather(*two, return_exceptions=True)] == [ConnectionError] * 2
    with pytest.raises(ConnectionError):
        await open_one()


async def test_two_processes_count_together(redis_url: str) -> None:
    here, there = connection.client(redis_url), connection.client(redis_url)
    try:
        one, two = (
            AddressLimits(Rates(10, 20), SharedRates(redis_url, redis, 10, 20).wait, 1) for redis in (here, there)
        )
        waits = [await process.wait(ONE) for _ in range(15) for process in (one, two)]
        assert sum(wait == 0 for wait in waits) == 20
        assert all(0 < wait <= 2 for wait in waits[20:])
        assert await two.wait(TWO) == 0
        ttls = [await here.pttl(key) for key in await here.keys("LIMITS*")]
        assert ttls
        assert all(0 < ttl <= 10_000 for ttl in ttls)
    finally:
        await here.aclose()
        await there.aclose()


async def test_redis_is_told_of_several_requests_at_once() -> None:
    told: list[tuple[str, int]] = []

    async def shared(address: str, several: int) -> float:
        told.append((address, several))
        return 0.0

    process = AddressLimits(Rates(100, 100), shared, 1, at_once=4)
    for one in range(10):
        assert await process.wait(ONE) == 0
        assert await process.wait(f"203.0.114.{one}") == 0
    assert told == [(ONE, 4)] * 2


async def test_without_redis_each_process_goes_on_by_itself() -> None:
    redis = connection.client("redis://127.0.0.1:1/0")
    shared = SharedRates("redis://127.0.0.1:1/0", redis, 10, 20)
    process = AddressLimits(Rates(10, 20), shared.wait, 1)
    began = perf_counter()
    waits = [await process.wait(ONE) for _ in range(30)]
    assert [wait == 0 for wait in waits] == [True] * 20 + [False] * 10
    assert perf_counter() - began < 1
    assert monotonic() < shared._away_until
    await redis.aclose()


def test_limits_are_off_in_development_and_on_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMITS", raising=False)
    assert [Settings(env=env).limited for env in ("development", "test", "production")] == [False, False, True]
    assert not Settings(env="production", limits=False).limited
    assert Settings(limits=True).limited
