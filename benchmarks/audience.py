"""The audience: raw WebSockets in a process of its own, told line by line what to do. It reads no JSON and is cheap.

It can do two things: `open` sockets that each subscribe, and `hear` the changes that come over them.
"""

import base64
import json
import marshal
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OPENING_AT_ONCE = 20
OPEN_SECONDS = 90.0
SNAPSHOT, CHANGE = b'"AvailabilitySnapshot"', b'"AvailabilityDelta"'
FATAL = b'"type":"error"', b'"type":"complete"', b'"errors":', b'"type": "error"', b'"type": "complete"', b'"errors": '
HEAD = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
).encode()


def frame(message: object) -> bytes:
    """A masked text frame; the mask is zero, so that it costs nothing."""
    data = json.dumps(message).encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + data


def subscription(query: str, variables: dict[str, object]) -> bytes:
    payload = {"query": query, "variables": variables}
    return frame({"id": "1", "type": "subscribe", "payload": payload})


@dataclass(frozen=True)
class Heard:
    """When each socket got a change, by the clock that all processes of a machine share."""

    arrivals: list[tuple[float, int]]
    frame_bytes: int


class Listener:
    def __init__(self, port: int, number: int, first: bytes) -> None:
        self.number = number
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(HEAD)
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(head.decode(errors="replace")[:500])
        self.socket.sendall(frame({"type": "connection_init"}) + first)
        self.socket.setblocking(False)

    def _more(self) -> bytes:
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a connection")
        return data

    def read(self) -> list[bytes]:
        """Texts that are whole by now. Pings are answered."""
        data = self.buffer + self._more() if self.buffer else self._more()
        at, size, found = 0, len(data), []
        while size - at >= 2:
            length, begin = data[at + 1] & 0x7F, at + 2
            if length >= 126:
                begin += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : begin], "big")
            if size < begin + length:
                break
            kind, body, at = data[at], data[begin : begin + length], begin + length
            if kind == 0x81:
                found.append(body)
            elif kind == 0x89:
                self.socket.sendall(bytes([0x8A, 0x80 | len(body)]) + bytes(4) + body)
            else:
                raise ConnectionError(f"a frame of kind {kind:#x}: {body[:200]!r}")
        self.buffer = data[at:]
        return found


class Crowd:
    """All sockets of the process."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.listeners: dict[int, Listener] = {}
        self.begun = 0
        self.arrivals: list[tuple[float, int]] = []
        self.frame_bytes = 0

    def open(self, port: int, subscriptions: Sequence[bytes]) -> None:
        """Returns once each has its snapshot. A few at a time, as life goes; those before have theirs."""
        deadline = time.monotonic() + OPEN_SECONDS
        there = len(self.listeners)
        for number, first in enumerate(subscriptions, there):
            listener = Listener(port, number, first)
            self.listeners[listener.socket.fileno()] = listener
            self.poll.register(listener.socket, select.EPOLLIN)
            if (number + 1) % OPENING_AT_ONCE == 0 or number + 1 == there + len(subscriptions):
                while self.begun <= number:
                    self.look(deadline)
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"only {self.begun} of {there + len(subscriptions)} sockets have a snapshot")

    def look(self, until: float) -> None:
        for fileno, _ in self.poll.poll(max(until - time.monotonic(), 0)):
            listener = self.listeners[fileno]
            texts = listener.read()
            now = time.monotonic()
            for text in texts:
                start = text[:400]
                if CHANGE in start:
                    self.arrivals.append((now, listener.number))
                    self.frame_bytes = len(text)
                elif SNAPSHOT in start:
                    self.begun += 1
                elif any(word in start for word in FATAL):
                    raise ConnectionError(start.decode(errors="replace"))

    def hear(self, expected: int, seconds: float) -> list[tuple[float, int]]:
        """Returns when so many changes have come since the last time, or the time is over."""
        deadline = time.monotonic() + seconds
        while len(self.arrivals) < expected and time.monotonic() < deadline:
            self.look(deadline)
        arrivals, self.arrivals = self.arrivals, []
        return arrivals

    def close(self) -> None:
        for listener in self.listeners.values():
            listener.socket.close()
        self.poll.close()


class Audience:
    """The process as the benchmark sees it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.audience"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.folder = tempfile.TemporaryDirectory(prefix="benchmarks-")

    def open(self, port: int, subscriptions: Sequence[bytes], *, more: bool = False) -> None:
        """Those that were open are closed, unless these are `more`."""
        work = Path(self.folder.name) / "subscriptions"
        work.write_bytes(marshal.dumps(list(subscriptions)))
        self._ask({"open": port, "subscriptions": str(work), "more": more})

    def hear(self, expected: int, seconds: float) -> Heard:
        answer = self._ask({"hear": expected, "seconds": seconds})
        return Heard([(at, number) for at, number in answer["arrivals"]], answer["bytes"])

    def close(self) -> None:
        self.process.communicate()  # its input ends, and so does it
        self.folder.cleanup()

    def _ask(self, job: dict[str, object]) -> dict[str, object]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the audience ended with code {self.process.wait()}")
        return json.loads(line)


def main() -> None:
    import gc

    gc.disable()  # a pause would look like the server's
    crowd = Crowd()
    for line in sys.stdin:
        job = json.loads(line)
        if "open" in job:
            if not job["more"]:
                crowd.close()
                crowd = Crowd()
            crowd.open(job["open"], marshal.loads(Path(job["subscriptions"]).read_bytes()))
            print("{}", flush=True)
        else:
            arrivals = crowd.hear(job["hear"], job["seconds"])
            print(json.dumps({"arrivals": arrivals, "bytes": crowd.frame_bytes}), flush=True)


if __name__ == "__main__":
    main()
