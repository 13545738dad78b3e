"""The figures as a table for the terminal and as a page for the repository."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from benchmarks import live_report, search_report
from benchmarks.contests import Measure, Results

BY_CPU = "CPU ms"
BY_RATE = "answers/s"
BY_TIME = "seconds"


@dataclass(frozen=True)
class Goal:
    """By what a contest is judged, what the product is to reach, and what this hardware could do at best."""

    title: str
    by: str
    ratio: float
    floor: str

    def reached(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.by == BY_RATE else ratio <= self.ratio


# Floors were measured once on 2 cores with throw-away programs: hand-written SQL building JSON without
# GraphQL for reads, one statement per group of bookings for writes.
DAY_FLOOR, PAGE_FLOOR = "0.25 ms", "0.92 ms"
GOALS = {
    "day": Goal("one provider's day, no calendar kept", BY_CPU, 1 / 3, DAY_FLOOR),
    "day, from memory": Goal("one provider's day, from memory", BY_CPU, 1 / 6, DAY_FLOOR),
    "page": Goal("20 providers with 10 times each, no calendar kept", BY_CPU, 1 / 4, PAGE_FLOOR),
    "page, from memory": Goal("20 providers with 10 times each, from memory", BY_CPU, 1 / 4, PAGE_FLOOR),
    "book": Goal("bookings of distinct times, 100 in flight", BY_RATE, 2, "9,000/s"),
    "burst": Goal("burst: 100 attempts on each time, all at once", BY_TIME, 1 / 4, "1.0 s for 10,000"),
}
MEMORY_MB = 200


@dataclass(frozen=True)
class Figures:
    """Of all rounds of one contest and side together; per request, in milliseconds."""

    requests: int
    seconds: float
    server_ms: float
    postgres_ms: float
    redis_ms: float
    p50: float
    p99: float
    spread: tuple[float, float]  # of total CPU ms between rounds
    answer_bytes: int

    @property
    def cpu_ms(self) -> float:
        return self.server_ms + self.postgres_ms + self.redis_ms

    def judged(self, by: str) -> float:
        return {BY_CPU: self.cpu_ms, BY_RATE: self.requests / self.seconds, BY_TIME: self.seconds}[by]


def figures(measures: Sequence[Measure]) -> Figures:
    requests = sum(m.load.requests for m in measures)
    each = sorted(m.cpu.total * 1000 / m.load.requests for m in measures)
    middle = len(measures) // 2
    return Figures(
        requests=requests,
        seconds=sum(m.load.seconds for m in measures),
        server_ms=sum(m.cpu.server for m in measures) * 1000 / requests,
        postgres_ms=sum(m.cpu.postgres for m in measures) * 1000 / requests,
        redis_ms=sum(m.cpu.redis for m in measures) * 1000 / requests,
        p50=sorted(m.load.p50 for m in measures)[middle],
        p99=sorted(m.load.p99 for m in measures)[middle],
        spread=(each[0], each[-1]),
        answer_bytes=sum(m.load.answer_bytes for m in measures) // requests,
    )


@dataclass(frozen=True)
class Row:
    contest: str
    side: str
    figures: Figures
    ratio: float | None

    def cells(self) -> list[str]:
        f, goal = self.figures, GOALS[self.contest]
        bound = f"{'≥' if goal.by == BY_RATE else '≤'} {goal.ratio:.2f}"
        mark = "" if self.ratio is None else ("  ✓" if goal.reached(self.ratio) else "  ✗")
        return [
            goal.title,
            self.side,
            f"{f.cpu_ms:.2f}",
            f"{f.spread[0]:.2f}–{f.spread[1]:.2f}",
            f"{f.server_ms:.2f} + {f.postgres_ms:.2f} + {f.redis_ms:.2f}",
            f"{f.requests / f.seconds:,.0f}",
            f"{f.seconds:.2f}",
            f"{f.p50:.1f} / {f.p99:.1f}",
            "" if self.ratio is None else f"{self.ratio:.3f} of its {goal.by} ({bound}){mark}",
            goal.floor if self.side == "product" else "",
        ]


COLUMNS = (
    "what", "side", "CPU ms a request", "rounds", "server + PostgreSQL + Redis", "answers/s", "s in all",
    "p50 / p99 ms", "ratio to the reference", "floor",
)  # fmt: skip


def rows(results: Results) -> list[Row]:
    made = []
    for contest, goal in GOALS.items():
        reference = results.measures.get((contest.partition(",")[0], "reference"))
        for side in ("reference", "product"):
            if measures := results.measures.get((contest, side)):
                mine = figures(measures)
                ratio = None
                if side == "product" and reference:
                    ratio = mine.judged(goal.by) / figures(reference).judged(goal.by)
                made.append(Row(contest, side, mine, ratio))
    return made


def table(results: Results) -> Table:
    printed = Table(title="Beside a stock Strawberry app with slots as rows", title_justify="left")
    for column in COLUMNS:
        printed.add_column(column, justify="left" if column in {"what", "side"} else "right")
    for row in rows(results):
        printed.add_row(*row.cells(), end_section=row.side == "product")
    return printed


def memory(results: Results) -> str | None:
    if results.memory_mb is None:
        return None
    mark = "✓" if results.memory_mb < MEMORY_MB else "✗"
    return f"API process with 210 clinics after a warm-up: {results.memory_mb:.0f} MB resident (< {MEMORY_MB}) {mark}"


def said(program: Sequence[str]) -> str:
    answer = subprocess.run(program, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def commit() -> str:
    short = said(["git", "rev-parse", "--short", "HEAD"]) or "unknown"
    return f"{short} with changes" if said(["git", "status", "--porcelain", "--untracked-files=no"]) else short


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def facts(command: str, loads: Sequence[float], seconds: float) -> list[str]:
    return [
        f"date {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, Python {platform.python_version()}",
        f"{os.cpu_count()} cores of {processor()}; client, servers, PostgreSQL and Redis share them",
        f"load average {loads[0]:.1f} at the start, {min(loads):.1f} to {max(loads):.1f} during the {seconds:.0f} s",
        f"command `{command}`",
    ]


def page(results: Results, about: Sequence[str]) -> str:
    lines = ["# Benchmarks", "", "Written by `make bench`.", "", *(f"- {fact}" for fact in about), ""]
    lines += [" | ".join(("", *COLUMNS, "")).strip(), "|---" * len(COLUMNS) + "|"]
    lines += [" | ".join(("", *row.cells(), "")).strip() for row in rows(results)]
    if said := memory(results):
        lines += ["", said]
    if results.live is not None:
        lines += live_report.page(results.live)
    notes = NOTES.strip() + (live_report.NOTES if results.live is not None else "\n")
    if results.search is not None:
        lines += search_report.page(results.search)
        notes = notes.rstrip("\n") + search_report.NOTES
    return "\n".join([*lines, "", notes])


NOTES = """
How to read it:

- CPU time is user and system time of the server with its children, of all PostgreSQL processes and of Redis, from
  `/proc`, divided by the requests of the round. It hardly depends on what else the machine does; answers a second
  and percentiles do.
- Both sides hold the same clinics, providers, hours and taken times in one PostgreSQL server, are asked in turns
  within one run, and must first agree on what is open. Bookings are counted in the database afterwards: as many as
  clients were told, none twice, one winner for each contested time.
- "From memory": the product as it runs. A process reads the next five weeks ahead and follows the stream, so what nobody
  asked before is answered from memory too. Nothing is asked for twice in a round.
- "No calendar kept": a second process of the product with `PROCESS_CALENDARS=off CACHE=off`; every calendar comes from
  PostgreSQL, as in the first seconds after a start or while the stream is away.
- The reference neither authenticates nor keeps idempotency keys, audit rows or versions; the product does.
- The product is one `appointments serve`. What runs by the clock (messages, what ends, the index of search) is another process's,
  `appointments work`, and in no figure here; the relay and what follows the stream are in them.
- Floors are not goals: hand-written SQL that builds the JSON without GraphQL; bookings in groups, bound by the disk.
"""
