"""Searches in Elasticsearch."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from adapters.elasticsearch import documents, queries
from adapters.elasticsearch.connection import Connection
from domain.faults import BadInput
from domain.search import PAIRS_MAX, Candidate, FacetField, Found, Match, Sort, Wanted

# Only what is read is sent. A shard that is missing or late is an error: half an answer would be wrong.
PAGE: Final = {
    "filter_path": "hits.total.value,hits.hits.sort,aggregations.*.doc_count,aggregations.*.values.buckets",
    "allow_partial_search_results": "false",
}
CANDIDATES: Final = {"filter_path": "hits.hits.sort", "allow_partial_search_results": "false"}
WORK_SECONDS: Final = 1  # What nobody waits for any more is given up by the server too.
KEPT_MAX: Final = 50_000
NO_DAY: Final = 2**31 - 1  # Stands for days that are missing, which come last.
NOWHERE: Final = "Infinity"  # The same for distances.
PLACES: Final = {
    Sort.BEST: ("score", "distance", "day", "sort_name", "provider", "clinic"),
    Sort.DISTANCE: ("distance", "score", "day", "sort_name", "provider", "clinic"),
    Sort.NAME: ("sort_name", "provider", "clinic"),
}
Values = dict[str, Any]


class ElasticsearchEngine:
    """Raises ElasticsearchUnavailable where it cannot answer, BadInput for a place that is none.

    A place has one value more than other engines give: the distance as computed there, which differs in its last digits. Where that
    is missing, the hit is looked up, so that a page begun by one engine is continued by another.
    """

    def __init__(self, connection: Connection, alias: str) -> None:
        self._connection = connection
        self._path = f"/{alias}/_search"
        self._kept: dict[tuple[float, str], Candidate] = {}

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: tuple[Any, ...] | None) -> Found:
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
            "timeout": f"{WORK_SECONDS}s",
        }
        if filters:
            body["post_filter"] = queries.every(filters.values())
        if after is not None:
            body["search_after"] = await self._behind(wanted, sort, order, after)
        answer = await self._connection.ask("POST", self._path, body, PAGE)
        hits = answer["hits"]
        return Found(
            [_match(sort, order, hit["sort"]) for hit in hits.get("hits", ())],
            hits["total"]["value"],
            _facets(wanted, answer),
        )

    async def candidates(self, wanted: Wanted) -> list[Candidate]:
        """Under all filters but the facets', the best PAIRS_MAX of them."""
        order = [by for name, by in queries.order(wanted, Sort.BEST) if name in {"score", "distance"}]
        body = {
            "query": queries.matching(wanted),
            "sort": [*order, {"candidate": "asc"}],
            "size": PAIRS_MAX,
            "track_total_hits": False,
            "stored_fields": "_none_",
            "timeout": f"{WORK_SECONDS}s",
        }
        answer = await self._connection.ask("POST", self._path, body, CANDIDATES)
        scored = bool(wanted.parts)
        hits = answer["hits"]["hits"] if answer else ()
        return [self._candidate(hit["sort"][0] if scored else 0, hit["sort"][-1]) for hit in hits]

    def _candidate(self, score: float, light: str) -> Candidate:
        """Most come again with the next search: making one costs ten times looking it up."""
        found = self._kept.get((score, light))
        if found is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            found = self._kept[score, light] = documents.candidate(round(score), light)
        return found

    async def _behind(
        self, wanted: Wanted, sort: Sort, order: Sequence[tuple[str, queries.Json]], after: tuple[Any, ...]
    ) -> list[Any]:
        values = _checked(sort, after)
        if len(after) == len(PLACES[sort]):
            pair = values["provider"], values["clinic"]
            body = {
                "query": {"bool": {"must": queries.matching(wanted), "filter": _only(pair)}},
                "sort": [by for _, by in order],
                "size": 1,
                "stored_fields": "_none_",
            }
            answer = await self._connection.ask("POST", self._path, body, CANDIDATES)
            if answer:
                found: list[Any] = answer["hits"]["hits"][0]["sort"]
                return found
        return [values[name] for name, _ in order]


def _only(pair: tuple[int, int]) -> list[queries.Json]:
    return [{"term": {"provider": pair[0]}}, {"term": {"clinic": pair[1]}}]


def _match(sort: Sort, order: Sequence[tuple[str, queries.Json]], sorted_by: Sequence[Any]) -> Match:
    values: Values = {name: value for (name, _), value in zip(order, sorted_by, strict=True)}
    metres = values.get("distance")
    score = values["score"] = round(values.get("score", 0))
    values["distance"] = None if metres in (None, NOWHERE) else metres / 1000
    if values.get("day") == NO_DAY:
        values["day"] = None
    place = (*(values[name] for name in PLACES[sort]), metres)
    return Match((values["provider"], values["clinic"]), score, place)


def _checked(sort: Sort, after: tuple[Any, ...]) -> Values:
    """What it is sorted by, of a place that a client brought back, and may have made up."""
    names = PLACES[sort]
    if len(after) not in {len(names), len(names) + 1}:
        raise BadInput("after", "is not a cursor of this search")
    values: Values = dict(zip(names, after, strict=False))
    metres = values.get("distance") if len(after) == len(names) else after[-1]
    whole = (values.get("score", 0), values.get("day") or 0, values["provider"], values["clinic"])
    right = all(type(one) is int and abs(one) < 2**63 for one in whole) and isinstance(values["sort_name"], str)
    if not right or not (metres in (None, NOWHERE) or (type(metres) in (int, float) and isfinite(metres))):
        raise BadInput("after", "is not a cursor of this search")
    if values.get("day") is None:
        values["day"] = NO_DAY
    if metres is None:
        values["distance"] = NOWHERE
    else:
        values["distance"] = metres if len(after) > len(names) else metres * 1000
    values.setdefault("score", 0)
    return values


def _facets(wanted: Wanted, answer: Mapping[str, Any]) -> dict[FacetField, list[tuple[str, int]]]:
    counted = answer["aggregations"]
    found = {facet: _values(counted[facet.value]) for facet in FacetField}
    if wanted.visit_modality is not None:
        of_all = counted[FacetField.MODALITY.value]["doc_count"]
        found[FacetField.MODALITY] = [(wanted.visit_modality.value, of_all)] if of_all else []
    return found


def _values(counted: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(str(one["key"]), one["doc_count"]) for one in counted.get("values", {}).get("buckets", ())]
