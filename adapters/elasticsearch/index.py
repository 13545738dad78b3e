"""The index behind its alias: made, filled, swapped in, looked at, removed."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from secrets import token_hex
from typing import Any, Final

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError
from elasticsearch.helpers import async_bulk

from adapters.elasticsearch import documents
from adapters.elasticsearch.connection import (
    Connection,
    ElasticsearchUnavailable,
    IndexMissing,
    OtherDocuments,
    fault,
)
from domain.search import Document, Pair

FORMAT: Final = 1  # Goes up with every change of mapping.json or of what is written: the index is made again.
MAPPING: Final = orjson.loads(files(__package__).joinpath("mapping.json").read_bytes())
BULK_DOCUMENTS: Final = 1000
READ_DOCUMENTS: Final = 1000
OLDER: Final = 409  # Whoever wrote before knew more.


@dataclass(frozen=True, slots=True)
class Meta:
    """What an index says of itself. `whole`: it was filled to the end."""

    name: str
    format: int
    epoch: str
    whole: bool


class Index:
    """`alias` is what is searched and written to; behind it is one index, whose name begins with it."""

    def __init__(self, connection: Connection, alias: str) -> None:
        self.alias = alias
        self._connection = connection
        self._ours = re.compile(rf"{re.escape(alias)}-\d{{14}}-[0-9a-f]{{6}}")

    async def meta(self) -> Meta:
        """Raises IndexMissing, or OtherDocuments where something else has that name or it was made by another program."""
        return await self._meta(self.alias)

    async def check(self, epoch: str) -> None:
        """Raises where a search would not answer, or with what is no longer so."""
        meta = await self.meta()
        if meta.format != FORMAT or meta.epoch != epoch or not meta.whole:
            raise OtherDocuments("the index was made by another version, before a restore, or not to its end")
        only = {"filter_path": "status", "level": "cluster"}
        health = await self._connection.ask("GET", f"/_cluster/health/{self.alias}", params=only)
        if health.get("status") == "red":
            raise ElasticsearchUnavailable("the index is red")

    async def write(self, some: Sequence[Document]) -> None:
        """Through the alias, never making an index. What is older than what is there is passed over."""
        await self._write(self.alias, some, require_alias=True)

    async def create(self, epoch: str) -> str:
        """An empty one beside the alias; returns its name."""
        name = f"{self.alias}-{datetime.now(UTC):%Y%m%d%H%M%S}-{token_hex(3)}"
        settings = {**MAPPING["settings"], "refresh_interval": "-1"}
        mappings = {**MAPPING["mappings"], **_said(epoch, whole=False)}
        await self._connection.ask("PUT", f"/{name}", {"settings": settings, "mappings": mappings})
        return name

    async def fill(self, name: str, some: Sequence[Document]) -> None:
        """Writes to one that is no alias' yet."""
        await self._write(name, some, require_alias=False)

    async def swap(self, name: str) -> None:
        """From now on the alias means that index, and in no moment none."""
        interval = {"index.refresh_interval": MAPPING["settings"]["refresh_interval"]}
        await self._connection.ask("PUT", f"/{name}/_settings", interval)
        await self._connection.ask("POST", f"/{name}/_refresh")
        olds = [{"remove": {"index": old, "alias": self.alias}} for old in await self._aliased()]
        squatters = [{"remove_index": {"index": self.alias}}] if await self._squatted() else []
        new = {"add": {"index": name, "alias": self.alias, "is_write_index": True}}
        await self._connection.ask("POST", "/_aliases", {"actions": [*squatters, *olds, new]})

    async def finish(self, name: str, epoch: str) -> None:
        """It lacks nothing; others of ours go."""
        await self._connection.ask("PUT", f"/{name}/_mapping", _said(epoch, whole=True))
        await self.refresh()
        await self.remove_others()

    async def remove_others(self) -> list[str]:
        """What is behind no alias: the old one, or half-built ones that an end left behind. Returns their names."""
        every = await self._connection.ask("GET", f"/{self.alias}-*/_alias")
        gone = [
            name
            for name, known in every.items()
            if self._ours.fullmatch(name) and self.alias not in known.get("aliases", {})
        ]
        for name in gone:
            await self._connection.ask("DELETE", f"/{name}", params={"ignore_unavailable": "true"})
        return gone

    async def refresh(self) -> None:
        """What was written is found."""
        await self._connection.ask("POST", f"/{self.alias}/_refresh")

    async def everything(self) -> AsyncGenerator[list[Document], None]:
        """All documents as they were last refreshed, in the order of their pairs."""
        last: Pair = (-1, -1)
        while True:
            body = {
                "query": {"match_all": {}},
                "sort": [{"provider": "asc"}, {"clinic": "asc"}],
                "size": READ_DOCUMENTS,
                "version": True,
                "search_after": last,
                "track_total_hits": False,
            }
            only = {"filter_path": "hits.hits._source,hits.hits._version"}
            answer = await self._connection.ask("POST", f"/{self.alias}/_search", body, only)
            hits = answer.get("hits", {}).get("hits", ())
            if not hits:
                return
            found = [documents.decoded(hit["_source"], hit["_version"]) for hit in hits]
            yield found
            last = found[-1].pair

    async def _meta(self, alias: str) -> Meta:
        only = {"filter_path": "*.mappings._meta"}
        answer = await self._connection.ask("GET", f"/{alias}/_mapping", params=only)
        if len(answer) != 1:
            raise OtherDocuments("the alias is of no index of ours")
        [(name, found)] = answer.items()
        said = found["mappings"]["_meta"]
        try:
            return Meta(name, said["format"], said["epoch"], said["whole"])
        except KeyError:
            raise OtherDocuments("the index was made by another program") from None

    async def _aliased(self) -> list[str]:
        try:
            return list(await self._connection.ask("GET", f"/_alias/{self.alias}"))
        except IndexMissing:
            return []

    async def _squatted(self) -> bool:
        """Whether somebody's careless write has made an index of the alias' name."""
        try:
            return self.alias in await self._connection.ask("GET", f"/{self.alias}/_alias")
        except IndexMissing:
            return False

    async def _write(self, target: str, some: Sequence[Document], *, require_alias: bool) -> None:
        actions = [
            {
                "_index": target,
                "_id": documents.name(one.pair),
                "version": one.seq,
                "version_type": "external_gte",
                "_source": documents.encoded(one),
            }
            for one in some
        ]
        try:
            _, failed = await async_bulk(
                self._connection.client,
                actions,
                chunk_size=BULK_DOCUMENTS,
                raise_on_error=False,
                require_alias=require_alias,
            )
        except (ApiError, TransportError) as error:
            raise fault(error) from error
        assert isinstance(failed, list)
        for one in failed:
            _look_at(one["index"])


def _look_at(outcome: Mapping[str, Any]) -> None:
    if outcome["status"] == OLDER:
        return
    kind = outcome.get("error", {}).get("type", "unknown")
    if kind == "index_not_found_exception":
        raise IndexMissing("there is no such index")
    raise ElasticsearchUnavailable(f"it refuses to write: {outcome['status']} {kind}")


def _said(epoch: str, *, whole: bool) -> dict[str, Any]:
    return {"_meta": {"format": FORMAT, "epoch": epoch, "whole": whole}}
