"""The only place that writes `allocations`, the only table that occupies time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.postgres.database import Connection

RELEASE = """
UPDATE allocations SET state = 'released' WHERE id = any($1::bigint[]) AND state <> 'released' RETURNING id
"""

CONFIRM = """
UPDATE allocations SET state = 'booked', expires_at = NULL, appointment_id = coalesce($2, nextval('appointments_id_seq'))
WHERE id = $1 AND state = 'held' RETURNING appointment_id
"""

EXTEND = """
UPDATE allocations SET expires_at = $2 WHERE id = $1 AND state = 'held' RETURNING id
"""

CLAIM = """
INSERT INTO allocations (resource_id, lane, starts_at, ends_at, state, hold_id, appointment_id, expires_at)
SELECT c.resource_id, c.lane, c.starts_at, c.ends_at,
    CASE WHEN c.expires_at IS NULL AND NOT c.offered THEN 'booked' ELSE 'held' END,
    CASE WHEN c.expires_at IS NOT NULL THEN nextval('holds_id_seq') END,
    CASE WHEN c.expires_at IS NULL AND NOT c.offered THEN coalesce(c.appointment_id, nextval('appointments_id_seq')) END,
    c.expires_at
FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::boolean[])
    WITH ORDINALITY AS c (resource_id, lane, starts_at, ends_at, expires_at, appointment_id, offered, place)
ORDER BY c.place
ON CONFLICT DO NOTHING
RETURNING coalesce(hold_id, appointment_id, id) AS owner, resource_id, lane, starts_at
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Time to take, buffers included. With `expires_at` for a hold; `offered` for an offer of the waitlist, which has no end of its
    own; else for an appointment: a new one or `appointment_key`."""

    resource_key: int
    starts_at: datetime
    ends_at: datetime
    lane: int = 0
    expires_at: datetime | None = None
    appointment_key: int | None = None
    offered: bool = False


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A hold's or an offer's allocation that becomes an appointment's: it changes owner and is never free in between."""

    allocation_key: int
    appointment_key: int | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    allocation_key: int
    expires_at: datetime


async def occupy(
    tx: Connection,
    *,
    release: Sequence[int] = (),
    confirm: Confirmation | None = None,
    extend: Extension | None = None,
    claim: Sequence[Claim] = (),
) -> list[int | None]:
    """Release first, then confirm, extend and claim, under locks that the caller has taken.

    Answers the owner of each claim (of the confirmation, where there is one), in order; None where somebody else has the time:
    then the caller rolls back. Appointments and holds get their keys here, an offer's owner is the allocation itself; the rows
    of all three follow in the same transaction.
    """
    if release:
        await tx.fetch(RELEASE, release)
    owners: list[int | None] = []
    if confirm is not None:
        owners.append(await tx.fetchval(CONFIRM, confirm.allocation_key, confirm.appointment_key))
    if extend is not None:
        owners.append(await tx.fetchval(EXTEND, extend.allocation_key, extend.expires_at))
    if claim:
        rows = await tx.fetch(
            CLAIM,
            [one.resource_key for one in claim],
            [one.lane for one in claim],
            [one.starts_at for one in claim],
            [one.ends_at for one in claim],
            [one.expires_at for one in claim],
            [one.appointment_key for one in claim],
            [one.offered for one in claim],
        )
        got = {(row["resource_id"], row["lane"], row["starts_at"]): row["owner"] for row in rows}
        owners.extend(got.get((one.resource_key, one.lane, one.starts_at)) for one in claim)
    return owners
