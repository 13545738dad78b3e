"""What a decision of the waitlist is made on, and what it leaves behind: one row with a place for every candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from adapters.postgres.database import Connection, Reader
from domain import ids, ranking, waitlist, zones
from domain.ranking import RULE_VERSION, Candidate, Freed, Place, Reason, Situation, Verdict
from domain.waitlist import AllocationOutcome, EntryStatus, Receipt, Window

CANDIDATES = """
SELECT e.id, e.version, e.status, e.patient_id, e.visit_type_id, e.provider_ids, e.windows, e.first_date, e.last_date,
    e.notice_minutes, e.urgency, e.joined_at, e.appointment_id, x.starts_at AS before, x.status AS visit_status,
    o.entry_id IS NOT NULL AS had_it, NOT p.accepting_new_patients AND NOT EXISTS (
        SELECT FROM appointments AS a WHERE a.patient_id = e.patient_id AND a.provider_id = p.id
        AND a.status NOT IN ('cancelled', 'entered-in-error', 'noshow')) AS newcomer
FROM providers AS p
JOIN provider_visit_types AS t ON t.provider_id = p.id
JOIN waitlist_entries AS e ON e.clinic_id = $1 AND e.visit_type_id = t.visit_type_id
    AND e.status IN ('active', 'offered', 'suspended')
LEFT JOIN appointments AS x ON x.id = e.appointment_id
LEFT JOIN (SELECT DISTINCT entry_id FROM waitlist_offers WHERE cascade_id = $3) AS o ON o.entry_id = e.id
WHERE p.id = $2
"""

BUSY = """
SELECT a.patient_id, a.id, a.starts_at, a.ends_at FROM appointments AS a
WHERE a.patient_id = any($1::bigint[]) AND a.status NOT IN ('cancelled', 'entered-in-error')
    AND (a.opening_id = $4 OR ((a.opening_id IS NULL OR a.ends_at - a.starts_at <= interval '2 hours')
        AND a.starts_at < $3 AND a.starts_at > $2::timestamptz - interval '24 hours' AND a.ends_at > $2))
UNION ALL
SELECT o.patient_id, 0, o.starts_at, o.ends_at FROM waitlist_offers AS o
WHERE o.patient_id = any($1) AND o.status = 'live' AND o.starts_at < $3 AND o.ends_at > $2
"""

LANES = """
SELECT array_agg(lane) FROM allocations WHERE resource_id = $1 AND state <> 'released'
"""

RECORD = """
WITH next AS (SELECT nextval('waitlist_decisions_id_seq') AS id)
INSERT INTO waitlist_decisions (id, cascade_id, clinic_id, provider_id, at, rule_version, entry_ids, payload)
SELECT id, coalesce($1, id), $2, $3, $4, $5, $6, $7 FROM next RETURNING cascade_id
"""

RECEIPTS = """
SELECT f.*, w.urgency, w.provider_ids FROM (
    SELECT k.entry_id, e.joined_at, e.visit_type_id, c.time_zone, d.id, d.at, e.clinic_id, d.provider_id, d.rule_version,
        d.payload -> 'freed' AS freed, d.payload -> 'places' AS places,
        d.payload -> 'candidates' -> (array_position(d.entry_ids, k.entry_id) - 1) AS candidate
    FROM unnest($1::bigint[]) AS k (entry_id)
    JOIN waitlist_entries AS e ON e.id = k.entry_id
    JOIN clinics AS c ON c.id = e.clinic_id
    CROSS JOIN LATERAL (
        SELECT n.id, n.at, n.provider_id, n.rule_version, n.entry_ids, n.payload FROM waitlist_decisions AS n
        WHERE n.clinic_id = e.clinic_id AND n.at >= e.joined_at AND e.id = any(n.entry_ids) ORDER BY n.id DESC LIMIT $2
    ) AS d
) AS f
LEFT JOIN waitlist_wishes AS w ON w.entry_id = f.entry_id AND w.version = (f.candidate ->> 0)::integer
ORDER BY f.entry_id, f.id DESC
"""

DECISIONS = """
SELECT d.*, c.time_zone FROM waitlist_decisions AS d JOIN clinics AS c ON c.id = d.clinic_id WHERE d.id > $1 ORDER BY d.id LIMIT $2
"""

WISHES = """
SELECT w.*, e.visit_type_id, e.patient_id, e.joined_at FROM unnest($1::bigint[], $2::integer[]) AS k (entry_id, version)
JOIN waitlist_wishes AS w ON w.entry_id = k.entry_id AND w.version = k.version
JOIN waitlist_entries AS e ON e.id = w.entry_id
"""

FORGET = """
DELETE FROM waitlist_decisions WHERE id IN (
    SELECT id FROM waitlist_decisions WHERE at < (SELECT app_now()) - interval '90 days' ORDER BY at LIMIT $1
    FOR UPDATE SKIP LOCKED)
