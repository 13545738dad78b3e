"""Searches in Elasticsearch."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import orjson

from adapters.elasticsearch import documents, queries
from adapters.elasticsearch.connection import Connection
from domain import search_order
from domain.search import PAIRS_MAX, Candidate, FacetField, Found, Match, Sort, Wanted
from domain.search_order import NEVER, NOWHERE, POINTS_MAX, Place

# Only what is read is sent. A shard that is missing or late is an error: half an answer would be wrong.
PAGE: Final = {
    "filter_path": "hits.total.value,hits.hits.sort,aggregations.*.doc_count,aggregations.*.values.buckets",
    "allow_partial_search_results": "false",
}
HITS: Final = {"filter_path": "hits.hits.sort", "allow_partial_search_results": "false"}
_STATE: Final = "aggregations.change.sum,aggregations.change.max,aggregations.index.buckets"
STATE: Final = {"filter_path": _STATE, "allow_partial_search_results": "false"}
ALL: Final = {"filter_path": f"{_STATE},aggregations.all.buckets.key", "allow_partial_search_results": "false"}
LISTS_MAX: Final = 16
WORK: Final = "1s"  # What nobody waits for any more is given up by the server too.
KEPT_MAX: Final = 50_000
NO_DAY: Final = 2**31 - 1  # Stands for days that are missing, and infinity for distances: they come last.
Order = Sequence[tuple[str, queries.Json]]


class ElasticsearchEngine:
    """Raises ElasticsearchUnavailable where it cannot answer."""

    def __init__(self, connection: Connection, alias: str) -> None:
        self._connection = connection
        self._path = f"/{alias}/_search"
        self._kept: dict[tuple[int, int | None], _Candidates] = {}
        self._lists: dict[
            bytes, tuple[queries.Json, list[Candidate]]
        ] = {}  # By query, with the state that they are of.

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> Found:
        """`sort` is not SOONEST, and `wanted.opens` is not looked at: those the calendar decides."""
        order = queries.order(wanted, sort)
        filters = queries.facet_filters(wanted)
        body = {
            "query": queries.matching(wanted),
            "sort": [by for _, by in order],
            "size": first,
            "track_total_hits": True,
            "stored_fields": "_none_",
            "aggs": queries.counts(filters),
            "timeout": WORK,
        }
        if filters:
            body["post_filter"] = queries.every(filters.values())
        if after is not None:
            body["search_after"] = await self._behind(wanted, sort, order, after)
        answer = await self._connection.ask("POST", self._path, body, PAGE)
        hits = answer["hits"]
        return Found(
            [_match(wanted, sort, order, hit["sort"]) for hit in hits.get("hits", ())],
            hits["total"]["value"],
            _facets(wanted, answer["aggregations"]),
        )

    async def candidates(self, wanted: Wanted, *, hits_only: bool = False) -> list[Candidate]:
        """Without words and place, what has not changed since it was last asked for is the same list, and is not sent again."""
        filters = queries.facet_filters(wanted).values() if hits_only else ()
        if wanted.parts or wanted.near is not None:
            return await self._ranked(wanted, queries.every(filters))
        query = queries.every([queries.matching(wanted), *filters])
        key = orjson.dumps(query)
        before = self._lists.get(key)
        if before is not None:
            answer = await self._connection.ask("POST", self._path, _aggregated(query, queries.STATE), STATE)
            if before[0] == answer["aggregations"]:
                return before[1]
        body = _aggregated(query, {**queries.STATE, "all": queries.ALL})
        state = (await self._connection.ask("POST", self._path, body, ALL))["aggregations"]
        buckets = state.pop("all", {}).get("buckets", ())
        found = list(map(self._alike(0, wanted.visit_type).__getitem__, [one["key"] for one in buckets]))
        if len(self._lists) >= LISTS_MAX:
            self._lists.clear()
        self._lists[key] = state, found
        return found

    async def _ranked(self, wanted: Wanted, after: queries.Json) -> list[Candidate]:
        order = [by for name, by in queries.order(wanted, Sort.BEST) if name in {"score", "distance"}]
        body = {
            "query": queries.matching(wanted),
            "post_filter": after,
            "sort": [*order, {"candidate": "asc"}],
            "size": PAIRS_MAX,
            "track_total_hits": False,
            "stored_fields": "_none_",
            "timeout": WORK,
        }
        answer = await self._connection.ask("POST", self._path, body, HITS)
        hits = answer["hits"]["hits"] if answer else ()
        if wanted.parts:
            return [self._alike(round(hit["sort"][0]), wanted.visit_type)[hit["sort"][-1]] for hit in hits]
        return [self._alike(0, wanted.visit_type)[hit["sort"][-1]] for hit in hits]

    def _alike(self, score: int, visit_type: int | None) -> "_Candidates":
        """Most come again with the next search: making one costs ten times looking it up."""
        found = self._kept.get((score, visit_type))
        if found is None:
            if sum(map(len, self._kept.values())) >= KEPT_MAX:
                self._kept.clear()
            found = self._kept[score, visit_type] = _Candidates(score, visit_type)
        return found

    async def _behind(self, wanted: Wanted, sort: Sort, order: Order, after: Place) -> list[Any]:
        """Distances differ here in their last digits from ours, by which those of one clinic would come twice or not at all:
        where the hit stands is asked. If it is gone, some of its clinic may come twice, but nobody is passed over."""
        one, two, day, name, provider, clinic = after
        if wanted.near is not None and sort is not Sort.NAME:
            body = {
                "query": {"bool": {"must": queries.matching(wanted), "filter": _only(provider, clinic)}},
                "sort": [by for _, by in order],
                "size": 1,
                "stored_fields": "_none_",
            }
            answer = await self._connection.ask("POST", self._path, body, HITS)
            if answer:
                found: list[Any] = answer["hits"]["hits"][0]["sort"]
                return found
        points, away = (two, one) if sort is Sort.DISTANCE else (one, two)
        values = {
            "score": POINTS_MAX - points if sort is not Sort.NAME else 0,
            "distance": "Infinity" if away >= NOWHERE else max(0.0, away * 1000 - queries.NEAREST_METRES),
            "day": NO_DAY if day >= NEVER.isoformat() else date.fromisoformat(day).toordinal(),
            "sort_name": name,
            "provider": provider,
            "clinic": clinic,
            "candidate": "",
        }
        return [values[name] for name, _ in order]


def _aggregated(query: queries.Json, aggs: queries.Json) -> queries.Json:
    return {
        "query": query,
        "size": 0,
        "track_total_hits": False,
        "stored_fields": "_none_",
        "aggs": aggs,
        "timeout": WORK,
    }


class _Candidates(dict[str, Candidate]):
    """By what the index says of them."""

    def __init__(self, score: int, visit_type: int | None) -> None:
        super().__init__()
        self._score = score
        self._visit_type = visit_type

    def __missing__(self, light: str) -> Candidate:
        if len(self) >= KEPT_MAX:
            self.clear()
        self[light] = found = documents.candidate(self._score, light, self._visit_type)
        return found


def _only(provider: int, clinic: int) -> list[queries.Json]:
    return [{"term": {"provider": provider}}, {"term": {"clinic": clinic}}]


def _match(wanted: Wanted, sort: Sort, order: Order, sorted_by: Sequence[Any]) -> Match:
    values = {name: value for (name, _), value in zip(order, sorted_by, strict=True)}
    score = round(values.get("score", 0))
    pair = values["provider"], values["clinic"]
    day = values.get("day", NO_DAY)
    km = None
    if wanted.near is not None and "candidate" in values:
        location = documents.candidate(score, values["candidate"], None).location
        km = search_order.distance_km(wanted.near, location) if location else None
    on = None if day == NO_DAY else date.fromordinal(day)
    return Match(pair, score, search_order.place(sort, score, km, on, values["sort_name"], pair))


def _facets(wanted: Wanted, counted: Mapping[str, Any]) -> dict[FacetField, list[tuple[str, int]]]:
    found = {facet: _values(counted[facet.value]) for facet in FacetField}
    if wanted.visit_modality is not None:
        of_all = counted[FacetField.MODALITY.value]["doc_count"]
        found[FacetField.MODALITY] = [(wanted.visit_modality.value, of_all)] if of_all else []
    return found


def _values(counted: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(str(one["key"]), one["doc_count"]) for one in counted.get("values", {}).get("buckets", ())]
