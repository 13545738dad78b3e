"""What the hammer reads beside the API: whom to send, where to book, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.postgres.calendars import Triple
from adapters.postgres.database import Reader

PATIENTS = """
SELECT p.id FROM patients AS p
ORDER BY (SELECT count(*) FROM appointments AS a WHERE a.patient_id = p.id AND a.starts_at > (SELECT app_now())), p.id
LIMIT $1
"""

OFFERED = """
SELECT w.provider_id, w.clinic_id, o.visit_type_id
FROM (
    SELECT id FROM providers WHERE active AND kind = 'person' AND accepting_new_patients
    ORDER BY hashint8(id) LIMIT $1
) AS p
JOIN provider_clinics AS w ON w.provider_id = p.id
JOIN provider_visit_types AS o ON o.provider_id = p.id
ORDER BY w.provider_id, w.clinic_id, o.visit_type_id
"""

FIRST_CLINIC = """
SELECT min(id) FROM clinics WHERE active
"""

NEWEST_APPOINTMENT = """
SELECT coalesce(max(id), 0) FROM appointments
"""

BOOKED_SINCE = """
SELECT id, patient_id, provider_id, clinic_id, visit_type_id, starts_at FROM appointments
WHERE id > $1 AND patient_id = any($2::bigint[]) AND status NOT IN ('cancelled', 'entered-in-error')
"""


@dataclass(frozen=True, slots=True)
class Booked:
    key: int
    patient_key: int
    provider_key: int
    clinic_key: int
    visit_type_key: int
    starts_at: datetime


async def patients(reader: Reader, count: int) -> list[int]:
    """Those with the fewest appointments ahead."""
    return [row["id"] for row in await reader.fetch(PATIENTS, count)]


async def offered(reader: Reader, providers: int) -> list[Triple]:
    """(provider, clinic, visit type) of so many people who take new patients, from all over the place."""
    rows = await reader.fetch(OFFERED, providers)
    return [(row["provider_id"], row["clinic_id"], row["visit_type_id"]) for row in rows]


async def first_clinic(reader: Reader) -> int | None:
    found: int | None = await reader.fetchval(FIRST_CLINIC)
    return found


async def newest_appointment(reader: Reader) -> int:
    found: int = await reader.fetchval(NEWEST_APPOINTMENT)
    return found


async def booked_since(reader: Reader, newest: int, patient_keys: Sequence[int]) -> list[Booked]:
    """Live appointments of these patients that are newer than that one."""
    return [Booked(*row) for row in await reader.fetch(BOOKED_SINCE, newest, patient_keys)]
