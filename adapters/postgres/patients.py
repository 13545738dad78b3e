"""Patients, as far as the viewer may see them: staff those of their clinics, patients themselves (rule 18)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from adapters.postgres.database import Connection, Reader
from domain.access import Role, Viewer
from domain.appointments import Patient
from domain.patients import PatientFields, search_for

PATIENTS = """
SELECT p.* FROM patients AS p
WHERE p.id = any($1::bigint[]) AND ($2::bigint IS NULL OR p.id = $2) AND ($3::bigint[] IS NULL
    OR EXISTS (SELECT FROM patient_clinics AS w WHERE w.patient_id = p.id AND w.clinic_id = any($3))
    OR EXISTS (SELECT FROM appointments AS a WHERE a.patient_id = p.id AND a.clinic_id = any($3))
    OR EXISTS (SELECT FROM waitlist_entries AS e WHERE e.patient_id = p.id AND e.clinic_id = any($3)))
"""

SEARCH = """
SELECT p.*, lower(p.name) AS sort_name FROM patients AS p
WHERE ($1::text IS NULL
        OR strpos(' ' || translate(lower(p.name), '-', ' '), ' ' || translate(lower($1), '-', ' ')) > 0)
    AND ($2::date IS NULL OR p.birth_date = $2)
    AND ($3::text IS NULL OR lower(p.email) = lower($3))
    AND ($4::text IS NULL OR p.phone = $4)
    AND ($5::bigint[] IS NULL
        OR EXISTS (SELECT FROM patient_clinics AS w WHERE w.patient_id = p.id AND w.clinic_id = any($5))
        OR EXISTS (SELECT FROM appointments AS a WHERE a.patient_id = p.id AND a.clinic_id = any($5))
        OR EXISTS (SELECT FROM waitlist_entries AS e WHERE e.patient_id = p.id AND e.clinic_id = any($5)))
    AND (lower(p.name), p.id) > ($6::text, $7::bigint)
ORDER BY lower(p.name), p.id LIMIT $8
"""

DUPLICATES = """
SELECT p.* FROM (
    SELECT id FROM patients WHERE lower(name) = lower($1) AND birth_date = $2::date
    UNION SELECT id FROM patients WHERE lower(email) = lower($3)
    UNION SELECT id FROM patients WHERE phone = $4::text
) AS alike JOIN patients AS p ON p.id = alike.id
WHERE $5::bigint[] IS NULL
    OR EXISTS (SELECT FROM patient_clinics AS w WHERE w.patient_id = p.id AND w.clinic_id = any($5))
    OR EXISTS (SELECT FROM appointments AS a WHERE a.patient_id = p.id AND a.clinic_id = any($5))
    OR EXISTS (SELECT FROM waitlist_entries AS e WHERE e.patient_id = p.id AND e.clinic_id = any($5))
ORDER BY p.id LIMIT 20
"""

REGISTER = """
WITH registered AS (
    INSERT INTO patients (name, birth_date, email, phone) VALUES ($1, $2, $3, $4) RETURNING *
), placed AS (
    INSERT INTO patient_clinics (patient_id, clinic_id) SELECT id, $5 FROM registered
)
SELECT * FROM registered
"""

UPDATE = """
UPDATE patients SET version = version + 1, name = $2, birth_date = $3, email = $4, phone = $5 WHERE id = $1 RETURNING *
"""

UNDER_LOCK = """
SELECT p.*, (SELECT app_now()) AS now, home.country, home.time_zone
FROM patients AS p LEFT JOIN LATERAL (
    SELECT c.country, c.time_zone FROM patient_clinics AS w JOIN clinics AS c ON c.id = w.clinic_id
    WHERE w.patient_id = p.id ORDER BY w.clinic_id LIMIT 1
) AS home ON true
WHERE p.id = $1 AND ($2::bigint IS NULL OR p.id = $2) AND ($3::bigint[] IS NULL
    OR EXISTS (SELECT FROM patient_clinics AS w WHERE w.patient_id = p.id AND w.clinic_id = any($3))
    OR EXISTS (SELECT FROM appointments AS a WHERE a.patient_id = p.id AND a.clinic_id = any($3))
    OR EXISTS (SELECT FROM waitlist_entries AS e WHERE e.patient_id = p.id AND e.clinic_id = any($3)))
