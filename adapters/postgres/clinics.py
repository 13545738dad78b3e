"""Clinics, providers and visit types as they stand. Lists are by name (or distance), then id, active ones only (rule 9)."""

from collections.abc import Sequence
from typing import Any, Final

from adapters.postgres.database import Reader
from domain.clinics import Address, Clinic, GeoPoint, Modality, Provider, ProviderKind, VisitType

CLINICS = """
SELECT * FROM clinics WHERE id = any($1::bigint[])
"""

ACTIVE_KEYS = """
SELECT id FROM clinics WHERE active ORDER BY id LIMIT 5000
"""

CLINICS_BY_NAME = """
SELECT *, lower(name) AS sort_name FROM clinics
WHERE active AND ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0) AND (lower(name), id) > ($2::text, $3::bigint)
ORDER BY lower(name), id LIMIT $4
"""

# Without a place: further away than anything on this globe, and within no distance.
CLINICS_BY_DISTANCE = """
SELECT * FROM (
    SELECT clinics.*, CASE WHEN latitude IS NULL THEN 30000 ELSE 12742.0176 * asin(least(1, sqrt(
        sin(radians(latitude - $1) / 2) ^ 2
        + cos(radians($1)) * cos(radians(latitude)) * sin(radians(longitude - $2) / 2) ^ 2))) END AS km
    FROM clinics WHERE active AND ($4::text IS NULL OR strpos(lower(name), lower($4)) > 0)
) AS placed
WHERE ($3::float8 IS NULL OR km <= $3) AND (km, id) > ($5::float8, $6::bigint)
ORDER BY km, id LIMIT $7
"""

PROVIDERS = """
SELECT p.*, ARRAY(SELECT clinic_id FROM provider_clinics WHERE provider_id = p.id ORDER BY clinic_id) AS clinic_keys,
    ARRAY(SELECT visit_type_id FROM provider_visit_types WHERE provider_id = p.id ORDER BY visit_type_id) AS visit_type_keys
FROM providers AS p WHERE p.id = any($1::bigint[])
"""

PROVIDERS_BY_NAME = """
SELECT p.*, lower(p.name) AS sort_name,
    ARRAY(SELECT clinic_id FROM provider_clinics WHERE provider_id = p.id ORDER BY clinic_id) AS clinic_keys,
    ARRAY(SELECT visit_type_id FROM provider_visit_types WHERE provider_id = p.id ORDER BY visit_type_id) AS visit_type_keys
FROM providers AS p
WHERE p.active AND ($1::text IS NULL OR $1 = any(p.specialties)) AND ($2::text IS NULL OR $2 = any(p.languages))
    AND ($3::text IS NULL OR strpos(lower(p.name), lower($3)) > 0) AND (lower(p.name), p.id) > ($4::text, $5::bigint)
ORDER BY lower(p.name), p.id LIMIT $6
"""

PROVIDERS_AT_CLINICS = """
SELECT asked.clinic_id AS asked_clinic, p.*
FROM unnest($1::bigint[]) AS asked (clinic_id)
CROSS JOIN LATERAL (
    SELECT p.*, lower(p.name) AS sort_name,
        ARRAY(SELECT clinic_id FROM provider_clinics WHERE provider_id = p.id ORDER BY clinic_id) AS clinic_keys,
        ARRAY(SELECT visit_type_id FROM provider_visit_types WHERE provider_id = p.id ORDER BY visit_type_id) AS visit_type_keys
    FROM provider_clinics AS w JOIN providers AS p ON p.id = w.provider_id
    WHERE w.clinic_id = asked.clinic_id
        AND p.active AND ($2::text IS NULL OR $2 = any(p.specialties)) AND ($3::text IS NULL OR $3 = any(p.languages))
        AND ($4::text IS NULL OR strpos(lower(p.name), lower($4)) > 0) AND (lower(p.name), p.id) > ($5::text, $6::bigint)
    ORDER BY lower(p.name), p.id LIMIT $7
) AS p
ORDER BY asked.clinic_id, p.sort_name, p.id
"""

VISIT_TYPES = """
SELECT * FROM visit_types WHERE id = any($1::bigint[])
"""

ACTIVE_VISIT_TYPES = """
SELECT * FROM visit_types WHERE active ORDER BY lower(name), id LIMIT 500
"""

VISIT_TYPES_AT_CLINICS = """
SELECT DISTINCT w.clinic_id, v.id, lower(v.name) AS sort_name
FROM provider_clinics AS w
JOIN providers AS p ON p.id = w.provider_id AND p.active
JOIN provider_visit_types AS o ON o.provider_id = p.id
JOIN visit_types AS v ON v.id = o.visit_type_id AND v.active
WHERE w.clinic_id = any($1::bigint[])
ORDER BY w.clinic_id, sort_name, v.id
"""

SPECIALTIES = """
SELECT DISTINCT unnest(specialties) AS name FROM providers WHERE active ORDER BY name LIMIT 1000
"""


_KINDS: Final = {kind.value: kind for kind in ProviderKind}  # The call of an enum is Python code.
_MODALITIES: Final = {modality.value: modality for modality in Modality}


