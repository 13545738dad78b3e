"""CPU time and memory of the processes that answer, read from /proc (Linux only)."""

import os
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import redis.asyncio

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Processes:
    """The roots of three process trees."""

    server: int
    postgres: int
    redis: int


@dataclass(frozen=True)
class CpuTime:
    """Seconds, user and system together."""

    server: float
    postgres: float
    redis: float

    @property
    def total(self) -> float:
        return self.server + self.postgres + self.redis

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.server + other.server, self.postgres + other.postgres, self.redis + other.redis)

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.server - other.server, self.postgres - other.postgres, self.redis - other.redis)


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent, and ticks of the process with those of its children that have ended; nothing if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15])


def _tree_seconds(root: int, stats: dict[int, tuple[int, int]]) -> float:
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    ticks, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        ticks += stats[pid][1]
        waiting.extend(children.get(pid, ()))
    return ticks / TICKS_A_SECOND


def cpu_time(processes: Processes) -> CpuTime:
    stats = {int(entry): stat for entry in os.listdir("/proc") if entry.isdigit() and (stat := _stat(int(entry)))}
    return CpuTime(*(_tree_seconds(pid, stats) for pid in (processes.server, processes.postgres, processes.redis)))


def process_seconds(pid: int) -> float:
    """Of the process alone with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def busy_seconds() -> float:
    """Of all cores together since the machine started: what anybody has used."""
    user, nice, system, _idle, _waiting, *others = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + sum(others[:3])) / TICKS_A_SECOND


def resident_mb(pid: int) -> float:
    """Of the process alone, as the kernel counts it (RssAnon and mapped files)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} tells no VmRSS")


async def postmaster(database_url: str) -> int:
    """The parent of our own backend. The server must run on this machine."""
    connection = await asyncpg.connect(database_url)
    try:
        stat = _stat(await connection.fetchval("select pg_backend_pid()"))
    finally:
        await connection.close()
    if stat is None:
        raise RuntimeError("PostgreSQL does not run on this machine, so its CPU time can't be read")
    return stat[0]


async def redis_process(redis_url: str) -> int:
    async with redis.asyncio.from_url(redis_url) as client:
        return int((await client.info("server"))["process_id"])
