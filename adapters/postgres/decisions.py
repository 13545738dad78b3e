"""What a decision of the waitlist leaves behind: one row with a place for every candidate, and its offers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from adapters.postgres.candidates import KnownWishes
from adapters.postgres.changes import By, written_down
from adapters.postgres.database import Connection, Reader
from domain import ids, ranking, zones
from domain.ranking import ORDINARY, RULE_VERSION, Candidate, Freed, Place, Plan, Reason, Situation, Standing
from domain.waitlist import AllocationOutcome, EntryStatus, Receipt

LANES = """
SELECT array_agg(lane) FROM allocations WHERE resource_id = $1 AND state <> 'released'
"""

# A decision and the offers that come of it. Each offer leaves an audit row: mostly somebody else's act gives it.
RECORD = """
WITH next AS (
    SELECT nextval('waitlist_decisions_id_seq') AS id
), decided AS (
    INSERT INTO waitlist_decisions (id, cascade_id, clinic_id, provider_id, at, rule_version, freed, starts, entry_ids, marks,
        ranks, places, rest)
    SELECT id, coalesce($1, id), $2, $3, $4, $5, $6, $7, $8::text::bigint[], $9::text::integer[], $10::text::smallint[],
        $11::text::smallint[], $12
    FROM next RETURNING cascade_id
), made AS (
    INSERT INTO waitlist_offers (entry_id, patient_id, allocation_id, cascade_id, giver_id, provider_id, clinic_id, visit_type_id,
        opening_id, starts_at, ends_at, made_at, expires_at)
    SELECT r.entry_id, r.patient_id, r.allocation_id, d.cascade_id, $13, $3, $2, r.visit_type_id, $14, r.starts_at, r.ends_at, $4,
        r.expires_at
    FROM decided AS d CROSS JOIN unnest($15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::timestamptz[],
        $20::timestamptz[], $21::timestamptz[])
        AS r (entry_id, patient_id, allocation_id, visit_type_id, starts_at, ends_at, expires_at)
    RETURNING id, entry_id, patient_id
), told AS (
    INSERT INTO outbox (at, topic, clinic_id, patient_id, payload)
    SELECT $4, 'offers', $2, m.patient_id, jsonb_build_object('offer', m.id, 'status', 'live') FROM made AS m ORDER BY m.id
), announced AS (
    INSERT INTO offers_to_plan (offer_id) SELECT m.id FROM made AS m ORDER BY m.id
), audited AS (
    INSERT INTO audit (at, subject, role, patient_id, operation, entity, request_id)
    SELECT $4, $22, $23, m.patient_id, $24, 'offer:' || m.id, $25 FROM made AS m ORDER BY m.id
)
UPDATE waitlist_entries AS e SET status = 'offered' FROM made AS m WHERE e.id = m.entry_id
"""

# Who is no candidate stands in no decision, and to find that out each is read whole. So only those are looked at in which the entry
# can be: of providers who offer its kind of visit or once did, while it waited. First: who of the clinics has any, one step of the
# index each.
RECEIPTS = """
WITH RECURSIVE deciding (clinic_id, provider_id) AS (
    SELECT k.clinic_id, (SELECT min(n.provider_id) FROM waitlist_decisions AS n WHERE n.clinic_id = k.clinic_id)
    FROM (SELECT DISTINCT clinic_id FROM waitlist_entries WHERE id = any($1::bigint[])) AS k
    UNION ALL
    SELECT k.clinic_id, (SELECT min(n.provider_id) FROM waitlist_decisions AS n
        WHERE n.clinic_id = k.clinic_id AND n.provider_id > k.provider_id)
    FROM deciding AS k WHERE k.provider_id IS NOT NULL
)
SELECT k.entry_id, e.joined_at, e.visit_type_id, e.clinic_id, c.time_zone, d.*, w.urgency, w.provider_ids
FROM unnest($1::bigint[]) AS k (entry_id)
JOIN waitlist_entries AS e ON e.id = k.entry_id
JOIN clinics AS c ON c.id = e.clinic_id
CROSS JOIN LATERAL (
    SELECT o.* FROM deciding AS p
    CROSS JOIN LATERAL (
        SELECT n.id, n.at, n.provider_id, n.rule_version, n.freed, n.starts, n.ranks[f.place] AS rank,
            n.places[f.place] AS start, n.marks[f.place] AS mark,
            coalesce((n.rest -> (f.place - 1)::text ->> 0)::integer, 1) AS version
        FROM waitlist_decisions AS n CROSS JOIN LATERAL (SELECT array_position(n.entry_ids, k.entry_id) AS place) AS f
        WHERE n.clinic_id = e.clinic_id AND n.provider_id = p.provider_id AND n.at >= e.joined_at
            AND n.at <= coalesce(e.ended_at, 'infinity') AND f.place IS NOT NULL
        ORDER BY n.at DESC, n.id DESC LIMIT $2
    ) AS o
    WHERE p.clinic_id = e.clinic_id AND (
        EXISTS (SELECT FROM provider_visit_types AS v WHERE v.provider_id = p.provider_id AND v.visit_type_id = e.visit_type_id)
        OR EXISTS (SELECT FROM provider_visit_types_before AS v
            WHERE v.provider_id = p.provider_id AND v.visit_type_id = e.visit_type_id))
    ORDER BY o.id DESC LIMIT $2
) AS d
LEFT JOIN waitlist_wishes AS w ON w.entry_id = k.entry_id AND w.version = d.version
ORDER BY k.entry_id, d.id DESC
"""

DECISIONS = """
SELECT d.*, c.time_zone FROM waitlist_decisions AS d JOIN clinics AS c ON c.id = d.clinic_id WHERE d.id > $1 ORDER BY d.id LIMIT $2
"""

FORGET = """
DELETE FROM waitlist_decisions WHERE id IN (
    SELECT id FROM waitlist_decisions WHERE at < (SELECT app_now()) - interval '90 days' ORDER BY at LIMIT $1
    FOR UPDATE SKIP LOCKED)
