"""What a member of a group hands on from the log of changes, and whether it changes a document."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from domain.availability import TICKS_AFTER
from domain.schedules import TICK_MINUTES
from domain.streams import CalendarEvent

_REACH: Final = TICKS_AFTER * TICK_MINUTES * 60  # A visit that begins so many seconds before a time may need it.
_EPOCH: Final = date(1970, 1, 1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in the order of each clinic; some may have been handed on before.

    `epoch`: of the log, "" where it was not heard yet. `lost`: why something before them is missing, then all is made anew.
    `level`: nothing more was there. `unreadable` counts messages that were passed over.
    """

    events: Sequence[CalendarEvent] = ()
    epoch: str = ""
    lost: str | None = None
    level: bool = True
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """Of a document that is kept: its `seq`, and its `next_days`, None for visit types that have none."""

    seq: int
    next_days: Mapping[int, date | None]


def outdated(kept: Kept, epoch: str, events: Iterable[CalendarEvent]) -> bool:
    """Whether one of the document's events may change it: most bookings take time after the first open day, which stays that."""
    return any(
        (event.seq > kept.seq or event.epoch != epoch) and (event.invalidated or _moves(kept.next_days, event))
        for event in events
    )


def _moves(next_days: Mapping[int, date | None], event: CalendarEvent) -> bool:
    known = [day for day in next_days.values() if day is not None]
    if event.opened and len(known) < len(next_days):
        return True
    touched = [span[0] for span in (*event.opened, *event.closed)]
    if not known or not touched:
        return False
    earliest = _EPOCH + timedelta(seconds=min(touched) - _REACH) - _DAY  # Somewhere it is still the day before.
    return earliest <= max(known)
