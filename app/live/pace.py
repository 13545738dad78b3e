"""How long a peer is waited for, and how much one may ask at once. Seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    init: float = 5  # until `connection_init` came
    ping: float = 10  # without a word from the peer before it is asked for one
    pong: float = 10  # until it answered
    send: float = 5  # for which a full buffer may not shrink at all
    goodbye: float = 5  # for the peer's half of a closing handshake
    comment: float = 15  # of silence on an event stream
    operations: int = 20  # at once on one socket


PACE = Pace()
