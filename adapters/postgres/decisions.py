"""What a decision of the waitlist is made on, and what it leaves behind: one row with a place for every candidate."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from adapters.postgres.database import Connection, Reader
from domain import ids, ranking, zones
from domain.ranking import ORDINARY, RULE_VERSION, Candidate, Freed, Place, Plan, Reason, Situation, Standing, Wish
from domain.waitlist import AllocationOutcome, EntryStatus, Receipt, Window

# Who waits for what the provider offers, and what they have around that time. As for a booking (rule 13): an opening of more than
# two hours is a time to arrive in, which only meets itself.
CANDIDATES = """
WITH waiting AS (
    SELECT e.id, e.version, e.patient_id, e.status, x.starts_at AS before, x.id AS visit_id, x.status AS visit_status,
        e.id = any(ARRAY(SELECT entry_id FROM waitlist_offers WHERE cascade_id = $3)) AS had_it,
        NOT (SELECT accepting_new_patients FROM providers WHERE id = $2) AND NOT EXISTS (
            SELECT FROM appointments AS a WHERE a.patient_id = e.patient_id AND a.provider_id = $2
            AND a.status NOT IN ('cancelled', 'entered-in-error', 'noshow')) AS newcomer
    FROM waitlist_entries AS e LEFT JOIN appointments AS x ON x.id = e.appointment_id
    WHERE e.clinic_id = $1 AND e.status IN ('active', 'offered', 'suspended')
        AND e.visit_type_id = any(ARRAY(SELECT visit_type_id FROM provider_visit_types WHERE provider_id = $2))
    ORDER BY e.id
), listed AS (
    SELECT array_agg(id) AS ids, array_agg(version) AS versions, array_agg(patient_id) AS patients,
        jsonb_agg(jsonb_build_array(
            id, status, floor(extract(epoch FROM before) / 60)::bigint, visit_id, visit_status, had_it, newcomer))
            FILTER (WHERE status <> 'active' OR visit_id IS NOT NULL OR had_it OR newcomer) AS special
    FROM waiting
), busy AS (
    SELECT a.patient_id, a.id, a.starts_at, a.ends_at FROM appointments AS a
    WHERE a.patient_id = any((SELECT patients FROM listed)::bigint[]) AND a.status NOT IN ('cancelled', 'entered-in-error')
        AND (a.opening_id = $6 OR (($6 IS NULL OR $5 - $4::timestamptz <= interval '2 hours')
            AND (a.opening_id IS NULL OR a.ends_at - a.starts_at <= interval '2 hours')
            AND a.starts_at < $5 AND a.starts_at > $4::timestamptz - interval '24 hours' AND a.ends_at > $4))
    UNION ALL
    SELECT o.patient_id, 0, o.starts_at, o.ends_at FROM waitlist_offers AS o
    WHERE o.patient_id = any((SELECT patients FROM listed)::bigint[]) AND o.status = 'live'
        AND (o.opening_id = $6 OR (($6 IS NULL OR $5 - $4::timestamptz <= interval '2 hours')
            AND (o.opening_id IS NULL OR o.ends_at - o.starts_at <= interval '2 hours')
            AND o.starts_at < $5 AND o.ends_at > $4))
)
SELECT ids, versions, special, (SELECT jsonb_agg(jsonb_build_array(patient_id, id,
    floor(extract(epoch FROM starts_at) / 60)::bigint, ceil(extract(epoch FROM ends_at) / 60)::bigint)) FROM busy) AS busy
FROM listed
"""

WISHES = """
SELECT w.*, e.visit_type_id, e.patient_id, e.joined_at FROM unnest($1::bigint[], $2::integer[]) AS k (entry_id, version)
JOIN waitlist_wishes AS w ON w.entry_id = k.entry_id AND w.version = k.version
JOIN waitlist_entries AS e ON e.id = w.entry_id
"""

LANES = """
SELECT array_agg(lane) FROM allocations WHERE resource_id = $1 AND state <> 'released'
"""

RECORD = """
WITH next AS (SELECT nextval('waitlist_decisions_id_seq') AS id)
INSERT INTO waitlist_decisions (id, cascade_id, clinic_id, provider_id, at, rule_version, freed, starts, entry_ids, marks, ranks,
    places, rest)
SELECT id, coalesce($1, id), $2, $3, $4, $5, $6, $7, $8::text::bigint[], $9::text::integer[], $10::text::smallint[],
    $11::text::smallint[], $12
