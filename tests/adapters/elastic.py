"""For tests of search with Elasticsearch: an index of one's own on the shared node."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from secrets import token_hex

from adapters.elasticsearch.connection import Address, Connection
from adapters.elasticsearch.index import Index
from adapters.elasticsearch.target import SearchIndex
from domain.search import Document
from tests.elasticsearch import Elasticsearch

EPOCH = "5d4f5a52-0000-4000-8000-000000000001"


@asynccontextmanager
async def an_index(node: Elasticsearch) -> AsyncIterator[Index]:
    """Not made yet; whatever of it is there at the end goes."""
    connection = Connection(Address((node.url,)))
    index = Index(connection, f"test-{token_hex(4)}-providers")
    try:
        yield index
    finally:
        for name in await connection.ask("GET", f"/{index.alias}*/_alias"):
            await connection.ask("DELETE", f"/{name}")
        await connection.close()


def a_target(index: Index, *, grace: float = 0.0) -> SearchIndex:
    return SearchIndex(index, nullcontext, grace=grace)


async def filled(index: Index, documents: Sequence[Document], epoch: str = EPOCH) -> SearchIndex:
    """Everything of these documents and nothing else."""
    target = a_target(index)
    async with target.renewing(epoch) as write:
        await write(epoch, documents)
    return target
