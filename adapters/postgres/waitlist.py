"""Entries of the waitlist. They change under the lock of their clinic's waitlist, but for joining, which adds one."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from adapters.postgres.changes import By
from adapters.postgres.database import Connection, Reader
from domain import zones
from domain.waitlist import WAITING, Entry, EntryStatus, Window

ENTRIES = """
SELECT e.*, c.time_zone FROM waitlist_entries AS e JOIN clinics AS c ON c.id = e.clinic_id WHERE e.id = any($1::bigint[])
"""

OF_PATIENTS = """
SELECT e.*, c.time_zone FROM unnest($1::bigint[]) AS k (patient_id)
CROSS JOIN LATERAL (
    SELECT w.* FROM waitlist_entries AS w
    WHERE w.patient_id = k.patient_id AND ($2::bigint[] IS NULL OR w.clinic_id = any($2))
    ORDER BY w.joined_at DESC, w.id DESC LIMIT 100
) AS e
JOIN clinics AS c ON c.id = e.clinic_id
"""

AT_CLINIC = """
SELECT e.*, c.time_zone FROM waitlist_entries AS e JOIN clinics AS c ON c.id = e.clinic_id
WHERE e.clinic_id = $1 AND e.status = any($2::text[])
    AND (3 - e.urgency, e.joined_at, e.id) > ($3::integer, $4::timestamptz, $5::bigint)
ORDER BY 3 - e.urgency, e.joined_at, e.id LIMIT $6
"""

# Of those who wait: who waited once and no longer does would be read and passed over, and is soon most of them.
WAITING_AT_CLINIC = """
SELECT e.*, c.time_zone FROM waitlist_entries AS e JOIN clinics AS c ON c.id = e.clinic_id
WHERE e.clinic_id = $1 AND e.status IN ('active', 'offered', 'suspended') AND e.status = any($2::text[])
    AND (3 - e.urgency, e.joined_at, e.id) > ($3::integer, $4::timestamptz, $5::bigint)