def clinic_of(row: Any) -> Clinic:
    located = row["latitude"] is not None
    return Clinic(
        key=row["id"],
        version=row["version"],
        active=row["active"],
        name=row["name"],
        time_zone=row["time_zone"],
        address=Address(row["address_lines"], row["city"], row["region"], row["postal_code"], row["country"]),
        location=GeoPoint(row["latitude"], row["longitude"]) if located else None,
        phone=row["phone"],
    )


def provider_of(row: Any) -> Provider:
    return Provider(
        key=row["id"],
        version=row["version"],
        active=row["active"],
        kind=_KINDS[row["kind"]],
        npi=row["npi"],
        name=row["name"],
        specialties=row["specialties"],
        languages=row["languages"],
        accepting_new_patients=row["accepting_new_patients"],
        clinic_keys=tuple(row["clinic_keys"]),
        visit_type_keys=tuple(row["visit_type_keys"]),
    )


def visit_type_of(row: Any, prefix: str = "") -> VisitType:
    return VisitType(
        key=row[f"{prefix}id"],
        version=row[f"{prefix}version"],
        active=row[f"{prefix}active"],
        name=row[f"{prefix}name"],
        duration_minutes=row[f"{prefix}duration_minutes"],
        buffer_before_minutes=row[f"{prefix}buffer_before_minutes"],
        buffer_after_minutes=row[f"{prefix}buffer_after_minutes"],
        start_every_minutes=row[f"{prefix}start_every_minutes"],
        minimum_notice_minutes=row[f"{prefix}minimum_notice_minutes"],
        bookable_days_ahead=row[f"{prefix}bookable_days_ahead"],
        cancel_until_minutes=row[f"{prefix}cancel_until_minutes"],
        modality=_MODALITIES[row[f"{prefix}modality"]],
    )


async def active_keys(reader: Reader) -> list[int]:
    """Of active clinics, at most 5,000."""
    return [row["id"] for row in await reader.fetch(ACTIVE_KEYS)]


async def clinics(reader: Reader, keys: Sequence[int]) -> dict[int, Clinic]:
    return {row["id"]: clinic_of(row) for row in await reader.fetch(CLINICS, keys)}


async def clinics_by_name(
    reader: Reader, name: str | None, after: tuple[str, int], limit: int
) -> list[tuple[str, Clinic]]:
    """Pairs of sort value and clinic; `after` is the pair to go on behind, ("", 0) for the first page."""
    rows = await reader.fetch(CLINICS_BY_NAME, name, *after, limit)
    return [(row["sort_name"], clinic_of(row)) for row in rows]


async def clinics_by_distance(
    reader: Reader, near: GeoPoint, within_km: float | None, name: str | None, after: tuple[float, int], limit: int
) -> list[tuple[float, Clinic]]:
    """Pairs of distance in km (30,000 where a clinic has no place) and clinic."""
    rows = await reader.fetch(CLINICS_BY_DISTANCE, near.latitude, near.longitude, within_km, name, *after, limit)
    return [(row["km"], clinic_of(row)) for row in rows]


async def providers(reader: Reader, keys: Sequence[int]) -> dict[int, Provider]:
    return {row["id"]: provider_of(row) for row in await reader.fetch(PROVIDERS, keys)}


async def providers_by_name(
    reader: Reader,
    specialty: str | None,
    language: str | None,
    name: str | None,
    after: tuple[str, int],
    limit: int,
) -> list[tuple[str, Provider]]:
    rows = await reader.fetch(PROVIDERS_BY_NAME, specialty, language, name, *after, limit)
    return [(row["sort_name"], provider_of(row)) for row in rows]


async def providers_at_clinics(
    reader: Reader,
    clinic_keys: Sequence[int],
    specialty: str | None,
    language: str | None,
    name: str | None,
    after: tuple[str, int],
    limit: int,
) -> dict[int, list[tuple[str, Provider]]]:
    """One page for each of several clinics."""
    rows = await reader.fetch(PROVIDERS_AT_CLINICS, clinic_keys, specialty, language, name, *after, limit)
    pages: dict[int, list[tuple[str, Provider]]] = {key: [] for key in clinic_keys}
    for row in rows:
        pages[row["asked_clinic"]].append((row["sort_name"], provider_of(row)))
    return pages


async def visit_types(reader: Reader, keys: Sequence[int]) -> dict[int, VisitType]:
    return {row["id"]: visit_type_of(row) for row in await reader.fetch(VISIT_TYPES, keys)}


async def active_visit_types(reader: Reader) -> list[VisitType]:
    return [visit_type_of(row) for row in await reader.fetch(ACTIVE_VISIT_TYPES)]


async def visit_types_at_clinics(reader: Reader, keys: Sequence[int]) -> dict[int, list[int]]:
    """Keys of the active visit types that active providers offer at each clinic, by name."""
    found: dict[int, list[int]] = {key: [] for key in keys}
    for row in await reader.fetch(VISIT_TYPES_AT_CLINICS, keys):
        found[row["clinic_id"]].append(row["id"])
    return found


async def specialties(reader: Reader) -> list[str]:
    """Those that active providers have."""
    return [row["name"] for row in await reader.fetch(SPECIALTIES)]
