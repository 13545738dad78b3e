"""The database's clock as a process knows it: what the last pulse said, and the time since."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Never ahead of the database's clock but by what two machines drift in a second."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heard: tuple[datetime, float] | None = None

    @property
    def known(self) -> bool:
        return self._heard is not None

    def hear(self, at: datetime) -> None:
        self._heard = (at, self._monotonic())

    def now(self) -> datetime:
        """The machine's clock until something was heard."""
        if self._heard is None:
            return datetime.now(UTC)
        at, since = self._heard
        return at + timedelta(seconds=self._monotonic() - since)
