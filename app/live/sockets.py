"""graphql-transport-ws on /graphql: Strawberry's protocol, with our tokens, limits, bytes and deadlines (rules 21 and 30 to 35)."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import timedelta
from math import ceil
from time import time
from typing import Any, cast
from uuid import uuid4

import orjson
import strawberry
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from app.auth import TokenRefused, Tokens
from app.graphql import Asked
from app.limits import OFTEN, AddressLimits, address_of, too_many
from app.live.answers import Answers, Declined
from app.live.guests import Guests
from app.live.messages import problem
from app.live.pace import Pace
from app.live.wire import WIRE, Wire
from domain.access import ANONYMOUS
from services.live.member import TooSlow

EXPIRED, NEVER, BUSY, TOO_SLOW, RESTARTING = 4403, 4401, 4409, 4430, 1012


class Socket(ASGIWebSocketAdapter):
    """Sends bytes past ASGI, which would take them through text and two more queues."""

    def __init__(self, view: "Sockets", request: WebSocket, response: WebSocket) -> None:
        super().__init__(view, request, response)
        self.wire: Wire = request.scope["extensions"][WIRE]
        self._pace = view.pace

    async def send_json(self, message: Mapping[str, object]) -> None:
        await self.deliver(orjson.dumps(message))

    async def deliver(self, data: bytes) -> None:
        """Raises WebSocketDisconnected where the peer is gone, or does not read and so is cut off."""
        wire = self.wire
        if not wire.writable.is_set():
            await wire.room(self._pace.send)
        if wire.is_over:
            raise WebSocketDisconnected
        wire.text(data)

    async def close(self, code: int, reason: str) -> None:
        self.wire.hang_up(code, reason, self._pace.goodbye)


class Handler(BaseGraphQLTransportWSHandler[Any, None]):
    """One socket. Operations are tasks; one that watches sends each frame from there, with no task of its own."""

    view: "Sockets"
    websocket: Socket

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer = ANONYMOUS
        self._end: asyncio.TimerHandle | None = None

    async def handle(self) -> None:
        with self.view.guests.staying(lambda: self._hang_up(RESTARTING, "The server restarts")):
            try:
                await super().handle()
            finally:
                if self._end is not None:
                    self._end.cancel()

    async def handle_message(self, message: Any) -> None:
        if self.websocket.wire.close_sent:
            return
        wrong = problem(message)
        if wrong is not None:
            await self.handle_invalid_message(wrong)
            return
        with suppress(WebSocketDisconnected):
            await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        if self.connection_timed_out:
            return
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        if self.connection_init_received:
            self._hang_up(4429, "Too many initialisation requests")
            return
        self.connection_init_received = True
        payload = message.get("payload") or {}
        try:
            await self._let_in(payload.get("authorization", payload.get("Authorization")))
        except TokenRefused as refused:
            self._hang_up(EXPIRED if refused.expired else NEVER, refused.message)
            return
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True

    async def _let_in(self, authorization: Any) -> None:
        if authorization is not None and not isinstance(authorization, str):
            raise TokenRefused("The token is a text: Bearer TOKEN.")
        viewer = await self.view.tokens.viewer(authorization)
        if authorization is not None:
            left = self.view.tokens.expires_at(authorization) - time()
            loop = asyncio.get_running_loop()
            self._end = loop.call_later(max(left, 0), self._hang_up, EXPIRED, "The token has expired")
        self.viewer = replace(viewer, request_id=uuid4().hex)

    async def handle_subscribe(self, message: Any) -> None:
        if not self.connection_acknowledged:
            self._hang_up(NEVER, "Unauthorized")
        elif message["id"] in self.operations:
            self._hang_up(BUSY, f"Subscriber for {message['id']} already exists")
        elif len(self.operations) >= self.view.pace.operations:
            most = f"At most {self.view.pace.operations} operations at once on one connection."
            error = {"message": most, "extensions": {"code": "LIMIT_EXCEEDED"}}
            await self.send_message({"id": message["id"], "type": "error", "payload": [cast("Any", error)]})
        else:
            asked = message["payload"]
            operation = Operation(
                self, message["id"], asked["query"], asked.get("variables"), asked.get("operationName")
            )
            operation.task = asyncio.create_task(self.run_operation(operation))
            operation.task.add_done_callback(self._task_done)
            self.operations[operation.id] = operation

    async def run_operation(self, operation: Operation[Any, None]) -> None:
        asked = Asked(operation.query, operation.variables, operation.operation_name)
        before = b'{"id":' + orjson.dumps(operation.id) + b',"type":"next","payload":'
        deliver = self.websocket.deliver
        # Each operation is a request of its own in audit rows.
        viewer = replace(self.viewer, request_id=uuid4().hex)
        with suppress(WebSocketDisconnected):
            try:
                await self._counted()
                async with aclosing(self.view.answers.of(viewer, asked)) as answers:
                    async for answer in answers:
                        await deliver(before + answer + b"}")
                await operation.send_operation_message({"id": operation.id, "type": "complete"})
            except Declined as declined:
                await operation.send_operation_message(
                    {"id": operation.id, "type": "error", "payload": declined.errors}
                )
            except TooSlow:
                self._hang_up(TOO_SLOW, "Too slow")

    async def _counted(self) -> None:
        """Each operation is a request from its address, as over HTTP. Raises Declined."""
        limits, address = self.view.limits, address_of(self.websocket.ws)
        wait = await limits.wait(address) if limits is not None and address is not None else 0
        if wait:
            raise Declined([too_many(OFTEN, ceil(wait))])

    def _hang_up(self, code: int, reason: str) -> None:
        self.websocket.wire.hang_up(code, reason, self.view.pace.goodbye)


class Sockets(GraphQL[Any, None]):
    """The WebSocket route. `allowed` judges the origins of pages that are not ours (rule 39); it is asked for each handshake."""

    graphql_transport_ws_handler_class = Handler
    websocket_adapter_class = Socket  # type: ignore[assignment]

    def __init__(
        self,
        schema: strawberry.Schema,
        answers: Answers,
        tokens: Tokens,
        guests: Guests,
        allowed: Callable[[str], bool],
        pace: Pace,
        limits: AddressLimits | None,
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=pace.init),
        )
        self.answers = answers
        self.tokens = tokens
        self.guests = guests
        self.pace = pace
        self.limits = limits
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.guests.leaving:
            # Let in to be told so: clients take a refused handshake for an error of their own.
            await WebSocket(scope, receive, send).accept(GRAPHQL_TRANSPORT_WS_PROTOCOL)
            scope["extensions"][WIRE].hang_up(RESTARTING, "The server restarts", self.pace.goodbye)
            return
        await super().__call__(scope, receive, send)

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        return self._allowed(origin)

    async def get_context(self, request: Any, response: Any) -> Any:
        """None: each operation gets its own."""

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)
