"""Whether the streams can be believed just now, and the database's clock as their pulses tell it."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from domain.streams import Pulse

TRUSTED_SECONDS: Final = 3.0
LATE_SECONDS: Final = (
    1.0  # A pulse that comes so much later than those before tells of the past: a backlog is being read.
)
PACE_SECONDS: Final = 0.5
DRIFT_SECONDS: Final = 0.05  # How far one pulse may set the clock back: it came late by that much, or clocks run apart.
NEVER: Final = float("-inf")


class Trust:
    """Believed while a pulse came within 3 s, by a clock that nobody sets, and left nothing older than 3 s behind.

    The first pulse may be as old as the log, so at the beginning, and after one that came late, two must come one after the other
    at the pace of time: those of a backlog come all at once.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._heard_at = NEVER
        self._offset: float | None = None  # From our clock to the database's; None while that is not known.
        self._before: tuple[float, float] = (NEVER, NEVER)
        self._told = NEVER
        self._doubted = False

    def heard(self, pulse: Pulse) -> None:
        here = self._clock()
        offset = pulse.at.timestamp() - here
        before, at = self._before
        self._before = offset, here
        if self._offset is not None and offset < self._offset - LATE_SECONDS:
            self.lost()
            self._before = offset, here
        elif self._offset is not None:
            self._offset = max(offset, self._offset - DRIFT_SECONDS)
        elif here - at >= PACE_SECONDS and abs(offset - before) < PACE_SECONDS:
            self._offset, self._told = offset, NEVER
        believed = self._offset is not None and pulse.horizon_age < TRUSTED_SECONDS
        self._heard_at = here if believed else NEVER

    def lost(self) -> None:
        """Nothing is believed until pulses come at their pace again."""
        self._heard_at, self._offset, self._before = NEVER, None, (NEVER, NEVER)

    def doubt(self) -> None:
        """Something may be missing: nothing is believed until `settle`, whatever pulses come."""
        self._doubted = True

    def settle(self) -> None:
        self._doubted = False

    def now(self) -> datetime | None:
        """The database's clock, never backwards but where it was set back itself; None while the streams are not believed."""
        here = self._clock()
        if self._doubted or self._offset is None or here - self._heard_at >= TRUSTED_SECONDS:
            return None
        self._told = max(self._told, here + self._offset)
        return datetime.fromtimestamp(self._told, UTC)
