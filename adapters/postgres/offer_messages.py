"""Messages about offers as they are planned. How they are claimed and what became of them: sending.py, with all others."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from adapters.postgres.database import Connection, Reader
from adapters.postgres.messages import REVIVED, planned_of, recipient_of
from domain import zones
from domain.messages import Kept, Planned
from domain.offer_messages import OfferTold, as_it_counts, plan_offer
from domain.recipients import Recipient

TAKE = """
DELETE FROM offers_to_plan WHERE id IN (SELECT id FROM offers_to_plan ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING offer_id
"""

OFFERS = """
SELECT o.id, o.made_at, o.starts_at, o.expires_at, o.status = 'live' AS live,
    booked_unasked(o.entry_id) AS consented, c.time_zone AS clinic_zone, r.*
FROM waitlist_offers AS o
JOIN clinics AS c ON c.id = o.clinic_id
CROSS JOIN LATERAL (SELECT * FROM recipients AS x WHERE x.patient_id = o.patient_id LIMIT 1) AS r
WHERE o.id = any($1::bigint[])
"""

# A visit that was booked or given up may have ended a consent: then its patient is told of the offer after all.
ASK_AGAIN = """
INSERT INTO offers_to_plan (offer_id)
SELECT DISTINCT o.id FROM appointments AS a JOIN waitlist_offers AS o ON o.patient_id = a.patient_id AND o.status = 'live'
JOIN waitlist_entries AS e ON e.id = o.entry_id AND e.auto_book
WHERE a.id = any($1::bigint[]) ORDER BY o.id
"""

IS_ASKED = """
SELECT EXISTS (SELECT FROM offers_to_plan)
"""

OF_OFFERS = """
SELECT m.offer_id, m.version, m.rule, m.channel, m.rule_at, m.due_at, m.status, m.why, m.tries, c.time_zone AS clinic_zone
FROM messages AS m JOIN waitlist_offers AS o ON o.id = m.offer_id JOIN clinics AS c ON c.id = o.clinic_id
WHERE m.offer_id = any($1::bigint[]) ORDER BY m.due_at, m.id
"""

# What is said of offers that concern an appointment: the one that they would move, or the one that came of them. Offers of clinics
# whose waitlist the viewer may not see are left out.
ABOUT = """
SELECT e.appointment_id, o.id AS offer_id, o.status = 'live' AS live, a.version AS present_version,
    EXISTS (SELECT FROM offers_to_plan AS p WHERE p.offer_id = o.id) AS asked,
    m.rule, m.channel, m.rule_at, m.due_at, m.status, m.why, m.tries, c.time_zone AS clinic_zone
FROM appointments AS a JOIN clinics AS c ON c.id = a.clinic_id
JOIN waitlist_entries AS e ON e.patient_id = a.patient_id AND e.appointment_id = a.id
JOIN waitlist_offers AS o ON o.entry_id = e.id
LEFT JOIN messages AS m ON m.offer_id = o.id
WHERE a.id = any($1::bigint[]) AND ($2::bigint[] IS NULL OR o.clinic_id = any($2)) AND (o.status = 'accepted'
    OR o.made_at >= (SELECT x.at FROM appointment_events AS x WHERE x.appointment_id = a.id ORDER BY x.version LIMIT 1))
ORDER BY o.id, m.id
"""

PLAN = """
INSERT INTO messages AS m (offer_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, why)
SELECT g.offer_id, 1, 'offer', g.channel, g.starts_at, g.rule_at, g.due_at, g.due_at, g.status, g.why
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[])
    AS g (offer_id, channel, starts_at, rule_at, due_at, status, why)
ORDER BY g.offer_id, g.channel
ON CONFLICT (offer_id, channel) DO UPDATE
    SET due_at = excluded.due_at, next_at = excluded.due_at, status = excluded.status, why = excluded.why
    WHERE m.status = 'scheduled' AND m.tries = 0 OR m.status = 'skipped' AND m.why = any($8::text[])
"""

VOID = """
UPDATE messages SET status = 'skipped', why = 'OFFER_OVER'
WHERE offer_id = any($1::bigint[]) AND status = 'scheduled' AND NOT unknown
"""


async def take(tx: Connection, limit: int) -> list[tuple[OfferTold, Recipient]]:
    """Takes offers off the list, with whom they are for; where this transaction fails they are back."""
    return await _told(tx, sorted({row["offer_id"] for row in await tx.fetch(TAKE, limit)}))


async def _told(reader: Reader, keys: Sequence[int]) -> list[tuple[OfferTold, Recipient]]:
    return [
        (
            OfferTold(row["id"], row["made_at"], row["starts_at"], row["expires_at"], row["live"], row["consented"]),
            recipient_of(row),
        )
        for row in await reader.fetch(OFFERS, keys)
    ]


async def ask_again(tx: Connection, appointment_keys: Sequence[int]) -> None:
    """Has the live offers thought about again whose patients' appointments have changed."""
    await tx.execute(ASK_AGAIN, appointment_keys)


async def is_asked(reader: Reader) -> bool:
    """Whether there is anything to take."""
    found: bool = await reader.fetchval(IS_ASKED)
    return found


async def of_offers(reader: Reader, keys: Sequence[int]) -> dict[int, list[Kept]]:
    found: dict[int, list[Kept]] = defaultdict(list)
    for row in await reader.fetch(OF_OFFERS, keys):
        zone = zones.named(row["clinic_zone"])
        found[row["offer_id"]].append(Kept(row["version"], row["version"], planned_of(row), row["tries"], zone))
    return found


async def about_appointments(
    reader: Reader, keys: Sequence[int], clinic_keys: Sequence[int] | None
) -> dict[int, list[Kept]]:
    """What went or goes about offers that concern these appointments, also what no worker has written down yet.

    `clinic_keys` bounds it to offers of those clinics.
    """
    found: dict[int, list[Kept]] = defaultdict(list)
    unplanned = {}
    for row in await reader.fetch(ABOUT, keys, clinic_keys):
        if row["rule"] is not None:
            found[row["appointment_id"]].append(
                _kept(row, as_it_counts(planned_of(row), live=row["live"] or row["tries"] > 0), row["tries"])
            )
        elif row["asked"]:
            unplanned[row["offer_id"]] = row
    for offer, recipient in await _told(reader, list(unplanned)) if unplanned else ():
        row = unplanned[offer.key]
        found[row["appointment_id"]] += [_kept(row, one, 0) for one in plan_offer(offer, recipient, [])]
    return found


def _kept(row: Any, planned: Planned, tries: int) -> Kept:
    """A change of the appointment does not make an offer void."""
    version = row["present_version"]
    return Kept(version, version, planned, tries, zones.named(row["clinic_zone"]))


async def plan(tx: Connection, some: Sequence[tuple[OfferTold, Planned]]) -> None:
    """Writes them down. What is being tried, or was given up for a reason that stays, is left alone."""
    await tx.execute(
        PLAN,
        [offer.key for offer, _ in some],
        [one.channel.value for _, one in some],
        [offer.starts_at for offer, _ in some],
        [one.rule_at for _, one in some],
        [one.due_at for _, one in some],
        [one.status.value for _, one in some],
        [one.why.name if one.why else None for _, one in some],
        REVIVED,
    )


async def void(tx: Connection, keys: Sequence[int]) -> None:
    """What waits about offers that are over."""
    await tx.execute(VOID, keys)
