"""What of the waitlist stands in /metrics: of the whole system, so every process says the same."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import Gauge

from domain.waitlist import WAITING, OfferStatus

ENTRIES: Final = Gauge("appointments_waitlist_entries", "Entries that wait, by state.", ["status"])
OFFERS: Final = Gauge(
    "appointments_waitlist_offers", "Offers made within the last day, by state or outcome.", ["outcome"]
)
TIMES: Final = Gauge(
    "appointments_waitlist_times",
    "Times offered within the last day: filled, still offered, or opened to all since nobody took them.",
    ["outcome"],
)


def observe(figures: Mapping[tuple[str, str], int]) -> None:
    for status in WAITING:
        ENTRIES.labels(status.value).set(figures.get(("entries", status.value), 0))
    for outcome in OfferStatus:
        OFFERS.labels(outcome.value).set(figures.get(("offers", outcome.value), 0))
    for name in ("filled", "offered", "opened"):
        TIMES.labels(name).set(figures.get(("times", name), 0))
