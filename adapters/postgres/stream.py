"""The log of changes in PostgreSQL: numbering outbox rows, reading them in order, the pulse, and what is old.

Only the relay writes here, on a connection of its own that holds its lock; anybody reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from adapters.postgres.database import Connection, Reader
from adapters.postgres.locks import LockClass
from domain import ids
from domain.streams import CalendarEvent, Closed, OfferEvent, Pulse, Span, VisitEvent

BATCH: Final = 500
BACKLOG_MAX: Final = 10_000
log = structlog.get_logger()

TRY_LOCK = """
SELECT pg_try_advisory_lock($1, 0)
"""

STATE = """
SELECT published, at, horizon_age FROM stream_pulse
"""

# Below the snapshot's xmin nothing is running any more, so no row can come between those that are there. The window functions
# tell each row its place in the batch and among its clinic's; `heads` raises the clinic's number by as many.
NUMBER = """
WITH fresh AS (
    SELECT o.id, o.xid, o.topic, o.clinic_id, o.told,
        row_number() OVER (ORDER BY o.xid, o.id) AS place,
        row_number() OVER (PARTITION BY o.told, o.clinic_id ORDER BY o.xid, o.id) AS nth,
        count(*) OVER (PARTITION BY o.told, o.clinic_id) AS of_clinic
    FROM stream_pulse AS p, LATERAL (
        SELECT x.id, x.xid, x.topic, x.clinic_id, x.topic = 'availability' AND x.clinic_id IS NOT NULL AS told
        FROM outbox AS x
        WHERE (x.xid, x.id) > (p.xid, p.outbox_id) AND x.xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY x.xid, x.id LIMIT $1
    ) AS o
), heads AS (
    INSERT INTO stream_heads (clinic_id, seq) SELECT f.clinic_id, f.of_clinic FROM fresh AS f WHERE f.told AND f.nth = 1
    ON CONFLICT (clinic_id) DO UPDATE SET seq = stream_heads.seq + excluded.seq
    RETURNING clinic_id, seq
), numbered AS (
    INSERT INTO stream (position, outbox_id, topic, clinic_id, seq, at)
    SELECT (SELECT position FROM stream_pulse) + f.place, f.id, f.topic, f.clinic_id,
        CASE WHEN f.told THEN h.seq - f.of_clinic + f.nth END, (SELECT app_now())
    FROM fresh AS f LEFT JOIN heads AS h ON h.clinic_id = f.clinic_id AND f.told
), moved AS (
    UPDATE stream_pulse AS p SET xid = last.xid, outbox_id = last.id, position = p.position + last.place,
        published = CASE WHEN $2 THEN p.published ELSE p.position + last.place END
    FROM (SELECT xid, id, place FROM fresh ORDER BY place DESC LIMIT 1) AS last
)
SELECT (SELECT count(*) FROM fresh) AS rows, (SELECT app_now()) AS now,
    pg_snapshot_xmin(s)::text::bigint AS xmin, pg_snapshot_xmax(s)::text::bigint AS xmax
FROM pg_current_snapshot() AS s
"""

PULSE = """
UPDATE stream_pulse SET at = $1, horizon_age = $2
RETURNING (SELECT epoch::text FROM stream_epoch) AS epoch, (
    SELECT count(*) FROM (
        SELECT FROM outbox AS x WHERE (x.xid, x.id) > (stream_pulse.xid, stream_pulse.outbox_id) LIMIT $3
    ) AS waiting) AS backlog
"""

START = """
SELECT coalesce((
    SELECT position FROM stream WHERE at < (SELECT app_now()) - $1::interval ORDER BY position DESC LIMIT 1), 0)
"""

# Pulse and rows in one view: whatever the pulse speaks of has a place at or before the last row, if the batch was not cut.
# OFFSET 0 keeps the look-ups by key: a plan made while a table is empty would otherwise read all of it for each row, for ever.
READ = """
SELECT e.epoch::text AS epoch, p.at AS pulse_at, p.horizon_age, p.position AS head, s.*
FROM stream_pulse AS p JOIN stream_epoch AS e ON true LEFT JOIN LATERAL (
    SELECT t.position, t.seq, o.topic, o.clinic_id, o.id AS outbox_id, o.xid::text::bigint AS xid, o.at, o.resource_id,
        o.resource_version, o.appointment_id, o.appointment_version, o.patient_id, o.payload, n.provider_id AS opened_by
    FROM stream AS t CROSS JOIN LATERAL (SELECT * FROM outbox AS x WHERE x.id = t.outbox_id OFFSET 0) AS o
    LEFT JOIN LATERAL (SELECT x.provider_id FROM openings AS x WHERE x.id = o.resource_id OFFSET 0) AS n ON true
    WHERE t.position > $1 ORDER BY t.position LIMIT $2
) AS s ON true
ORDER BY s.position
"""

SET_PUBLISHED = """
UPDATE stream_pulse SET published = $1 WHERE published < $1
"""

# An outbox row and its place go together, so a row without a place is one that is still to be relayed. The oldest are taken
# first and asked for their age afterwards: to look for old ones would read a whole day where there are none.
TRIM = """
WITH old AS (
    SELECT s.position, s.outbox_id, s.at
    FROM (SELECT t.position, t.outbox_id, t.at FROM stream AS t ORDER BY t.position LIMIT $1) AS s
    WHERE s.at < (SELECT app_now()) - interval '24 hours' AND s.position <= (SELECT published FROM stream_pulse)
), gone AS (
    DELETE FROM outbox WHERE id IN (SELECT outbox_id FROM old)
), noted AS (
    UPDATE stream_pulse SET trimmed_to = greatest(trimmed_to, (SELECT max(at) FROM old)) WHERE EXISTS (SELECT FROM old)
), unlisted AS (
    DELETE FROM stream WHERE position IN (SELECT position FROM old)
)
SELECT count(*) FROM old
"""


@dataclass(frozen=True, slots=True)
class State:
    """How far the stream was when this relay took over; `horizon`: everything older was in it."""

    published: int
    horizon: datetime | None


@dataclass(frozen=True, slots=True)
class Numbered:
    """A batch: how many rows, whether more are there, the clock, and the snapshot it was read in."""

    rows: int
    cut: bool
    now: datetime
    xmin: int
    xmax: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and its place. No event: nobody is to be told."""

    position: int
    event: CalendarEvent | VisitEvent | OfferEvent | None


