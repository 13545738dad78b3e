"""In which order hits come, and where a page ended. Both engines keep to it."""

from datetime import date
from math import asin, cos, radians, sin, sqrt
from typing import Final

from domain.clinics import GeoPoint
from domain.search import FacetField, Pair, Sort, Wanted

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
    # To a millimetre: engines compute alike but not the same, and a page that one began another may continue.
    points, away = float(POINTS_MAX - score), NOWHERE if km is None else round(km * 1e6) / 1e6
    first, second = (away, points) if sort is Sort.DISTANCE else (points, away)
    return first, second, (day or NEVER).isoformat(), name, *pair


def soonest(start: float, score: int, km: float | None, name: str, pair: Pair) -> Place:
    """By the first open time in UTC minutes, NOWHERE for none, then points, then distance."""
    away = NOWHERE if km is None else km
    return float(start), float(POINTS_MAX - score), f"{away:027.6f}", name, *pair


def asked(wanted: Wanted, field: FacetField) -> frozenset[str]:
    """The values that a facet's filter takes, clinics by their key as text; empty where it is absent."""
    if field is FacetField.SPECIALTY:
        return frozenset(wanted.specialties)
    if field is FacetField.LANGUAGE:
        return frozenset(wanted.languages)
    if field is FacetField.CLINIC:
        return frozenset(map(str, wanted.clinics))
    return frozenset([wanted.modality.value] if wanted.modality else [])
