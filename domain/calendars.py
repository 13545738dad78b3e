"""What occupies a provider's time: booked ticks as one int, live holds beside it with their ends, and the version of both."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Final

_TICK_SECONDS: Final = 300
CHUNK_TICKS: Final = 7 * 288  # A week: what is read, cached and written as one.
_TICKS_MAX: Final = 25_000_000  # The year 2207, beyond all that can be booked.
_HEAD = Struct(">QQH")
_HOLD = Struct(">QQQ")


@dataclass(frozen=True, slots=True)
class Taken:
    """One live allocation in ticks, rounded outwards; `expires_at` in UTC seconds for a hold that runs out, else 0."""

    start: int
    end: int
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Bit 0 of `booked` is tick `base`. Holds count until their end, by the clock of whoever asks."""

    version: int
    base: int
    booked: int
    holds: tuple[Taken, ...] = ()

    def busy(self, now: datetime, base: int, end: int) -> int:
        """Occupied ticks of the window [base, end) at `now`; bit 0 is tick `base`."""
        plane = self.booked
        seconds = now.timestamp()
        for hold in self.holds:
            if hold.expires_at > seconds:
                plane |= _span(hold, self.base)
        shift = base - self.base
        plane = plane >> shift if shift >= 0 else plane << -shift
        return plane & ((1 << (end - base)) - 1)


def chunks(base: int, end: int) -> range:
    """Numbers of the chunks that the ticks [base, end) touch."""
    return range(base // CHUNK_TICKS, -(-end // CHUNK_TICKS))


def chunk(version: int, number: int, taken: Iterable[Taken]) -> Calendar:
    """The calendar of one chunk. What reaches over its edges is cut to it."""
    base = number * CHUNK_TICKS
    booked, holds = 0, []
    for one in taken:
        cut = Taken(max(one.start, base), min(one.end, base + CHUNK_TICKS), one.expires_at)
        if cut.start >= cut.end:
            continue
        if cut.expires_at:
            holds.append(cut)
        else:
            booked |= _span(cut, base)
    return Calendar(version, base, booked, tuple(holds))


Spans = tuple[list[int], list[int], list[int]]


def whole(version: int, numbers: range, taken: Spans) -> Calendar:
    """The calendar of neighbouring chunks out of first ticks, end ticks and ends of holds (UTC seconds, 0 for none).

    What reaches over their edges is cut to them.
    """
    base, end = numbers.start * CHUNK_TICKS, numbers.stop * CHUNK_TICKS
    booked, holds = 0, []
    for start, stop, expires_at in zip(*taken, strict=True):
        first, last = max(start, base), min(stop, end)
        if first < last:
            if expires_at:
                holds.append(Taken(first, last, expires_at))
            else:
                booked |= ((1 << (last - first)) - 1) << (first - base)
    return Calendar(version, base, booked, tuple(holds))


def split(calendar: Calendar, numbers: range) -> list[Calendar]:
    """The calendar of `whole` cut into its chunks again."""
    mask = (1 << CHUNK_TICKS) - 1
    return [
        Calendar(
            calendar.version,
            number * CHUNK_TICKS,
            calendar.booked >> (number * CHUNK_TICKS - calendar.base) & mask,
            chunk(calendar.version, number, calendar.holds).holds if calendar.holds else (),
        )
        for number in numbers
    ]


def join(parts: Iterable[Calendar]) -> Calendar:
    """One calendar of neighbouring chunks. Its version is the oldest of theirs: only that much is known of the whole."""
    parts = list(parts)
    base = min(part.base for part in parts)
    booked = 0
    for part in parts:
        booked |= part.booked << (part.base - base)
    holds = tuple(hold for part in parts for hold in part.holds)
    return Calendar(min(part.version for part in parts), base, booked, holds)


def applied(
    calendar: Calendar,
    ticks: int,
    version: int,
    opened: Iterable[tuple[int, int]],
    closed: Iterable[tuple[int, int, int]],
) -> Calendar | None:
    """A calendar of so many ticks after a change: spans in UTC seconds, a closed one with the end of its hold (0: it stays).

    What opens comes before what closes. None where the change can't tell: something that opens inside a tick may share it
    with a neighbour, so the calendar has to be read again.
    """
    base, end = calendar.base, calendar.base + ticks
    booked, holds = calendar.booked, list(calendar.holds)
    for start, stop in opened:
        if start % _TICK_SECONDS or stop % _TICK_SECONDS:
            return None
        first, last = max(start // _TICK_SECONDS, base), min(stop // _TICK_SECONDS, end)
        if first < last:
            booked &= ~(((1 << (last - first)) - 1) << (first - base))
            holds = [hold for hold in holds if not (first <= hold.start and hold.end <= last)]
    for start, stop, expires_at in closed:
        first, last = max(start // _TICK_SECONDS, base), min(-(-stop // _TICK_SECONDS), end)
        if first < last:
            # A hold that was extended or confirmed tells its own time again.
            same = [hold for hold in holds if (hold.start, hold.end) == (first, last)]
            holds = [hold for hold in holds if (hold.start, hold.end) != (first, last)]
            if expires_at:
                holds.append(Taken(first, last, max([expires_at, *(hold.expires_at for hold in same)])))
            else:
                booked |= ((1 << (last - first)) - 1) << (first - base)
    return Calendar(version, base, booked, tuple(holds))


def dumps(calendar: Calendar) -> bytes:
    """Bytes for a shared cache: version first, so that a script can compare it. No patient, no caller."""
    bits = calendar.booked.to_bytes((calendar.booked.bit_length() + 7) // 8, "little")
    holds = b"".join(_HOLD.pack(hold.start, hold.end, hold.expires_at) for hold in calendar.holds)
    return _HEAD.pack(calendar.version, calendar.base, len(calendar.holds)) + holds + bits


def loads(raw: bytes) -> Calendar | None:
    """The calendar in `raw`, or None where the bytes are not one: a cache may hold anything."""
    if len(raw) < _HEAD.size:
        return None
    version, base, count = _HEAD.unpack_from(raw)
    rest = _HEAD.size + count * _HOLD.size
    if len(raw) < rest or len(raw) - rest > CHUNK_TICKS // 8 or base % CHUNK_TICKS:
        return None
    holds = tuple(Taken(*_HOLD.unpack_from(raw, _HEAD.size + index * _HOLD.size)) for index in range(count))
    end = base + CHUNK_TICKS
    if end > _TICKS_MAX or not all(base <= hold.start < hold.end <= end for hold in holds):
        return None
    return Calendar(version, base, int.from_bytes(raw[rest:], "little"), holds)


def _span(taken: Taken, base: int) -> int:
    return ((1 << (taken.end - taken.start)) - 1) << (taken.start - base)
