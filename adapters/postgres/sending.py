"""Messages whose time has come: claimed before they go, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapters.postgres.database import Connection, Reader
from adapters.postgres.messages import recipient_of
from domain import zones
from domain.letters import Accepted, Letter
from domain.messages import Due, MessageRule, MessageStatus, Why
from domain.recipients import Channel, Recipient

# Claimed first and looked up then: otherwise all that is due would be looked up for each batch.
DUE = """
WITH claimed AS MATERIALIZED (
    SELECT * FROM messages
    WHERE channel = $1 AND status IN ('scheduled', 'sending') AND next_at <= (SELECT app_now())
    ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
SELECT m.id, m.appointment_id, m.version, m.rule, m.channel, m.rule_at, m.starts_at, m.tries, m.tried_at,
    m.unknown OR m.status = 'sending' AS unknown, (SELECT app_now()) AS now,
    m.offer_id, o.expires_at, coalesce(o.status = 'live', true) AS live,
    coalesce(a.version, m.version) AS present_version, coalesce(a.ends_at, o.ends_at) AS ends_at,
    CASE WHEN m.rule IN ('day-before', 'two-hours-before') THEN m.due_at ELSE coalesce(e.at, o.made_at) END AS written_at,
    coalesce(e.starts_at_before, own.starts_at) AS starts_at_before,
    (SELECT count(*) FROM appointment_events AS x WHERE x.appointment_id = m.appointment_id AND x.version <= m.version
        AND x.change = 'moved') AS moves,
    c.name AS clinic_name, c.time_zone AS clinic_zone, c.address_lines, c.city, c.region, c.postal_code, c.phone AS clinic_phone,
    CASE WHEN p.kind = 'person' THEN p.name END AS provider_name,
    coalesce(same.said, false) AS said, coalesce(same.saying, false) AS saying, l.token, r.*
FROM claimed AS m
LEFT JOIN appointments AS a ON a.id = m.appointment_id
LEFT JOIN appointment_events AS e ON e.appointment_id = m.appointment_id AND e.version = m.version
LEFT JOIN waitlist_offers AS o ON o.id = m.offer_id
LEFT JOIN waitlist_entries AS w ON w.id = o.entry_id
LEFT JOIN appointments AS own ON own.id = w.appointment_id AND own.status = 'booked'
JOIN clinics AS c ON c.id = coalesce(a.clinic_id, o.clinic_id)
JOIN providers AS p ON p.id = coalesce(a.provider_id, o.provider_id)
CROSS JOIN LATERAL (SELECT * FROM recipients AS x WHERE x.patient_id = coalesce(a.patient_id, o.patient_id) LIMIT 1) AS r
CROSS JOIN LATERAL (
    SELECT bool_or(status = 'sent') AS said, bool_or(status = 'sending' OR status = 'scheduled' AND unknown) AS saying
    FROM (SELECT x.status, x.unknown FROM messages AS x WHERE x.appointment_id = m.appointment_id AND x.rule = m.rule
            AND x.id <> m.id
            AND (x.version = m.version OR m.rule IN ('day-before', 'two-hours-before') AND x.starts_at = m.starts_at)
        UNION ALL SELECT x.status, x.unknown FROM messages AS x WHERE x.offer_id = m.offer_id AND x.id <> m.id) AS others
) AS same
LEFT JOIN stop_links AS l ON l.channel = 'email' AND l.address = lower(r.email)
"""

IS_DUE = """
SELECT EXISTS (SELECT FROM messages
    WHERE channel = $1 AND status IN ('scheduled', 'sending') AND next_at <= (SELECT app_now()))
"""

# `tried_at`: of what is unknown the last call's, which is what the provider is asked about.
BEGIN_TRIES = """
UPDATE messages AS m SET status = 'sending', tries = m.tries + 1, unknown = g.unknown, why = NULL,
    tried_at = CASE WHEN g.unknown THEN m.tried_at ELSE $3 END, next_at = (SELECT app_now()) + $4::interval
FROM unnest($1::bigint[], $2::boolean[]) AS g (id, unknown) WHERE m.id = g.id
"""

CALLS = """
UPDATE messages SET tried_at = $3 WHERE id = $1 AND tries = $2 AND status = 'sending' RETURNING id
"""

# What somebody died over may have gone: that is not forgotten, whatever becomes of it. Nothing where it was settled meanwhile.
PUT_OFF = """
UPDATE messages AS m SET status = 'scheduled', why = g.why, next_at = g.at, unknown = m.unknown OR m.status = 'sending'
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::timestamptz[]) AS g (id, tries, why, at)
WHERE m.id = g.id AND m.tries = g.tries AND m.status IN ('scheduled', 'sending')
"""

GIVE_UP = """
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::boolean[])
        AS g (id, tries, status, why, again)
), ended AS (
    UPDATE messages AS m SET status = g.status, why = g.why, unknown = m.unknown OR m.status = 'sending' FROM given AS g
    WHERE m.id = g.id AND m.tries = g.tries AND m.status IN ('scheduled', 'sending')
    RETURNING m.appointment_id, m.version, m.offer_id, g.again
), offered AS (
    INSERT INTO offers_to_plan (offer_id) SELECT DISTINCT offer_id FROM ended WHERE again AND offer_id IS NOT NULL
)
INSERT INTO messages_to_plan (appointment_id, version)
SELECT DISTINCT appointment_id, version FROM ended WHERE again AND appointment_id IS NOT NULL
"""

MAKE_LINKS = """
INSERT INTO stop_links (token, channel, address)
SELECT g.token, 'email', g.address FROM unnest($1::text[], $2::text[]) AS g (token, address) ORDER BY g.address
ON CONFLICT DO NOTHING
"""

LINKS = """
SELECT address, token FROM stop_links WHERE channel = 'email' AND address = any($1::text[])
"""

SENT = """
WITH taken_back AS (
    UPDATE messages SET status = 'scheduled', why = 'UNKNOWN', unknown = true, next_at = (SELECT app_now()),
        provider_id = NULL, delivery = NULL, sent_at = NULL
    WHERE provider_id = $2 AND id <> $1 AND status = 'sent'
)
UPDATE messages SET status = 'sent', why = NULL, unknown = false, sent_at = (SELECT app_now()), provider_id = $2, delivery = $3
WHERE id = $1 AND status IN ('scheduled', 'sending')
"""

FOUND = """
UPDATE messages SET status = 'sent', why = NULL, unknown = false, sent_at = (SELECT app_now()), provider_id = $3, delivery = $4
WHERE id = $1 AND tries = $2 AND status = 'sending'
"""

TAKE_BACK = """
UPDATE messages SET status = 'scheduled', why = 'UNKNOWN', unknown = true, next_at = (SELECT app_now()),
    provider_id = NULL, delivery = NULL, sent_at = NULL
