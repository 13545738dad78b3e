"""The indexes of search: one indexer for each, with a place of its own in the log; and what of them stands in /metrics."""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Final

import structlog
from prometheus_client import Gauge, Histogram

from adapters.kafka.group import KafkaGroup
from adapters.postgres import database as postgres
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database
from adapters.postgres.outbox_group import OutboxGroup
from adapters.postgres.search_documents import SearchDocuments
from adapters.postgres.search_sources import Sources
from app import kafka
from app.embedded import Addresses
from app.settings import Settings
from domain.faults import RequestInProgress, Unavailable
from services.searching import synonyms
from services.searching.indexing import Indexer
from services.searching.targets import Member, Target

FILLED_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05
KINDS: Final = ("documents", "renewals", "failed", "unreadable", "refreshed")
INDEX: Final = Gauge(
    "appointments_search_index",
    "Of an index, by this process: documents written, times it was made anew, events passed over, messages unreadable, "
    "documents written since a day had passed.",
    ["index", "kind"],
)
BEHIND: Final = Gauge(
    "appointments_search_behind_seconds", "For how long an index has not been level with the log.", ["index"]
)
LAG: Final = Histogram(
    "appointments_search_lag_seconds",
    "From the commit of a change until an index had it.",
    ["index"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
log = structlog.get_logger()


def indexers(
    settings: Settings,
    addresses: Addresses,
    database: Database,
    known: KnownSchedules,
    beside: Sequence[Target] = (),
) -> list[Indexer]:
    """Each `run` and `work` runs them: with Kafka their groups share the partitions, without one member leads.

    `beside`: engines that are asked before PostgreSQL.
    """
    quiet = database.quiet()  # What is written for search is told to nobody: no relay need wake.
    sources = Sources(quiet, known, synonyms.of_specialties())
    targets: list[Target] = [SearchDocuments(quiet), *beside]
    return [_indexer(settings, addresses, sources, target) for target in targets]


def _indexer(settings: Settings, addresses: Addresses, sources: Sources, target: Target) -> Indexer:
    return Indexer(sources, target, _member(settings, addresses, target.name), lagged=LAG.labels(target.name).observe)


def _member(settings: Settings, addresses: Addresses, name: str) -> Member:
    broker = kafka.broker(settings)
    if broker is not None:
        return KafkaGroup(broker, f"appointments-search-{name}")
    connect = partial(postgres.connect, addresses.database_url, production=settings.production)
    return OutboxGroup(connect, f"search-{name}")


async def index(some: Sequence[Indexer]) -> None:
    """Runs until it is cancelled. Only who does this says in its /metrics how it stands with the indexes."""
    for one in some:
        for kind in KINDS:
            INDEX.labels(one.name, kind).set_function(partial(getattr, one.figures, kind))
        BEHIND.labels(one.name).set_function(partial(getattr, one.figures, "behind"))
    await asyncio.gather(*(one.run() for one in some))


async def filled(indexer: Indexer, stop: asyncio.Event | None) -> None:
    """Waits until there is something to search in, whoever made it; not for ever, and not once `stop` is set."""
    began = monotonic()
    while monotonic() - began < FILLED_SECONDS:
        if stop is not None and stop.is_set():
            return
        try:
            if await indexer.is_filled():
                return
        except (Unavailable, RequestInProgress) as fault:
            log.warning("search waits", reason=str(fault))
        await asyncio.sleep(LOOK_SECONDS)
    log.warning("search is not complete yet", seconds=FILLED_SECONDS)
