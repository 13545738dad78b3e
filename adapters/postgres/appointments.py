"""Appointments, their events, and the lists that patients and staff read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from adapters.postgres.database import Connection, Reader
from domain import zones
from domain.access import Role, Viewer
from domain.appointments import Appointment, AppointmentChange, AppointmentEvent, AppointmentStatus

APPOINTMENTS = """
SELECT a.*, c.time_zone FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id WHERE a.id = any($1::bigint[])
"""

MOVE = """
WITH moved AS (
    UPDATE appointments SET version = version + 1, status = 'booked', provider_id = $3, clinic_id = $4, opening_id = $5,
        starts_at = $6, ends_at = $7
    WHERE id = $1 AND version = $2 RETURNING id, version, starts_at
)
INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at_before, starts_at)
SELECT id, version, $8, $9, $10, 'moved', 'booked', $11, starts_at FROM moved RETURNING appointment_id
"""

MEETS = """
SELECT x.id FROM appointments AS x
WHERE x.patient_id = $1 AND x.id <> $2 AND x.status NOT IN ('cancelled', 'entered-in-error')
    AND (x.opening_id = $3 OR ($6 AND (x.opening_id IS NULL OR x.ends_at - x.starts_at <= interval '2 hours')
         AND x.starts_at < $5 AND x.ends_at > $4))
ORDER BY x.starts_at LIMIT 1
"""

SET_STATUS = """
WITH changed AS (
    UPDATE appointments SET version = version + 1, status = $3 WHERE id = $1 AND version = $2 RETURNING id, version, starts_at
)
INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at, reason)
SELECT id, version, $4, $5, $6, $7, $3, starts_at, $8 FROM changed RETURNING appointment_id
"""

UNDER_LOCK = """
SELECT a.*, c.time_zone, (SELECT app_now()) AS now, v.cancel_until_minutes, p.kind,
    (SELECT jsonb_build_array(x.id, x.resource_id, extract(epoch FROM x.starts_at)::bigint, extract(epoch FROM x.ends_at)::bigint)
     FROM allocations AS x WHERE x.appointment_id = a.id AND x.state = 'booked') AS allocation,
    (SELECT max(e.at) FROM appointment_events AS e WHERE e.appointment_id = a.id
        AND (e.change = 'status-set' OR e.change = 'booked')) AS status_at,
    CASE WHEN a.opening_id IS NULL
         THEN ARRAY(SELECT clinic_id FROM provider_clinics WHERE provider_id = a.provider_id ORDER BY clinic_id)
         ELSE ARRAY[a.clinic_id] END AS told_clinics
FROM appointments AS a
JOIN clinics AS c ON c.id = a.clinic_id
JOIN visit_types AS v ON v.id = a.visit_type_id
JOIN providers AS p ON p.id = a.provider_id
WHERE a.id = $1
"""

EVENTS = """
SELECT e.*, c.time_zone FROM appointment_events AS e
JOIN appointments AS a ON a.id = e.appointment_id JOIN clinics AS c ON c.id = a.clinic_id
WHERE e.appointment_id = any($1::bigint[]) ORDER BY e.appointment_id, e.version
"""

UPCOMING = """
SELECT a.*, c.time_zone FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id
WHERE a.patient_id = $1 AND ($2::bigint[] IS NULL OR a.clinic_id = any($2)) AND ($3::text[] IS NULL OR a.status = any($3))
    AND a.ends_at > (SELECT app_now()) AND (a.starts_at, a.id) > ($4::timestamptz, $5::bigint)
ORDER BY a.starts_at, a.id LIMIT $6
"""

LATEST = """
SELECT a.*, c.time_zone FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id
WHERE a.patient_id = $1 AND ($2::bigint[] IS NULL OR a.clinic_id = any($2)) AND ($3::text[] IS NULL OR a.status = any($3))
    AND (NOT $7::boolean OR a.ends_at <= (SELECT app_now())) AND (a.starts_at, a.id) < ($4::timestamptz, $5::bigint)
ORDER BY a.starts_at DESC, a.id DESC LIMIT $6
"""

ON_DAY = """
SELECT a.*, c.time_zone FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id
WHERE a.clinic_id = $1 AND a.starts_at >= $2 AND a.starts_at < $3 AND a.status <> 'entered-in-error'
ORDER BY a.starts_at, a.id LIMIT 5000
"""

BOOKED_AHEAD = """
SELECT a.*, c.time_zone FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id
WHERE a.provider_id = $1 AND a.clinic_id = $2 AND a.status = 'booked' AND a.opening_id IS NULL AND a.starts_at > $3
ORDER BY a.starts_at, a.id LIMIT 5000
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """An appointment read under its locks, with its allocation (key, resource, start, end in UTC seconds) while it has one."""

    appointment: Appointment
    now: datetime
    cancel_until_minutes: int
    allocation: tuple[int, int, int, int] | None
    status_at: datetime
    told_clinics: list[int]


