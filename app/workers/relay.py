"""What of the relay stands in /metrics. Its loop is its own: `services/relaying.py`."""

from typing import Final

from prometheus_client import Counter, Gauge

from services.relaying import Beat

LEADING: Final = Gauge("appointments_relay_leading", "1 in the process that relays changes.")
RELAYED: Final = Counter("appointments_relay_events_total", "Outbox rows that this process has relayed.")
BACKLOG: Final = Gauge("appointments_relay_backlog", "Outbox rows that wait to be relayed; 10,000: or more.")
HORIZON: Final = Gauge("appointments_relay_horizon_seconds", "Age of the oldest change that may not be relayed yet.")


def observe(beat: Beat) -> None:
    LEADING.set(int(beat.leading))
    RELAYED.inc(beat.relayed)
    BACKLOG.set(beat.backlog)
    HORIZON.set(beat.horizon_age)