"""

CLINICS_OF_REGISTRATION = """
SELECT patient_id, clinic_id FROM patient_clinics WHERE patient_id = any($1::bigint[]) ORDER BY patient_id, clinic_id
"""

BY_KEY = """
SELECT * FROM patients WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """A patient under their lock. Country and zone of the first clinic of registration, where there is one."""

    patient: Patient
    now: datetime
    country: str
    time_zone: str


async def patients(reader: Reader, viewer: Viewer, keys: Sequence[int]) -> dict[int, Patient]:
    """Those of the keys that the viewer may see, in one statement; none, and no statement, for the anonymous."""
    if not (viewer.is_staff or viewer.is_patient):
        return {}
    rows = await reader.fetch(PATIENTS, keys, _self(viewer), clinics_of(viewer))
    return {row["id"]: patient_of(row) for row in rows}


async def search(
    reader: Reader, viewer: Viewer, looked_for: str, after: tuple[str, int], limit: int
) -> list[tuple[str, Patient]]:
    """By name prefix, date of birth, phone or e-mail: pairs of sort value and patient, by name, of staff's own clinics.

    `after` is the pair to go on behind, ("", 0) for the first page. Raises BadInput for a text that can't be searched.
    """
    wanted = search_for(looked_for)
    rows = await reader.fetch(
        SEARCH, wanted.name, wanted.birth_date, wanted.email, wanted.phone, clinics_of(viewer), *after, limit
    )
    return [(row["sort_name"], patient_of(row)) for row in rows]


async def duplicates(reader: Reader, viewer: Viewer, fields: PatientFields) -> list[Patient]:
    """At most 20 whom the viewer may see: same name and date of birth, or same e-mail, or same phone (rule 19)."""
    rows = await reader.fetch(
        DUPLICATES, fields.name, fields.birth_date, fields.email, fields.phone, clinics_of(viewer)
    )
    return [patient_of(row) for row in rows]


async def register(tx: Connection, fields: PatientFields, clinic_key: int) -> Patient:
    row = await tx.fetchrow(REGISTER, fields.name, fields.birth_date, fields.email, fields.phone, clinic_key)
    return patient_of(row)


async def update(tx: Connection, key: int, fields: PatientFields) -> Patient:
    """Call under the patient's lock, once the version was compared."""
    row = await tx.fetchrow(UPDATE, key, fields.name, fields.birth_date, fields.email, fields.phone)
    return patient_of(row)


async def under_lock(tx: Connection, viewer: Viewer, key: int) -> Locked | None:
    """None also for whom the viewer may not see."""
    row = await tx.fetchrow(UNDER_LOCK, key, _self(viewer), clinics_of(viewer))
    if row is None:
        return None
    return Locked(patient_of(row), row["now"], row["country"] or "US", row["time_zone"] or "UTC")


async def by_key(reader: Reader, key: int) -> Patient:
    """Whoever asks: for the replay of what the caller did."""
    return patient_of(await reader.fetchrow(BY_KEY, key))


async def clinics_of_registration(reader: Reader, keys: Sequence[int]) -> dict[int, list[int]]:
    """Clinics by patient; with those of their appointments this says whose patient they are (rule 18)."""
    found: dict[int, list[int]] = {key: [] for key in keys}
    for row in await reader.fetch(CLINICS_OF_REGISTRATION, keys):
        found[row["patient_id"]].append(row["clinic_id"])
    return found


def clinics_of(viewer: Viewer) -> list[int] | None:
    """Whose patients the viewer sees; None: no bound by clinic, as for admin, and for patients, who see themselves."""
    return sorted(viewer.clinic_keys) if viewer.role is Role.STAFF and viewer.clinic_keys is not None else None


def patient_of(row: Any) -> Patient:
    birth_date: date | None = row["birth_date"]
    return Patient(row["id"], row["version"], row["name"], birth_date, row["email"], row["phone"])


def _self(viewer: Viewer) -> int | None:
    """A patient token without a patient sees nobody."""
    return (viewer.patient_key or 0) if viewer.is_patient else None
