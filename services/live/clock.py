"""The database's clock as a process knows it: what the last pulse said, and the time since."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

LATE_SECONDS: Final = 1.0
PACE_SECONDS: Final = 0.5
_NEVER: Final = float("-inf")


class Clock:
    """Never ahead of the database's clock but by what two machines drift in a second."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._offset: float | None = None
        self._late = (_NEVER, _NEVER)

    @property
    def known(self) -> bool:
        return self._offset is not None

    def hear(self, at: datetime) -> bool:
        """Whether it counts. One from before does not, as when a backlog is read; two at the pace of time do: it was set back."""
        here = self._monotonic()
        offset = at.timestamp() - here
        if self._offset is not None and offset < self._offset - LATE_SECONDS:
            (before, then), self._late = self._late, (offset, here)
            if here - then < PACE_SECONDS or abs(offset - before) > PACE_SECONDS:
                return False
        self._offset = offset
        return True

    def now(self) -> datetime:
        """The machine's clock until something was heard."""
        if self._offset is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self._offset + self._monotonic())
