"""The Starlette application: GraphQL, pages, health and metrics."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import strawberry
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from strawberry.http.websocket_origin import normalize_origin

from adapters.postgres import changes
from adapters.postgres.database import answering
from app import calendar_pages, dev_messages, examples, hooks, pages
from app.cors import AllowedOrigins
from app.graphql import Asked, GraphQLEndpoint, Operations
from app.limits import Limited
from app.live.answers import Answers
from app.live.events import Events, is_wanted
from app.live.guests import Guests
from app.live.pace import PACE, Pace
from app.live.sockets import Sockets
from app.wiring import Product
from domain.access import ANONYMOUS
from domain.faults import Unavailable

REQUESTS = Counter("appointments_http_requests_total", "Requests by path and status.", ["path", "status"])
SECONDS = Histogram(
    "appointments_http_request_seconds",
    "Time until an answer began, by path.",
    ["path"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


@dataclass(slots=True)
class State:
    """Whether requests should come: not while starting, nor while draining."""

    ready: bool = False
    why: str = "starting"
    guests: Guests = field(default_factory=Guests)


def application(
    product: Product,
    schema: strawberry.Schema,
    lifespan: Callable[[Any], Any] | None = None,
    state: State | None = None,
    *,
    pace: Pace = PACE,
) -> Starlette:
    """The whole surface outside the command line. `state` is shared with who starts and drains the server."""
    state = state or State(ready=True)
    operations = Operations(schema, product)

    async def ask(query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = await operations.answer(ANONYMOUS, Asked(query, variables, None), reading=True)
        if "errors" in body:
            raise HTTPException(503)
        found: dict[str, Any] = body["data"]
        return found

    routes = [
        *_graphql(product, schema, operations, state, pace),
        *_health(product, state),
        *pages.routes(),
        *calendar_pages.routes(product, ask),
        *hooks.routes(product),
    ]
    if not product.settings.production:
        routes.append(Route("/dev/examples.json", examples.endpoint(product)))
        routes.append(Route("/dev/messages", dev_messages.endpoint(product)))
    app = Starlette(routes=routes, lifespan=lifespan)
    # The last that is added is the first that is asked: what is refused is measured, and readable from allowed sites.
    if product.limits is not None:
        app.add_middleware(Limited, limits=product.limits)
    app.add_middleware(AllowedOrigins, allows=product.services.origins.allows)
    app.add_middleware(Measured)
    return app


def _graphql(
    product: Product, schema: strawberry.Schema, operations: Operations, state: State, pace: Pace
) -> list[BaseRoute]:
    """One path for questions, event streams and sockets."""
    answers = Answers(schema, product, operations)
    endpoint = GraphQLEndpoint(operations, product)
    events = Events(answers, product.tokens, state.guests, pace, product.limits)
    own = _origin(product.settings.public_url)
    allows = product.services.origins.allows
    sockets = Sockets(
        schema, answers, product.tokens, state.guests, lambda one: one == own or allows(one), pace, product.limits
    )
    sdl = schema.as_str()

    async def graphql(request: Request) -> Response:
        return await (events if is_wanted(request) else endpoint)(request)

    async def schema_text(_: Request) -> Response:
        return PlainTextResponse(sdl, headers={"Cache-Control": "public, max-age=300"})

    return [
        Route("/graphql", graphql, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", sockets),
        Route("/schema.graphql", schema_text),
    ]


def _health(product: Product, state: State) -> list[BaseRoute]:
    async def livez(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        return await _readiness(product, state)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


def _origin(url: str | None) -> str | None:
    parts = urlsplit(url or "")
    return normalize_origin(f"{parts.scheme}://{parts.netloc}") if parts.netloc else None


async def _readiness(product: Product, state: State) -> Response:
    if not state.ready:
        return PlainTextResponse(f"{state.why}\n", status_code=503)
    try:
        async with answering():
            await changes.now(product.database.primary)
    except Unavailable:
        return PlainTextResponse("PostgreSQL does not answer\n", status_code=503)
    return PlainTextResponse("ready\n")


class Measured:
    """Counts requests by path and status. Paths are our own routes, never what a client made up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._seconds = {path: SECONDS.labels(path) for path in (*PATHS, "other")}
        self._requests: dict[tuple[str, int], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in PATHS else "other"
        status = 500

        began = perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._seconds[path].observe(perf_counter() - began)
            await send(message)

        await self._app(scope, receive, noted)
        counter = self._requests.get((path, status))
        if counter is None:
            counter = self._requests[path, status] = REQUESTS.labels(path, str(status))
        counter.inc()


PATHS = frozenset(
    [
        "/",
        "/graphql",
        "/schema.graphql",
        "/livez",
        "/readyz",
        "/metrics",
        "/calendar",
        "/book",
        "/find",
        "/wait",
        "/embed/v1/widget.js",
        "/hooks/sms/status",
        "/hooks/sms/inbound",
    ]
)
