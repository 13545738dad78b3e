"""Server processes: watching over ours, and ending what a killed run left behind."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil  # type: ignore[import-untyped]
import structlog

from app.refusal import Refused

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02
WATCH_SECONDS = 0.25
RESTART_SECONDS = 1.0


class Server(Protocol):
    name: str

    @property
    def url(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def alive(self) -> bool: ...


async def keep_alive(server: Server) -> None:
    """Starts the server again whenever it has died, until cancelled."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if server.alive():
            continue
        log.error("embedded server died, starting it again", server=server.name)
        try:
            await server.start()
        except (Refused, OSError) as error:
            log.error("embedded server does not start", server=server.name, reason=str(error))
            await asyncio.sleep(RESTART_SECONDS)


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def end(pids: Sequence[int], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Sends one signal after the other, each with its time to obey. A zombie is gone: nobody may reap it."""
    for number, seconds in steps:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if await until(lambda: not any(map(runs, pids)), seconds):
            return
    raise Refused(f"processes {', '.join(map(str, filter(runs, pids)))} do not end")


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False


def marked(name: str, mark: str) -> Iterator[int]:
    """Running processes of that program whose command line or title carries the mark."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if name in process.name() and mark in " ".join(process.cmdline()) and runs(process.pid):
                yield process.pid


def identity(folder: Path) -> str:
    """Marks the processes of this directory: device and inode survive a rename and differ in a copy."""
    here = folder.stat()
    return f"appointments-{here.st_dev:x}-{here.st_ino:x}"


def last_lines(path: Path, count: int = 5) -> str:
    with suppress(OSError):
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-count:])
    return ""
