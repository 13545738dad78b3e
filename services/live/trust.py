"""Whether the streams can be believed just now, and the database's clock as their pulses tell it."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from domain.streams import Pulse

TRUSTED_SECONDS: Final = 3.0
LATE_SECONDS: Final = (
    1.0  # A pulse that comes so much later than the one before tells of the past: a backlog is being read.
)
STEADY_SECONDS: Final = 0.5
DRIFT_SECONDS: Final = 0.05  # How far one pulse may set the clock back: it came late by that much, or clocks run apart.


class Trust:
    """Believed while a pulse came within 3 s, by a clock that nobody sets, and left nothing older than 3 s behind."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._heard_at = float("-inf")
        self._offset: float | None = None  # From our clock to the database's.
        self._late: tuple[float, float] | None = None
        self._told = float("-inf")

    def heard(self, pulse: Pulse) -> None:
        here = self._clock()
        offset = pulse.at.timestamp() - here
        if self._offset is None or offset >= self._offset:
            self._offset = offset
        elif offset >= self._offset - LATE_SECONDS:
            self._offset = max(offset, self._offset - DRIFT_SECONDS)
        elif self._is_steady(offset, here):
            self._offset, self._told = offset, float("-inf")  # Somebody has set the database's clock back.
        else:
            self._late, self._heard_at = (offset, here), float("-inf")
            return
        self._late = None
        self._heard_at = here if pulse.horizon_age < TRUSTED_SECONDS else float("-inf")

    def lost(self) -> None:
        """Nothing is believed until the next pulse."""
        self._heard_at = float("-inf")

    def now(self) -> datetime | None:
        """The database's clock, never backwards but where it was set back itself; None while the streams are not believed."""
        here = self._clock()
        if self._offset is None or here - self._heard_at >= TRUSTED_SECONDS:
            return None
        self._told = max(self._told, here + self._offset)
        return datetime.fromtimestamp(self._told, UTC)

    def _is_steady(self, offset: float, here: float) -> bool:
        """Pulses of a backlog come all at once; those of another clock a second apart, each as late as the one before."""
        if self._late is None:
            return False
        before, at = self._late
        return here - at >= STEADY_SECONDS and abs(offset - before) < STEADY_SECONDS
