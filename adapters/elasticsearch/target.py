"""What the indexer keeps true here."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from time import monotonic
from typing import Any, Final

from adapters.elasticsearch import documents
from adapters.elasticsearch.connection import ElasticsearchUnavailable, IndexMissing, OtherDocuments
from adapters.elasticsearch.index import FORMAT, Index, Meta
from domain.indexing import Kept
from domain.search import Document, Pair

GRACE_SECONDS: Final = (
    30.0  # A missing index is searched for so long elsewhere before it is made again: it may come back.
)
FOUND: Final = {"filter_path": "docs._id,docs._version,docs._source,docs.found,docs.error.type"}


class SearchIndex:
    """`alone`: held while an index is being built, since there can be one at a time; raises Unavailable where another holds it."""

    name: Final = "elasticsearch"
    in_place: Final = True  # What others write meanwhile reaches the one being built too.

    def __init__(
        self, index: Index, alone: Callable[[], AbstractAsyncContextManager[None]], *, grace: float = GRACE_SECONDS
    ) -> None:
        self._index = index
        self._alone = alone
        self._grace = grace
        self._seen = False
        self._missing_since: float | None = None
        self._epoch: str | None = None

    async def epoch(self) -> str | None:
        meta = await self._meta()
        if meta is not None and meta.format > FORMAT:
            raise ElasticsearchUnavailable("the index was made by a newer version of this program")
        self._epoch = meta.epoch if meta and meta.format == FORMAT else None
        return self._epoch

    async def _meta(self) -> Meta | None:
        try:
            meta = await self._index.meta()
        except (IndexMissing, OtherDocuments):
            now = monotonic()
            self._missing_since = self._missing_since or now
            if self._seen and now - self._missing_since < self._grace:
                raise
            return None
        self._seen, self._missing_since = True, None
        return meta

    async def write(self, epoch: str, documents: Sequence[Document]) -> int:
        """None of another epoch than the index is of: that which is being built instead gets them, and counts them itself."""
        if epoch == self._epoch or epoch == await self.epoch():
            return await self._index.write(documents)
        await self._index.write_next(documents)
        return 0

    async def kept(self, epoch: str, pairs: Collection[Pair]) -> Mapping[Pair, Kept]:
        if not pairs or epoch != await self.epoch():
            return {}
        some = {documents.name(pair): pair for pair in pairs}
        wanted = [{"_id": name, "_source": ["visit_types", "next_days"]} for name in some]
        answer = await self._index.connection.ask("POST", f"/{self._index.alias}/_mget", {"docs": wanted}, FOUND)
        return {some[one["_id"]]: _kept(one) for one in answer["docs"] if one.get("found")}

    async def past(self, day: date, clinic_keys: Collection[int], limit: int) -> list[Pair]:
        before = {"range": {"next_day": {"lt": day.toordinal()}}}
        body = {
            "query": {
                "bool": {"filter": [{"term": {"listed": True}}, {"terms": {"clinic": list(clinic_keys)}}, before]}
            },
            "sort": [{"provider": "asc"}, {"clinic": "asc"}],
            "size": limit,
            "stored_fields": "_none_",
            "track_total_hits": False,
        }
        if not clinic_keys or limit <= 0:
            return []
        path = f"/{self._index.alias}/_search"
        answer = await self._index.connection.ask("POST", path, body, {"filter_path": "hits.hits.sort"})
        return [(one["sort"][0], one["sort"][1]) for one in answer["hits"]["hits"]] if answer else []

    @asynccontextmanager
    async def renewing(self, epoch: str) -> AsyncGenerator[Callable[[str, Sequence[Document]], Awaitable[int]], None]:
        """A new one beside that which is searched, which takes its place if all goes well. What an end leaves half-built, the next
        one removes."""

        async def fill(read_in: str, some: Sequence[Document]) -> int:
            if read_in != epoch:
                raise ElasticsearchUnavailable("the database was restored meanwhile")
            return await self._index.fill(some)

        async with self._alone():
            name = await self._index.begin(epoch)
            yield fill
            await self._index.swap(name)
            self._epoch, self._seen = epoch, True


def _kept(found: Mapping[str, Any]) -> Kept:
    source = found["_source"]
    days = {one["visit_type"]: date.fromordinal(one["day"]) for one in source["next_days"]}
    return Kept(found["_version"], {key: days.get(key) for key in source["visit_types"]})