"""

_OUTCOMES: Final = tuple(AllocationOutcome)
_GONE: Final = frozenset({"cancelled", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What was written down, as it can be reckoned again."""

    key: int
    cascade_key: int
    situation: Situation
    verdicts: dict[int, Verdict]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate and the appointment that an offer would move, where that is still booked."""

    candidate: Candidate
    moves: int | None


async def candidates(reader: Reader, freed: Freed, cascade_key: int | None) -> list[Waiting]:
    """Waiting entries of the clinic whose visit type the provider offers; who is busy is not looked at yet."""
    rows = await reader.fetch(CANDIDATES, freed.clinic_key, freed.provider_key, cascade_key)
    return [_waiting(row) for row in rows]


def _waiting(row: Any) -> Waiting:
    visit = row["visit_status"]
    before = None if visit is None else zones.minutes(row["before"])
    candidate = Candidate(
        row["id"], row["version"], EntryStatus(row["status"]), row["patient_id"], row["visit_type_id"],
        tuple(row["provider_ids"]), tuple(Window(*one) for one in row["windows"]), row["first_date"], row["last_date"],
        row["notice_minutes"], row["urgency"], row["joined_at"], before,
        visit is None or visit == "booked" or visit in _GONE, row["had_it"], row["newcomer"],
    )  # fmt: skip
    return Waiting(candidate, row["appointment_id"] if visit == "booked" else None)


async def with_busy(
    reader: Reader, waiting: Sequence[Waiting], from_at: datetime, to_at: datetime, opening_key: int | None
) -> list[Candidate]:
    """The candidates with what their patients have at that time: appointments but the one to be moved, and live offers."""
    keys = list({one.candidate.patient_key for one in waiting})
    found: dict[int, list[tuple[int, tuple[int, int]]]] = {}
    for row in await reader.fetch(BUSY, keys, from_at, to_at, opening_key):
        span = zones.minutes(row["starts_at"]), -int(-row["ends_at"].timestamp() // 60)
        found.setdefault(row["patient_id"], []).append((row["id"], span))
    return [_with(one, found.get(one.candidate.patient_key, ())) for one in waiting]


def _with(one: Waiting, meets: Sequence[tuple[int, tuple[int, int]]]) -> Candidate:
    busy = tuple(sorted(span for key, span in meets if key != one.moves))
    return replace(one.candidate, busy=busy) if busy else one.candidate


async def free_lane(reader: Reader, opening_key: int) -> int:
    """The lowest lane of an opening that nobody has."""
    used = set(await reader.fetchval(LANES, opening_key) or ())
    return next(lane for lane in range(len(used) + 1) if lane not in used)


async def record(tx: Connection, situation: Situation, verdicts: Sequence[Verdict], cascade_key: int | None) -> int:
    """Writes the decision down; answers the cascade that it belongs to, a new one where none was named."""
    freed = situation.freed
    places = {place: number for number, place in enumerate(situation.places)}
    payload = {
        "freed": [freed.start, freed.end, freed.giver, freed.opening_key, freed.visit],
        "places": [[*_plain(one), str(one.day)] for one in situation.places],
        "candidates": [
            _line(one, said, places) for one, said in zip(situation.candidates, verdicts, strict=True)
        ],
    }  # fmt: skip
    cascade: int = await tx.fetchval(
        RECORD, cascade_key, freed.clinic_key, freed.provider_key, situation.now, RULE_VERSION,
        [one.key for one in situation.candidates], payload,
    )  # fmt: skip
    return cascade


def _plain(place: Place) -> list[int]:
    return [place.visit_type_key, place.start, place.end, place.from_minute, place.to_minute, place.left]


def _place(plain: Sequence[Any]) -> Place:
    kind, start, end, from_minute, to_minute, left, day = plain
    return Place(kind, start, end, from_minute, to_minute, left, zones.date_of(day))


def _line(one: Candidate, said: Verdict, places: Mapping[Place, int]) -> list[Any]:
    """What can't be read from the wishes of that version, and the verdict."""
    marks = one.status.value[0] + "h" * one.had_it + "n" * one.newcomer + "x" * (not one.movable)
    place = None if said.place is None else places[said.place]
    reasons = [reason.name for reason in said.reasons]
    return [one.version, marks, one.before, one.busy, _OUTCOMES.index(said.outcome), said.rank, place, reasons]


