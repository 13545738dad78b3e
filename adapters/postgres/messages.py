"""Messages as they are planned and shown. How they are claimed and what became of them: sending.py."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.postgres.database import Connection, Reader
from adapters.postgres.locks import LockClass
from domain import zones
from domain.appointments import AppointmentChange, AppointmentStatus
from domain.messages import OF_CHANNEL, Kept, MessageRule, MessageStatus, Planned, Version, Why
from domain.recipients import QUIET, Channel, Recipient

PLANS_ALONE = """
SELECT pg_try_advisory_xact_lock($1, 0)
"""

TAKE = """
WITH taken AS (
    DELETE FROM messages_to_plan WHERE id IN (SELECT id FROM messages_to_plan ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING appointment_id, version, since
)
SELECT appointment_id, version, max(since) AS since FROM taken GROUP BY appointment_id, version ORDER BY appointment_id, version
"""

# What nobody has planned yet, nor is to plan, was never to be told: visits that were there before messages were.
LOOK_UP = """
WITH taken AS (
    DELETE FROM patients_to_plan WHERE id IN (SELECT id FROM patients_to_plan ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING patient_id
), whose AS (
    SELECT DISTINCT patient_id FROM taken
), offered AS (
    INSERT INTO offers_to_plan (offer_id)
    SELECT o.id FROM whose AS w JOIN waitlist_offers AS o ON o.patient_id = w.patient_id AND o.status = 'live' ORDER BY o.id
), visits AS (
    INSERT INTO messages_to_plan (appointment_id, version)
    SELECT a.id, a.version FROM whose AS w JOIN appointments AS a ON a.patient_id = w.patient_id
    WHERE a.starts_at > (SELECT app_now())
        AND (EXISTS (SELECT FROM messages AS m WHERE m.appointment_id = a.id AND m.version = a.version)
            OR EXISTS (SELECT FROM messages_to_plan AS t WHERE t.appointment_id = a.id AND t.version = a.version))
    ORDER BY a.id
)
SELECT count(*) FROM taken
"""

VERSIONS = """
SELECT t.appointment_id, t.version, t.since, e.change, e.status, e.at, e.starts_at, a.version AS present_version,
    c.time_zone AS clinic_zone, r.*
FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[]) AS t (appointment_id, version, since)
JOIN appointments AS a ON a.id = t.appointment_id
JOIN appointment_events AS e ON e.appointment_id = t.appointment_id AND e.version = t.version
JOIN clinics AS c ON c.id = a.clinic_id
CROSS JOIN LATERAL (SELECT * FROM recipients AS x WHERE x.patient_id = a.patient_id LIMIT 1) AS r
"""

IS_ASKED = """
SELECT EXISTS (SELECT FROM messages_to_plan)
"""

IS_CHANGED = """
SELECT EXISTS (SELECT FROM patients_to_plan)
"""

UNPLANNED = """
SELECT appointment_id, version, since FROM messages_to_plan WHERE appointment_id = any($1::bigint[])
"""

OF_APPOINTMENTS = """
SELECT m.appointment_id, m.version, m.rule, m.channel, m.rule_at, m.due_at, m.status, m.why, m.tries, m.starts_at,
    a.version AS present_version, c.time_zone AS clinic_zone
FROM messages AS m JOIN appointments AS a ON a.id = m.appointment_id JOIN clinics AS c ON c.id = a.clinic_id
WHERE m.appointment_id = any($1::bigint[]) ORDER BY m.due_at, m.version, m.id
"""

PLAN = """
INSERT INTO messages AS m (appointment_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, why)
SELECT g.appointment_id, g.version, g.rule, g.channel, g.starts_at, g.rule_at, g.due_at, g.due_at, g.status, g.why
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
    $8::text[], $9::text[]) AS g (appointment_id, version, rule, channel, starts_at, rule_at, due_at, status, why)
ORDER BY g.appointment_id, g.version, g.rule, g.channel
ON CONFLICT (appointment_id, version, rule, channel) DO UPDATE
    SET due_at = excluded.due_at, next_at = excluded.due_at, status = excluded.status, why = excluded.why
    WHERE m.status = 'scheduled' AND m.tries = 0 OR m.status = 'skipped' AND m.why = any($10::text[])
