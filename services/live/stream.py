"""A clinic's stream as this process follows it: how far it is, and its last two minutes."""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from domain.streams import CalendarEvent
from services.live.pace import HubPace


class Heard(Enum):
    NEXT = auto()
    AGAIN = auto()
    GAP = auto()


class ClinicStream:
    """`told`: whoever reads now has everything up to this number; None until the log or the database said anything. Only the log
    moves it on, so nothing that is still on its way is ever behind a cursor made of it. `heard`: by the log alone.

    `point`: where the newest event heard stands among the outbox rows (rule 27).
    """

    __slots__ = ("_moved", "_pace", "_ring", "clinic_key", "heard", "point", "told")

    def __init__(self, clinic_key: int, pace: HubPace) -> None:
        self.clinic_key = clinic_key
        self.told: int | None = None
        self.heard: int | None = None
        self.point: tuple[int, int] | None = None
        self._pace = pace
        self._ring: deque[tuple[float, CalendarEvent]] = deque(maxlen=pace.resume_events)
        self._moved: asyncio.Future[None] | None = None

    @property
    def settled(self) -> bool:
        """Nothing that `told` counts is still on its way here."""
        return self.told is not None and self.brought >= self.told

    @property
    def brought(self) -> int:
        """How far the log came; where it said nothing yet, how far the database was when it was first asked."""
        return (self.told or 0) if self.heard is None else self.heard

    def learn(self, head: int) -> None:
        """What the database says. Counts only as the beginning: what it numbers later is still on its way through the log."""
        if self.told is None:
            self.told = head
            self.wake()

    def hear(self, event: CalendarEvent) -> Heard:
        """After a gap the stream stands at the event, and nothing before it can be resumed."""
        if self.heard is None:
            # The first one: it may be older than what the database said, and is in order as long as it leaves nothing out.
            gap = self.told is not None and event.seq > self.told + 1
        elif event.seq <= self.heard:
            return Heard.AGAIN
        else:
            gap = event.seq > self.heard + 1
        if gap:
            self._ring.clear()
        self._ring.append((self._pace.monotonic(), event))
        self.heard = event.seq
        self.told = max(event.seq, self.told or 0)
        self.point = (event.xid, event.outbox_id)
        self.wake()
        return Heard.GAP if gap else Heard.NEXT

    def lose(self, head: int) -> None:
        """The log did not bring what the database has: go on from there."""
        self._ring.clear()
        self.heard = head
        self.told = max(head, self.told or 0)
        self.wake()

    def forget(self) -> None:
        """Another epoch: numbers begin anew."""
        self._ring.clear()
        self.told = self.heard = self.point = None
        self.wake()

    def since(self, seq: int) -> list[CalendarEvent] | None:
        """All events after that number, or None where some are no longer here."""
        if self.told is not None and seq >= self.told:
            return []
        self.trim()
        if not self._ring or not self.settled or self._ring[0][1].seq > seq + 1:
            return None
        return [event for _, event in self._ring if event.seq > seq]

    def trim(self) -> None:
        oldest = self._pace.monotonic() - self._pace.resume_seconds
        while self._ring and self._ring[0][0] < oldest:
            self._ring.popleft()

    def wake(self) -> None:
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None

    async def reached(self, wanted: Callable[[], bool]) -> bool:
        """Waits until it holds, as long as rule 26 says. Whether it does."""
        if wanted():
            return True
        try:
            async with asyncio.timeout(self._pace.patience_seconds):
                while not wanted():
                    if self._moved is None:
                        self._moved = asyncio.get_running_loop().create_future()
                    await asyncio.shield(self._moved)
        except TimeoutError:
            return False
        return True
