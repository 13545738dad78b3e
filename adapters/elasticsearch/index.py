"""The index behind its alias: made beside the old one, filled, swapped in, looked at, removed."""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from secrets import token_hex
from typing import Any, Final

import orjson

from adapters.elasticsearch import bulk, documents
from adapters.elasticsearch.connection import Connection, ElasticsearchUnavailable, IndexMissing, OtherDocuments
from domain.search import Document, Pair

FORMAT: Final = 2  # Goes up with every change of mapping.json or of what is written: the index is made again.
MAPPING: Final = orjson.loads(files(__package__).joinpath("mapping.json").read_bytes())
READ_DOCUMENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Meta:
    """What an index says of itself."""

    name: str
    format: int
    epoch: str


class Index:
    """`alias` is what is searched and written to; behind it is one index, whose name begins with it. `next` is the alias of one
    that is being built: whatever is written meanwhile goes there too, so that it lacks nothing when it takes the other's place.
    """

    def __init__(self, connection: Connection, alias: str) -> None:
        self.alias = alias
        self.next = f"{alias}-next"
        self.connection = connection
        self._ours = re.compile(rf"{re.escape(alias)}-\d{{14}}-[0-9a-f]{{6}}")

    async def meta(self) -> Meta:
        """Raises IndexMissing, or OtherDocuments where the alias is somebody else's."""
        only = {"filter_path": "*.mappings._meta"}
        answer = await self.connection.ask("GET", f"/{self.alias}/_mapping", params=only)
        if len(answer) != 1 or self.alias in answer:
            raise OtherDocuments("what has the alias' name is no index of ours")
        [(name, found)] = answer.items()
        try:
            said = found["mappings"]["_meta"]
            return Meta(name, said["format"], said["epoch"])
        except (KeyError, TypeError):
            raise OtherDocuments("the index was made by another program") from None

    async def check(self, epoch: str) -> None:
        """Raises where a search would not be answered, or with what is no longer so."""
        meta = await self.meta()
        if (meta.format, meta.epoch) != (FORMAT, epoch):
            raise OtherDocuments("the index was made by another version, or before the database was restored")
        health = await self.connection.ask("GET", f"/_cluster/health/{self.alias}", params={"filter_path": "status"})
        if health.get("status") == "red":
            raise ElasticsearchUnavailable("the index is red")

    async def write(self, some: Sequence[Document]) -> int:
        """Keeps what is not older than what is there. Never makes an index. Answers how many were kept."""
        # The one being built first: should it take its place in between, what follows reaches it by its new name.
        kept = await bulk.write(self.connection, (self.next, self.alias), some, may_lack=self.next)
        return kept[self.alias]

    async def fill(self, some: Sequence[Document]) -> int:
        """Writes to the one that is being built, alone."""
        kept = await bulk.write(self.connection, (self.next,), some)
        return kept[self.next]

    async def write_next(self, some: Sequence[Document]) -> None:
        """Writes to the one that is being built, if there is one."""
        await bulk.write(self.connection, (self.next,), some, may_lack=self.next)

    async def begin(self, epoch: str) -> str:
        """An empty one beside that which is searched; returns its name. Half-built ones of before go."""
        await self.remove_others()
        name = f"{self.alias}-{datetime.now(UTC):%Y%m%d%H%M%S}-{token_hex(3)}"
        body = {
            "settings": {**MAPPING["settings"], "refresh_interval": "-1"},
            "mappings": {**MAPPING["mappings"], "_meta": {"format": FORMAT, "epoch": epoch}},
            "aliases": {self.next: {}},
        }
        await self.connection.ask("PUT", f"/{name}", body)
        return name

    async def swap(self, name: str) -> None:
        """It is what is searched from now on, and in no moment is there none. The old one goes."""
        interval = {"index.refresh_interval": MAPPING["settings"]["refresh_interval"]}
        await self.connection.ask("PUT", f"/{name}/_settings", interval)
        await self.connection.ask("POST", f"/{name}/_refresh")
        actions: list[dict[str, Any]] = [
            {"remove": {"index": old, "alias": self.alias}} for old in await self._holders() if old != self.alias
        ]
        if await self._squatted():
            actions.append({"remove_index": {"index": self.alias}})
        actions.append({"remove": {"index": name, "alias": self.next}})
        actions.append({"add": {"index": name, "alias": self.alias}})
        await self.connection.ask("POST", "/_aliases", {"actions": actions})
        await self.refresh()  # What was written between the last one and the swap.
        await self.remove_others()

    async def remove_others(self) -> list[str]:
        """Those of ours that are not searched. Returns their names."""
        every = await self.connection.ask("GET", f"/{self.alias}-*/_alias")
        gone = [
            name for name, known in every.items() if self._ours.fullmatch(name) and self.alias not in known["aliases"]
        ]
        for name in gone:
            await self.connection.ask("DELETE", f"/{name}", params={"ignore_unavailable": "true"})
        return gone

    async def refresh(self) -> None:
        """What was written is found."""
        await self.connection.ask("POST", f"/{self.alias}/_refresh")

    async def everything(self) -> AsyncGenerator[list[Document], None]:
        """All documents, in the order of their pairs."""
        await self.refresh()
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
            answer = await self.connection.ask("POST", f"/{self.alias}/_search", body, only)
            if not answer:
                return
            found = [documents.decoded(hit["_source"], hit["_version"]) for hit in answer["hits"]["hits"]]
            yield found
            last = found[-1].pair

    async def _holders(self) -> list[str]:
        try:
            return list(await self.connection.ask("GET", f"/_alias/{self.alias}"))
        except IndexMissing:
            return []

    async def _squatted(self) -> bool:
        """Whether somebody's careless write has made an index of the alias' name."""
        try:
            return self.alias in await self.connection.ask("GET", f"/{self.alias}/_alias")
        except IndexMissing:
            return False
