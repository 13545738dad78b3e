"""The stream of changes in this process: the log it goes through, the relay that fills it, and what follows it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final

import structlog
from prometheus_client import Gauge

from adapters.broadcast.feed import Feed
from adapters.kafka.log import KafkaLog
from adapters.kafka.publisher import Publisher
from adapters.postgres import database as postgres
from adapters.postgres.outbox_log import OutboxLog
from app import kafka
from app.embedded import Addresses
from app.settings import Settings
from app.workers.relay import observe
from domain import streams
from services.background import beside
from services.live.hub import Hub
from services.live.trust import Trust
from services.relaying import Relay

PATIENCE_SECONDS: Final = 5.0  # A log that is away keeps nobody from serving: the database is asked meanwhile.
LOOK_SECONDS: Final = 0.05
WATCHED: Final = Gauge("appointments_live", "Subscribers and what is kept for them, by kind.", ["kind"])
FEED: Final = Gauge(
    "appointments_log", "Events, malformed and failed ones, outages and restarts of the log read here.", ["kind"]
)
AGE: Final = Gauge("appointments_log_age_seconds", "Since the log said anything, pulses included.")
log = structlog.get_logger()


class Streaming:
    """Kafka where it is set; else the outbox table is the log."""

    def __init__(self, settings: Settings, addresses: Addresses) -> None:
        connect = partial(postgres.connect, addresses.database_url, production=settings.production)
        broker = kafka.broker(settings)
        outbox = OutboxLog(connect)
        self._publisher = Publisher(broker) if broker else None
        self._source: OutboxLog | KafkaLog = KafkaLog(broker) if broker else outbox
        self.relay = Relay(connect, self._publisher, numbered=_nobody if broker else outbox.wake, observe=observe)

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """Any process may be the one that relays; the lock in the database decides."""
        async with AsyncExitStack() as ending:
            if self._publisher is not None:
                ending.push_async_callback(self._publisher.close)
            await ending.enter_async_context(beside(self.relay.run()))
            yield

    @asynccontextmanager
    async def followed(self, hub: Hub, trust: Trust, heard: Callable[[streams.Event], None]) -> AsyncIterator[None]:
        """`hub` hears everything, `heard` after it. Begins once the log's last minutes are read, or it is away (rule 25)."""

        def receive(event: streams.Event) -> None:
            try:
                hub.receive(event)
            finally:
                heard(event)

        async with Feed(self._source, receive) as feed, beside(hub.run()):
            _tell(hub, feed)
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    # Alive once pulses come at their pace; one that could not be read at all may be away for long.
                    while trust.now() is None and not feed.outages:  # noqa: ASYNC110 (of neither there is an event)
                        await asyncio.sleep(LOOK_SECONDS)
            try:
                yield
            finally:
                await hub.close()


def _tell(hub: Hub, feed: Feed) -> None:
    """Figures for /metrics, read when they are asked for."""
    for kind in hub.counts():
        WATCHED.labels(kind).set_function(partial(_count, hub, kind))
    for kind in ("events", "malformed", "failed", "outages", "restarts"):
        FEED.labels(kind).set_function(partial(getattr, feed, kind))
    AGE.set_function(lambda: -1.0 if feed.age is None else feed.age)


def _count(hub: Hub, kind: str) -> float:
    return hub.counts()[kind]


def _nobody() -> None:
    """Kafka's readers hear of it from Kafka."""
