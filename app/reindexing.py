"""Making the index of search anew by command, and looking whether it is right."""

from collections.abc import Callable
from functools import partial

from adapters.postgres import database as postgres
from adapters.postgres import search_unlisted
from adapters.postgres.building import AnotherBuilds, Building
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database
from adapters.postgres.search_documents import SearchDocuments
from adapters.postgres.search_sources import Sources
from app.elasticsearch import elasticsearch
from app.embedded import Addresses
from app.refusal import Refused
from app.settings import Settings
from domain.faults import Unavailable
from services.searching import synonyms
from services.searching.rebuilding import rebuild

Progress = Callable[[int, int], None]


async def reindex(settings: Settings, addresses: Addresses, database: Database, progress: Progress) -> tuple[int, str]:
    """How many documents, and where. That is Elasticsearch where it is set; else PostgreSQL's own."""
    found = elasticsearch(settings, addresses, database)
    sources = Sources(database, KnownSchedules(), synonyms.of_specialties())
    try:
        if found is not None:
            return await rebuild(sources, found.target, progress), "Elasticsearch"
        connect = partial(postgres.connect, addresses.database_url, production=settings.production)
        target = SearchDocuments(database)
        async with Building(connect, target.name).alone():
            ended = await search_unlisted.ended(database)
            count = await rebuild(sources, target, progress)
            await search_unlisted.drop(database, ended)
        return count, "PostgreSQL"
    except AnotherBuilds:
        raise Refused("another process makes this index anew just now") from None
    except Unavailable as fault:
        raise Refused(f"what was searched stays as it is: {fault}") from fault
    finally:
        if found is not None:
            await found.connection.close()
