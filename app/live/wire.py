"""uvicorn's connections with what ASGI has no words for: bytes as they are, hanging up, and no patience with the dead (rule 31)."""

import asyncio
import socket
from asyncio import BaseTransport
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request

WIRE: Final = "appointments.wire"
REASON_MAX: Final = 120
SEND_BUFFER: Final = 64 * 1024


class Wire(WebSocketsSansIOProtocol):
    """Applications find it in their scope's extensions."""

    heard = 0.0
    written = 0
    taken: int | None = None  # when it was last asked: bytes that it had taken, None where none waited for it

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        _bounded(transport)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            cast("Any", self.scope["extensions"])[WIRE] = self

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)

    def pause_writing(self) -> None:
        """Who does not read is not heard: its pings would be answered into memory."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        event = await super().receive()
        if not self.writable.is_set() and not self.close_sent:
            self.transport.pause_reading()  # uvicorn has resumed it: it knows of its own reason alone
        return event

    async def room(self, patience: float) -> None:
        """Returns once there is room, or the connection is over."""
        await _room(self, self.writable.wait, patience)

    @property
    def is_over(self) -> bool:
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def text(self, data: bytes) -> None:
        """One message, already UTF-8. Nothing where the connection is over."""
        if self.is_over:
            return
        try:
            self.conn.send_text(data)
        except InvalidState:
            return
        self._write()

    def hang_up(self, code: int, reason: str, patience: float) -> None:
        """Closes politely; a peer that does not answer within `patience` seconds is cut off."""
        if self.is_over:
            return
        reason = reason.encode()[:REASON_MAX].decode(errors="ignore")
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self._write()
        self.close_sent = True
        if self.read_paused and self.writable.is_set():
            self.transport.resume_reading()
        self.read_paused = False
        self.close_timer = self.loop.call_later(patience, self.cut)

    def cut(self) -> None:
        """At once, and what was not sent is dropped: a close that waits for a full buffer never comes."""
        self.transport.abort()

    def send_keepalive_ping(self) -> None:
        """Only a peer that has been silent is asked."""
        assert self.ping_interval is not None
        left = self.heard + self.ping_interval - self.loop.time()
        if left > 0.001:
            self.ping_timer = self.loop.call_later(left, self.send_keepalive_ping)
        else:
            self.taken = self._taken()
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Who still takes what lies before the ping can't have answered it yet."""
        self.pong_timer = None
        before, self.taken = self.taken, self._taken()
        if self.disconnected:
            return
        if before is None or (self.taken is not None and self.taken <= before):
            self.cut()
        else:
            self.pong_timer = self.loop.call_later(self.ping_timeout or 0, self.keepalive_timeout)

    def handle_ping(self) -> None:
        self._write()

    def _write(self) -> None:
        data = b"".join(self.conn.data_to_send())
        self.written += len(data)
        self.transport.write(data)

    def _taken(self) -> int | None:
        """None where nothing waits: what goes is taken by the system here, whether or not the peer lives."""
        waiting = self.transport.get_write_buffer_size()
        return self.written - waiting if waiting else None


class Line(HttpToolsProtocol):
    """HTTP, where an application may cut a connection whose peer does not read."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = cast("Any", {WIRE: self})

    def narrow(self) -> None:
        """For a connection that streams."""
        _bounded(self.transport)

    async def room(self, patience: float) -> None:
        """Returns once there is room, or the connection is over."""
        await _room(self, self.flow.drain, patience)

    def cut(self) -> None:
        self.transport.abort()


async def _room(line: Wire | Line, drained: Callable[[], Awaitable[object]], patience: float) -> None:
    """A slow peer is waited for; one that takes nothing at all for `patience` seconds is cut off."""
    waiting = line.transport.get_write_buffer_size()
    while True:
        try:
            async with asyncio.timeout(patience):
                await drained()
                return
        except TimeoutError:
            if line.transport.get_write_buffer_size() >= waiting:
                line.cut()
                return
            waiting = line.transport.get_write_buffer_size()


def _bounded(transport: Any) -> None:
    """The kernel would keep megabytes for a peer that does not read, each of them an old frame."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
