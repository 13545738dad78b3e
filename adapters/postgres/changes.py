"""What every change leaves behind in its own transaction: versions, stream events, what patients are to be told, the key's outcome
and the audit row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from adapters.postgres.database import Connection, Reader
from domain.access import Viewer
from domain.appointments import Appointment
from domain.faults import Unavailable
from domain.streams import Position

log = structlog.get_logger()

# An appointment that is made is written with what tells of it: $20 to $25, its provider null where none is.
RECORD = """
WITH made AS (
    INSERT INTO appointments (id, status, patient_id, provider_id, clinic_id, visit_type_id, opening_id, starts_at, ends_at, reason)
    SELECT $7, 'booked', $9, $20::bigint, $6, $21, $22, $23, $24, $25 WHERE $20 IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING id, starts_at
), noted AS (
    INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at)
    SELECT id, 1, $1, $15, $10, 'booked', 'booked', starts_at FROM made
), bumped AS (
    UPDATE resources SET version = version + 1 WHERE id = any($2::bigint[]) RETURNING id, version
), told AS (
    INSERT INTO outbox (
        at, topic, clinic_id, resource_id, resource_version, appointment_id, appointment_version, patient_id, payload)
    SELECT $1::timestamptz, 'availability', t.clinic_id, t.resource_id, t.version, NULL::bigint, NULL::integer, NULL::bigint,
        t.payload
    FROM (
        SELECT given.*, bumped.version
        FROM unnest($3::bigint[], $4::bigint[], $5::jsonb[]) WITH ORDINALITY AS given (resource_id, clinic_id, payload, place)
        JOIN bumped ON bumped.id = given.resource_id ORDER BY given.place
    ) AS t
    UNION ALL
    SELECT $1::timestamptz, 'appointments', $6::bigint, NULL, NULL, $7::bigint, $8::integer, $9::bigint, $19::jsonb
    WHERE $7::bigint IS NOT NULL
    RETURNING id, xid, topic, clinic_id
), point AS (
    SELECT xid, id FROM told WHERE topic = 'availability' AND clinic_id = $6 ORDER BY id DESC LIMIT 1
), remembered AS (
    INSERT INTO idempotency (caller, key, operation, request_hash, outcome, at)
    SELECT $10, $11::text, $12::text, $13::bytea,
        $14::jsonb || jsonb_build_object('xid', p.xid::text, 'outbox', p.id, 'epoch', (SELECT epoch FROM stream_epoch)), $1
    FROM (VALUES (1)) AS one LEFT JOIN point AS p ON true WHERE $11::text IS NOT NULL
    ON CONFLICT (caller, key) DO UPDATE SET operation = excluded.operation, request_hash = excluded.request_hash,
        outcome = excluded.outcome, at = excluded.at
), announced AS (
    INSERT INTO messages_to_plan (appointment_id, version) SELECT $7::bigint, $8::integer WHERE $7::bigint IS NOT NULL
), audited AS (
    INSERT INTO audit (at, subject, role, patient_id, operation, entity, request_id)
    VALUES ($1, $10, $15, $9, $16, $17, $18)
)
SELECT (SELECT epoch FROM stream_epoch) AS epoch, EXISTS (SELECT FROM made) AS made, p.xid::text::bigint AS xid, p.id AS outbox_id,
    ARRAY(SELECT id FROM bumped ORDER BY id) AS resources, ARRAY(SELECT version FROM bumped ORDER BY id) AS versions
FROM (VALUES (1)) AS one LEFT JOIN point AS p ON true
"""

REMEMBERED = """
SELECT operation, request_hash, outcome FROM idempotency
WHERE caller = $1 AND key = $2 AND at > (SELECT app_now()) - interval '48 hours'
"""

NEWEST = """
SELECT e.epoch, coalesce(o.xid::text::bigint, 0) AS xid, coalesce(o.id, 0) AS outbox_id, (SELECT app_now()) AS now
FROM stream_epoch AS e LEFT JOIN LATERAL (
    SELECT xid, id FROM outbox WHERE clinic_id = $1 AND topic = 'availability' ORDER BY xid DESC, id DESC LIMIT 1
) AS o ON true
"""

OF_VERSION = """
SELECT e.epoch, o.xid::text::bigint AS xid, o.id AS outbox_id FROM outbox AS o, stream_epoch AS e
WHERE o.resource_id = $1 AND o.resource_version = $2 AND o.clinic_id = $3 AND o.topic = 'availability'
"""

AUDIT_READS = """
INSERT INTO audit (at, subject, role, patient_id, operation, entity, request_id)
SELECT (SELECT app_now()), $1, $2, k.patient_id, $3, NULL, $4 FROM unnest($5::bigint[]) AS k (patient_id)
WHERE NOT EXISTS (SELECT FROM audit AS w WHERE w.patient_id = k.patient_id AND w.request_id = $4
    AND w.at > (SELECT app_now()) - interval '1 minute')
"""

FORGET_KEYS = """
DELETE FROM idempotency WHERE (caller, key) IN (
    SELECT caller, key FROM idempotency WHERE at < (SELECT app_now()) - interval '48 hours' ORDER BY at LIMIT $1
    FOR UPDATE SKIP LOCKED)
