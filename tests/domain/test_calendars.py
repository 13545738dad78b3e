"""Calendars: cut into chunks, joined again, sent through a cache that may hold anything."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from domain.calendars import CHUNK_TICKS, Calendar, Taken, chunk, chunks, dumps, join, loads

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
