"""API processes of the product, Redis and the truth, for tests that kill: each process is one that a person would start."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
import redis.asyncio
from aiokafka import AIOKafkaConsumer

from app.embedded.redis import program
from app.settings import Settings
from domain.streams import TOPICS

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 180  # A process that lives still starts: how soon is tests/live/test_starting.py's matter.
BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"  # With it each start compiles every library anew: seconds of a core.


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def environment(**given: str) -> dict[str, str]:
    """Ours without any setting of the product but those given; a second start is not slower than a person's."""
    unset = {name.upper() for name in Settings.model_fields} | {BYTECODE}
    return {name: value for name, value in os.environ.items() if name not in unset} | given


@dataclass
class Api:
    """`appointments serve`, or another command, on a port that it keeps over restarts; everything it says is in `log`."""

    folder: Path
    settings: dict[str, str]
    command: str = "serve"
    port: int = field(default_factory=free_port)
    waited: float = 0.0
    _said: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"api-{self.port}.log"

    def begin(self) -> None:
        given = environment(
            **self.settings, PORT=str(self.port), DATA_DIR=str(self.folder), ENV="test", PYTHONUNBUFFERED="1"
        )
        command = [sys.executable, "-c", "from app.cli import main; main()", self.command]
        with self.log.open("ab") as log:
            self._said = log.tell()
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=given)

    async def ready(self) -> float:
        """Seconds until it answers; `waited` are those since it first said a word: before, Python loads what it needs."""
        began, first = time.monotonic(), None
        async with httpx2.AsyncClient() as http:
            while True:
                if first is None and self.log.stat().st_size > self._said:
                    first = time.monotonic()
                try:
                    if (await http.get(f"{self.url}/readyz", timeout=0.25)).status_code == 200:
                        self.waited = time.monotonic() - (first or time.monotonic())
                        return time.monotonic() - began
                except httpx2.TransportError:
                    pass
                assert self._process is not None
                assert self._process.poll() is None, self.log.read_text()[-3000:]
                assert time.monotonic() - began < START_SECONDS, self.log.read_text()[-3000:]
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: it has no time for anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    async def ended(self, seconds: float) -> int:
        """Its exit code, once it ends by itself or by `end`."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, seconds)

    async def metric(self, name: str) -> float:
        async with httpx2.AsyncClient() as http:
            text = (await http.get(f"{self.url}/metrics")).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])


async def relaying(apis: Sequence[Api], seconds: float = 10) -> Api:
    """The one that has the relay."""
    async with asyncio.timeout(seconds):
        while True:
            for api in apis:
                if await api.metric("appointments_relay_leading") == 1:
                    return api
            await asyncio.sleep(0.1)


@dataclass
class Redis:
    """On a port of its own; it keeps nothing."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        server = program()
        assert server is not None
        command: list[str | Path] = [
            server,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            self.folder,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with closing(socket.socket()) as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("Redis did not start")

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


async def redis_texts(url: str) -> list[str]:
    """All keys with their values, as they stand there."""
    client = redis.asyncio.from_url(url)
    found = [key async for key in client.scan_iter()]
    values = [await client.dump(key) for key in found]
    await client.aclose()
    return [f"{key!r} {value!r}" for key, value in zip(found, values, strict=True)]


async def kafka_texts(servers: str) -> list[str]:
    """All that is in the topics, keys and values."""
    consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [f"{record.key!r} {record.value!r}" for record in records]
        return found
    finally:
        await consumer.stop()