"""

NOW = """
SELECT app_now()
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One use of an idempotency key: the operation and the hash of its input are what is compared (rule 14). "" is ours.

    `versions`: of the resources that it changed, once `record` has written them; they count after the commit.
    """

    key: str
    operation: str
    digest: bytes
    versions: dict[int, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Told:
    """One row of the availability stream: what opened and closed for a resource, told to one clinic."""

    resource_key: int
    clinic_key: int | None
    payload: dict[str, Any]


def told_to(resource_key: int, clinic_keys: Sequence[int], payload: dict[str, Any]) -> list[Told]:
    """One row for each clinic whose calendar shows the resource; where none does, one without: no version lacks its event."""
    return [Told(resource_key, clinic, payload) for clinic in clinic_keys] or [Told(resource_key, None, payload)]


@dataclass(frozen=True, slots=True)
class By:
    """Who caused a change of somebody's data, and by what: the audit row's who and why (rule 22)."""

    viewer: Viewer
    operation: str


@dataclass(slots=True)
class Change:
    """`clinic_key` is whose stream the cursor names; an `appointment` (key, version) goes to the staff and patient topics.
    `made`: that appointment, where it is new.
    """

    viewer: Viewer
    request: Request
    at: datetime
    outcome: dict[str, Any]
    entity: str
    clinic_key: int | None = None
    patient_key: int | None = None
    appointment: tuple[int, int] | None = None
    told: list[Told] = field(default_factory=list)
    appointment_payload: dict[str, Any] = field(default_factory=dict)
    made: Appointment | None = None


class ElsewhereThen(Exception):
    """The patient of an appointment that was to be made is somewhere else at that time (rule 13): the caller rolls back."""


async def record(tx: Connection, change: Change) -> Position | None:
    """Writes all of it in one statement; answers where the clinic's stream stands after it, if a calendar changed.

    What can't be written down is not done, and the transaction is undone. Raises ElsewhereThen.
    """
    with written_down():
        row = await tx.fetchrow(RECORD, *_columns(change))
    assert row is not None
    if change.made is not None and not row["made"]:
        raise ElsewhereThen
    change.request.versions.clear()  # What an attempt wrote that was rolled back is none.
    change.request.versions.update(zip(row["resources"], row["versions"], strict=True))
    return _position(row, change.clinic_key or 0) if row["xid"] is not None else None


@contextmanager
def written_down() -> Iterator[None]:
    """What can't be written down is not done: Unavailable (rule 22)."""
    try:
        yield
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError, asyncpg.RaiseError) as error:
        log.error("a change could not be written down", fault=type(error).__name__, sqlstate=error.sqlstate)
        raise Unavailable("record") from error


def _columns(change: Change) -> tuple[Any, ...]:
    appointment_key, appointment_version = change.appointment or (None, None)
    made = change.made
    return (
        change.at,
        list({told.resource_key for told in change.told}),
        [told.resource_key for told in change.told],
        [told.clinic_key for told in change.told],
        [told.payload for told in change.told],
        change.clinic_key,
        appointment_key,
        appointment_version,
        change.patient_key,
        change.viewer.subject,
        change.request.key or None,
        change.request.operation,
        change.request.digest,
        change.outcome,
        change.viewer.role.value,
        change.request.operation,
        change.entity,
        change.viewer.request_id,
        change.appointment_payload,
        made and made.provider_key,
        made and made.visit_type_key,
        made and made.opening_key,
        made and made.starts_at,
        made and made.ends_at,
        made and made.reason,
    )


async def remembered(reader: Reader, caller: str, key: str) -> tuple[str, bytes, dict[str, Any]] | None:
    """Operation, hash and outcome of a key used in the last 48 hours."""
    row = await reader.fetchrow(REMEMBERED, caller, key)
    return None if row is None else (row["operation"], row["request_hash"], row["outcome"])


async def newest(reader: Reader, clinic_key: int) -> tuple[Position, datetime]:
    """The clinic's newest outbox row in this snapshot, and the clock."""
    row = await reader.fetchrow(NEWEST, clinic_key)
    assert row is not None
    return _position(row, clinic_key), row["now"]


async def of_version(reader: Reader, resource_key: int, version: int, clinic_key: int) -> Position | None:
    """Where a change of a resource was told to a clinic."""
    row = await reader.fetchrow(OF_VERSION, resource_key, version, clinic_key)
    return None if row is None else _position(row, clinic_key)


async def audit_reads(reader: Reader, viewer: Viewer, operation: str, patient_keys: Sequence[int]) -> None:
    """One row per patient whose data an operation read, but for those whom the same request wrote about (rule 22)."""
    await reader.execute(AUDIT_READS, viewer.subject, viewer.role.value, operation, viewer.request_id, patient_keys)


async def forget_keys(tx: Connection, limit: int) -> int:
    """Removes keys that are older than 48 hours; answers how many."""
    done: str = await tx.execute(FORGET_KEYS, limit)
    return int(done.rpartition(" ")[2])


async def now(reader: Reader) -> datetime:
    """The database's clock: the only one that decides."""
    found: datetime = await reader.fetchval(NOW)
    return found


def _position(row: Any, clinic_key: int) -> Position:
    return Position(str(row["epoch"]), clinic_key, row["xid"], row["outbox_id"])
