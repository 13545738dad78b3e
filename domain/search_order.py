"""In which order hits come, where a page ended, and what the calendar decides of candidates. Both engines keep to it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from heapq import nsmallest
from math import asin, cos, radians, sin, sqrt
from operator import attrgetter, itemgetter
from typing import Any, Final

from domain.clinics import GeoPoint, Modality
from domain.search import FACET_VALUES_MAX, Candidate, FacetField, Found, Match, Pair, Sort, Wanted

EARTH_KM: Final = 6371.0088
POINTS_MAX: Final = 10_000
NOWHERE: Final = 1e18  # A distance, and a start, of what has none: after all others.
NEVER: Final = date(9999, 1, 1)  # Not the last day there is: a driver takes that for infinity.

_CODES: Final = {one: one.value for one in Modality}  # Asking an enum's member for its value is Python code.
_PAIR: Final = attrgetter("pair")
_LISTS: Final = {
    FacetField.SPECIALTY: attrgetter("specialties"),
    FacetField.LANGUAGE: attrgetter("languages"),
    FacetField.MODALITY: attrgetter("modalities"),
}

# What hits are sorted by, ascending, and what a cursor holds: two numbers, a text, the folded name, keys of provider and clinic.
Place = tuple[float, float, str, str, int, int]
FIRST: Final[Place] = (0.0, 0.0, "", "", 0, 0)  # Before all others.


def distance_km(one: GeoPoint, other: GeoPoint) -> float:
    """Great circle (rule 53)."""
    latitude, across = radians(one.latitude), radians(other.latitude)
    north, east = sin((across - latitude) / 2), sin(radians(other.longitude - one.longitude) / 2)
    return 2 * EARTH_KM * asin(min(1.0, sqrt(north * north + cos(latitude) * cos(across) * east * east)))


def place(sort: Sort, score: int, km: float | None, day: date | None, name: str, pair: Pair) -> Place:
    """Of every sort but SOONEST. `day`: the next open one by the hint. BEST: points, distance, day; DISTANCE: distance first."""
    if sort is Sort.NAME:
        return 0.0, 0.0, NEVER.isoformat(), name, *pair
    # To a millimetre: engines compute alike but not the same, and a page that one began another may continue.
    points, away = float(POINTS_MAX - score), NOWHERE if km is None else round(km * 1e6) / 1e6
    first, second = (away, points) if sort is Sort.DISTANCE else (points, away)
    return first, second, (day or NEVER).isoformat(), name, *pair


def soonest(start: int | None, score: int, km: float | None, name: str, pair: Pair) -> Place:
    """By the first open time in UTC minutes, then points, then distance."""
    away = NOWHERE if km is None else km
    return NOWHERE if start is None else float(start), float(POINTS_MAX - score), f"{away:027.6f}", name, *pair


def countable(candidates: Sequence[Candidate], wanted: Wanted) -> list[Candidate]:
    """Those that count in a facet: they fail at most one of its filters."""
    return [one for one, fails in zip(candidates, _fails(candidates, wanted), strict=True) if not fails & (fails - 1)]


def hits(candidates: Sequence[Candidate], wanted: Wanted) -> list[Candidate]:
    """Those that pass all of them."""
    return [one for one, fails in zip(candidates, _fails(candidates, wanted), strict=True) if not fails]


def decided(
    candidates: Sequence[Candidate],
    starts: Mapping[Pair, int],
    wanted: Wanted,
    sort: Sort,
    first: int,
    after: Place | None,
) -> Found:
    """A page of candidates. `starts`: the first open times in UTC minutes that the calendar knows, for SOONEST."""
    found = hits(candidates, wanted)
    return Found(page(found, starts, wanted, sort, first, after), len(found), facets(candidates, wanted))


def facets(candidates: Sequence[Candidate], wanted: Wanted) -> dict[FacetField, list[tuple[str, int]]]:
    """Each counted under all filters but its own."""
    fails = _fails(candidates, wanted)
    return {field: _facet(candidates, fails, wanted, field) for field in FacetField}


def page(
    found: Sequence[Candidate],
    starts: Mapping[Pair, int],
    wanted: Wanted,
    sort: Sort,
    first: int,
    after: Place | None,
) -> list[Match]:
    """Of hits, the `first` behind `after`."""
    if sort is Sort.SOONEST:
        found = _soon(found, starts, first, after)
    places = ((_place(one, starts, wanted, sort), one.score) for one in found)
    best = nsmallest(first, (pair for pair in places if after is None or pair[0] > after))
    return [Match((where[4], where[5]), score, where) for where, score in best]


def _soon(
    found: Sequence[Candidate], starts: Mapping[Pair, int], first: int, after: Place | None
) -> Sequence[Candidate]:
    """Those of thousands that can be on the page by their start alone."""
    begin = after[0] if after is not None else -1.0
    times = [starts.get(one.pair, NOWHERE) for one in found]
    later = nsmallest(first, (at for at in times if at > begin))
    end = later[-1] if len(later) == first else NOWHERE
    return [one for one, at in zip(found, times, strict=True) if begin <= at <= end]


def _facet(
    candidates: Sequence[Candidate], fails: Sequence[int], wanted: Wanted, field: FacetField
) -> list[tuple[str, int]]:
    own = ~(1 << list(FacetField).index(field))
    if any(fails):
        candidates = [one for one, failed in zip(candidates, fails, strict=True) if not failed & own]
    return _counted(candidates, wanted, field)


def _fails(candidates: Sequence[Candidate], wanted: Wanted) -> list[int]:
    """Which of the facets' filters each fails: a bit for each, in the order of FacetField."""
    filters = [(1 << number, field, asked(wanted, field)) for number, field in enumerate(FacetField)]
    named = [(bit, field, values) for bit, field, values in filters if values]
    if not named:
        return [0] * len(candidates)
    return [
        sum(bit for bit, field, taken in named if taken.isdisjoint(values(one, wanted, field))) for one in candidates
    ]


