"""Offers of the waitlist: whose a freed time is until they answer. The time itself stands in the allocation.

Whatever becomes of an offer goes to its patient through the outbox, in the statement that does it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.postgres.database import Connection, Reader
from domain import ids, zones
from domain.waitlist import Offer, OfferStatus

OFFERS = """
SELECT o.*, c.time_zone, a.resource_id, a.starts_at AS from_at, a.ends_at AS to_at, e.appointment_id, e.misses,
    booked_unasked(e.id) AS consented,
    coalesce((SELECT d.at FROM waitlist_decisions AS d WHERE d.id = o.cascade_id), o.made_at) AS freed_at,
    (SELECT app_now()) AS now, EXISTS (SELECT FROM messages AS m WHERE m.offer_id = o.id AND m.status = 'sent') AS told
FROM waitlist_offers AS o JOIN waitlist_entries AS e ON e.id = o.entry_id JOIN clinics AS c ON c.id = o.clinic_id
JOIN allocations AS a ON a.id = o.allocation_id
WHERE o.id = any($1::bigint[])
"""

LIVE_OF_ENTRIES = """
SELECT o.entry_id, o.id FROM waitlist_offers AS o WHERE o.entry_id = any($1::bigint[]) AND o.status = 'live'
"""

RUN_OUT = """
SELECT id FROM waitlist_offers WHERE status = 'live' AND expires_at <= (SELECT app_now()) ORDER BY expires_at LIMIT $1
"""

CONSENTED = """
SELECT o.id FROM waitlist_offers AS o JOIN waitlist_entries AS e ON e.id = o.entry_id AND e.auto_book
WHERE o.status = 'live' AND o.expires_at > (SELECT app_now()) AND booked_unasked(e.id) ORDER BY o.id LIMIT $1
"""

END = """
WITH ended AS (
    UPDATE waitlist_offers SET status = $2 WHERE id = $1 AND status = 'live' RETURNING id, patient_id, clinic_id, status
), told AS (
    INSERT INTO outbox (at, topic, clinic_id, patient_id, payload)
    SELECT (SELECT app_now()), 'offers', e.clinic_id, e.patient_id, jsonb_build_object('offer', e.id, 'status', e.status)
    FROM ended AS e
), announced AS (
    INSERT INTO offers_to_plan (offer_id) SELECT e.id FROM ended AS e
)
SELECT id FROM ended
"""


# A freed time is what one cascade gave out: taken by somebody, offered to somebody now, or left open.
FIGURES = """
WITH recent AS (
    SELECT status, cascade_id FROM waitlist_offers WHERE made_at > (SELECT app_now()) - interval '1 day'
), times AS (
    SELECT CASE WHEN bool_or(status = 'accepted') THEN 'filled' WHEN bool_or(status = 'live') THEN 'offered' ELSE 'opened' END
        AS outcome
    FROM recent GROUP BY cascade_id
)
SELECT 'entries' AS what, status AS outcome, count(*) AS number FROM waitlist_entries
WHERE status IN ('active', 'offered', 'suspended') GROUP BY status
UNION ALL SELECT 'offers', status, count(*) FROM recent GROUP BY status
UNION ALL SELECT 'times', outcome, count(*) FROM times GROUP BY outcome
"""


@dataclass(frozen=True, slots=True)
class StoredOffer:
    """`from_at` to `to_at` is what it occupies, buffers included. `appointment_key`, `misses` and `consented` are its entry's.

    `freed_at`: when its time was given up, however many had it offered since. `told`: a message about it has gone.
    """

    offer: Offer
    slot: ids.SlotKey
    allocation_key: int
    resource_key: int
    from_at: datetime
    to_at: datetime
    cascade_key: int
    giver: int | None
    appointment_key: int | None
    misses: int
    consented: bool
    freed_at: datetime
    made_at: datetime
    told: bool
    now: datetime

    @property
    def run_out(self) -> bool:
        return self.offer.status is OfferStatus.LIVE and self.offer.expires_at <= self.now


async def offers(reader: Reader, keys: Sequence[int]) -> dict[int, StoredOffer]:
    return {row["id"]: _stored(row) for row in await reader.fetch(OFFERS, keys)}


async def live_of_entries(reader: Reader, entry_keys: Sequence[int]) -> dict[int, int]:
    """The live offer of each entry that has one."""
    return {row["entry_id"]: row["id"] for row in await reader.fetch(LIVE_OF_ENTRIES, entry_keys)}


async def run_out(reader: Reader, limit: int) -> list[int]:
    """Live ones whose time to answer is over, by the clock."""
    return [row["id"] for row in await reader.fetch(RUN_OUT, limit)]


async def consented(reader: Reader, limit: int) -> list[int]:
    """Live ones whose patients agreed to be booked without being asked."""
    return [row["id"] for row in await reader.fetch(CONSENTED, limit)]


async def figures(reader: Reader) -> dict[tuple[str, str], int]:
    """Entries that wait, by state; of the last day offers, and the times they were of, by outcome."""
    return {(row["what"], row["outcome"]): row["number"] for row in await reader.fetch(FIGURES)}


async def end(tx: Connection, key: int, status: OfferStatus) -> bool:
    """False where it was live no more; its allocation is written by `allocations.occupy`."""
    return await tx.fetchval(END, key, status.value) is not None


def _stored(row: Any) -> StoredOffer:
    zone = zones.named(row["time_zone"])
    start = None if row["opening_id"] is not None else zones.minutes(row["starts_at"])
    slot = ids.SlotKey(row["provider_id"], row["clinic_id"], row["visit_type_id"], start, row["opening_id"])
    offer = Offer(
        row["id"], row["entry_id"], row["patient_id"], row["clinic_id"], str(slot), row["starts_at"].astimezone(zone),
        row["ends_at"].astimezone(zone), row["expires_at"].astimezone(zone), OfferStatus(row["status"]),
    )  # fmt: skip
    return StoredOffer(
        offer, slot, row["allocation_id"], row["resource_id"], row["from_at"], row["to_at"], row["cascade_id"],
        row["giver_id"], row["appointment_id"], row["misses"], row["consented"], row["freed_at"], row["made_at"],
        row["told"], row["now"],
    )  # fmt: skip