"""

_STATUSES: Final = (EntryStatus.ACTIVE, EntryStatus.OFFERED, EntryStatus.SUSPENDED)
_BIT: Final = {reason: 1 << number for number, reason in enumerate(Reason, 8)}
_STATUS_BITS, _HAD_IT, _NEWCOMER, _UNMOVABLE, _OFFERED = 3, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Decision:
    """What was written down, as it can be reckoned again."""

    key: int
    cascade_key: int
    situation: Situation
    plan: Plan


@dataclass(frozen=True, slots=True)
class Made:
    """An offer that is to be written; its time is claimed already."""

    entry_key: int
    patient_key: int
    allocation_key: int
    visit_type_key: int
    starts_at: datetime
    ends_at: datetime
    expires_at: datetime


async def free_lane(reader: Reader, opening_key: int) -> int:
    """The lowest lane of an opening that nobody has."""
    used = set(await reader.fetchval(LANES, opening_key) or ())
    return next(lane for lane in range(len(used) + 1) if lane not in used)


async def record(
    tx: Connection, situation: Situation, plan: Plan, cascade_key: int | None, made: Sequence[Made], by: By
) -> None:
    """Writes down the decision, in a new cascade where none is named, and its offers."""
    freed, some = situation.freed, situation.candidates
    numbers = {id(place): number for number, place in enumerate(situation.places, 1)} | {id(None): 0}
    said = {reasons: sum(_BIT[reason] for reason in reasons) for reasons in set(plan.reasons)}
    marks, rest = [said[reasons] for reasons in plan.reasons], {}
    for number in plan.offered:
        marks[number] |= _OFFERED
    for number, one in enumerate(some):
        standing = one.standing
        if standing is not ORDINARY:
            marks[number] |= _mark(standing)
        if one.version > 1 or standing.before is not None or standing.busy:
            rest[str(number)] = [one.version, standing.before, standing.busy]
    with written_down():
        await tx.execute(
            RECORD, cascade_key, freed.clinic_key, freed.provider_key, situation.now, RULE_VERSION,
            [freed.start, freed.end, freed.giver, freed.opening_key, freed.visit, situation.zone.key],
            [_plain(one) for one in situation.places],
            _numbers([one.key for one in some]), _numbers(marks), _numbers(plan.ranks),
            _numbers([*map(numbers.__getitem__, map(id, plan.places))]), rest, freed.giver, freed.opening_key,
            [one.entry_key for one in made], [one.patient_key for one in made], [one.allocation_key for one in made],
            [one.visit_type_key for one in made], [one.starts_at for one in made], [one.ends_at for one in made],
            [one.expires_at for one in made], by.viewer.subject, by.viewer.role.value, by.operation, by.viewer.request_id,
        )  # fmt: skip


def _numbers(some: list[int]) -> str:
    """An array as text: the driver looks at each element several times, which took longer than all the rest."""
    return "{" + orjson.dumps(some)[1:-1].decode() + "}"


def _plain(place: Place) -> list[int | str]:
    return [
        place.visit_type_key, place.start, place.end, place.from_minute, place.to_minute, place.left, str(place.day)
    ]  # fmt: skip


def _place(plain: Sequence[Any]) -> Place:
    kind, start, end, from_minute, to_minute, left, day = plain
    return Place(kind, start, end, from_minute, to_minute, left, zones.date_of(day))


def _mark(standing: Standing) -> int:
    mark = _STATUSES.index(standing.status)
    if standing.had_it:
        mark |= _HAD_IT
    if standing.newcomer:
        mark |= _NEWCOMER
    return mark if standing.movable else mark | _UNMOVABLE


def _outcome(mark: int, rank: int) -> AllocationOutcome:
    if not rank:
        return AllocationOutcome.NOT_ELIGIBLE
    return AllocationOutcome.OFFERED if mark & _OFFERED else AllocationOutcome.OUTRANKED


def _named(bits: int) -> tuple[Reason, ...]:
    return tuple(reason for reason, bit in _BIT.items() if bits & bit)


async def receipts(reader: Reader, entry_keys: Sequence[int], limit: int) -> dict[int, list[Receipt]]:
    """By entry, the newest first."""
    found: dict[int, list[Receipt]] = {key: [] for key in entry_keys}
    for row in await reader.fetch(RECEIPTS, entry_keys, limit):
        found[row["entry_id"]].append(_receipt(row))
    return found


def _receipt(row: Any) -> Receipt:
    zone = zones.named(row["time_zone"])
    start, end, _, opening_key, visit = row["freed"][:5]
    kind = row["visit_type_id"]
    if row["start"]:
        kind, start, end, _, _, left, _ = row["starts"][row["start"] - 1]
        told = ranking.merits(row["urgency"], row["joined_at"], bool(row["provider_ids"]), left, row["at"])
    else:
        kind, start, end = visit or (kind, start, end)
        told = [reason.value for reason in _named(row["mark"])]
    slot = ids.SlotKey(row["provider_id"], row["clinic_id"], kind, None if opening_key else start, opening_key)
    return Receipt(
        row["entry_id"], row["at"].astimezone(zone), str(slot), zones.at(start, zone), zones.at(end, zone),
        row["rank"] or None, _outcome(row["mark"], row["rank"]), told, row["rule_version"],
    )  # fmt: skip


async def decisions(reader: Reader, known: KnownWishes, after: int, limit: int) -> list[Decision]:
    """Decisions in the order in which they were made, each with the wishes and the zone of then."""
    found = []
    for row in await reader.fetch(DECISIONS, after, limit):
        rest = row["rest"]
        wanted = [(key, rest.get(str(at), (1,))[0]) for at, key in enumerate(row["entry_ids"])]
        wishes = await known.at(reader, wanted)
        found.append(_decision(row, wishes))
    return found


def _decision(row: Any, wishes: Sequence[Candidate]) -> Decision:
    start, end, giver, opening_key, visit, *zone = row["freed"]
    places = tuple(_place(one) for one in row["starts"])
    freed = Freed(row["clinic_id"], row["provider_id"], start, end, giver, opening_key, tuple(visit) if visit else None)
    ranks, marks = row["ranks"], row["marks"]
    some = tuple(
        replace(one, standing=_standing(mark, row["rest"].get(str(at))))
        for at, (one, mark) in enumerate(zip(wishes, marks, strict=True))
    )
    situation = Situation(row["at"], zones.named(*(zone or [row["time_zone"]])), freed, places, some)
    offered = sorted((at for at, mark in enumerate(marks) if mark & _OFFERED), key=ranks.__getitem__)
    got = [places[number - 1] if number else None for number in row["places"]]
    return Decision(
        row["id"], row["cascade_id"], situation, Plan(ranks, got, [_named(mark) for mark in marks], offered)
    )


def _standing(mark: int, rest: Sequence[Any] | None) -> Standing:
    _, before, busy = rest or (1, None, ())
    return Standing(
        _STATUSES[mark & _STATUS_BITS], before, not mark & _UNMOVABLE, bool(mark & _HAD_IT), bool(mark & _NEWCOMER),
        tuple((first, last) for first, last in busy),
    )  # fmt: skip


async def forget(tx: Connection, limit: int) -> int:
    """Removes decisions that are older than 90 days; answers how many."""
    done: str = await tx.execute(FORGET, limit)
    return int(done.rpartition(" ")[2])