async def receipts(reader: Reader, entry_keys: Sequence[int], limit: int) -> dict[int, list[Receipt]]:
    """By entry, the newest first."""
    found: dict[int, list[Receipt]] = {key: [] for key in entry_keys}
    for row in await reader.fetch(RECEIPTS, entry_keys, limit):
        found[row["entry_id"]].append(_receipt(row))
    return found


def _receipt(row: Any) -> Receipt:
    zone = zones.named(row["time_zone"])
    start, end, _, opening_key, visit = row["freed"]
    _, _, _, _, outcome, rank, number, names = row["candidate"]
    kind = row["visit_type_id"]
    if number is not None:
        kind, start, end, _, _, left, _ = row["places"][number]
        named = bool(row["provider_ids"])
        reasons = ranking.merits(row["urgency"], row["joined_at"], named, left, row["at"])
    else:
        kind, start, end = visit or (kind, start, end)
        reasons = [Reason[name].value for name in names]
    slot = ids.SlotKey(row["provider_id"], row["clinic_id"], kind, None if opening_key else start, opening_key)
    return Receipt(
        row["entry_id"], row["at"].astimezone(zone), str(slot), zones.at(start, zone), zones.at(end, zone), rank,
        _OUTCOMES[outcome], reasons, row["rule_version"],
    )  # fmt: skip


async def decisions(reader: Reader, after: int, limit: int) -> list[Decision]:
    """Decisions in the order in which they were made, each with the wishes of then."""
    rows = await reader.fetch(DECISIONS, after, limit)
    asked = [
        (key, line[0]) for row in rows for key, line in zip(row["entry_ids"], row["payload"]["candidates"], strict=True)
    ]
    wishes = await reader.fetch(WISHES, [one[0] for one in asked], [one[1] for one in asked])
    known = {(one["entry_id"], one["version"]): one for one in wishes}
    return [_decision(row, known) for row in rows]


def _decision(row: Any, known: Mapping[tuple[int, int], Any]) -> Decision:
    payload = row["payload"]
    start, end, giver, opening_key, visit = payload["freed"]
    found = tuple(_place(one) for one in payload["places"])
    lines = list(zip(row["entry_ids"], payload["candidates"], strict=True))
    freed = Freed(row["clinic_id"], row["provider_id"], start, end, giver, opening_key, tuple(visit) if visit else None)
    some = tuple(_candidate(key, line, known[key, line[0]]) for key, line in lines)
    situation = Situation(row["at"], zones.named(row["time_zone"]), freed, found, some)
    verdicts = {key: _verdict(key, line, found) for key, line in lines}
    return Decision(row["id"], row["cascade_id"], situation, verdicts)


_STATUS: Final = {status.value[0]: status for status in waitlist.WAITING}


def _candidate(key: int, line: Sequence[Any], wishes: Any) -> Candidate:
    version, marks, before, busy, *_ = line
    return Candidate(
        key, version, _STATUS[marks[0]], wishes["patient_id"], wishes["visit_type_id"], tuple(wishes["provider_ids"]),
        tuple(Window(*one) for one in wishes["windows"]), wishes["first_date"], wishes["last_date"],
        wishes["notice_minutes"], wishes["urgency"], wishes["joined_at"], before, "x" not in marks, "h" in marks[1:],
        "n" in marks, tuple((start, end) for start, end in busy),
    )  # fmt: skip


def _verdict(key: int, line: Sequence[Any], places: Sequence[Place]) -> Verdict:
    _, _, _, _, outcome, rank, number, names = line
    place = None if number is None else places[number]
    return Verdict(key, _OUTCOMES[outcome], rank, place, tuple(Reason[name] for name in names))


async def forget(tx: Connection, limit: int) -> int:
    """Removes decisions that are older than 90 days; answers how many."""
    done: str = await tx.execute(FORGET, limit)
    return int(done.rpartition(" ")[2])
