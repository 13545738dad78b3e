"""A pulse goes to every partition. It counts once it has come through all of them: only then nothing before it is missing."""

from datetime import datetime
from typing import Generic, TypeVar

P = TypeVar("P")


class Pulses(Generic[P]):
    """Remembers which pulse each partition has come to."""

    def __init__(self, partitions: list[P]) -> None:
        self._reached: dict[P, tuple[datetime, str] | None] = dict.fromkeys(partitions)
        self._told: datetime | None = None

    def heard(self, partition: P, at: datetime, text: str) -> str | None:
        """The newest pulse that has now come through all partitions, or None where there is none that was not told yet."""
        before = self._reached.get(partition)
        if before is not None and at < before[0]:  # The clock was set back: what was before compares with nothing now.
            self._reached = dict.fromkeys(self._reached)
            self._told = None
        self._reached[partition] = (at, text)
        reached = [one for one in self._reached.values() if one is not None]
        oldest, told = min(reached)
        if len(reached) < len(self._reached) or (self._told is not None and oldest <= self._told):
            return None
        self._told = oldest
        return told
