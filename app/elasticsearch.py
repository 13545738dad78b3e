"""Elasticsearch as the settings name it, and what of it stands in /metrics."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from prometheus_client import Counter, Gauge

from adapters.elasticsearch.connection import Address, Connection
from adapters.elasticsearch.index import Index
from adapters.elasticsearch.searching import ElasticsearchEngine
from adapters.elasticsearch.target import SearchIndex
from adapters.postgres import database as postgres
from adapters.postgres.building import Building
from adapters.postgres.database import Database, answering
from adapters.postgres.epoch import current_epoch
from app.embedded import Addresses
from app.refusal import Refused
from app.settings import Settings
from services.searching.breaker import Breaker

SEARCHES: Final = Counter(
    "appointments_search_engine_total",
    "Searches by what became of them at Elasticsearch: answered, failed, spared. The last two PostgreSQL answered, degraded.",
    ["outcome"],
)
ASKED: Final = Gauge(
    "appointments_search_engine_asked", "1 while Elasticsearch is well and asked; 0 while it is spared."
)


@dataclass(frozen=True, slots=True)
class Elasticsearch:
    connection: Connection
    index: Index
    target: SearchIndex
    engine: Breaker


def elasticsearch(settings: Settings, addresses: Addresses, database: Database) -> Elasticsearch | None:
    """None where it is not set: then PostgreSQL answers searches."""
    if settings.elasticsearch_url is None:
        return None
    connection = Connection(address(settings))
    alias = f"{settings.elasticsearch_index}-providers"
    index = Index(connection, alias)
    connect = partial(postgres.connect, addresses.database_url, production=settings.production)

    async def look() -> None:
        async with answering():
            epoch = await current_epoch(database.primary)
        await index.check(epoch)

    breaker = Breaker(ElasticsearchEngine(connection, alias), look, lambda outcome: SEARCHES.labels(outcome).inc())
    ASKED.set_function(lambda: int(breaker.closed))
    return Elasticsearch(connection, index, SearchIndex(index, Building(connect, alias).alone), breaker)


def address(settings: Settings) -> Address:
    """Raises Refused for settings that contradict one another, and a file of certificates that can't be read."""
    assert settings.elasticsearch_url is not None
    key, password, ca = settings.elasticsearch_api_key, settings.elasticsearch_password, settings.elasticsearch_ca
    if key is not None and settings.elasticsearch_user is not None:
        raise Refused("ELASTICSEARCH_API_KEY and ELASTICSEARCH_USER are both set: keep one of them")
    if (settings.elasticsearch_user is None) != (password is None):
        raise Refused("ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD go together")
    if ca is not None and not ca.is_file():
        raise Refused(f"ELASTICSEARCH_CA names {ca}, which is no file")
    return Address(
        tuple(url.strip() for url in settings.elasticsearch_url.split(",")),
        settings.elasticsearch_user,
        password.get_secret_value() if password else None,
        key.get_secret_value() if key else None,
        str(ca) if ca else None,
    )
