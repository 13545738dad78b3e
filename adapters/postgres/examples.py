"""Where worked examples begin: a patient and providers whom newcomers take. In development only."""

from datetime import datetime

from adapters.postgres.calendars import Triple
from adapters.postgres.database import Reader

FIRST_PATIENT = """
SELECT min(id) FROM patients
"""

FIRST_PATIENTS = """
SELECT id, name FROM patients ORDER BY id LIMIT $1
"""

OFFERED_PATIENTS = """
SELECT p.id, p.name FROM waitlist_offers AS o JOIN patients AS p ON p.id = o.patient_id
WHERE o.id = $1 OR o.status = 'live' GROUP BY p.id ORDER BY bool_or(o.id = $1) DESC NULLS LAST, p.id LIMIT $2
"""

ENGAGED = """
SELECT starts_at, ends_at FROM appointments
WHERE patient_id = $1 AND starts_at > app_now() AND status NOT IN ('cancelled', 'entered-in-error')
"""

CANDIDATES = """
SELECT w.provider_id, w.clinic_id, min(o.visit_type_id) AS visit_type_id
FROM (SELECT id FROM clinics WHERE active ORDER BY lower(name), id LIMIT 5) AS c
JOIN provider_clinics AS w ON w.clinic_id = c.id
JOIN providers AS p ON p.id = w.provider_id AND p.active AND p.accepting_new_patients
JOIN provider_visit_types AS o ON o.provider_id = p.id
GROUP BY w.provider_id, w.clinic_id ORDER BY w.clinic_id, w.provider_id LIMIT 40
"""


async def first_patient(reader: Reader) -> int | None:
    found: int | None = await reader.fetchval(FIRST_PATIENT)
    return found


async def first_patients(reader: Reader, count: int) -> list[tuple[int, str]]:
    return [(row["id"], row["name"]) for row in await reader.fetch(FIRST_PATIENTS, count)]


async def offered_patients(reader: Reader, offer_key: int | None, count: int) -> list[tuple[int, str]]:
    """Whose the offer is, then others who have one."""
    return [(row["id"], row["name"]) for row in await reader.fetch(OFFERED_PATIENTS, offer_key, count)]


async def engaged(reader: Reader, patient: int) -> list[tuple[datetime, datetime]]:
    """When that patient's coming appointments begin and end."""
    return [(row["starts_at"], row["ends_at"]) for row in await reader.fetch(ENGAGED, patient)]


async def candidates(reader: Reader) -> list[Triple]:
    """Offerings at the first clinics by name."""
    rows = await reader.fetch(CANDIDATES)
    return [(row["provider_id"], row["clinic_id"], row["visit_type_id"]) for row in rows]
