"""Who is connected for long: they are asked to leave one after another before the server stops (rule 34)."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

A_SECOND: Final = 100


class Guests:
    """Nobody is let in any more once `leaving` is true."""

    def __init__(self) -> None:
        self.leaving = False
        self._ways_out: dict[object, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._ways_out)

    @contextmanager
    def staying(self, leave: Callable[[], None]) -> Iterator[None]:
        """For as long as the connection is open; `leave` ends it."""
        key = object()
        self._ways_out[key] = leave
        try:
            yield
        finally:
            del self._ways_out[key]

    async def leave(self, seconds: float) -> None:
        """All go within that time, in no order, so that they do not come back elsewhere all at once."""
        self.leaving = True
        keys = list(self._ways_out)
        random.shuffle(keys)
        pause = min(seconds, len(keys) / A_SECOND) / max(len(keys), 1)
        for key in keys:
            way_out = self._ways_out.get(key)
            if way_out is not None:
                way_out()
                await asyncio.sleep(pause)