def _place(one: Candidate, starts: Mapping[Pair, int], wanted: Wanted, sort: Sort) -> Place:
    km = distance_km(wanted.near, one.location) if wanted.near and one.location else None
    if sort is Sort.SOONEST:
        return soonest(starts.get(one.pair), one.score, km, one.sort_name, one.pair)
    return place(sort, one.score, km, one.next_day, one.sort_name, one.pair)


def values(one: Candidate, wanted: Wanted, field: FacetField) -> Sequence[str]:
    """What a hit counts as in a facet. Clinics by their key."""
    if field is FacetField.SPECIALTY:
        return one.specialties
    if field is FacetField.LANGUAGE:
        return one.languages
    if field is FacetField.CLINIC:
        return (str(one.pair[1]),)
    return [_CODES[kind] for kind in ((wanted.visit_modality,) if wanted.visit_modality else one.modalities)]


def asked(wanted: Wanted, field: FacetField) -> frozenset[str]:
    """The values that a filter takes, as `values` has them; empty where it is absent."""
    if field is FacetField.SPECIALTY:
        return frozenset(wanted.specialties)
    if field is FacetField.LANGUAGE:
        return frozenset(wanted.languages)
    if field is FacetField.CLINIC:
        return frozenset(map(str, wanted.clinics))
    return frozenset([wanted.modality.value] if wanted.modality else [])


def _counted(counting: Sequence[Candidate], wanted: Wanted, field: FacetField) -> list[tuple[str, int]]:
    """Most have the same few lists of values: those are counted, then what is in them."""
    if field is FacetField.CLINIC:
        clinics = Counter(map(itemgetter(1), map(_PAIR, counting)))
        return [(str(key), count) for key, count in sorted(clinics.items(), key=_most)[:FACET_VALUES_MAX]]
    alike: dict[Sequence[Any], int] = Counter(map(_LISTS[field], counting))
    if field is FacetField.MODALITY and wanted.visit_modality:
        alike = {(wanted.visit_modality,): len(counting)} if counting else {}
    counts: Counter[str] = Counter()
    for some, count in alike.items():
        for value in dict.fromkeys(some):
            counts[_CODES[value] if field is FacetField.MODALITY else value] += count
    return largest(counts)


def _most(counted: tuple[int, int]) -> tuple[int, int]:
    return -counted[1], counted[0]


def largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The largest first; where equal by value."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], len(pair[0]) if pair[0].isdecimal() else 0, pair[0]))[
        :FACET_VALUES_MAX
    ]
