"""The figures of search as a table for the terminal and for the page."""

from collections.abc import Sequence

from rich.table import Table

from benchmarks.search import NEAR, SOONEST, SUGGEST, TEXT, WEEK, Asked, SearchResults, middle

CPU_MS, P50_MS, SUGGEST_P50_MS, LOOK_CPU_MS = 4, 25, 10, 10
TITLES = {
    TEXT: "names, misspelled names, plain words, places",
    NEAR: "plain words, within 300 km, nearest first",
    SOONEST: "the largest specialty, soonest first",
    WEEK: "the largest specialty, open within a week",
    SUGGEST: "suggestions while typing",
}
COLUMNS = ("what", "engine", "requests", "CPU ms of our process", "p50 / p99 ms", "goals")
NOTES = """
- Search: the register's real providers at their real places with made-up hours and taken times; 20 hits with facets and
  next times, one request after the other. CPU time is that of the process that answers alone; the worker, PostgreSQL
  and Elasticsearch work on the same cores and are in the percentiles. The first third of a kind of question is asked once before.
- Earliest times: out of the calendars that a process keeps, over every kind of visit that each provider offers; the
  middle of 20 looks.
"""


def _judged(what: str, value: float, goal: float) -> str:
    return f"{what} {value:.1f} ms (≤ {goal}) {'✓' if value <= goal else '✗'}"


def _goals(what: str, cpu: float, p50: float) -> str:
    if what == SUGGEST:
        return _judged("p50", p50, SUGGEST_P50_MS)
    return "; ".join([_judged("CPU", cpu, CPU_MS), _judged("p50", p50, P50_MS)])


def _line(rounds: Sequence[Asked]) -> list[str]:
    cpu, p50, p99 = (middle([getattr(one, name) for one in rounds]) for name in ("cpu_ms", "p50", "p99"))
    first = rounds[0]
    return [
        TITLES[first.what], first.engine, f"{sum(one.requests for one in rounds):,}", f"{cpu:.2f}", f"{p50:.1f} / {p99:.1f}",
        _goals(first.what, cpu, p50),
    ]  # fmt: skip


def lines(results: SearchResults) -> list[list[str]]:
    together: dict[tuple[str, str], list[Asked]] = {}
    for one in results.asked:
        together.setdefault((one.engine, one.what), []).append(one)
    return [_line(rounds) for rounds in together.values()]


def said(results: SearchResults) -> list[str]:
    found = [
        f"Earliest times of {one.pairs:,} pairs ({one.what}): "
        + (_judged("CPU", middle(one.cpu_ms), LOOK_CPU_MS) if number == 0 else f"CPU {middle(one.cpu_ms):.1f} ms")
        for number, one in enumerate(results.looked)
    ]
    late = [
        f"{one.engine}: {one.degraded} of {one.requests} answers ({TITLES[one.what]}) were PostgreSQL's, as it was late"
        for one in results.asked
        if one.degraded
    ]
    return [*found, *late, *results.notes]


def table(results: SearchResults) -> Table:
    printed = Table(title=f"Search over {results.documents:,} documents", title_justify="left")
    for column in COLUMNS:
        printed.add_column(column, justify="left" if column in {"what", "engine"} else "right")
    for line in lines(results):
        printed.add_row(*line)
    return printed


def page(results: SearchResults) -> list[str]:
    made = ["", f"## Search over {results.documents:,} documents", ""]
    if results.asked:
        made += [" | ".join(("", *COLUMNS, "")).strip(), "|---" * len(COLUMNS) + "|"]
        made += [" | ".join(("", *line, "")).strip() for line in lines(results)]
    return [*made, "", *said(results)]
