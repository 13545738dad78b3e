"""The client: raw HTTP/1.1 over keep-alive sockets, in a process of its own, cheap enough to leave the cores to the servers.

Closed loop: each connection sends its next request when the last one is answered.
"""

import asyncio
import json
import marshal
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
OUTCOME = re.compile(rb'"__typename": ?"(\w+)"')
ERRORS = re.compile(rb'"errors": ?\[')
DEGRADED = b'"degraded":true'
CONNECTING_AT_ONCE = 100


def request(body: object, token: str | None = None, path: str = "/graphql") -> bytes:
    payload = json.dumps(body).encode()
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\n{authorization}Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


@dataclass(frozen=True)
class Load:
    """What the client measured. Milliseconds for latencies, from the send to the last byte of the answer."""

    requests: int
    seconds: float
    p50: float
    p99: float
    answer_bytes: int
    outcomes: dict[str, int]
    failures: int
    failure: str


class Run:
    def __init__(self, requests: list[bytes]) -> None:
        self.requests = iter(requests)
        self.open = len(requests)
        self.latencies: list[float] = []
        self.outcomes: Counter[bytes] = Counter()
        self.bytes = 0
        self.failures = 0
        self.failure = b""
        self.done = asyncio.get_running_loop().create_future()

    def answered(self, answer: bytes, seconds: float) -> None:
        self.latencies.append(seconds)
        self.bytes += len(answer)
        if answer[9:12] != b"200" or ERRORS.search(answer):
            self.failures += 1
            self.failure = self.failure or answer
        elif outcome := OUTCOME.search(answer):
            self.outcomes[outcome[1]] += 1
        elif DEGRADED in answer:
            self.outcomes[b"degraded"] += 1
        self.open -= 1
        if self.open == 0:
            self.done.set_result(None)

    def lost(self) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed a connection"))


class Connection(asyncio.Protocol):
    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.length = 0
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting:
            self.run.lost()

    def send(self) -> None:
        request = next(self.run.requests, None)
        self.waiting = request is not None
        if request is None:
            self.transport.close()
        else:
            self.sent = time.perf_counter()
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not self.length:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            length = LENGTH.search(self.buffer, 0, head)
            if length is None:
                raise RuntimeError("an answer without Content-Length")
            self.length = head + 4 + int(length[1])
        if len(self.buffer) >= self.length:
            self.run.answered(self.buffer, time.perf_counter() - self.sent)
            self.buffer, self.length = b"", 0
            self.send()


async def drive(port: int, connections: int, requests: list[bytes], go: IO[str], tell: IO[str]) -> Load:
    loop = asyncio.get_running_loop()
    run = Run(requests)
    opened: list[Connection] = []
    while len(opened) < connections:
        batch = min(CONNECTING_AT_ONCE, connections - len(opened))
        made = await asyncio.gather(
            *(loop.create_connection(lambda: Connection(run), "127.0.0.1", port) for _ in range(batch))
        )
        opened.extend(protocol for _, protocol in made)
    print("ready", file=tell, flush=True)
    await loop.run_in_executor(None, go.readline)
    began = time.perf_counter()
    for connection in opened:
        connection.send()
    await run.done
    seconds = time.perf_counter() - began
    ordered = sorted(run.latencies)
    return Load(
        requests=len(ordered),
        seconds=seconds,
        p50=ordered[len(ordered) // 2] * 1000,
        p99=ordered[int(len(ordered) * 0.99)] * 1000,
        answer_bytes=run.bytes,
        outcomes={name.decode(): count for name, count in run.outcomes.items()},
        failures=run.failures,
        failure=run.failure.decode(errors="replace")[:2000],
    )


class Client:
    """The load process, started once and told over its standard input what to do."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.folder = tempfile.TemporaryDirectory(prefix="benchmarks-")

    def prepare(self, port: int, connections: int, requests: list[bytes]) -> None:
        """Returns once all connections are open and nothing is left to do but to start."""
        work = Path(self.folder.name) / "requests"
        work.write_bytes(marshal.dumps(requests))
        self._tell(json.dumps({"port": port, "connections": connections, "requests": str(work)}))
        self._hear()

    def run(self) -> Load:
        self._tell("go")
        return Load(**json.loads(self._hear()))

    def close(self) -> None:
        self.process.communicate()  # its input ends, and so does it
        self.folder.cleanup()

    def _tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load process ended with code {self.process.wait()}")
        return line


def main() -> None:
    import gc

    import uvloop

    gc.disable()  # nothing here is cyclic, and a pause would look like the server's
    for line in sys.stdin:
        job = json.loads(line)
        requests = marshal.loads(Path(job["requests"]).read_bytes())
        load = uvloop.run(drive(job["port"], job["connections"], requests, sys.stdin, sys.stdout))
        print(json.dumps(asdict(load)), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
