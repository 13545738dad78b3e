"""How often, how long and how many: the figures of rules 23 to 32 in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True, slots=True)
class HubPace:
    """Seconds by `monotonic`; tests take shorter ones."""

    frame_seconds: float = 0.05  # rule 28
    heartbeat_seconds: float = 15.0  # rule 32
    patience_seconds: float = 3.0  # rules 26 and 27
    resume_seconds: float = 120.0  # rule 25
    slow_seconds: float = 60.0  # rule 30
    fresh_seconds: float = 1.0  # how long a snapshot serves those who join
    keep_seconds: float = 60.0  # how long a shape stays after its last member
    sweep_seconds: float = 0.5
    backoff_seconds: float = 0.1
    backoff_seconds_max: float = 5.0
    resume_events: int = 512  # rule 25
    mailbox: int = 32  # rule 30
    ids: int = 500  # in one delta
    pending: int = 512  # events of a shape that waits for the database
    shapes: int = 20_000  # one address may have 4,000: 200 sockets with 20 operations each
    waiting: int = 2000  # queries that wait for a stream
    monotonic: Callable[[], float] = monotonic
