"""Calendars: cut into chunks, joined again, sent through a cache that may hold anything."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.calendars import CHUNK_TICKS, Calendar, Taken, applied, chunk, chunks, dumps, join, loads, whole

BASE = 700 * CHUNK_TICKS
NOW = datetime(2027, 3, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


@st.composite
def allocations(draw: st.DrawFn) -> Taken:
    start = BASE + draw(st.integers(-300, 3 * CHUNK_TICKS))
    expires_at = draw(st.sampled_from([0, 0, SECONDS - 1, SECONDS, SECONDS + 1]))
    return Taken(start, start + draw(st.integers(1, 384)), expires_at)


def live(taken: list[Taken]) -> set[int]:
    return {
        tick for one in taken if not one.expires_at or one.expires_at > SECONDS for tick in range(one.start, one.end)
    }


@given(st.lists(allocations(), max_size=8), st.integers(0, 2 * CHUNK_TICKS), st.integers(1, CHUNK_TICKS))
def test_chunks_joined_are_busy_where_something_lives(taken: list[Taken], first: int, length: int) -> None:
    base, end = BASE + first, BASE + first + length
    parts = [chunk(number, number, taken) for number in chunks(base, end)]
    joined = join(reversed(parts))
    plane = joined.busy(NOW, base, end)
    assert {base + n for n in range(length) if plane >> n & 1} == live(taken) & set(range(base, end))
    assert plane < 1 << length
    assert joined.version == min(part.version for part in parts)


@given(st.lists(allocations(), max_size=8), st.integers(0, 2**63))
def test_through_the_cache_and_back(taken: list[Taken], version: int) -> None:
    calendar = chunk(version, 700, taken)
    raw = dumps(calendar)
    assert loads(raw) == calendar
    assert int.from_bytes(raw[:8], "big") == version  # what the script in Redis compares


@given(st.binary(max_size=1200))
def test_garbage_is_no_calendar_or_a_harmless_one(raw: bytes) -> None:
    found = loads(raw)
    if found is not None:
        found.busy(NOW, BASE, BASE + 288)


@given(st.lists(allocations(), max_size=3), st.data())
def test_damaged_bytes_do_no_harm(taken: list[Taken], data: st.DataObject) -> None:
    raw = bytearray(dumps(chunk(7, 700, taken)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    found = loads(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    if found is not None:
        join([found, chunk(1, 700, [])]).busy(NOW, BASE, BASE + 288)


def test_holds_that_no_chunk_can_have_are_refused() -> None:
    for hold in (
        Taken(BASE + 5, BASE + 4, 9),
        Taken(BASE, BASE + CHUNK_TICKS + 1, 9),
        Taken(0, 2**63, 9),
        Taken(5, 5, 9),
    ):
        assert loads(dumps(Calendar(1, BASE, 0, (hold,)))) is None
    assert loads(dumps(Calendar(1, 2**63 // CHUNK_TICKS * CHUNK_TICKS, 1))) is None
    assert loads(dumps(Calendar(1, BASE + 1, 1))) is None
    assert loads(dumps(Calendar(1, BASE, 1 << CHUNK_TICKS + 8))) is None


TICK = 300
Allocation = tuple[int, int, int]


class History:
    """Allocations of one resource as they come and go, none over another, and what each change tells."""

    def __init__(self) -> None:
        self.live: list[Allocation] = []

    def change(self, data: st.DataObject) -> tuple[list[tuple[int, int]], list[Allocation]]:
        """Some give up their time, some holds are confirmed or extended, one is added where there is room."""
        opened: list[tuple[int, int]] = []
        closed: list[Allocation] = []
        for one in list(self.live):
            start, end, expires_at = one
            fate = data.draw(st.sampled_from(["stay", "stay", "go", "confirm", "extend"]))
            if fate == "stay" or (fate != "go" and not expires_at):
                continue
            self.live.remove(one)
            if fate == "go":
                opened.append((start, end))
            else:
                self.live.append((start, end, 0 if fate == "confirm" else expires_at + 60))
                closed.append(self.live[-1])
        start = BASE * TICK + 60 * data.draw(st.integers(-400, 5 * CHUNK_TICKS))
        end = start + 60 * data.draw(st.integers(1, 300))
        if not any(a < end and start < b for a, b, _ in self.live):
            self.live.append((start, end, data.draw(st.sampled_from([0, SECONDS - 30, SECONDS, SECONDS + 30]))))
            closed.append(self.live[-1])
        return opened, closed


@given(st.data(), st.integers(1, 25), st.booleans())
def test_a_history_applied_change_by_change_is_the_calendar_of_its_end(
    data: st.DataObject, length: int, odd: bool
) -> None:
    numbers = range(700, 701 + data.draw(st.integers(1, 2)))
    ticks = len(numbers) * CHUNK_TICKS
    history = History()
    calendar = whole(0, numbers, ([], [], []))
    for version in range(1, length + 1):
        opened, closed = history.change(data)
        if not odd:
            opened = [(start // TICK * TICK, -(-end // TICK) * TICK) for start, end in opened]
            closed = [(start // TICK * TICK, -(-end // TICK) * TICK, until) for start, end, until in closed]
            history.live = [(a // TICK * TICK, -(-b // TICK) * TICK, until) for a, b, until in history.live]
            live = sorted(history.live)
            if any(one[1] > other[0] for one, other in pairwise(live)):
                return  # Rounded into one another: such a calendar can't be.
        changed = applied(calendar, ticks, version, opened, closed)
        expected = _whole(version, numbers, history.live)
        if changed is None:
            assert any(edge % TICK for span in opened for edge in span)
            changed = expected
        calendar = changed
        for seconds in (-60, 0, 60):
            now = datetime.fromtimestamp(SECONDS + seconds, UTC)
            assert _busy(calendar, now, ticks) == _busy(expected, now, ticks)
        assert (calendar.version, calendar.base) == (version, expected.base)


def _whole(version: int, numbers: range, live: list[Allocation]) -> Calendar:
    spans = [(start // TICK, -(-end // TICK), until) for start, end, until in live]
    return whole(version, numbers, tuple(map(list, zip(*spans, strict=True))) if spans else ([], [], []))  # type: ignore[arg-type]


def _busy(calendar: Calendar, now: datetime, ticks: int) -> int:
    return calendar.busy(now, calendar.base, calendar.base + ticks)
