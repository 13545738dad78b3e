"""graphql-sse, distinct connections: /graphql with Accept: text/event-stream, by POST or, without mutations, by GET."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from time import time
from typing import Final
from uuid import uuid4

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.auth import Tokens
from app.graphql import HEADERS, PLAIN_JSON, Refusal, asked_in, response, viewer_of
from app.limits import CONNECTED, CONNECTED_RETRY_SECONDS, AddressLimits, address_of, too_many
from app.live.answers import Answers, Declined
from app.live.guests import Guests
from app.live.pace import Pace
from app.live.wire import WIRE, Line
from services.live.member import TooSlow

EVENT_STREAM: Final = "text/event-stream"
COMPLETE: Final = b"event: complete\ndata:\n\n"
COMMENT: Final = b":\n\n"


def is_wanted(request: Request) -> bool:
    return EVENT_STREAM in request.headers.get("accept", "")


class Events:
    def __init__(
        self, answers: Answers, tokens: Tokens, guests: Guests, pace: Pace, limits: AddressLimits | None
    ) -> None:
        self._limits = limits
        self._answers = answers
        self._tokens = tokens
        self._guests = guests
        self._pace = pace

    async def __call__(self, request: Request) -> Response:
        request_id = uuid4().hex
        try:
            if self._guests.leaving:
                raise Refusal(503, "The server restarts.", "UNAVAILABLE")
            viewer = await viewer_of(self._tokens, request, request_id)
            asked = await asked_in(request)
        except Refusal as refusal:
            return response(refusal.body, refusal.status, PLAIN_JSON, request_id, refusal.headers)
        except ClientDisconnect:
            return Response(status_code=499)
        authorization = request.headers.get("authorization")
        ends_at = self._tokens.expires_at(authorization) if authorization is not None else None
        answers = self._answers.of(viewer, asked, reading=request.method == "GET")
        stream = EventStream(answers, request_id, ends_at, self._guests, self._pace)
        address = address_of(request)
        if self._limits is None or address is None:
            return stream
        if not self._limits.enter(address):
            headers = {"Retry-After": str(CONNECTED_RETRY_SECONDS)}
            return response(
                {"errors": [too_many(CONNECTED, CONNECTED_RETRY_SECONDS)]}, 429, PLAIN_JSON, request_id, headers
            )
        stream.leave = partial(self._limits.leave, address)
        return stream


class EventStream(Response):
    """Ends with `complete`, or without it where the client should come again: its token ended, it was too slow, we stop."""

    def __init__(
        self, answers: AsyncGenerator[bytes, None], request_id: str, ends_at: float | None, guests: Guests, pace: Pace
    ) -> None:
        super().__init__(headers={**HEADERS, "X-Request-Id": request_id, "X-Accel-Buffering": "no"})
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self.raw_headers.append((b"content-type", EVENT_STREAM.encode()))
        self._answers = answers
        self._ends_at = ends_at
        self._guests = guests
        self._pace = pace
        self._sent_at = 0.0
        self.leave: Callable[[], None] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._stream(scope, receive, send)
        finally:
            self.leave()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._line: Line = scope["extensions"][WIRE]
        self._line.narrow()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        work = asyncio.create_task(self._all(send))
        gone = asyncio.create_task(_gone(receive))
        timer = None if self._ends_at is None else loop.call_later(max(self._ends_at - time(), 0), work.cancel)
        try:
            with self._guests.staying(lambda: _end(work)):
                while not (await asyncio.wait({work, gone}, timeout=self._pace.comment, return_when="FIRST_COMPLETED"))[
                    0
                ]:
                    if loop.time() - self._sent_at >= self._pace.comment * 0.9:
                        await self._send(send, COMMENT)
        finally:
            if timer is not None:
                timer.cancel()
            work.cancel()
            gone.cancel()
            ended, _ = await asyncio.gather(work, gone, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended  # The server logs it and closes the connection: without `complete`, so the client comes again.
        await self._send(send, b"", more=False)

    async def _all(self, send: Send) -> None:
        try:
            async with aclosing(self._answers) as answers:
                async for answer in answers:
                    await self._send(send, b"event: next\ndata: " + answer + b"\n\n")
        except Declined as declined:
            body = orjson.dumps({"errors": declined.errors})
            await self._send(send, b"event: next\ndata: " + body + b"\n\n")
        except TooSlow:
            return
        await self._send(send, COMPLETE)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        """Nothing where the peer is gone, or takes nothing and so is cut off."""
        await self._line.room(self._pace.send)
        if not self._line.transport.is_closing():
            await send({"type": "http.response.body", "body": body, "more_body": more})
        self._sent_at = asyncio.get_running_loop().time()


def _end(work: asyncio.Task[None]) -> None:
    work.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
