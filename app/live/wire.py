"""uvicorn's connections with what ASGI has no words for: bytes as they are, hanging up, and no patience with the dead (rule 31)."""

import socket
from asyncio import BaseTransport
from typing import Any, Final, cast

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
        self.transport.write(b"".join(self.conn.data_to_send()))

    def hang_up(self, code: int, reason: str, patience: float) -> None:
        """Closes politely; a peer that does not answer within `patience` seconds is cut off."""
        if self.is_over:
            return
        reason = reason.encode()[:REASON_MAX].decode(errors="ignore")
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
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
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        self.pong_timer = None
        if not self.disconnected:
            self.cut()


class Line(HttpToolsProtocol):
    """HTTP, where an application may cut a connection whose peer does not read."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = cast("Any", {WIRE: self})

    def narrow(self) -> None:
        """For a connection that streams."""
        _bounded(self.transport)

    def cut(self) -> None:
        self.transport.abort()


def _bounded(transport: Any) -> None:
    """The kernel would keep megabytes for a peer that does not read, each of them an old frame."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
