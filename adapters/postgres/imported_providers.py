"""Providers that came from files: people by NPI, pools by the schedule of their feed."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.postgres.database import Connection, Reader
from domain.clinics import ProviderKind
from domain.imports import WantedProvider

STORED = """
SELECT p.id, coalesce(p.npi, p.source_key) AS identity, p.name, p.specialties, p.languages,
    array(SELECT w.clinic_id FROM provider_clinics AS w WHERE w.provider_id = p.id) AS clinics,
    array(SELECT t.visit_type_id FROM provider_visit_types AS t WHERE t.provider_id = p.id) AS visit_types
FROM providers AS p
WHERE p.npi = any($1::text[]) OR p.npi IS NULL AND p.source_key = any($1::text[])
"""

NEW_RESOURCES = """
INSERT INTO resources (kind) SELECT 'provider' FROM generate_series(1, $1) RETURNING id
"""

INSERT = """
INSERT INTO providers (id, kind, npi, source_key, name, specialties, languages)
SELECT r.id, r.kind, r.npi, r.source_key, r.name, r.specialties, r.languages
FROM jsonb_to_recordset($1::jsonb) AS r (
    id bigint, kind text, npi text, source_key text, name text, specialties text[], languages text[]
)
"""

UPDATE = """
UPDATE providers AS p SET version = p.version + 1, name = r.name, specialties = r.specialties, languages = r.languages
FROM jsonb_to_recordset($1::jsonb) AS r (id bigint, name text, specialties text[], languages text[])
WHERE p.id = r.id
"""

LINK_CLINICS = """
INSERT INTO provider_clinics (provider_id, clinic_id)
SELECT provider_id, clinic_id FROM unnest($1::bigint[], $2::bigint[]) AS r (provider_id, clinic_id)
ON CONFLICT DO NOTHING
"""

LINK_VISIT_TYPES = """
INSERT INTO provider_visit_types (provider_id, visit_type_id)
SELECT provider_id, visit_type_id FROM unnest($1::bigint[], $2::bigint[]) AS r (provider_id, visit_type_id)
ON CONFLICT DO NOTHING
"""

RAISE_VERSIONS = """
WITH raised AS (
    UPDATE resources AS r SET version = r.version + 1
    WHERE r.id = any($1::bigint[]) AND EXISTS (SELECT FROM provider_clinics AS w WHERE w.provider_id = r.id)
    RETURNING r.id, r.version
)
INSERT INTO outbox (at, topic, clinic_id, resource_id, resource_version, payload)
SELECT (SELECT app_now()), 'availability', w.clinic_id, r.id, r.version, '{"invalidated": true}'
FROM raised AS r JOIN provider_clinics AS w ON w.provider_id = r.id
"""

VISIT_TYPES = """
SELECT id, source_key FROM visit_types WHERE source_key = any($1::text[])
"""

INSERT_VISIT_TYPES = """
INSERT INTO visit_types (source_key, name, minimum_notice_minutes, bookable_days_ahead, cancel_until_minutes)
SELECT source_key, name, 0, 730, 0 FROM unnest($1::text[], $2::text[]) AS r (source_key, name)
ON CONFLICT (source_key) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class StoredProvider:
    key: int
    name: str
    specialties: tuple[str, ...]
    languages: tuple[str, ...]
    clinics: frozenset[int]
    visit_types: frozenset[int]


async def stored(reader: Reader, identities: Sequence[str]) -> dict[str, StoredProvider]:
    """By identity: the NPI, or for pools the source key."""
    return {
        record["identity"]: StoredProvider(
            key=record["id"],
            name=record["name"],
            specialties=tuple(record["specialties"]),
            languages=tuple(record["languages"]),
            clinics=frozenset(record["clinics"]),
            visit_types=frozenset(record["visit_types"]),
        )
        for record in await reader.fetch(STORED, identities)
    }


async def insert(tx: Connection, wanted: Sequence[WantedProvider]) -> dict[str, int]:
    """The new keys by identity. Links and versions are still to be written."""
    ids = sorted(record["id"] for record in await tx.fetch(NEW_RESOURCES, len(wanted)))
    rows = [
        {
            "id": key,
            "kind": one.kind.value,
            "npi": one.identity if one.kind is ProviderKind.PERSON else None,
            "source_key": f"npi:{one.identity}" if one.kind is ProviderKind.PERSON else one.identity,
            "name": one.name,
            "specialties": one.specialties,
            "languages": one.languages,
        }
        for key, one in zip(ids, wanted, strict=True)
    ]
    await tx.execute(INSERT, rows)
    return {one.identity: key for key, one in zip(ids, wanted, strict=True)}


async def update(tx: Connection, changed: Sequence[StoredProvider]) -> None:
    """Name, specialties and languages, as they now are."""
    rows = [
        {"id": one.key, "name": one.name, "specialties": one.specialties, "languages": one.languages} for one in changed
    ]
    await tx.execute(UPDATE, rows)


async def link(tx: Connection, clinics: Sequence[tuple[int, int]], visit_types: Sequence[tuple[int, int]]) -> None:
    """(provider, clinic) and (provider, visit type); those that are there already stay."""
    if clinics:
        await tx.execute(LINK_CLINICS, [pair[0] for pair in clinics], [pair[1] for pair in clinics])
    if visit_types:
        await tx.execute(LINK_VISIT_TYPES, [pair[0] for pair in visit_types], [pair[1] for pair in visit_types])


async def raise_versions(tx: Connection, provider_keys: Sequence[int]) -> None:
    """Tells every clinic of these providers that their calendars are to be read again (rule 17).

    Who works nowhere has no calendar yet: the version stays, since nobody would be told of it.
    """
    await tx.execute(RAISE_VERSIONS, provider_keys)


async def visit_types(reader: Reader, source_keys: Sequence[str]) -> dict[str, int]:
    return {record["source_key"]: record["id"] for record in await reader.fetch(VISIT_TYPES, source_keys)}


async def insert_visit_types(tx: Connection, names: dict[str, str]) -> None:
    """Visit types of published openings (rule 7), by source key. A name that staff changed stays changed."""
    await tx.execute(INSERT_VISIT_TYPES, list(names), list(names.values()))
