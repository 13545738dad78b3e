"""What a member of a group hands on from the log of changes, to those who keep something true by it."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.streams import CalendarEvent


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
