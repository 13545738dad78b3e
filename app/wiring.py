"""Opens everything, builds the services, closes everything. The only place that knows all parts."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.exceptions import RedisError

from adapters.postgres import database as postgres
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.candidates import KnownWishes
from adapters.postgres.database import Database
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.search import PostgresEngine
from adapters.postgres.standing import Standing
from adapters.redis import connection as redis_connection
from adapters.redis.calendars import CalendarCache
from adapters.redis.locks import SlotLocks
from adapters.redis.rates import SharedRates
from app.auth import Tokens
from app.elasticsearch import Elasticsearch, elasticsearch
from app.embedded import Addresses
from app.limits import AddressLimits, Rates
from app.notifying import Post, own_address, post
from app.settings import Settings
from app.streaming import Streaming
from app.workers.indexer import indexers
from app.workers.messenger import observe
from app.workers.waitlist import filled
from dataloaders.calendars import CachedCalendars, RecentWrites
from dataloaders.loaders import Loaders
from dataloaders.pages import Pages
from dataloaders.staff import StaffPages
from domain.access import Viewer
from domain.streams import Event, Pulse
from resolvers.context import Context, Services
from services.alternatives import Alternatives
from services.background import beside
from services.booking import Booking
from services.catalog import Catalog
from services.changing import Changing
from services.contention import Shield
from services.desk import Desk
from services.live.calendars import ProcessCalendars
from services.live.catalog import ProcessCatalog
from services.live.hub import Hub
from services.live.live import Live
from services.live.reading import Reading
from services.live.snapshots import Kept, Snapshots
from services.live.trust import Trust
from services.live.warming import Warming
from services.messaging import Messaging
from services.origins import Origins
from services.patients import Patients
from services.preferences import Preferences
from services.schedules import Schedules
from services.searching.engines import Engine
from services.searching.indexing import Indexer
from services.searching.searching import Searching
from services.searching.soonest import Soonest
from services.searching.suggesting import Suggesting
from services.stopping import Stopping
from services.sweeping import Sweeping
from services.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Product:
    """The running product, without its server."""

    settings: Settings
    database: Database
    tokens: Tokens
    calendars: list[CachedCalendars]
    open_times: OpenTimes
    standing: Standing
    process: ProcessCalendars
    warming: Warming
    recent: RecentWrites
    services: Services
    wishes: KnownWishes
    sweeping: Sweeping
    messaging: Messaging
    indexers: list[Indexer]
    stopping: Stopping
    post: Post
    streaming: Streaming
    trust: Trust
    hub: Hub
    limits: AddressLimits | None
    search: Elasticsearch | None

    def context(self, viewer: Viewer) -> Context:
        """For one operation: nothing in it outlives or is shared with another."""
        loaders = Loaders(self.database, self.open_times, self.recent, viewer, self.standing)
        pages = Pages(self.database, viewer, loaders)
        staff = StaffPages(self.database, viewer, loaders)
        return Context(viewer, loaders, pages, staff, self.services)

    def _heard(self, event: Event) -> None:
        self.services.origins.heard(event)
        if isinstance(event, Pulse):
            self.wishes.live(event.epoch)

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """While it is open this process follows the stream: its calendars stay true, and who watches is told."""
        async with (
            self.services.origins.kept(),
            self.streaming.relaying(),
            self.streaming.followed(self.hub, self.trust, self._heard),
            beside(self.warming.run()) if self.settings.process_calendars else nullcontext(),
            self.search.engine.watching() if self.search else nullcontext(),
        ):
            yield


@asynccontextmanager
async def product(settings: Settings, addresses: Addresses, url: str | None = None) -> AsyncIterator[Product]:
    """`url`: where this server is reached, if PUBLIC_URL does not say."""
    size = settings.database_connections
    primary = await postgres.pool(addresses.database_url, size=size, production=settings.production)
    replica = None
    if addresses.database_replica_url:
        replica = await postgres.pool(addresses.database_replica_url, size=size, production=settings.production)
    database = Database(primary, replica)
    redis = None
    if addresses.redis_url:
        redis = redis_connection.client(addresses.redis_url, cluster=settings.redis_cluster)
    streaming = Streaming(settings, addresses)
    database.committed = streaming.relay.wake
    mail = post(settings, settings.public_url or url or own_address(settings))
    built = _built(settings, addresses, database, redis, streaming, _limits(settings, addresses, redis), mail)
    try:
        yield built
    finally:
        for calendars in built.calendars:
            await calendars.settled()
        await built.messaging.close()
        if built.search is not None:
            await built.search.connection.close()
        await database.close()
        if redis is not None:
            with suppress(RedisError, OSError, asyncio.TimeoutError):
                await redis.aclose()


def _limits(settings: Settings, addresses: Addresses, redis: Any) -> AddressLimits | None:
    if not settings.limited:
        return None
    rate, burst = settings.limit_rate, settings.limit_burst
    shared = SharedRates(addresses.redis_url, redis, rate, burst).wait if addresses.redis_url else None
    return AddressLimits(Rates(rate, burst), shared, settings.limit_sockets, at_once=max(1, burst // 50))


def _built(
    settings: Settings,
    addresses: Addresses,
    database: Database,
    redis: Any,
    streaming: Streaming,
    limits: AddressLimits | None,
    mail: Post,
) -> Product:
    known, recent = KnownSchedules(), RecentWrites()
    cache = CalendarCache(redis) if redis is not None and settings.cache else None
    lock = None
    if redis is not None and settings.booking_lock != "off":
        lock = SlotLocks(redis, lying=settings.booking_lock == "always")
    newer = CachedCalendars(cache, worth_from=settings.cache_from) if cache else None
    exact = CachedCalendars(cache, worth_from=settings.cache_from, exact=True) if cache else None
    straight = OpenTimes(known)
    trust = Trust()
    memory = ProcessCatalog(trust)
    process = ProcessCalendars(database.primary, trust, memory)
    kept = settings.process_calendars
    standing = Standing(database, memory if kept else None)
    open_times = OpenTimes(known, newer, process if kept else None)
    snapshots = Snapshots(database, OpenTimes(known, exact), Kept(process, open_times, standing) if kept else None)
    hub = Hub(Reading(database, open_times, standing=standing), snapshots, process)
    stopping = Stopping(database)
    soonest = Soonest(database, open_times, process if kept else None, recent.include)
    search = elasticsearch(settings, addresses, database)
    engines: list[Engine] = [*([search.engine] if search else []), PostgresEngine(database)]
    longest = timedelta(seconds=settings.offer_seconds_max)
    desk = Desk(
        database, known, Shield(lock), Alternatives(database, straight), recent.note, process, longest, filled=filled
    )
    searching = Searching(database, standing, soonest, engines)
    return Product(
        settings=settings,
        database=database,
        tokens=Tokens(settings),
        calendars=[newer, exact] if newer and exact else [],
        open_times=open_times,
        standing=standing,
        process=process,
        warming=Warming(database, standing, open_times, process, soonest.earliest),
        recent=recent,
        services=_services(desk, Live(hub, snapshots), searching, Suggesting(database, standing)),
        wishes=desk.wishes,
        sweeping=Sweeping(desk),
        messaging=Messaging(database, mail.carriers, stopping, observe, mail.public_url),
        indexers=indexers(settings, addresses, database, known, [search.target] if search else []),
        stopping=stopping,
        post=mail,
        streaming=streaming,
        trust=trust,
        hub=hub,
        limits=limits,
        search=search,
    )


def _services(desk: Desk, live: Live, searching: Searching, suggesting: Suggesting) -> Services:
    database, own = desk.database, desk.own
    return Services(
        Booking(desk),
        Changing(desk),
        Patients(database),
        Catalog(database, own),
        Schedules(database, own),
        Origins(database),
        live,
        Waiting(desk),
        Preferences(database),
        searching,
        suggesting,
    )


def tune_memory() -> None:
    """What is there after start stays; new garbage is looked for seldom (performance: the collector is the hidden limit)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
