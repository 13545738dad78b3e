"""In which order hits come, where a page ended, and what the calendar decides of candidates. Both engines keep to it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import asin, cos, radians, sin, sqrt
from typing import Final

from domain.clinics import GeoPoint
from domain.search import FACET_VALUES_MAX, Candidate, FacetField, Found, Match, Pair, Sort, Wanted

EARTH_KM: Final = 6371.0088
POINTS_MAX: Final = 10_000
NOWHERE: Final = 1e18  # A distance, and a start, of what has none: after all others.
NEVER: Final = date(9999, 1, 1)  # Not the last day there is: a driver takes that for infinity.

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
    points, away = float(POINTS_MAX - score), NOWHERE if km is None else km
    first, second = (away, points) if sort is Sort.DISTANCE else (points, away)
    return first, second, (day or NEVER).isoformat(), name, *pair


def soonest(start: int | None, score: int, km: float | None, name: str, pair: Pair) -> Place:
    """By the first open time in UTC minutes, then points, then distance."""
    away = NOWHERE if km is None else km
    return NOWHERE if start is None else float(start), float(POINTS_MAX - score), f"{away:027.6f}", name, *pair


@dataclass(frozen=True, slots=True)
class _Seen:
    """A candidate, and which of the facets' filters it passes."""

    candidate: Candidate
    passes: dict[FacetField, bool]

    def is_hit(self, but: FacetField | None = None) -> bool:
        return all(passed for field, passed in self.passes.items() if field is not but)


def countable(candidates: Iterable[Candidate], wanted: Wanted) -> list[Candidate]:
    """Those that count in a facet: they fail at most one of its filters."""
    return [one.candidate for one in _seen(candidates, wanted) if list(one.passes.values()).count(False) <= 1]


def hits(candidates: Iterable[Candidate], wanted: Wanted) -> list[Candidate]:
    """Those that pass all of them."""
    return [one.candidate for one in _seen(candidates, wanted) if one.is_hit()]


def decided(
    candidates: Iterable[Candidate],
    starts: Mapping[Pair, int],
    wanted: Wanted,
    sort: Sort,
    first: int,
    after: Place | None,
) -> Found:
    """A page of candidates. `starts`: the first open times in UTC minutes that the calendar knows, for SOONEST."""
    seen = _seen(candidates, wanted)
    found = [one.candidate for one in seen if one.is_hit()]
    placed = sorted((_place(one, starts, wanted, sort), one.score) for one in found)
    behind = [(where, score) for where, score in placed if after is None or where > after]
    matches = [Match((where[4], where[5]), score, where) for where, score in behind[:first]]
    return Found(matches, len(found), {field: _counted(seen, wanted, field) for field in FacetField})


def _seen(candidates: Iterable[Candidate], wanted: Wanted) -> list[_Seen]:
    return [_Seen(one, {field: _passes(one, wanted, field) for field in FacetField}) for one in candidates]


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
    return [kind.value for kind in ((wanted.visit_modality,) if wanted.visit_modality else one.modalities)]


def asked(wanted: Wanted, field: FacetField) -> frozenset[str]:
    """The values that a filter takes, as `values` has them; empty where it is absent."""
    if field is FacetField.SPECIALTY:
        return frozenset(wanted.specialties)
    if field is FacetField.LANGUAGE:
        return frozenset(wanted.languages)
    if field is FacetField.CLINIC:
        return frozenset(map(str, wanted.clinics))
    return frozenset([wanted.modality.value] if wanted.modality else [])


def _passes(one: Candidate, wanted: Wanted, field: FacetField) -> bool:
    named = asked(wanted, field)
    return not named or not named.isdisjoint(values(one, wanted, field))


def _counted(seen: Sequence[_Seen], wanted: Wanted, field: FacetField) -> list[tuple[str, int]]:
    counts = Counter(
        value for one in seen if one.is_hit(but=field) for value in dict.fromkeys(values(one.candidate, wanted, field))
    )
    return largest(counts)


def largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The largest first; where equal by value."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], len(pair[0]) if pair[0].isdecimal() else 0, pair[0]))[
        :FACET_VALUES_MAX
    ]
