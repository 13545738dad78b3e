"""What one client address may ask: requests a second with a burst, and WebSockets at a time (rule 39)."""

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import orjson
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

REMEMBERED_MAX: Final = 50_000
PREFIX: Final = 64  # of IPv6: what one household or one machine is given
GRAPHQL_JSON: Final = "application/graphql-response+json"
OFTEN: Final = "Too many requests from this address."
CONNECTED_RETRY_SECONDS: Final = 10
CONNECTED: Final = "Too many connections from this address."
PAGES: Final = frozenset({"/calendar", "/book"})  # that ask as /graphql does
Shared = Callable[[str, int], Awaitable[float]]


class Rates:
    """Counted in this process: for each address one number, the time when its bucket is full again. Bounded: the addresses
    that are longest silent are forgotten, and so let in."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = monotonic) -> None:
        self._step, self._depth = 1 / per_second, burst / per_second
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._clock = clock

    def wait(self, address: str) -> float:
        """0 where the request may go on, and is counted; else the seconds until one may."""
        now = self._clock()
        full_at = max(self._full_at.get(address, now), now) + self._step
        wait = full_at - now - self._depth
        if wait > 1e-9:
            return wait
        self._note(address, full_at)
        return 0.0

    def refuse(self, address: str, seconds: float) -> None:
        """Nothing more from there for so long."""
        self._note(address, self._clock() + seconds + self._depth - self._step)

    def _note(self, address: str, full_at: float) -> None:
        self._full_at[address] = full_at
        self._full_at.move_to_end(address)
        if len(self._full_at) > REMEMBERED_MAX:
            self._full_at.popitem(last=False)


class AddressLimits:
    """This process's own count first, so that who is refused costs no more than a look; then the one shared by all.

    That one is told of `at_once` requests together: asking it costs more than most of what it guards.
    """

    def __init__(self, rates: Rates, shared: Shared | None, sockets_max: int, at_once: int = 1) -> None:
        self._rates = rates
        self._shared = shared
        self._at_once = at_once
        self._untold: dict[str, int] = {}
        self._sockets: Counter[str] = Counter()
        self._sockets_max = sockets_max

    async def wait(self, address: str) -> float:
        """Takes one request from an address: 0 where it may go on, else the seconds until one may."""
        wait = self._rates.wait(address)
        if wait or self._shared is None:
            return wait
        several = self._untold.pop(address, 0) + 1
        if several < self._at_once:
            if len(self._untold) >= REMEMBERED_MAX:
                self._untold.clear()
            self._untold[address] = several
            return 0.0
        wait = await self._shared(address, several)
        if wait:
            self._rates.refuse(address, wait)
        return wait

    def enter(self, address: str) -> bool:
        """Takes one of the address's WebSockets; False where it has them all. `leave` gives it back."""
        if self._sockets[address] >= self._sockets_max:
            return False
        self._sockets[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._sockets[address] -= 1
        if self._sockets[address] <= 0:
            del self._sockets[address]


@lru_cache(maxsize=4096)
def counted_as(host: str) -> str:
    """The address that a peer counts as: of IPv6 its network, where one has more addresses than could be counted."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> (128 - PREFIX) << (128 - PREFIX), PREFIX)))


def address_of(connection: HTTPConnection) -> str | None:
    """None for a peer without an address (a Unix socket). Behind a trusted proxy the server has put the client's in its place."""
    return counted_as(connection.client.host) if connection.client is not None else None


class Limited:
    """Refuses /graphql and the pages that ask there, and WebSockets of any path, to addresses that have had their share."""

    def __init__(self, app: ASGIApp, limits: AddressLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/graphql" or scope["path"] in PAGES):
            connection = HTTPConnection(scope)
            address = address_of(connection)
            wait = await self._limits.wait(address) if address is not None else 0.0
            if wait:
                refused = _page_too_often if scope["path"] in PAGES else _too_often
                await refused(connection, wait)(scope, receive, send)
                return
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = address_of(HTTPConnection(scope))
        if address is None:
            await self._app(scope, receive, send)
            return
        if not self._limits.enter(address):
            await _turned_away(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._limits.leave(address)


def _too_often(connection: HTTPConnection, wait: float) -> Response:
    asked = connection.headers.get("accept", "")
    media_type = GRAPHQL_JSON if GRAPHQL_JSON in asked else "application/json"
    return _refusal(OFTEN, ceil(wait), media_type)


def _page_too_often(_: HTTPConnection, wait: float) -> Response:
    headers = {"Cache-Control": "no-store", "Retry-After": str(ceil(wait))}
    return PlainTextResponse(f"{OFTEN} Please try again in a moment.\n", 429, headers)


async def _turned_away(scope: Scope, receive: Receive, send: Send) -> None:
    """The handshake gets 429 where the server can say so, else it is closed, which clients see as 403."""
    socket = WebSocket(scope, receive, send)
    if "websocket.http.response" in scope.get("extensions", {}):
        await socket.send_denial_response(_refusal(CONNECTED, CONNECTED_RETRY_SECONDS, "application/json"))
    else:
        await socket.close(1013)


def too_many(message: str, retry_seconds: int) -> dict[str, Any]:
    """The error, as clients see it."""
    return {"message": message, "extensions": {"code": "RATE_LIMITED", "retryAfterSeconds": retry_seconds}}


def _refusal(message: str, retry_seconds: int, media_type: str) -> Response:
    body = {"errors": [too_many(message, retry_seconds)]}
    headers = {
        "Cache-Control": "no-store",
        "Content-Type": f"{media_type}; charset=utf-8",
        "Retry-After": str(retry_seconds),
        "X-Request-Id": uuid4().hex,
    }
    return Response(orjson.dumps(body), 429, headers)
