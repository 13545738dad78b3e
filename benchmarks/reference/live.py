"""The live calendar as Strawberry's manual teaches subscriptions: its own handler, an async generator for each socket.

What it is told is what the product's subscribers are told: it follows the same stream with the same hub, and yields the
same frames. Only the way from there to the socket is stock: executed, encoded and framed for each socket and event.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import date, datetime
from typing import Annotated

import strawberry
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from app.embedded import servers
from app.settings import Settings, load_settings
from app.wiring import product, tune_memory
from domain import frames
from domain.frames import SnapshotReason
from resolvers.clinics import shape_of
from resolvers.inputs import AvailabilityFilter
from schema.presenting import presents
from services.live.live import Live

Reason = strawberry.enum(SnapshotReason, name="SnapshotReason")


@strawberry.type
class OpenSlot:
    id: strawberry.ID
    provider_id: strawberry.ID
    starts_at: datetime
    ends_at: datetime
    local_date: date
    left: int
    bookable_until: datetime


@strawberry.interface
class AvailabilityFrame:
    cursor: str
    server_time: datetime


@strawberry.type
@presents(frames.Snapshot)
class AvailabilitySnapshot(AvailabilityFrame):
    reason: Reason
    time_zone: str
    through: date
    slots: list[OpenSlot]


@strawberry.type
@presents(frames.Delta)
class AvailabilityDelta(AvailabilityFrame):
    previous_cursor: str
    opened: list[OpenSlot]
    removed: list[strawberry.ID]


@strawberry.type
@presents(frames.Heartbeat)
class AvailabilityHeartbeat(AvailabilityFrame):
    previous_cursor: str


AvailabilityEvent = Annotated[
    AvailabilitySnapshot | AvailabilityDelta | AvailabilityHeartbeat, strawberry.union("AvailabilityEvent")
]


@strawberry.type
class Query:
    ready: bool = True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def availability(
        self, info: strawberry.Info, filter: AvailabilityFilter, after: str | None = None
    ) -> AsyncGenerator[AvailabilityEvent, None]:
        with closing(await info.context["live"].availability(shape_of(filter), after)) as watch:
            async for frame in watch:
                yield frame


class Endpoint(GraphQL):
    def __init__(self, schema: strawberry.Schema, live: Live) -> None:
        super().__init__(schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
        self.live = live

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> dict[str, Live]:
        return {"live": self.live}


@asynccontextmanager
async def following(settings: Settings) -> AsyncGenerator[Live, None]:
    """The product without its server, and without relaying: the one that is compared does that for both."""
    async with (
        servers(settings) as addresses,
        product(settings, addresses) as built,
        built.streaming.followed(built.hub, built.trust, lambda _: None),
    ):
        yield built.services.live


async def serve(settings: Settings) -> None:
    async with following(settings) as live:
        endpoint = Endpoint(strawberry.Schema(Query, subscription=Subscription), live)
        app = Starlette(routes=[Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)])
        tune_memory()  # what the product does about the collector
        config = uvicorn.Config(
            app, host=settings.host, port=settings.port, loop="none", log_level="warning", access_log=False,
            ws="websockets-sansio", ws_per_message_deflate=False,
        )  # fmt: skip
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(load_settings()))
