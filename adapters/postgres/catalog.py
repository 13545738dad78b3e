"""Writes of clinics, providers and visit types. The caller holds their locks and has compared the version."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from adapters.postgres.clinics import clinic_of, visit_type_of
from adapters.postgres.database import Connection, Reader
from domain.catalog import ClinicDraft, ProviderDraft, VisitTypeDraft
from domain.clinics import Clinic, VisitType

CREATE_CLINIC = """
INSERT INTO clinics (name, time_zone, address_lines, city, region, postal_code, country, latitude, longitude, phone, active)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *
"""

REPLACE_CLINIC = """
UPDATE clinics SET version = version + 1, name = $1, time_zone = $2, address_lines = $3, city = $4, region = $5,
    postal_code = $6, country = $7, latitude = $8, longitude = $9, phone = $10, active = $11
WHERE id = $12 RETURNING *
"""

CREATE_PROVIDER = """
WITH resource AS (
    INSERT INTO resources (kind) VALUES ('provider') RETURNING id
), created AS (
    INSERT INTO providers (id, name, npi, specialties, languages, accepting_new_patients, active)
    SELECT id, $1, $2, $3, $4, $5, $6 FROM resource ON CONFLICT (npi) DO NOTHING RETURNING id
), placed AS (
    INSERT INTO provider_clinics (provider_id, clinic_id)
    SELECT c.id, w.clinic_id FROM created AS c, unnest($7::bigint[]) AS w (clinic_id)
), offered AS (
    INSERT INTO provider_visit_types (provider_id, visit_type_id)
    SELECT c.id, o.visit_type_id FROM created AS c, unnest($8::bigint[]) AS o (visit_type_id)
)
SELECT id FROM created
"""

REPLACE_PROVIDER = """
WITH replaced AS (
    UPDATE providers SET version = version + 1, name = $1, npi = $2, specialties = $3, languages = $4,
        accepting_new_patients = $5, active = $6
    WHERE id = $9 RETURNING id
), left_clinics AS (
    DELETE FROM provider_clinics WHERE provider_id = $9 AND clinic_id <> all($7::bigint[])
), placed AS (
    INSERT INTO provider_clinics (provider_id, clinic_id)
    SELECT $9, w.clinic_id FROM unnest($7::bigint[]) AS w (clinic_id) ON CONFLICT DO NOTHING
), dropped_types AS (
    DELETE FROM provider_visit_types WHERE provider_id = $9 AND visit_type_id <> all($8::bigint[])
    RETURNING provider_id, visit_type_id
), offered_before AS (
    INSERT INTO provider_visit_types_before (provider_id, visit_type_id)
    SELECT d.provider_id, d.visit_type_id FROM dropped_types AS d ON CONFLICT DO NOTHING
), offered AS (
    INSERT INTO provider_visit_types (provider_id, visit_type_id)
    SELECT $9, o.visit_type_id FROM unnest($8::bigint[]) AS o (visit_type_id) ON CONFLICT DO NOTHING
)
SELECT id FROM replaced
"""

CREATE_VISIT_TYPE = """
INSERT INTO visit_types (name, duration_minutes, buffer_before_minutes, buffer_after_minutes, start_every_minutes,
    minimum_notice_minutes, bookable_days_ahead, cancel_until_minutes, modality, active)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *
"""

REPLACE_VISIT_TYPE = """
UPDATE visit_types SET version = version + 1, name = $1, duration_minutes = $2, buffer_before_minutes = $3,
    buffer_after_minutes = $4, start_every_minutes = $5, minimum_notice_minutes = $6, bookable_days_ahead = $7,
    cancel_until_minutes = $8, modality = $9, active = $10
WHERE id = $11 RETURNING *
"""

PROVIDERS_OF_CLINIC = """
SELECT provider_id FROM provider_clinics WHERE clinic_id = $1 ORDER BY provider_id
"""

# Those at whose clinics somebody waits for that kind of visit.
PROVIDERS_WAITED_FOR = """
SELECT DISTINCT o.provider_id FROM waitlist_entries AS e
JOIN provider_clinics AS w ON w.clinic_id = e.clinic_id
JOIN provider_visit_types AS o ON o.provider_id = w.provider_id AND o.visit_type_id = e.visit_type_id
WHERE e.visit_type_id = $1 AND e.status IN ('active', 'offered', 'suspended') ORDER BY o.provider_id
"""

TELL_OFFERING_CLINICS = """
INSERT INTO outbox (at, topic, clinic_id, payload)
SELECT $2, 'availability', offering.clinic_id, $3::jsonb
FROM (SELECT DISTINCT w.clinic_id FROM provider_visit_types AS o
      JOIN provider_clinics AS w ON w.provider_id = o.provider_id WHERE o.visit_type_id = $1) AS offering
