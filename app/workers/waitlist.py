"""What of the waitlist stands in /metrics: gauges of the whole system, so every process says the same, and histograms of what
this process has filled.
"""

from collections.abc import Mapping
from math import nan
from typing import Final

from prometheus_client import Gauge, Histogram

from domain.waitlist import WAITING, OfferStatus
from services.desk import Filled

ENTRIES: Final = Gauge("appointments_waitlist_entries", "Entries that wait, by state.", ["status"])
OFFERS: Final = Gauge(
    "appointments_waitlist_offers", "Offers made within the last day, by state or outcome.", ["outcome"]
)
TIMES: Final = Gauge(
    "appointments_waitlist_times",
    "Times offered within the last day: filled, still offered, or opened to all since nobody took them.",
    ["outcome"],
)
ACCEPTED: Final = Gauge(
    "appointments_waitlist_accepted_share",
    "Share of the offers answered or run out within the last day that was accepted; NaN where there was none.",
)
FILLED: Final = Histogram(
    "appointments_waitlist_filled_seconds",
    "From the moment a time was given up to the moment somebody took it.",
    buckets=(1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400),
)
SOONER: Final = Histogram(
    "appointments_waitlist_sooner_days",
    "How many days earlier those come who asked to be moved earlier.",
    buckets=(0.25, 1, 2, 3, 5, 7, 10, 14, 21, 30, 60, 90),
)


def filled(one: Filled) -> None:
    FILLED.observe(one.waited.total_seconds())
    if one.sooner is not None:
        SOONER.observe(one.sooner.total_seconds() / 86_400)


def accepted_share(figures: Mapping[tuple[str, str], int]) -> float:
    """Offers that were withdrawn count neither way."""
    accepted, declined, expired = (
        figures.get(("offers", one.value), 0)
        for one in (OfferStatus.ACCEPTED, OfferStatus.DECLINED, OfferStatus.EXPIRED)
    )
    over = accepted + declined + expired
    return accepted / over if over else nan


def observe(figures: Mapping[tuple[str, str], int]) -> None:
    for status in WAITING:
        ENTRIES.labels(status.value).set(figures.get(("entries", status.value), 0))
    for outcome in OfferStatus:
        OFFERS.labels(outcome.value).set(figures.get(("offers", outcome.value), 0))
    for name in ("filled", "offered", "opened"):
        TIMES.labels(name).set(figures.get(("times", name), 0))
    ACCEPTED.set(accepted_share(figures))