"""

# What may have gone is asked about first, as its turn comes.
VOID = """
UPDATE messages AS m SET status = 'skipped', why = 'REPLACED'
FROM unnest($1::bigint[]) AS k (id) JOIN appointments AS a ON a.id = k.id
WHERE m.appointment_id = a.id AND m.version < a.version AND m.status = 'scheduled' AND NOT m.unknown
"""

PLAN_AGAIN = """
INSERT INTO patients_to_plan (patient_id) SELECT unnest($1::bigint[])
"""

BEHIND = """
SELECT count(*) AS waiting, coalesce(extract(epoch FROM (SELECT app_now()) - min(next_at)), 0)::double precision AS oldest
FROM messages WHERE channel = $1 AND status IN ('scheduled', 'sending') AND next_at <= (SELECT app_now())
"""

TO_PLAN = """
SELECT count(*) FROM (
    SELECT 1 FROM messages_to_plan UNION ALL SELECT 1 FROM offers_to_plan UNION ALL SELECT 1 FROM patients_to_plan LIMIT $1
) AS changes
"""

REVIVED: Final = [why.name for why in OF_CHANNEL]


@dataclass(frozen=True, slots=True)
class Asked:
    """A version whose messages are to be thought about, and whom they would go to."""

    version: Version
    recipient: Recipient


async def plans_alone(tx: Connection) -> bool:
    """Whether no other worker plans, nor will until this transaction ends: else what was read first could be written last."""
    alone: bool = await tx.fetchval(PLANS_ALONE, LockClass.PLANNING)
    return alone


async def look_up(tx: Connection, limit: int) -> int:
    """Puts the visits and live offers of patients whose addresses or wishes changed on the lists; how many patients."""
    found: int = await tx.fetchval(LOOK_UP, limit)
    return found


async def take(tx: Connection, limit: int) -> list[Asked]:
    """Takes versions to plan off the list, each once; where this transaction fails they are back."""
    rows = await tx.fetch(TAKE, limit)
    return await _asked(tx, rows)


async def is_asked(reader: Reader) -> bool:
    """Whether there is anything to take."""
    found: bool = await reader.fetchval(IS_ASKED)
    return found


async def is_changed(reader: Reader) -> bool:
    """Whether there is anybody to look up."""
    found: bool = await reader.fetchval(IS_CHANGED)
    return found


async def unplanned(reader: Reader, appointment_keys: Sequence[int]) -> list[Asked]:
    """What no worker has come to yet."""
    rows = await reader.fetch(UNPLANNED, appointment_keys)
    return await _asked(reader, rows) if rows else []


async def of_appointments(reader: Reader, keys: Sequence[int]) -> dict[int, list[Kept]]:
    """By appointment, those due first come first."""
    found: dict[int, list[Kept]] = defaultdict(list)
    for row in await reader.fetch(OF_APPOINTMENTS, keys):
        zone = zones.named(row["clinic_zone"])
        one = Kept(row["version"], row["present_version"], planned_of(row), row["tries"], zone)
        found[row["appointment_id"]].append(one)
    return found


def planned_of(row: Any) -> Planned:
    return Planned(
        MessageRule(row["rule"]),
        Channel(row["channel"]),
        row["rule_at"],
        row["due_at"],
        MessageStatus(row["status"]),
        Why[row["why"]] if row["why"] else None,
    )


async def plan(tx: Connection, some: Sequence[tuple[Version, Planned]]) -> None:
    """Writes them down. What is being tried, or was given up for a reason that stays, is left alone."""
    await tx.execute(
        PLAN,
        [version.appointment_key for version, _ in some],
        [version.version for version, _ in some],
        [one.rule.value for _, one in some],
        [one.channel.value for _, one in some],
        [version.starts_at for version, _ in some],
        [one.rule_at for _, one in some],
        [one.due_at for _, one in some],
        [one.status.value for _, one in some],
        [one.why.name if one.why else None for _, one in some],
        REVIVED,
    )


async def void_older(tx: Connection, appointment_keys: Sequence[int]) -> None:
    """What versions have scheduled that are no longer the present ones, as it stands now."""
    await tx.execute(VOID, appointment_keys)


async def plan_again(tx: Connection, patient_keys: Sequence[int]) -> None:
    """After a change of addresses or wishes: the planned messages of the patients' coming appointments and live offers."""
    await tx.execute(PLAN_AGAIN, patient_keys)


async def behind(reader: Reader, channel: Channel) -> tuple[int, float]:
    """How many messages should have gone by now, and since how many seconds the oldest."""
    row = await reader.fetchrow(BEHIND, channel.value)
    assert row is not None
    return row["waiting"], row["oldest"]


async def to_plan(reader: Reader, limit: int) -> int:
    """Changes whose messages nobody has thought about yet, counted up to `limit`."""
    found: int = await reader.fetchval(TO_PLAN, limit)
    return found


async def _asked(reader: Reader, rows: Sequence[Any]) -> list[Asked]:
    found = await reader.fetch(
        VERSIONS,
        [row["appointment_id"] for row in rows],
        [row["version"] for row in rows],
        [row["since"] for row in rows],
    )
    return [Asked(_version_of(row), recipient_of(row)) for row in found]


def _version_of(row: Any) -> Version:
    return Version(
        row["appointment_id"],
        row["version"],
        row["present_version"],
        AppointmentChange(row["change"]),
        AppointmentStatus(row["status"]),
        row["at"],
        row["starts_at"],
        zones.named(row["clinic_zone"]),
        row["since"],
    )


def recipient_of(row: Any) -> Recipient:
    """Of a row of the view `recipients`, with `clinic_zone` for who was registered nowhere."""
    stopped = {Channel.EMAIL: row["email_stopped"], Channel.SMS: row["phone_stopped"]}
    quiet: tuple[int, int] | None = QUIET
    if row["chosen"]:
        quiet = None if row["quiet_from"] is None else (row["quiet_from"], row["quiet_to"])
    return Recipient(
        row["patient_id"],
        row["email"],
        row["phone"],
        tuple(map(Channel, row["channels"])) if row["chosen"] else None,
        zones.named(row["time_zone"] or row["clinic_zone"]),
        quiet,
        row["language"],
        frozenset(channel for channel, is_stopped in stopped.items() if is_stopped),
    )
