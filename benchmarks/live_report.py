"""The figures of the live calendar as a table for the terminal and for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.live import ALONE, FULL, KAFKA, NOBODY, ONE_SHAPE, LiveResults, Told

FRAME_US, OF_STOCK, SOCKET_KB = 45, 1 / 5, 45
LAST_MS = {FULL: (99, 250), ALONE: (50, 10), KAFKA: (50, 25)}  # percentile and what it is to be at most
TITLES = {
    ONE_SHAPE: "all on one calendar",
    NOBODY: "nobody watches",
    FULL: "all on one calendar, changed through the process that tells it",
    ALONE: "one socket, embedded log",
    KAFKA: "one socket, through Kafka",
}
SIDES = {"reference": "reference", "product": "product", "live": "product", "live_kafka": "product"}
COLUMNS = (
    "what", "side", "sockets", "executions a change", "frames a change", "CPU ms a change", "CPU µs a frame",
    "kB a socket", "ms from commit to the last, p50 / p99", "load, cores busy", "goals",
)  # fmt: skip
NOTES = """
- The live calendar: times are held and given back through the product's API, one after another, and each change is
  awaited at every socket whom it concerns. CPU time is that of the process that tells. A second process of the product
  tells what the first one commits, and so does the reference: stock Strawberry's handler fed by the product's own hub,
  with the product's frames, executed for each socket and event. "Nobody watches": what following the log costs anyway.
  Spread over shapes: other weeks, providers and visit types of one clinic; their heartbeats are in the CPU time too.
  "Changed through the process that tells it": the same process books, relays and tells.
- A socket's kB: what the process grows by for the second half of them.
- A commit's moment is noted in the process that commits, an arrival's in the client's process, by one clock.
"""


def percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


@dataclass(frozen=True)
class Line:
    """All rounds of a case and side together."""

    rounds: Sequence[Told]

    @property
    def case(self) -> str:
        return self.rounds[0].case

    @property
    def is_stock(self) -> bool:
        return self.rounds[0].side == "reference"

    @property
    def changes(self) -> int:
        return sum(one.changes for one in self.rounds)

    @property
    def frames(self) -> int:
        return sum(one.frames for one in self.rounds)

    @property
    def cpu_seconds(self) -> float:
        return sum(one.cpu_seconds for one in self.rounds)

    @property
    def frame_us(self) -> float | None:
        """Only where frames are what the time goes into."""
        return self.cpu_seconds / self.frames * 1e6 if self.frames >= self.changes * 200 else None

    @property
    def socket_kb(self) -> float | None:
        return next((one.socket_kb for one in self.rounds if one.socket_kb is not None), None)

    @property
    def last_ms(self) -> list[float]:
        return [ms for one in self.rounds for ms in one.last_ms]

    def goals(self, stock: "Line | None") -> list[str]:
        found = []
        if self.case == ONE_SHAPE and not self.is_stock:
            if self.frame_us is not None:
                found.append(_judged(f"{self.frame_us:.0f} µs", self.frame_us <= FRAME_US, f"≤ {FRAME_US}"))
                if stock is not None and stock.frame_us:
                    ratio = self.frame_us / stock.frame_us
                    found.append(_judged(f"{ratio:.3f} of its CPU µs", ratio <= OF_STOCK, f"≤ {OF_STOCK:.2f}"))
            if self.socket_kb is not None:
                found.append(_judged(f"{self.socket_kb:.0f} kB", self.socket_kb <= SOCKET_KB, f"≤ {SOCKET_KB}"))
        if self.case in LAST_MS and self.last_ms:
            percent, most = LAST_MS[self.case]
            ms = percentile(self.last_ms, percent)
            found.append(_judged(f"p{percent} {ms:.1f} ms", ms <= most, f"aim ≤ {most}"))
        return found

    def cells(self, stock: "Line | None") -> list[str]:
        executions = self.frames if self.is_stock else sum(one.executions for one in self.rounds)
        last = f"{percentile(self.last_ms, 50):.1f} / {percentile(self.last_ms, 99):.1f}" if self.last_ms else ""
        loads, count = [one.load for one in self.rounds], len(self.rounds)
        return [
            TITLES.get(self.case, f"spread over {self.case}"),
            SIDES[self.rounds[0].side],
            f"{self.rounds[0].sockets:,}",
            f"{executions / self.changes:,.1f}",
            f"{self.frames / self.changes:,.1f}",
            f"{self.cpu_seconds / self.changes * 1000:.1f}",
            "" if self.frame_us is None else f"{self.frame_us:.0f}",
            "" if self.socket_kb is None else f"{self.socket_kb:.0f}",
            last,
            f"{sum(loads) / count:.1f}, {sum(one.busy for one in self.rounds) / count:.1f}",
            "; ".join(self.goals(stock)),
        ]


def _judged(what: str, reached: bool, goal: str) -> str:
    return f"{what} ({goal}) {'✓' if reached else '✗'}"


def lines(results: LiveResults) -> list[list[str]]:
    together: dict[tuple[str, str], list[Told]] = {}
    for one in results.told:
        together.setdefault((one.case, one.side), []).append(one)
    stock = together.get((ONE_SHAPE, "reference"))
    against = Line(stock) if stock else None
    return [Line(rounds).cells(against) for rounds in together.values()]


def table(results: LiveResults) -> Table:
    printed = Table(title="Live calendar beside stock Strawberry's handler", title_justify="left")
    for column in COLUMNS:
        printed.add_column(column, justify="left" if column in {"what", "side", "goals"} else "right")
    for cells in lines(results):
        printed.add_row(*cells)
    return printed


def page(results: LiveResults) -> list[str]:
    made = ["", "## Live calendar", "", " | ".join(("", *COLUMNS, "")).strip(), "|---" * len(COLUMNS) + "|"]
    made += [" | ".join(("", *cells, "")).strip() for cells in lines(results)]
    return [*made, *(f"\n{note}" for note in results.notes)]