WHERE provider_id = $1 AND id <> $2 AND status = 'sent'
"""

TRY_AGAIN = """
UPDATE messages SET status = 'scheduled', why = $3, unknown = $4, next_at = (SELECT app_now()) + $5::interval
WHERE id = $1 AND tries = $2 AND status = 'sending'
"""

FAILED = """
WITH failed AS (
    UPDATE messages SET status = 'failed', why = $3, unknown = false, provider_id = $4, delivery = $5
    WHERE id = $1 AND tries = $2 AND status = 'sending' RETURNING appointment_id, version, offer_id
), offered AS (
    INSERT INTO offers_to_plan (offer_id) SELECT offer_id FROM failed WHERE offer_id IS NOT NULL
)
INSERT INTO messages_to_plan (appointment_id, version)
SELECT appointment_id, version FROM failed WHERE appointment_id IS NOT NULL
"""

KNOWN_TO_US = """
SELECT provider_id FROM messages WHERE provider_id = any($1::text[]) AND id <> $2
"""

NAMED = """
SELECT id, status, provider_id, delivery FROM messages
WHERE channel = 'sms' AND (provider_id = $1 OR id = $2 AND provider_id IS NULL AND tries > 0)
ORDER BY id = $2 DESC, id DESC LIMIT 1 FOR UPDATE
"""

DELIVERED = """
WITH noted AS (
    UPDATE messages SET provider_id = $2, delivery = $3, unknown = false, status = CASE WHEN $4 THEN 'failed' ELSE 'sent' END,
        why = CASE WHEN $4 THEN 'UNDELIVERED' END, sent_at = coalesce(sent_at, (SELECT app_now()))
    WHERE id = $1 RETURNING appointment_id, version, offer_id
), offered AS (
    INSERT INTO offers_to_plan (offer_id) SELECT offer_id FROM noted WHERE $4 AND offer_id IS NOT NULL
)
INSERT INTO messages_to_plan (appointment_id, version)
SELECT appointment_id, version FROM noted WHERE $4 AND appointment_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message under its row's lock, with all that decides whether it goes and what it says."""

    due: Due
    recipient: Recipient
    letter: Letter
    unknown: bool
    tried_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """An SMS as a callback finds it."""

    key: int
    status: MessageStatus
    provider_id: str | None
    delivery: str | None


async def due(tx: Connection, channel: Channel, limit: int) -> list[Claimed]:
    """The longest due first; those that another worker looks at are passed over. Also what somebody died over."""
    return [_claimed(row) for row in await tx.fetch(DUE, channel.value, limit)]


async def is_due(reader: Reader, channel: Channel) -> bool:
    found: bool = await reader.fetchval(IS_DUE, channel.value)
    return found


async def begin_tries(tx: Connection, some: Sequence[tuple[int, bool]], at: datetime, lease: timedelta) -> None:
    """(message, unknown): from now on each is tried, until `lease` is over. `at` by this machine's clock."""
    await tx.execute(BEGIN_TRIES, [key for key, _ in some], [unknown for _, unknown in some], at, lease)