FROM next RETURNING cascade_id
"""

# Who is no candidate stands in no decision, and to find that out each is read whole. So only those are looked at in which the entry
# can be: of providers who offer its kind of visit, while it waited. First: who of the clinics has any, one step of the index each.
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
    JOIN provider_visit_types AS v ON v.provider_id = p.provider_id AND v.visit_type_id = e.visit_type_id
    CROSS JOIN LATERAL (
        SELECT n.id, n.at, n.provider_id, n.rule_version, n.freed, n.starts, n.ranks[f.place] AS rank,
            n.places[f.place] AS start, n.marks[f.place] AS mark,
            coalesce((n.rest -> (f.place - 1)::text ->> 0)::integer, 1) AS version
        FROM waitlist_decisions AS n CROSS JOIN LATERAL (SELECT array_position(n.entry_ids, k.entry_id) AS place) AS f
        WHERE n.clinic_id = e.clinic_id AND n.provider_id = p.provider_id AND n.at >= e.joined_at
            AND n.at <= coalesce(e.ended_at, 'infinity') AND f.place IS NOT NULL
        ORDER BY n.at DESC, n.id DESC LIMIT $2
    ) AS o
    WHERE p.clinic_id = e.clinic_id ORDER BY o.id DESC LIMIT $2
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

WISHES_MAX: Final = 100_000
_GONE: Final = frozenset({"cancelled", "entered-in-error"})
_STATUSES: Final = (EntryStatus.ACTIVE, EntryStatus.OFFERED, EntryStatus.SUSPENDED)
_BIT: Final = {reason: 1 << number for number, reason in enumerate(Reason, 8)}
_shared: Final = lru_cache(maxsize=10_000)(Wish)
_STATUS_BITS, _HAD_IT, _NEWCOMER, _UNMOVABLE, _OFFERED = 3, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Decision:
    """What was written down, as it can be reckoned again."""

    key: int
    cascade_key: int
    situation: Situation
    plan: Plan


@dataclass(frozen=True, slots=True)
class Waiting:
    """Candidates as if nobody were busy. `busy`: appointments (0: live offers) of their patients with the minutes, by patient;
    `moves`: the appointments that offers would move, by entry: they keep nobody busy."""

    candidates: list[Candidate]
    busy: dict[int, list[tuple[int, int, int]]]
    moves: dict[int, int]

    def between(self, low: int, high: int) -> list[Candidate]:
        """The candidates with what their patients have in these minutes."""
        if not self.busy:
            return self.candidates
        return [self._with(one, low, high) if one.patient_key in self.busy else one for one in self.candidates]

    def _with(self, one: Candidate, low: int, high: int) -> Candidate:
        moved = self.moves.get(one.key)
        meets = [
            (start, end)
            for key, start, end in self.busy[one.patient_key]
            if key != moved and start < high and end > low
        ]
        return replace(one, standing=replace(one.standing, busy=tuple(sorted(meets)))) if meets else one


class KnownWishes:
    """What entries wish for, by entry and version. A version never changes, so what is known stays true; only space runs out."""

    def __init__(self, limit: int = WISHES_MAX) -> None:
        self._known: OrderedDict[tuple[int, int], Candidate] = OrderedDict()
        self._limit = limit
        self._epoch = ""

    async def at(self, reader: Reader, wanted: Sequence[tuple[int, int]]) -> list[Candidate]:
        """In the order asked, as if each were waiting and nothing else were known of it."""
        # Whatever others push out while this one reads, what it found stays its own.
        found = [one for one in map(self._known.get, wanted) if one is not None]
        if len(found) == len(wanted):
            return found
        own = {(one.key, one.version): one for one in found}
        missing = [one for one in wanted if one not in own]
        for row in await reader.fetch(WISHES, [one[0] for one in missing], [one[1] for one in missing]):
            one = _wishing(row)
            own[one.key, one.version] = self._known[one.key, one.version] = one
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return [own[one] for one in wanted]

    def live(self, epoch: str) -> None:
        """In another life of the database versions begin anew, and the same ones may stand for other wishes."""
        if epoch != self._epoch:
            self._known.clear()
            self._epoch = epoch


def _wishing(row: Any) -> Candidate:
    wish = _shared(
        row["visit_type_id"], tuple(row["provider_ids"]), tuple(Window(*one) for one in row["windows"]),
        row["first_date"], row["last_date"], row["notice_minutes"],
    )  # fmt: skip
    return Candidate(row["entry_id"], row["version"], row["patient_id"], wish, row["urgency"], row["joined_at"])


async def candidates(
    reader: Reader, known: KnownWishes, freed: Freed, cascade_key: int | None, around: tuple[datetime, datetime]
) -> Waiting:
    """Waiting entries of the clinic whose visit type the provider offers. `around`: where it matters who is busy."""
    row = await reader.fetchrow(
        CANDIDATES, freed.clinic_key, freed.provider_key, cascade_key, *around, freed.opening_key
    )
    assert row is not None
    if row["ids"] is None:
        return Waiting([], {}, {})
    found = await known.at(reader, list(zip(row["ids"], row["versions"], strict=True)))
    special = {line[0]: line for line in row["special"] or ()}
    if special:
        found = [_special(one, special[one.key]) if one.key in special else one for one in found]
    busy: dict[int, list[tuple[int, int, int]]] = {}
    for patient, *span in row["busy"] or ():
        busy.setdefault(patient, []).append(tuple(span))
    return Waiting(found, busy, {line[0]: line[3] for line in special.values() if line[4] == "booked"})


def _special(one: Candidate, line: Sequence[Any]) -> Candidate:
    _, status, before, _, visit, had_it, newcomer = line
    movable = visit is None or visit == "booked" or visit in _GONE
    return replace(one, standing=Standing(EntryStatus(status), before, movable, had_it, newcomer))


async def free_lane(reader: Reader, opening_key: int) -> int:
    """The lowest lane of an opening that nobody has."""
    used = set(await reader.fetchval(LANES, opening_key) or ())
    return next(lane for lane in range(len(used) + 1) if lane not in used)


async def record(tx: Connection, situation: Situation, plan: Plan, cascade_key: int | None) -> int:
    """Writes the decision down; answers the cascade that it belongs to, a new one where none was named."""
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
    cascade: int = await tx.fetchval(
        RECORD, cascade_key, freed.clinic_key, freed.provider_key, situation.now, RULE_VERSION,
        [freed.start, freed.end, freed.giver, freed.opening_key, freed.visit, situation.zone.key],
        [_plain(one) for one in situation.places],
        _numbers([one.key for one in some]), _numbers(marks), _numbers(plan.ranks),
        _numbers([*map(numbers.__getitem__, map(id, plan.places))]), rest,
    )  # fmt: skip
    return cascade


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
