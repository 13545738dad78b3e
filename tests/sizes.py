"""How much the proofs try: little in `make test`, all of it in `make prove` (PROVE=1). The code is the same."""

import os
from typing import Final

FULL: Final = os.environ.get("PROVE") == "1"


def _size(small: int, full: int) -> int:
    return full if FULL else small


ZONES_EVERY_YEAR: Final = _size(0, 1)  # every zone with every year, not only those of the spread
WALL_MINUTES: Final = _size(15, 5)
CALENDAR_EXAMPLES: Final = _size(60, 1000)
RACE_CALLERS: Final = 200
RACE_ROUNDS: Final = _size(1, 10)
SWAP_ROUNDS: Final = _size(8, 200)
MODEL_EXAMPLES: Final = _size(30, 250)
MODEL_STEPS: Final = _size(30, 50)
ACTORS: Final = _size(8, 16)
ACTIONS_EACH: Final = _size(100, 150)  # Enough that one in 500 is one.
ACTOR_ROUNDS: Final = _size(1, 6)
KILLS_OF_POSTGRES: Final = _size(2, 20)
KILLS_OF_BOOKER: Final = _size(2, 20)
KILLS_OF_BACKENDS: Final = _size(1, 10)
MESSAGE_VISITS: Final = _size(400, 100_000)
MESSAGE_CHANGES: Final = _size(300, 35_000)
MESSAGE_DAYS: Final = _size(6, 366)
MESSAGE_KILLS: Final = _size(40, 2_000)
MESSAGE_SEEDS: Final = (5,) if FULL else (5, 8)  # Of 8 it is known that it finds tries forgotten in quiet hours.
LIVE_COMMITS: Final = _size(3_000, 100_000)
LIVE_COMMITS_STORED: Final = _size(80, 3_000)
ABRUPT_CLOSES: Final = _size(2, 10)  # hundreds
CANCELLATIONS_TIMED: Final = _size(20, 200)
ALLOCATION_EXAMPLES: Final = _size(100, 3000)
CANCELLATIONS: Final = _size(40, 10_000)
MIX_ACTIONS: Final = _size(60, 1500)  # of each actor
CROSSINGS: Final = _size(6, 60)
SEARCH_RACE_BOOKINGS: Final = _size(400, 6_000)
SOONEST_STEPS: Final = _size(150, 4_000)
LIVE_ROUNDS: Final = _size(1, 3)  # of every kill
LIVE_WATCHERS: Final = _size(6, 60)
LIVE_PAUSE_SECONDS: Final = 0.1 if FULL else 0.02  # between bookings
LIVE_BURST_SECONDS: Final = _size(1, 3)
KAFKA_AWAY_SECONDS: Final = _size(1, 12)  # longer than its clients wait for an answer
RECONNECTS: Final = _size(200, 1_000)
