"""Many documents in one request, each with its version."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError
from elasticsearch.helpers import async_streaming_bulk

from adapters.elasticsearch import documents
from adapters.elasticsearch.connection import Connection, ElasticsearchUnavailable, IndexMissing, fault
from domain.search import Document

AT_ONCE: Final = 1000
OLDER: Final = 409  # Whoever wrote before knew more.
NO_INDEX: Final = "index_not_found_exception"


async def write(
    connection: Connection, aliases: Sequence[str], some: Collection[Document], *, may_lack: str | None = None
) -> dict[str, int]:
    """To each alias, in this order; says how many each has kept. `may_lack` may be missing, and then is passed over."""
    kept = dict.fromkeys(aliases, 0)
    actions = [_action(alias, one, documents.encoded(one)) for one in some for alias in aliases]
    sent = iter(actions)
    outcomes = async_streaming_bulk(
        connection.client, actions, chunk_size=AT_ONCE, raise_on_error=False, require_alias=True
    )
    try:
        async for done, outcome in outcomes:
            alias = next(sent)["_index"]
            if done:
                kept[alias] += 1
            else:
                _look_at(outcome["index"], missing_is_right=alias == may_lack)
    except (ApiError, TransportError) as error:
        raise fault(error) from error
    return kept


def _action(alias: str, document: Document, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "_index": alias,
        "_id": documents.name(document.pair),
        "version": document.seq,
        "version_type": "external_gte",
        "_source": source,
    }


def _look_at(outcome: Mapping[str, Any], *, missing_is_right: bool) -> None:
    if outcome["status"] == OLDER:
        return
    kind = outcome.get("error", {}).get("type", "unknown")
    if kind != NO_INDEX:
        raise ElasticsearchUnavailable(f"it refuses to write: {outcome['status']} {kind}")
    if not missing_is_right:
        raise IndexMissing("there is no such index")