@dataclass(frozen=True, slots=True)
class Page:
    """What lies behind a place. `pulse` is None before the first one, and where the page was cut: it may speak of later rows."""

    epoch: str
    head: int
    entries: list[Entry]
    pulse: Pulse | None


async def try_lock(connection: Connection) -> bool:
    """Whether this session is the relay now. It stays so until the session ends; ask once only."""
    return bool(await connection.fetchval(TRY_LOCK, LockClass.RELAY.value))


async def state(connection: Connection) -> State:
    row = await connection.fetchrow(STATE)
    assert row is not None
    horizon = None if row["at"] is None else row["at"] - timedelta(seconds=row["horizon_age"])
    return State(row["published"], horizon)


async def number(connection: Connection, *, publishing: bool, limit: int = BATCH) -> Numbered:
    """Gives the next rows their places, all or none. Not `publishing`: there is no broker, they count as published."""
    row = await connection.fetchrow(NUMBER, limit, publishing)
    assert row is not None
    return Numbered(row["rows"], row["rows"] == limit, row["now"], row["xmin"], row["xmax"])


async def pulse(connection: Connection, at: datetime, horizon_age: float) -> tuple[Pulse, int]:
    """Stores the pulse. Answers it, and how many outbox rows wait to be numbered (10,000: or more)."""
    row = await connection.fetchrow(PULSE, at, horizon_age, BACKLOG_MAX)
    assert row is not None
    return Pulse(row["epoch"], at, horizon_age), row["backlog"]


async def start(reader: Reader, since: timedelta) -> int:
    """The place after which what was numbered within `since` begins."""
    position: int = await reader.fetchval(START, since)
    return position


async def read(reader: Reader, after: int, limit: int = BATCH) -> Page:
    """The entries after a place, in order, and the pulse as it stood when they were read."""
    rows = await reader.fetch(READ, after, limit)
    first = rows[0]
    epoch = first["epoch"]
    entries = [Entry(row["position"], _event(epoch, row)) for row in rows if row["position"] is not None]
    known = first["pulse_at"] is not None and len(entries) < limit
    found = Pulse(epoch, first["pulse_at"], first["horizon_age"]) if known else None
    return Page(epoch, first["head"], entries, found)


async def set_published(connection: Connection, position: int) -> None:
    await connection.execute(SET_PUBLISHED, position)


async def trim(connection: Connection, limit: int = BATCH) -> int:
    """Takes away rows that were numbered more than 24 hours ago and are published; answers how many."""
    gone: int = await connection.fetchval(TRIM, limit)
    return gone


def _event(epoch: str, row: Any) -> CalendarEvent | VisitEvent | OfferEvent | None:
    if row["clinic_id"] is None:
        return None
    if row["topic"] == "availability":
        return _calendar(epoch, row)
    if row["topic"] == "offers":
        return _offer(epoch, row)
    if row["patient_id"] is None or row["appointment_id"] is None:
        log.error("an outbox row names no appointment", outbox_id=row["outbox_id"])
        return None
    moved_from = ids.key(row["payload"].get("fromClinic") or "", ids.CLINIC)
    return VisitEvent(
        epoch, (row["clinic_id"],) if moved_from is None else (row["clinic_id"], moved_from), row["patient_id"],
        row["appointment_id"], row["appointment_version"], row["at"], row["xid"], row["outbox_id"],
    )  # fmt: skip


def _offer(epoch: str, row: Any) -> OfferEvent | None:
    key = row["payload"].get("offer")
    if row["patient_id"] is None or not isinstance(key, int):
        log.error("an outbox row names no offer", outbox_id=row["outbox_id"])
        return None
    return OfferEvent(epoch, row["patient_id"], key, row["at"], row["xid"], row["outbox_id"])


def _calendar(epoch: str, row: Any) -> CalendarEvent:
    opening_key = row["resource_id"] if row["opened_by"] is not None else None
    provider_key = row["resource_id"] if opening_key is None else row["opened_by"]
    spans = None if row["resource_id"] is None else _spans(row["payload"])
    opened, closed = spans or ((), ())
    return CalendarEvent(
        epoch, row["clinic_id"], row["seq"], row["at"], row["xid"], row["outbox_id"], provider_key, opening_key,
        row["resource_version"] or 0, opened, closed, spans is None,
    )  # fmt: skip


def _spans(payload: dict[str, Any]) -> tuple[tuple[Span, ...], tuple[Closed, ...]] | None:
    """None where more has changed than times, or where the row says what we can't read: then all is read again."""
    if payload.get("invalidated") or "closed" not in payload:
        return None
    try:
        opened = tuple((int(start), int(end)) for start, end in payload.get("opened", ()))
        return opened, tuple(_closed(payload["closed"]))
    except (TypeError, ValueError):
        log.error("an outbox row has spans of no known shape")
        return None


def _closed(spans: list[list[int]]) -> Iterator[Closed]:
    """Rows of earlier versions do not say when a hold runs out."""
    for start, end, *expires_at in spans:
        yield int(start), int(end), int(expires_at[0]) if expires_at else 0