async def calls(reader: Reader, key: int, tries: int, at: datetime) -> bool:
    """Before another call after one whose outcome is unknown; False where it was settled meanwhile, or another worker has it.

    `at` by this machine's clock.
    """
    return await reader.fetchval(CALLS, key, tries, at) is not None


async def put_off(tx: Connection, some: Sequence[tuple[int, int, Why, datetime]]) -> None:
    """(message, its tries, why, until when)."""
    keys, tries, whys, at = _columns(some, 4)
    await tx.execute(PUT_OFF, keys, tries, [why.name for why in whys], at)


async def give_up(tx: Connection, some: Sequence[tuple[int, int, MessageStatus, Why, bool]]) -> None:
    """(message, its tries, status, why, whether another channel may do)."""
    keys, tries, statuses, whys, again = _columns(some, 5)
    await tx.execute(GIVE_UP, keys, tries, [status.value for status in statuses], [why.name for why in whys], again)


async def make_links(tx: Connection, tokens: dict[str, str]) -> dict[str, str]:
    """Token by address: those that there are, for new addresses those given."""
    await tx.execute(MAKE_LINKS, list(tokens.values()), list(tokens))
    return {row["address"]: row["token"] for row in await tx.fetch(LINKS, list(tokens))}


async def sent(reader: Reader, key: int, accepted: Accepted) -> None:
    """By the provider's own answer, which counts even where another worker has taken it over meanwhile, and takes back what was
    found for another message. Under the lock of the provider's id, where there is one.
    """
    await reader.execute(SENT, key, accepted.provider_id, accepted.delivery)


async def found(tx: Connection, key: int, tries: int, accepted: Accepted) -> None:
    """By its text, which is a guess where others say the same. Nothing where another worker has taken it over meanwhile."""
    await tx.execute(FOUND, key, tries, accepted.provider_id, accepted.delivery)


async def take_back(tx: Connection, provider_id: str, but: int) -> None:
    """It is this message's: who was taken to have sent it by its text is asked about again. Under the lock of `provider_id`."""
    await tx.execute(TAKE_BACK, provider_id, but)


async def try_again(reader: Reader, key: int, tries: int, why: Why, pause: timedelta, *, unknown: bool) -> None:
    await reader.execute(TRY_AGAIN, key, tries, why.name, unknown, pause)


async def failed(reader: Reader, key: int, tries: int, why: Why, said: Accepted | None = None) -> None:
    """For ever; the next channel is planned. `said`: what the provider did with it."""
    said = said or Accepted()
    await reader.execute(FAILED, key, tries, why.name, said.provider_id, said.delivery)


async def known_to_us(reader: Reader, provider_ids: Sequence[str], but: int) -> set[str]:
    """Those that belong to another message."""
    return {row["provider_id"] for row in await reader.fetch(KNOWN_TO_US, provider_ids, but)}


async def named(tx: Connection, provider_id: str, key: int | None) -> Noted | None:
    """By the provider's id; where it came before its answer was written down, by ours."""
    row = await tx.fetchrow(NAMED, provider_id, key or 0)
    return None if row is None else Noted(row["id"], MessageStatus(row["status"]), row["provider_id"], row["delivery"])


async def delivered(tx: Connection, key: int, provider_id: str, delivery: str, *, failed: bool) -> None:
    """How far it came; where it failed the next channel is planned."""
    await tx.execute(DELIVERED, key, provider_id, delivery, failed)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]


def _claimed(row: Any) -> Claimed:
    rule, channel = MessageRule(row["rule"]), Channel(row["channel"])
    zone = zones.named(row["clinic_zone"])
    recipient = recipient_of(row)
    present = Due(
        rule=rule,
        channel=channel,
        version=row["version"],
        rule_at=row["rule_at"],
        starts_at=row["starts_at"],
        tries=row["tries"],
        present_version=row["present_version"],
        said=row["said"],
        live=row["live"],
        expires_at=row["expires_at"],
        saying=row["saying"],
    )
    city = " ".join(part for part in (row["region"], row["postal_code"]) if part)
    before, expires_at = row["starts_at_before"], row["expires_at"]
    letter = Letter(
        message_key=row["id"],
        rule=rule,
        channel=channel,
        to=(row["email"] if channel is Channel.EMAIL else row["phone"]) or "",
        appointment_key=row["appointment_id"] or 0,
        version=row["version"],
        sequence=row["moves"] + (rule is MessageRule.CANCELLED),
        clinic_name=row["clinic_name"],
        clinic_address=", ".join(part for part in (*row["address_lines"], row["city"], city) if part),
        clinic_phone=row["clinic_phone"],
        provider_name=row["provider_name"],
        starts_at=row["starts_at"].astimezone(zone),
        ends_at=row["ends_at"].astimezone(zone),
        starts_at_before=before.astimezone(zone) if before else None,
        written_at=row["written_at"].astimezone(zone),
        stop_token=row["token"],
        offer_key=row["offer_id"],
        answer_by=expires_at.astimezone(zone) if expires_at else None,
    )
    return Claimed(present, recipient, letter, row["unknown"], row["tried_at"], row["now"])
