"""What is asked of Elasticsearch: points in whole tiers without any statistics, so that every engine gives the same order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from domain import folding, search, search_documents, search_terms
from domain.clinics import Modality
from domain.search import FacetField, Part, Sort, Wanted

Json = dict[str, Any]

WORD_FIELDS: Final = ("name_words", "specialty_words", "place_words", "visit_words")
MARKS: Final = {
    field: mark for field, mark in zip(WORD_FIELDS, search_documents.WORD_FIELDS, strict=True)
}  # In the same order.
# With what a beginning and a mistake are worth. Spellings cost the server most: the index keeps the words of fields that are worth
# the same together, so that each is looked for once.
OF_NAMES: Final = ("name_words", search.NAME_BEGINNING, search.NAME_NEAR)
OF_OTHERS: Final = ("other_words", search.OTHER_BEGINNING, search.OTHER_NEAR)
FACETS: Final = {
    FacetField.SPECIALTY: "specialties",
    FacetField.LANGUAGE: "languages",
    FacetField.CLINIC: "clinic",
    FacetField.MODALITY: "modalities",
}
SPELLINGS_MAX: Final = 200  # Words of the index that a misspelled one may stand for, the nearest first.
NEAREST_METRES: Final = 0.02  # Places are kept to a centimetre or so; a distance of nothing is refused.
# Which documents match, without a look at them: whoever is written gets a number above all before, so that of as many documents
# of one index the sum is the same only while none has changed.
STATE: Final[Json] = {"change": {"stats": {"field": "_seq_no"}}, "index": {"terms": {"field": "_index"}}}
# Their candidates in order: hits that bring them along take the server three times as long.
ALL: Final[Json] = {
    "terms": {"field": "candidate", "size": search.PAIRS_MAX, "order": {"_key": "asc"}, "execution_hint": "map"}
}
EVERYTHING: Final[Json] = {"match_all": {}}
NOTHING: Final[Json] = {"match_none": {}}


def matching(wanted: Wanted) -> Json:
    """Everything but the facets' filters."""
    filters: list[Json] = [{"term": {"listed": True}}]
    if wanted.visit_type is not None:
        filters.append({"term": {"visit_types": wanted.visit_type}})
    if wanted.accepting:
        filters.append({"term": {"accepting": True}})
    if wanted.near is not None and wanted.within_km is not None:
        metres = max(wanted.within_km * 1000, NEAREST_METRES)
        filters.append({"geo_distance": {"distance": f"{metres!r}m", "location": _point(wanted)}})
    must = [_part(part, wanted.visit_modality) for part in wanted.parts if not part.optional]
    should = [_optional(part) for part in wanted.parts if part.optional]
    clauses = {"must": must, "should": should, "filter": filters}
    return {"bool": {name: some for name, some in clauses.items() if some}}


def facet_filters(wanted: Wanted) -> dict[FacetField, Json]:
    found: dict[FacetField, Json] = {}
    if wanted.specialties:
        found[FacetField.SPECIALTY] = {"terms": {"specialties": wanted.specialties}}
    if wanted.languages:
        found[FacetField.LANGUAGE] = {"terms": {"languages": wanted.languages}}
    if wanted.clinics:
        found[FacetField.CLINIC] = {"terms": {"clinic": wanted.clinics}}
    if wanted.modality is not None:
        found[FacetField.MODALITY] = _modality(wanted.modality, wanted.visit_modality)
    return found


def every(filters: Iterable[Json]) -> Json:
    kept = list(filters)
    return {"bool": {"filter": kept}} if kept else EVERYTHING


def counts(filters: Mapping[FacetField, Json]) -> Json:
    """Each facet under all filters but its own."""
    return {
        facet.value: {
            "filter": every(one for other, one in filters.items() if other is not facet),
            "aggs": {"values": {"terms": {"field": field, "size": search.FACET_VALUES_MAX}}},
        }
        for facet, field in FACETS.items()
    }


