"""What must hold in the data, each rule as one statement that finds what breaks it. Guards and checks are not trusted here.

Every statement answers: rows looked at, how many of them break the rule, and a few of those by kind and key. No patient data.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from adapters.postgres.database import Reader

OVERLAPS = """
WITH looked AS (
    SELECT id, starts_at, max(ends_at) OVER (PARTITION BY resource_id, lane ORDER BY starts_at, id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS taken_until
    FROM allocations WHERE state <> 'released'
), bad AS (SELECT id FROM looked WHERE taken_until > starts_at)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'allocation ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

BOUNDS = """
WITH looked AS (
    SELECT a.id, isfinite(a.starts_at) AND isfinite(a.ends_at) AND a.starts_at < a.ends_at
        AND a.ends_at - a.starts_at <= interval '32 hours'
        AND a.lane >= 0 AND (a.lane = 0 OR r.kind = 'opening')
        AND a.state IN ('held', 'booked', 'blocked', 'released') AS fine
    FROM allocations AS a LEFT JOIN resources AS r ON r.id = a.resource_id
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'allocation ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

CAPACITY = """
WITH looked AS (
    SELECT o.id, o.capacity, count(a.id) AS booked, count(a.id) FILTER (
        WHERE a.starts_at <> o.starts_at OR a.ends_at <> o.ends_at) AS elsewhere
    FROM openings AS o LEFT JOIN allocations AS a ON a.resource_id = o.id AND a.state = 'booked' GROUP BY o.id
), bad AS (SELECT id FROM looked WHERE booked > capacity OR elsewhere > 0)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'opening ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

APPOINTMENTS_OWN = """
WITH looked AS (
    SELECT p.id, count(a.id) AS owned, coalesce(bool_and(a.resource_id = coalesce(p.opening_id, p.provider_id)
        AND a.starts_at <= p.starts_at AND a.ends_at >= p.ends_at AND a.expires_at IS NULL), false) AS fitting
    FROM appointments AS p LEFT JOIN allocations AS a ON a.appointment_id = p.id AND a.state <> 'released'
    WHERE p.status NOT IN ('cancelled', 'entered-in-error') GROUP BY p.id
), bad AS (SELECT id FROM looked WHERE owned <> 1 OR NOT fitting)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'appointment ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

HOLDS_OWN = """
WITH looked AS (
    SELECT h.id, count(a.id) AS owned, coalesce(bool_and(a.resource_id = coalesce(h.opening_id, h.provider_id)
        AND a.starts_at <= h.starts_at AND a.ends_at >= h.ends_at AND a.expires_at IS NOT NULL), false) AS fitting
    FROM holds AS h LEFT JOIN allocations AS a ON a.hold_id = h.id AND a.state = 'held'
    WHERE h.state = 'active' GROUP BY h.id
), bad AS (SELECT id FROM looked WHERE owned <> 1 OR NOT fitting)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'hold ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

NOBODY_ELSE_OWNS = """
WITH looked AS (
    SELECT a.id, CASE a.state
        WHEN 'booked' THEN p.status NOT IN ('cancelled', 'entered-in-error') AND (a.hold_id IS NULL OR h.state = 'used')
        WHEN 'held' THEN a.appointment_id IS NULL AND CASE WHEN a.hold_id IS NULL THEN o.status = 'live' AND a.expires_at IS NULL
            ELSE h.state = 'active' END
        ELSE a.state = 'blocked' AND a.hold_id IS NULL AND a.appointment_id IS NULL END AS fine
    FROM allocations AS a LEFT JOIN appointments AS p ON p.id = a.appointment_id LEFT JOIN holds AS h ON h.id = a.hold_id
    LEFT JOIN waitlist_offers AS o ON o.allocation_id = a.id
    WHERE a.state <> 'released'
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'allocation ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

OFFERS_OWN = """
WITH looked AS (
    SELECT o.id, count(a.id) AS owned, coalesce(bool_and(a.resource_id = coalesce(o.opening_id, o.provider_id)
        AND a.starts_at <= o.starts_at AND a.ends_at >= o.ends_at AND a.hold_id IS NULL), false) AS fitting
    FROM waitlist_offers AS o LEFT JOIN allocations AS a ON a.id = o.allocation_id AND a.state = 'held'
    WHERE o.status = 'live' GROUP BY o.id
), bad AS (SELECT id FROM looked WHERE owned <> 1 OR NOT fitting)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'offer ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

ENTRIES_OFFERED = """
WITH looked AS (
    SELECT e.id, e.status, count(o.id) AS live FROM waitlist_entries AS e
    LEFT JOIN waitlist_offers AS o ON o.entry_id = e.id AND o.status = 'live' GROUP BY e.id
), bad AS (SELECT id FROM looked WHERE live <> CASE WHEN status = 'offered' THEN 1 ELSE 0 END)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'waitlist entry ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

WAITING_ONCE = """
WITH looked AS (
    SELECT id, row_number() OVER (PARTITION BY patient_id, clinic_id, visit_type_id ORDER BY id) AS place
    FROM waitlist_entries WHERE status IN ('active', 'offered', 'suspended')
), bad AS (SELECT id FROM looked WHERE place > 1)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'waitlist entry ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

PATIENTS = """
WITH looked AS (
    SELECT id, starts_at, max(ends_at) OVER (PARTITION BY patient_id ORDER BY starts_at, id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until
    FROM appointments WHERE status NOT IN ('cancelled', 'entered-in-error')
        AND (opening_id IS NULL OR ends_at - starts_at <= interval '2 hours')
), bad AS (SELECT id FROM looked WHERE busy_until > starts_at)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'appointment ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

ONE_IN_AN_OPENING = """
WITH looked AS (
    SELECT id, row_number() OVER (PARTITION BY patient_id, opening_id ORDER BY id) AS place
    FROM appointments WHERE status NOT IN ('cancelled', 'entered-in-error') AND opening_id IS NOT NULL
), bad AS (SELECT id FROM looked WHERE place > 1)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'appointment ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

IN_THEIR_OPENING = """
WITH looked AS (
    SELECT p.id, p.starts_at = o.starts_at AND p.ends_at = o.ends_at AND p.provider_id = o.provider_id
        AND p.clinic_id = o.clinic_id AS fine
    FROM appointments AS p LEFT JOIN openings AS o ON o.id = p.opening_id WHERE p.opening_id IS NOT NULL
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'appointment ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

HISTORY = """
WITH looked AS (
    SELECT p.id, p.version, p.status, p.starts_at, count(e.version) AS events, min(e.version) AS first,
        max(e.version) AS last, count(DISTINCT e.version) AS versions,
        (array_agg(e.status ORDER BY e.version DESC))[1] AS last_status,
        (array_agg(e.starts_at ORDER BY e.version DESC))[1] AS last_start
    FROM appointments AS p LEFT JOIN appointment_events AS e ON e.appointment_id = p.id GROUP BY p.id
), bad AS (
    SELECT id FROM looked WHERE (first = 1 AND last = version AND events = version AND versions = version
        AND last_status = status AND last_start = starts_at) IS NOT TRUE
)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'appointment ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

APPOINTMENTS_TOLD = """
WITH looked AS (
    SELECT e.appointment_id AS id, e.version, e.at, count(o.id) AS told FROM appointment_events AS e
    LEFT JOIN outbox AS o ON o.topic = 'appointments' AND o.appointment_id = e.appointment_id
        AND o.appointment_version = e.version
    GROUP BY e.appointment_id, e.version, e.at
), bad AS (
    SELECT l.id, l.version FROM looked AS l, stream_pulse AS p WHERE l.told <> 1 AND (l.told > 1 OR l.at >= p.trimmed_to)
)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'appointment ' || id || ' version ' || version FROM bad ORDER BY id, version LIMIT 5) AS examples
"""

OFFERS_TOLD = """
WITH told AS (
    SELECT (payload ->> 'offer')::bigint AS id, count(*) FILTER (WHERE payload ->> 'status' = 'live') AS made,
        count(*) FILTER (WHERE payload ->> 'status' <> 'live') AS ended, max(nullif(payload ->> 'status', 'live')) AS status
    FROM outbox WHERE topic = 'offers' GROUP BY 1
), looked AS (
    SELECT f.id, CASE WHEN f.made_at < p.trimmed_to THEN coalesce(t.made <= 1 AND t.ended <= 1, true)
        WHEN f.status = 'live' THEN t.made = 1 AND t.ended = 0
        ELSE t.made = 1 AND t.ended = 1 AND t.status = f.status END AS fine
    FROM waitlist_offers AS f LEFT JOIN told AS t ON t.id = f.id CROSS JOIN stream_pulse AS p
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'offer ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

CALENDARS_TOLD = """
WITH told AS (
    SELECT resource_id, count(DISTINCT resource_version) AS versions, min(resource_version) AS first,
        max(resource_version) AS last
    FROM outbox WHERE topic = 'availability' AND resource_id IS NOT NULL GROUP BY resource_id
), looked AS (
    SELECT coalesce(r.id, t.resource_id) AS id, CASE
        WHEN r.id IS NULL THEN false
        WHEN t.resource_id IS NULL THEN r.version = 0 OR isfinite(p.trimmed_to)
        ELSE t.last = r.version AND t.versions = t.last - t.first + 1 AND (t.first = 1 OR isfinite(p.trimmed_to)) END AS fine
    FROM resources AS r FULL JOIN told AS t ON t.resource_id = r.id CROSS JOIN stream_pulse AS p
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'resource ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

CLINICS_NUMBERED = """
WITH told AS (
    SELECT s.clinic_id, count(*) AS events, count(DISTINCT s.seq) AS numbers, min(s.seq) AS first, max(s.seq) AS last,
        bool_and(o.id IS NOT NULL AND o.clinic_id = s.clinic_id) AS there
    FROM stream AS s LEFT JOIN outbox AS o ON o.id = s.outbox_id AND o.topic = 'availability'
    WHERE s.seq IS NOT NULL GROUP BY s.clinic_id
), looked AS (
    SELECT coalesce(h.clinic_id, t.clinic_id) AS id, CASE WHEN t.clinic_id IS NULL THEN isfinite(p.trimmed_to)
        ELSE t.there AND t.last = h.seq AND t.events = t.numbers AND t.numbers = t.last - t.first + 1
            AND (t.first = 1 OR isfinite(p.trimmed_to)) END AS fine
    FROM stream_heads AS h FULL JOIN told AS t ON t.clinic_id = h.clinic_id CROSS JOIN stream_pulse AS p
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'clinic ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

RELAYED_OR_WAITING = """
WITH looked AS (
    SELECT o.id, (s.outbox_id IS NOT NULL) = ((o.xid, o.id) <= (p.xid, p.outbox_id)) AS fine
    FROM outbox AS o LEFT JOIN stream AS s ON s.outbox_id = o.id CROSS JOIN stream_pulse AS p
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'outbox row ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

OUTCOMES = """
WITH looked AS (
    SELECT i.outcome ->> 'type' AS type, coalesce(i.outcome ->> 'appointment', i.outcome ->> 'hold') AS key,
        (NOT i.outcome ? 'appointment' OR p.id IS NOT NULL) AND (NOT i.outcome ? 'hold' OR h.id IS NOT NULL) AS fine
    FROM idempotency AS i
    LEFT JOIN appointments AS p ON p.id = (i.outcome ->> 'appointment')::bigint
    LEFT JOIN holds AS h ON h.id = (i.outcome ->> 'hold')::bigint
), bad AS (SELECT type, key FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT type || ' ' || key FROM bad ORDER BY type, key LIMIT 5) AS examples
"""

MESSAGES_ONCE = """
WITH looked AS (
    SELECT appointment_id, offer_id, version, rule, count(*) AS sent FROM messages WHERE status = 'sent'
    GROUP BY appointment_id, offer_id, version, rule
), bad AS (SELECT * FROM looked WHERE sent > 1)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT coalesce(rule || ' of appointment ' || appointment_id || ', version ' || version, 'offer ' || offer_id) FROM bad
        ORDER BY appointment_id, version, rule, offer_id LIMIT 5) AS examples
"""

MESSAGES_OF_THE_VERSION = """
WITH looked AS (
    SELECT m.id, m.version = a.version OR m.unknown OR EXISTS (SELECT FROM messages_to_plan AS t
        WHERE t.appointment_id = a.id AND t.version = a.version) AS fine
    FROM messages AS m JOIN appointments AS a ON a.id = m.appointment_id WHERE m.status = 'scheduled'
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'message ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

# `tried_at` is when the call was made, by the sender's clock; that a message arrived may be found out much later.
MESSAGES_AFTER_THEIR_VERSION = """
WITH looked AS (
    SELECT m.id, e.at IS NULL OR least(m.tried_at, m.sent_at) <= e.at + interval '2 minutes' AS fine FROM messages AS m
    LEFT JOIN appointment_events AS e ON e.appointment_id = m.appointment_id AND e.version = m.version + 1
    WHERE m.status = 'sent' AND m.appointment_id IS NOT NULL
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'message ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

MESSAGES_OF_OFFERS = """
WITH looked AS (
    SELECT m.id, m.status <> 'scheduled' OR m.unknown OR o.status = 'live'
        OR EXISTS (SELECT FROM offers_to_plan AS t WHERE t.offer_id = o.id) AS fine
    FROM messages AS m JOIN waitlist_offers AS o ON o.id = m.offer_id
), bad AS (SELECT id FROM looked WHERE fine IS NOT TRUE)
SELECT (SELECT count(*) FROM looked) AS looked_at, (SELECT count(*) FROM bad) AS broken,
    ARRAY(SELECT 'message ' || id FROM bad ORDER BY id LIMIT 5) AS examples
"""

RULES: Final = {
    "no two live allocations of a resource and lane overlap": OVERLAPS,
    "allocations are bounded, and only openings have lanes": BOUNDS,
    "no opening is booked beyond its capacity or besides its time": CAPACITY,
    "a live appointment owns one time, its provider's or opening's, that holds the visit": APPOINTMENTS_OWN,
    "an active hold owns one time, with an end": HOLDS_OWN,
    "a live offer of the waitlist owns one time, which has no end": OFFERS_OWN,
    "a waitlist entry that is offered a time has one live offer, others none": ENTRIES_OFFERED,
    "nobody waits twice for the same thing": WAITING_ONCE,
    "nothing else owns time": NOBODY_ELSE_OWNS,
    "no patient is in two places": PATIENTS,
    "a patient has one appointment in an opening": ONE_IN_AN_OPENING,
    "an appointment in an opening has its time and place": IN_THEIR_OPENING,
    "an appointment's versions have their events without gaps, the last as it stands": HISTORY,
    "every version of an appointment is in the outbox once, until it is trimmed": APPOINTMENTS_TOLD,
    "an offer is in the outbox once as it was made and once as it ended, until they are trimmed": OFFERS_TOLD,
    "every version of a calendar is in the outbox, from the oldest kept one on": CALENDARS_TOLD,
    "a clinic's events are numbered without gaps up to its head": CLINICS_NUMBERED,
    "every outbox row has its place in the stream or waits for it": RELAYED_OR_WAITING,
    "what idempotency keys remember exists": OUTCOMES,
    "no message about a version of an appointment, or an offer, went through two channels": MESSAGES_ONCE,
    "no message waits for a version that is over": MESSAGES_OF_THE_VERSION,
    "no message went more than two minutes after another version of its appointment had come": MESSAGES_AFTER_THEIR_VERSION,
    "no message waits for an offer that is over": MESSAGES_OF_OFFERS,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's answer. `examples` name a few of the broken ones by kind and database key."""

    rule: str
    looked_at: int
    broken: int
    examples: list[str]


async def findings(reader: Reader) -> AsyncIterator[Finding]:
    """Rule by rule; `reader` stands in one snapshot, without a statement timeout."""
    for rule, statement in RULES.items():
        row = await reader.fetchrow(statement)
        assert row is not None
        yield Finding(rule, row["looked_at"], row["broken"], row["examples"])