"""


TELL_CLINIC = """
INSERT INTO outbox (at, topic, clinic_id, payload) VALUES ($2, 'availability', $1, $3::jsonb)
"""


async def create_clinic(tx: Connection, draft: ClinicDraft) -> Clinic:
    return clinic_of(await tx.fetchrow(CREATE_CLINIC, *_clinic(draft)))


async def replace_clinic(tx: Connection, key: int, draft: ClinicDraft) -> Clinic:
    return clinic_of(await tx.fetchrow(REPLACE_CLINIC, *_clinic(draft), key))


async def create_provider(
    tx: Connection, draft: ProviderDraft, clinic_keys: Sequence[int], visit_type_keys: Sequence[int]
) -> int | None:
    """Key of the provider and of its resource. None where another has the NPI: then the caller rolls back."""
    key: int | None = await tx.fetchval(CREATE_PROVIDER, *_provider(draft), clinic_keys, visit_type_keys)
    return key


async def replace_provider(
    tx: Connection, key: int, draft: ProviderDraft, clinic_keys: Sequence[int], visit_type_keys: Sequence[int]
) -> int | None:
    """None where another has the NPI: then the caller rolls back. Hours and appointments stay where they are."""
    try:
        found: int | None = await tx.fetchval(REPLACE_PROVIDER, *_provider(draft), clinic_keys, visit_type_keys, key)
    except asyncpg.UniqueViolationError:
        return None
    return found


async def create_visit_type(tx: Connection, draft: VisitTypeDraft) -> VisitType:
    return visit_type_of(await tx.fetchrow(CREATE_VISIT_TYPE, *_visit_type(draft)))


async def replace_visit_type(tx: Connection, key: int, draft: VisitTypeDraft) -> VisitType:
    return visit_type_of(await tx.fetchrow(REPLACE_VISIT_TYPE, *_visit_type(draft), key))


async def providers_of_clinic(reader: Reader, clinic_key: int) -> list[int]:
    """All of them, the inactive too."""
    return [row["provider_id"] for row in await reader.fetch(PROVIDERS_OF_CLINIC, clinic_key)]


async def providers_waited_for(reader: Reader, visit_type_key: int) -> list[int]:
    """Who offers that kind of visit where somebody waits for it."""
    return [row["provider_id"] for row in await reader.fetch(PROVIDERS_WAITED_FOR, visit_type_key)]


async def tell_clinic(tx: Connection, clinic_key: int, at: datetime, payload: dict[str, bool]) -> None:
    """An event that names no resource: what is shown of the clinic is read again."""
    await tx.execute(TELL_CLINIC, clinic_key, at, payload)


async def tell_offering_clinics(tx: Connection, visit_type_key: int, at: datetime, payload: dict[str, bool]) -> None:
    """One event for each clinic where a provider offers the visit type. It names no resource: no calendar changed."""
    await tx.execute(TELL_OFFERING_CLINICS, visit_type_key, at, payload)


def _clinic(draft: ClinicDraft) -> tuple[object, ...]:
    address, place = draft.address, draft.location
    return (
        draft.name, draft.time_zone, address.lines, address.city, address.region, address.postal_code, address.country,
        place.latitude if place else None, place.longitude if place else None, draft.phone, draft.active,
    )  # fmt: skip


def _provider(draft: ProviderDraft) -> tuple[object, ...]:
    return (
        draft.name, draft.npi, draft.specialties, draft.languages, draft.accepting_new_patients, draft.active,
    )  # fmt: skip


def _visit_type(draft: VisitTypeDraft) -> tuple[object, ...]:
    return (
        draft.name, draft.duration_minutes, draft.buffer_before_minutes, draft.buffer_after_minutes,
        draft.start_every_minutes, draft.minimum_notice_minutes, draft.bookable_days_ahead, draft.cancel_until_minutes,
        draft.modality.value, draft.active,
    )  # fmt: skip