async def appointments(reader: Reader, keys: Sequence[int]) -> dict[int, Appointment]:
    return {row["id"]: appointment_of(row) for row in await reader.fetch(APPOINTMENTS, keys)}


async def under_lock(tx: Reader, key: int) -> Locked | None:
    row = await tx.fetchrow(UNDER_LOCK, key)
    if row is None:
        return None
    allocation = tuple(row["allocation"]) if row["allocation"] else None
    return Locked(
        appointment_of(row), row["now"], row["cancel_until_minutes"], allocation, row["status_at"], row["told_clinics"]
    )


async def move(tx: Connection, before: Appointment, to: Appointment, viewer: Viewer, now: datetime) -> bool:
    """False where the patient is somewhere else at the new time. The patient's lock makes the look before the move safe."""
    if await meets(tx, to) is not None:
        return False
    try:
        row = await tx.fetchrow(
            MOVE, before.key, before.version, to.provider_key, to.clinic_key, to.opening_key, to.starts_at, to.ends_at,
            now, viewer.role.value, viewer.subject, before.starts_at,
        )  # fmt: skip
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        return False  # The guard decides also where the lock was not held.
    return row is not None


async def meets(reader: Reader, wanted: Appointment) -> int | None:
    """Another live appointment of the patient that this one would meet (rule 13)."""
    counts = wanted.opening_key is None or (wanted.ends_at - wanted.starts_at).total_seconds() <= 7200
    found: int | None = await reader.fetchval(
        MEETS, wanted.patient_key, wanted.key, wanted.opening_key, wanted.starts_at, wanted.ends_at, counts
    )
    return found


async def set_status(
    tx: Connection,
    appointment: Appointment,
    status: AppointmentStatus,
    change: AppointmentChange,
    reason: str | None,
    viewer: Viewer,
    now: datetime,
) -> None:
    await tx.fetchrow(
        SET_STATUS,
        appointment.key,
        appointment.version,
        status.value,
        now,
        viewer.role.value,
        viewer.subject,
        change.value,
        reason,
    )


async def events(reader: Reader, keys: Sequence[int]) -> dict[int, list[AppointmentEvent]]:
    """By appointment, oldest first; instants in the clinic's zone."""
    found: dict[int, list[AppointmentEvent]] = {key: [] for key in keys}
    for row in await reader.fetch(EVENTS, keys):
        zone = zones.named(row["time_zone"])
        before = row["starts_at_before"]
        found[row["appointment_id"]].append(
            AppointmentEvent(
                row["at"].astimezone(zone),
                Role(row["by_role"]),
                AppointmentChange(row["change"]),
                row["version"],
                AppointmentStatus(row["status"]),
                before.astimezone(zone) if before else None,
                row["starts_at"].astimezone(zone),
                row["reason"],
            )
        )
    return found


async def upcoming(
    reader: Reader,
    patient_key: int,
    clinic_keys: Sequence[int] | None,
    statuses: Sequence[str] | None,
    after: tuple[datetime, int],
    limit: int,
) -> list[Appointment]:
    """Soonest first: those whose end is still ahead."""
    rows = await reader.fetch(UPCOMING, patient_key, clinic_keys, statuses, *after, limit)
    return [appointment_of(row) for row in rows]


async def latest(
    reader: Reader,
    patient_key: int,
    clinic_keys: Sequence[int] | None,
    statuses: Sequence[str] | None,
    before: tuple[datetime, int],
    limit: int,
    *,
    past_only: bool,
) -> list[Appointment]:
    rows = await reader.fetch(LATEST, patient_key, clinic_keys, statuses, *before, limit, past_only)
    return [appointment_of(row) for row in rows]


async def on_day(reader: Reader, clinic_key: int, first: datetime, before: datetime) -> list[Appointment]:
    """All but those entered in error that start in [first, before), by start."""
    return [appointment_of(row) for row in await reader.fetch(ON_DAY, clinic_key, first, before)]


async def booked_ahead(reader: Reader, provider_key: int, clinic_key: int, now: datetime) -> list[Appointment]:
    """Booked visits by the provider's hours (not in openings) that are still to come."""
    return [appointment_of(row) for row in await reader.fetch(BOOKED_AHEAD, provider_key, clinic_key, now)]


def appointment_of(row: Any) -> Appointment:
    """Instants in the clinic's zone."""
    zone = zones.named(row["time_zone"])
    return Appointment(
        row["id"],
        row["version"],
        AppointmentStatus(row["status"]),
        row["patient_id"],
        row["provider_id"],
        row["clinic_id"],
        row["visit_type_id"],
        row["opening_id"],
        row["starts_at"].astimezone(zone),
        row["ends_at"].astimezone(zone),
        row["reason"],
    )
