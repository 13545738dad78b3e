"""A pulse goes to every partition. It counts once it has come through all of them: only then nothing before it is missing."""

from typing import Final, Generic, TypeVar

P = TypeVar("P")

KEPT_MAX: Final = 64


class Pulses(Generic[P]):
    """Remembers which pulse each partition has come to. Order is that of their first sight; no clock is asked."""

    def __init__(self, partitions: list[P]) -> None:
        self._reached: dict[P, int] = dict.fromkeys(partitions, 0)
        self._ranks: dict[str, int] = {}
        self._last = 0
        self._told = 0

    def heard(self, partition: P, text: str) -> str | None:
        """The newest pulse that has now come through all partitions, or None where there is none that was not told yet."""
        rank = self._ranks.get(text)
        if rank is None:
            self._last = rank = self._last + 1
            self._ranks[text] = rank
            if len(self._ranks) > KEPT_MAX:
                del self._ranks[next(iter(self._ranks))]
        self._reached[partition] = max(rank, self._reached.get(partition, 0))
        everywhere = min(self._reached.values())
        if everywhere <= self._told:
            return None
        self._told = everywhere
        told = None
        for known, rank in list(self._ranks.items()):
            if rank > everywhere:
                break
            told = known
            if rank < everywhere:
                del self._ranks[known]
        return told