def order(wanted: Wanted, sort: Sort) -> list[tuple[str, Json]]:
    """What hits are sorted by, each with its name; what is the same for all is left out. `candidate` decides nothing: it is
    there to be told, as is the score of what is sorted by name."""
    score: list[tuple[str, Json]] = [("score", {"_score": "desc"})] if wanted.parts else []
    last = [("sort_name", {"sort_name": "asc"}), ("provider", {"provider": "asc"}), ("clinic", {"clinic": "asc"})]
    if sort is Sort.NAME:
        return [*last, *score]
    distance = [("distance", {"_geo_distance": {"location": _point(wanted), "unit": "m"}})] if wanted.near else []
    first = [*distance, *score] if sort is Sort.DISTANCE else [*score, *distance]
    place = [("candidate", {"candidate": "asc"})] if wanted.near else []
    return [*first, ("day", _day(wanted.visit_type)), *last, *place]


def _day(visit_type: int | None) -> Json:
    if visit_type is None:
        return {"next_day": "asc"}
    only = {"path": "next_days", "filter": {"term": {"next_days.visit_type": visit_type}}}
    return {"next_days.day": {"order": "asc", "nested": only}}


def _point(wanted: Wanted) -> list[float]:
    assert wanted.near is not None
    return [wanted.near.longitude, wanted.near.latitude]


def _part(part: Part, visit_modality: Modality | None) -> Json:
    """The best of its ways to match."""
    ways = list(_listed(part, visit_modality))
    ways += _joined(part)
    if len(part.words) == 1:
        ways += _word(part.words[0])
    elif part.words:
        ways += [_phrase(field, part.words) for field in WORD_FIELDS]
    return {"dis_max": {"queries": ways}} if ways else NOTHING


def _optional(part: Part) -> Json:
    word = part.words[0]
    ways = [*_exact(word), *_joined(part)]
    if search_terms.is_initial(part):
        ways.append(_worth(search.NAME_BEGINNING, {"prefix": {"name_words": word}}))
    return {"dis_max": {"queries": ways}}


def _joined(part: Part) -> list[Json]:
    return [_worth(search.NAME_WORD, {"terms": {"name_words": part.joined}})] if part.joined else []


def _exact(word: str) -> list[Json]:
    return [_worth(search_terms.exact(mark, word), {"term": {field: word}}) for field, mark in MARKS.items()]


def _listed(part: Part, visit_modality: Modality | None) -> Iterable[Json]:
    if part.specialties:
        yield _worth(search.SPECIALTY, {"terms": {"specialties": sorted(part.specialties)}})
    if part.languages:
        yield _worth(search.LANGUAGE, {"terms": {"spoken": sorted(part.languages)}})
    named = [one.value for one in Modality if one in part.modalities and visit_modality in (None, one)]
    if named:
        yield _worth(search.MODALITY, {"terms": {"modalities": named}})


def _phrase(field: str, words: Sequence[str]) -> Json:
    return _worth(search_terms.EXACT[MARKS[field]], every({"term": {field: word}} for word in words))


def _word(word: str) -> list[Json]:
    ways = _exact(word)
    if len(word) > folding.WORD_MAX:
        return ways  # Nothing kept is as long, and beginnings of over 1000 letters are refused.
    wrong = search_terms.mistakes(word)
    for field, beginning, near in OF_NAMES, OF_OTHERS:
        if len(word) >= search.BEGINNING_MIN:
            ways.append(_worth(beginning, {"prefix": {field: word}}))
        if wrong >= 1:
            ways.append(_worth(near, _spelled(field, word, 1)))
    if wrong >= 2:
        ways.append(_worth(search.FAR, _spelled("every_word", word, 2)))
    return ways


def _spelled(field: str, word: str, mistakes: int) -> Json:
    wrong = {"value": word, "fuzziness": mistakes, "transpositions": True, "max_expansions": SPELLINGS_MAX}
    return {"fuzzy": {field: wrong}}


def _modality(modality: Modality, visit_modality: Modality | None) -> Json:
    if visit_modality is None:
        return {"term": {"modalities": modality.value}}
    return EVERYTHING if modality is visit_modality else NOTHING


def _worth(points: int, query: Json) -> Json:
    return {"constant_score": {"filter": query, "boost": points}}
