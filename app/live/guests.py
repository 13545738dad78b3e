"""Who is connected for long: they are asked to leave one after another before the server stops (rule 34)."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

A_SECOND: Final = 100
TICK_SECONDS: Final = 0.01


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
        """All are asked within that time, in no order, so that they do not come back elsewhere all at once."""
        self.leaving = True
        keys = list(self._ways_out)
        random.shuffle(keys)
        count, loop = len(keys), asyncio.get_running_loop()
        began, span = loop.time(), max(min(seconds, count / A_SECOND), TICK_SECONDS)
        # By the clock: what a leaving guest costs is paid between two ticks, which then come late. A lot stays small all the
        # same, until the time is over.
        lot = ceil(2 * count * TICK_SECONDS / span)
        while keys:
            passed = (loop.time() - began) / span
            left = 0 if passed >= 1 else max(int(count * (1 - passed)), len(keys) - lot)
            while len(keys) > left:
                way_out = self._ways_out.get(keys.pop())
                if way_out is not None:
                    way_out()
            if keys:
                await asyncio.sleep(TICK_SECONDS)
