"""Who waits for a time that was given up, as a decision sees them."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from adapters.postgres.database import Reader
from domain.ranking import Candidate, Freed, Standing, Wish
from domain.waitlist import EntryStatus, Window

# Who waits for what the provider offers, and what they have around that time. As for a booking (rule 13): an opening of more than
# two hours is a time to arrive in, which only meets itself. OFFSET 0 keeps what is reckoned of each from being reckoned twice.
CANDIDATES = """
WITH waiting AS (
    SELECT e.id, e.version, e.patient_id, e.status, e.appointment_id,
        e.id = any(ARRAY(SELECT entry_id FROM waitlist_offers WHERE cascade_id = $3)) AS had_it,
        NOT (SELECT accepting_new_patients FROM providers WHERE id = $2) AND NOT EXISTS (
            SELECT FROM appointments AS a WHERE a.patient_id = e.patient_id AND a.provider_id = $2
            AND a.status NOT IN ('cancelled', 'entered-in-error', 'noshow')) AS newcomer
    FROM waitlist_entries AS e
    WHERE e.clinic_id = $1 AND e.status IN ('active', 'offered', 'suspended')
        AND e.visit_type_id = any(ARRAY(SELECT visit_type_id FROM provider_visit_types WHERE provider_id = $2))
    OFFSET 0
), listed AS (
    SELECT array_agg(w.id) AS ids, array_agg(w.version) AS versions, array_agg(w.patient_id) AS patients,
        jsonb_agg(jsonb_build_array(w.id, w.status, w.had_it, w.newcomer, w.appointment_id, (
            SELECT jsonb_build_array(x.status, floor(extract(epoch FROM x.starts_at) / 60)::bigint)
            FROM appointments AS x WHERE x.id = w.appointment_id)))
            FILTER (WHERE w.status <> 'active' OR w.appointment_id IS NOT NULL OR w.had_it OR w.newcomer) AS special
    FROM waiting AS w
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

WISHES_MAX: Final = 100_000
_GONE: Final = frozenset({"cancelled", "entered-in-error"})
_shared: Final = lru_cache(maxsize=10_000)(Wish)


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


async def waiting(
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
    for patient, key, start, end in row["busy"] or ():
        busy.setdefault(patient, []).append((key, start, end))
    moves = {key: visit for key, *_, visit, moved in special.values() if moved and moved[0] == "booked"}
    return Waiting(found, busy, moves)


def _special(one: Candidate, line: Sequence[Any]) -> Candidate:
    _, status, had_it, newcomer, _, moved = line
    visit, before = moved or (None, None)
    movable = visit is None or visit == "booked" or visit in _GONE
    return replace(one, standing=Standing(EntryStatus(status), before, movable, had_it, newcomer))
