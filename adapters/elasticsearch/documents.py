"""A document as Elasticsearch keeps it, and back."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import orjson

from domain.clinics import GeoPoint, Modality
from domain.search import Candidate, Document, Pair


def name(pair: Pair) -> str:
    """Of the pair's document."""
    return f"{pair[0]}-{pair[1]}"


def encoded(document: Document) -> dict[str, Any]:
    """All but `seq`, which is its version. Days are numbers: 1 is the first of January in the year 1."""
    days = {key: day.toordinal() for key, day in document.next_days.items()}
    return {
        "provider": document.provider_key,
        "clinic": document.clinic_key,
        "listed": document.listed,
        "name": document.name,
        "sort_name": document.sort_name,
        "name_words": document.name_words,
        "specialties": document.specialties,
        "specialty_words": document.specialty_words,
        "languages": document.languages,
        "spoken": document.spoken,
        "clinic_name": document.clinic_name,
        "place_words": document.place_words,
        "visit_words": document.visit_words,
        "visit_types": document.visit_types,
        "modalities": [one.value for one in document.modalities],
        "accepting": document.accepting,
        "location": _point(document.location),
        "next_day": min(days.values(), default=None),
        "next_days": [{"visit_type": key, "day": day} for key, day in days.items()],
        "candidate": _light(document),
    }


def decoded(source: Mapping[str, Any], seq: int) -> Document:
    return Document(
        provider_key=source["provider"],
        clinic_key=source["clinic"],
        seq=seq,
        listed=source["listed"],
        name=source["name"],
        sort_name=source["sort_name"],
        name_words=tuple(source["name_words"]),
        specialties=tuple(source["specialties"]),
        specialty_words=tuple(source["specialty_words"]),
        languages=tuple(source["languages"]),
        spoken=tuple(source["spoken"]),
        clinic_name=source["clinic_name"],
        place_words=tuple(source["place_words"]),
        visit_words=tuple(source["visit_words"]),
        visit_types=tuple(source["visit_types"]),
        modalities=tuple(map(Modality, source["modalities"])),
        accepting=source["accepting"],
        location=_place(source["location"]),
        next_days={one["visit_type"]: date.fromordinal(one["day"]) for one in source["next_days"]},
    )


def candidate(score: int, light: str, visit_type: int | None) -> Candidate:
    """From the one field that 10,000 hits bring along as what they are sorted by: fetching them costs six times that."""
    sort_name, provider, clinic, specialties, languages, visit_types, modalities, location, next_days = orjson.loads(
        light
    )
    days = [day for key, day in next_days if visit_type in (None, key)]
    return Candidate(
        pair=(provider, clinic),
        score=score,
        sort_name=sort_name,
        specialties=tuple(specialties),
        languages=tuple(languages),
        visit_types=tuple(visit_types),
        modalities=tuple(map(Modality, modalities)),
        location=_place(location),
        next_day=date.fromordinal(min(days)) if days else None,
    )


def _light(document: Document) -> str:
    return orjson.dumps(
        [
            document.sort_name,
            document.provider_key,
            document.clinic_key,
            document.specialties,
            document.languages,
            document.visit_types,
            [one.value for one in document.modalities],
            _point(document.location),
            [(key, day.toordinal()) for key, day in document.next_days.items()],
        ]
    ).decode()


def _point(place: GeoPoint | None) -> list[float] | None:
    return [place.longitude, place.latitude] if place else None


def _place(point: list[float] | None) -> GeoPoint | None:
    return GeoPoint(latitude=point[1], longitude=point[0]) if point else None
