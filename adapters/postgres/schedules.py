"""Writes of weekly hours and exceptions. The caller holds the provider's lock; every write raises the schedule's version."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from adapters.postgres.database import Connection, Reader
from domain import zones
from domain.schedules import ExceptionKind, ScheduleException, WeeklyHours

STANDING = """
SELECT (SELECT app_now()) AS now, c.time_zone, coalesce(s.version, 0) AS version,
    EXISTS (SELECT FROM provider_clinics AS w WHERE w.provider_id = p.id AND w.clinic_id = c.id) AS works_there,
    ARRAY(SELECT w.clinic_id FROM provider_clinics AS w WHERE w.provider_id = p.id ORDER BY w.clinic_id) AS clinic_keys,
    (SELECT count(*) FROM schedule_exceptions AS e WHERE e.provider_id = p.id AND e.clinic_id = c.id
        AND e.date >= (SELECT app_now() - interval '800 days')::date) AS exceptions
FROM providers AS p JOIN clinics AS c ON c.id = $2
LEFT JOIN schedules AS s ON s.provider_id = p.id AND s.clinic_id = c.id
WHERE p.id = $1
"""

RAISE = """
INSERT INTO schedules (provider_id, clinic_id) VALUES ($1, $2)
ON CONFLICT (provider_id, clinic_id) DO UPDATE SET version = schedules.version + 1
"""

CLEAR_HOURS = """
DELETE FROM weekly_hours WHERE provider_id = $1 AND clinic_id = $2
"""

ADD_HOURS = """
INSERT INTO weekly_hours (provider_id, clinic_id, weekday, opens, closes, valid_from, valid_to, visit_type_ids)
SELECT $1, $2, h.weekday, h.opens, h.closes, h.valid_from, h.valid_to,
    ARRAY(SELECT jsonb_array_elements_text($8::jsonb -> (h.place - 1)::integer)::bigint)
FROM unnest($3::smallint[], $4::smallint[], $5::smallint[], $6::date[], $7::date[])
    WITH ORDINALITY AS h (weekday, opens, closes, valid_from, valid_to, place)
ORDER BY h.place
"""

ADD_EXCEPTION = """
INSERT INTO schedule_exceptions (provider_id, clinic_id, kind, date, opens, closes, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
"""

EXCEPTION_OF = """
SELECT provider_id, clinic_id FROM schedule_exceptions WHERE id = $1
"""

EXCEPTIONS = """
SELECT * FROM schedule_exceptions WHERE id = any($1::bigint[])
"""

REMOVE_EXCEPTION = """
DELETE FROM schedule_exceptions WHERE id = $1 RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider and a clinic before an edit. `clinic_keys` are all of the provider's; version 0: nothing set yet.

    `exceptions` counts those that are still read: of the last 800 days and later.
    """

    now: datetime
    zone: ZoneInfo
    version: int
    works_there: bool
    clinic_keys: list[int]
    exceptions: int


async def standing(tx: Connection, provider_key: int, clinic_key: int) -> Standing | None:
    """None where either does not exist."""
    row = await tx.fetchrow(STANDING, provider_key, clinic_key)
    if row is None:
        return None
    zone = zones.named(row["time_zone"])
    return Standing(row["now"], zone, row["version"], row["works_there"], list(row["clinic_keys"]), row["exceptions"])


async def set_hours(tx: Connection, provider_key: int, clinic_key: int, hours: Sequence[WeeklyHours]) -> None:
    """Replaces the whole set."""
    await _raise_version(tx, provider_key, clinic_key)
    await tx.execute(CLEAR_HOURS, provider_key, clinic_key)
    await tx.execute(
        ADD_HOURS,
        provider_key,
        clinic_key,
        [row.weekday for row in hours],
        [row.opens for row in hours],
        [row.closes for row in hours],
        [row.valid_from for row in hours],
        [row.valid_to for row in hours],
        [list(row.visit_type_keys) for row in hours],
    )


async def add_exception(
    tx: Connection,
    provider_key: int,
    clinic_key: int,
    kind: ExceptionKind,
    day: date,
    opens: int,
    closes: int,
    reason: str | None,
) -> int:
    await _raise_version(tx, provider_key, clinic_key)
    key: int = await tx.fetchval(ADD_EXCEPTION, provider_key, clinic_key, kind.value, day, opens, closes, reason)
    return key


async def exception_of(reader: Reader, key: int) -> tuple[int, int] | None:
    """Provider and clinic of an exception."""
    row = await reader.fetchrow(EXCEPTION_OF, key)
    return None if row is None else (row["provider_id"], row["clinic_id"])


async def exceptions(reader: Reader, keys: Sequence[int]) -> dict[int, ScheduleException]:
    rows = await reader.fetch(EXCEPTIONS, keys)
    return {row["id"]: _exception(row) for row in rows}


async def remove_exception(tx: Connection, key: int, provider_key: int, clinic_key: int) -> bool:
    """False where it is gone already."""
    if await tx.fetchval(REMOVE_EXCEPTION, key) is None:
        return False
    await _raise_version(tx, provider_key, clinic_key)
    return True


async def _raise_version(tx: Connection, provider_key: int, clinic_key: int) -> None:
    await tx.execute(RAISE, provider_key, clinic_key)


def _exception(row: Any) -> ScheduleException:
    return ScheduleException(
        row["id"], row["provider_id"], row["clinic_id"], ExceptionKind(row["kind"]), row["date"], row["opens"],
        row["closes"], row["reason"],
    )  # fmt: skip
