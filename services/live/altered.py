"""Of whom something has changed, for those who remember what they worked out of what this process keeps."""

from collections import deque
from itertools import islice
from typing import Final

KNOWN_MAX: Final = 20_000


class Altered:
    """`count` changes so far. Who comes too late to hear of each has to take all for changed."""

    def __init__(self) -> None:
        self._provider_keys: deque[int] = deque(maxlen=KNOWN_MAX)
        self._everybody = 0
        self.count = 0

    def note(self, provider_key: int) -> None:
        self._provider_keys.append(provider_key)
        self.count += 1

    def everybody(self) -> None:
        self.count += 1
        self._everybody = self.count
        self._provider_keys.clear()

    def since(self, count: int) -> set[int] | None:
        """The providers of whom something has changed after the first `count` changes; None: of anybody."""
        new = self.count - count
        if count < self._everybody or new > len(self._provider_keys):
            return None
        return set(islice(reversed(self._provider_keys), new))