ORDER BY 3 - e.urgency, e.joined_at, e.id LIMIT $6
"""

JOIN = """
WITH joined AS (
    INSERT INTO waitlist_entries (patient_id, clinic_id, visit_type_id, provider_ids, windows, first_date, last_date,
        notice_minutes, urgency, auto_book, appointment_id, joined_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT DO NOTHING RETURNING *
), wished AS (
    INSERT INTO waitlist_wishes
    SELECT id, version, joined_at, provider_ids, windows, first_date, last_date, notice_minutes, urgency FROM joined
)
SELECT j.*, c.time_zone FROM joined AS j JOIN clinics AS c ON c.id = j.clinic_id
"""

CHANGE = """
WITH changed AS (
    UPDATE waitlist_entries SET version = version + 1, provider_ids = $2, windows = $3, first_date = $4, last_date = $5,
        notice_minutes = $6, urgency = $7, auto_book = $8, misses = 0,
        status = CASE WHEN status = 'suspended' THEN 'active' ELSE status END
    WHERE id = $1 RETURNING *
), wished AS (
    INSERT INTO waitlist_wishes
    SELECT id, version, $9, provider_ids, windows, first_date, last_date, notice_minutes, urgency FROM changed
), asked AS (
    INSERT INTO offers_to_plan (offer_id)
    SELECT o.id FROM waitlist_offers AS o JOIN changed AS c ON c.id = o.entry_id AND NOT c.auto_book
    WHERE o.status = 'live'
)
SELECT n.*, c.time_zone FROM changed AS n JOIN clinics AS c ON c.id = n.clinic_id
"""

SET_STATUS = """
UPDATE waitlist_entries SET status = $2, misses = $3, appointment_id = coalesce($4, appointment_id),
    ended_at = CASE WHEN $2 NOT IN ('active', 'offered', 'suspended') THEN (SELECT app_now()) END
WHERE id = $1
"""

TO_END = """
SELECT DISTINCT e.clinic_id, c.time_zone FROM waitlist_entries AS e JOIN clinics AS c ON c.id = e.clinic_id
WHERE e.status IN ('active', 'suspended') AND e.last_date < $1 LIMIT 1000
"""

END_OLD = """
WITH ended AS (
    UPDATE waitlist_entries SET status = 'expired', ended_at = (SELECT app_now()) WHERE id IN (
        SELECT id FROM waitlist_entries WHERE clinic_id = $1 AND status IN ('active', 'suspended') AND last_date < $2
        ORDER BY last_date LIMIT $3)
    RETURNING id, patient_id
), audited AS (
    INSERT INTO audit (at, subject, role, patient_id, operation, entity, request_id)
    SELECT (SELECT app_now()), $4, $5, e.patient_id, $6, 'waitlistEntry:' || e.id, $7 FROM ended AS e ORDER BY e.id
)
SELECT count(*) FROM ended
"""

OFFERED_THERE = """
SELECT p.id FROM provider_clinics AS w
JOIN providers AS p ON p.id = w.provider_id AND p.active
JOIN provider_visit_types AS o ON o.provider_id = p.id
JOIN clinics AS c ON c.id = w.clinic_id AND c.active
JOIN visit_types AS v ON v.id = o.visit_type_id AND v.active
WHERE w.clinic_id = $1 AND o.visit_type_id = $2
"""

PATIENT_KNOWN = """
SELECT EXISTS (SELECT FROM patients WHERE id = $1) AND ($2::bigint[] IS NULL
    OR EXISTS (SELECT FROM patient_clinics WHERE patient_id = $1 AND clinic_id = any($2))
    OR EXISTS (SELECT FROM appointments WHERE patient_id = $1 AND clinic_id = any($2))
    OR EXISTS (SELECT FROM waitlist_entries WHERE patient_id = $1 AND clinic_id = any($2)))
"""

_WAITING: Final = frozenset(one.value for one in WAITING)


async def entries(reader: Reader, keys: Sequence[int]) -> dict[int, Entry]:
    return {row["id"]: entry_of(row) for row in await reader.fetch(ENTRIES, keys)}


async def of_patients(
    reader: Reader, patient_keys: Sequence[int], clinic_keys: Sequence[int] | None
) -> dict[int, list[Entry]]:
    """By patient, who joined last first, at most 100 each; `clinic_keys` bounds them to those clinics."""
    found: dict[int, list[Entry]] = {key: [] for key in patient_keys}
    for row in await reader.fetch(OF_PATIENTS, patient_keys, clinic_keys):
        found[row["patient_id"]].append(entry_of(row))
    return found


async def at_clinic(
    reader: Reader, clinic_key: int, statuses: Sequence[str], after: tuple[int, datetime, int], limit: int
) -> list[Entry]:
    """In the order in which they rank but for fit: urgency, then who has waited longer."""
    statement = WAITING_AT_CLINIC if _WAITING.issuperset(statuses) else AT_CLINIC
    return [entry_of(row) for row in await reader.fetch(statement, clinic_key, statuses, *after, limit)]


async def join(tx: Connection, draft: Entry) -> Entry | None:
    """None where the patient waits for the same thing already (rule 48)."""
    row = await tx.fetchrow(
        JOIN, draft.patient_key, draft.clinic_key, draft.visit_type_key, draft.provider_keys, _windows(draft),
        draft.first_date, draft.last_date, draft.minimum_notice_minutes, draft.urgency, draft.auto_book,
        draft.appointment_key, draft.joined_at,
    )  # fmt: skip
    return None if row is None else entry_of(row)


async def change(tx: Connection, wanted: Entry, now: datetime) -> Entry:
    """New wishes, one version on; who was suspended waits again. Who no longer agrees to be booked is told of a live offer."""
    row = await tx.fetchrow(
        CHANGE, wanted.key, wanted.provider_keys, _windows(wanted), wanted.first_date, wanted.last_date,
        wanted.minimum_notice_minutes, wanted.urgency, wanted.auto_book, now,
    )  # fmt: skip
    return entry_of(row)


async def set_status(
    tx: Connection, key: int, status: EntryStatus, misses: int, appointment_key: int | None = None
) -> None:
    await tx.execute(SET_STATUS, key, status.value, misses, appointment_key)


async def clinics_to_look_at(reader: Reader, before: date) -> list[tuple[int, str]]:
    """Clinics, with their zones, where entries of dates before `before` still wait."""
    return [(row["clinic_id"], row["time_zone"]) for row in await reader.fetch(TO_END, before)]


async def end_old(tx: Connection, clinic_key: int, today: date, limit: int, by: By) -> int:
    """Entries whose last date has passed; answers how many."""
    who = by.viewer
    ended: int = await tx.fetchval(
        END_OLD, clinic_key, today, limit, who.subject, who.role.value, by.operation, who.request_id
    )
    return ended


async def offered_there(reader: Reader, clinic_key: int, visit_type_key: int) -> set[int]:
    """Active providers who offer the visit type at the clinic; none where either is not active."""
    return {row["id"] for row in await reader.fetch(OFFERED_THERE, clinic_key, visit_type_key)}


async def patient_known(reader: Reader, patient_key: int, clinic_keys: Sequence[int] | None) -> bool:
    """Whether there is such a patient, at these clinics where they are named (rule 18)."""
    return bool(await reader.fetchval(PATIENT_KNOWN, patient_key, clinic_keys))


def entry_of(row: Any) -> Entry:
    """`joined_at` in the clinic's zone."""
    return Entry(
        row["id"], row["version"], EntryStatus(row["status"]), row["patient_id"], row["clinic_id"], row["visit_type_id"],
        tuple(row["provider_ids"]), [Window(*one) for one in row["windows"]], row["first_date"], row["last_date"],
        row["notice_minutes"], row["urgency"], row["auto_book"], row["appointment_id"],
        row["joined_at"].astimezone(zones.named(row["time_zone"])), row["misses"],
    )  # fmt: skip


def _windows(entry: Entry) -> list[list[int | None]]:
    return [[one.weekday, one.opens, one.closes] for one in entry.windows]
