"""What decides the open times of hundreds of providers over all kinds of visit, each read once; and pools' first openings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from adapters.postgres.calendars import TICK_SECONDS, Offering, Pair, Triple, opening_of, schedule_of, taken_of
from adapters.postgres.clinics import visit_type_of
from adapters.postgres.database import Reader
from domain import zones
from domain.calendars import Spans
from domain.clinics import ProviderKind, VisitType
from domain.openings import Opening
from domain.schedules import Schedule

# What is taken is told with the first line of its provider alone ($4).
PAIR_TIMES = """
SELECT k.provider_id, k.clinic_id, p.kind AS provider_kind, c.time_zone, r.version AS resource_version,
    coalesce(s.version, 0) AS schedule_version, p.active AND c.active AS open, (SELECT app_now()) AS now, e.epoch,
    CASE WHEN s.version <> k.schedule_version THEN
        coalesce((SELECT jsonb_agg(jsonb_build_array(h.weekday, h.opens, h.closes, h.valid_from, h.valid_to, h.visit_type_ids)
                  ORDER BY h.weekday, h.opens, h.id)
                  FROM weekly_hours AS h WHERE h.provider_id = s.provider_id AND h.clinic_id = s.clinic_id), '[]') END AS hours,
    CASE WHEN s.version <> k.schedule_version THEN
        coalesce((SELECT jsonb_agg(jsonb_build_array(x.id, x.kind, x.date, x.opens, x.closes, x.reason)
                  ORDER BY x.date, x.opens, x.id)
                  FROM schedule_exceptions AS x WHERE x.provider_id = s.provider_id AND x.clinic_id = s.clinic_id
                      AND x.date >= (SELECT app_now() - interval '800 days')::date), '[]') END AS exceptions,
    ARRAY(SELECT o.visit_type_id FROM provider_visit_types AS o WHERE o.provider_id = p.id) AS visit_type_ids,
    b.starts, b.ends, b.expiries
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::boolean[])
    AS k (provider_id, clinic_id, schedule_version, first)
JOIN stream_epoch AS e ON true
JOIN providers AS p ON p.id = k.provider_id
JOIN resources AS r ON r.id = p.id
JOIN clinics AS c ON c.id = k.clinic_id
JOIN provider_clinics AS w ON w.provider_id = p.id AND w.clinic_id = c.id
LEFT JOIN schedules AS s ON s.provider_id = p.id AND s.clinic_id = c.id
LEFT JOIN LATERAL (
    SELECT array_agg(a.first_tick) AS starts, array_agg(a.end_tick) AS ends, array_agg(a.expires_at) AS expiries
    FROM allocations AS a
    WHERE k.first AND a.resource_id = r.id AND a.state <> 'released'
        AND a.starts_at < $6::timestamptz AND a.starts_at >= $5::timestamptz - interval '32 hours' AND a.ends_at > $5
) AS b ON true
"""

WORKING = """
SELECT w.provider_id, w.clinic_id, ARRAY(
    SELECT o.visit_type_id FROM provider_visit_types AS o JOIN visit_types AS v ON v.id = o.visit_type_id AND v.active
    WHERE o.provider_id = p.id ORDER BY o.visit_type_id
) AS visit_type_ids
FROM provider_clinics AS w
JOIN providers AS p ON p.id = w.provider_id AND p.active
JOIN clinics AS c ON c.id = w.clinic_id AND c.active
WHERE (w.provider_id, w.clinic_id) > ($1::bigint, $2::bigint)
ORDER BY w.provider_id, w.clinic_id LIMIT $3
"""

VISIT_TYPES_NOW = "SELECT * FROM visit_types WHERE id = any($1::bigint[])"

FIRST_OPENINGS = """
SELECT k.visit_type_id, x.*
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    AS k (provider_id, clinic_id, visit_type_id, first, before)
CROSS JOIN LATERAL (
    SELECT o.*, t.taken FROM openings AS o
    CROSS JOIN LATERAL (
        SELECT count(*) AS taken FROM allocations AS a WHERE a.resource_id = o.id AND a.state <> 'released'
            AND (a.expires_at IS NULL OR a.expires_at > (SELECT app_now()))
    ) AS t
    WHERE o.provider_id = k.provider_id AND o.clinic_id = k.clinic_id AND o.offered
        AND o.starts_at >= k.first AND o.starts_at < k.before AND t.taken < o.capacity
    ORDER BY o.starts_at, o.ends_at, o.id LIMIT 1
) AS x
"""


@dataclass(frozen=True, slots=True)
class PairTimes:
    """A provider at a clinic. `taken` stands with the first of a provider's; `schedule` where another version was known."""

    pair: Pair
    kind: ProviderKind
    zone: ZoneInfo
    resource_version: int
    schedule_version: int
    open: bool
    epoch: str
    now: datetime
    visit_type_keys: frozenset[int]
    schedule: Schedule | None
    taken: Spans | None

    def offering(self, visit_type: VisitType) -> Offering:
        return Offering(
            *self.pair, self.kind, self.zone, visit_type, self.resource_version, self.schedule_version,
            self.open and visit_type.active, self.epoch,
        )  # fmt: skip


async def pair_times(
    reader: Reader, pairs: Sequence[Pair], known: Mapping[Pair, int], between: tuple[int, int]
) -> list[PairTimes]:
    """Of those who work there. `known` names schedule versions; `between` is the range of ticks that matters."""
    seen: set[int] = set()
    firsts = [not (pair[0] in seen or seen.add(pair[0])) for pair in pairs]  # type: ignore[func-returns-value]
    rows = await reader.fetch(
        PAIR_TIMES,
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
        [known.get(pair, -1) for pair in pairs],
        firsts,
        *(datetime.fromtimestamp(tick * TICK_SECONDS, UTC) for tick in between),
    )
    first_of = dict(zip(pairs, firsts, strict=True))
    return [_pair_times(row, first_of) for row in rows]


def _pair_times(row: Any, first_of: Mapping[Pair, bool]) -> PairTimes:
    pair = row["provider_id"], row["clinic_id"]
    schedule = None
    if row["hours"] is not None:
        schedule = schedule_of(*pair, row["schedule_version"], row["hours"], row["exceptions"])
    return PairTimes(
        pair, ProviderKind(row["provider_kind"]), zones.named(row["time_zone"]), row["resource_version"],
        row["schedule_version"], row["open"], str(row["epoch"]), row["now"], frozenset(row["visit_type_ids"]), schedule,
        taken_of(row) if first_of[pair] else None,
    )  # fmt: skip


async def working(reader: Reader, after: Pair, limit: int) -> dict[Pair, tuple[int, ...]]:
    """Active providers at active clinics behind that pair, with their active kinds of visit, in order."""
    rows = await reader.fetch(WORKING, *after, limit)
    return {(row["provider_id"], row["clinic_id"]): tuple(row["visit_type_ids"]) for row in rows}


async def visit_types_now(reader: Reader, keys: Sequence[int]) -> dict[int, VisitType]:
    """Active or not, as they stand."""
    return {row["id"]: visit_type_of(row) for row in await reader.fetch(VISIT_TYPES_NOW, keys)}


async def first_openings(
    reader: Reader, wanted: Sequence[tuple[Triple, tuple[datetime, datetime]]]
) -> dict[Triple, Opening]:
    """By (pool, clinic, visit type), of those that start in their span: first instant and end."""
    columns = [[key[column] for key, _ in wanted] for column in range(3)]
    begins, ends = [span[0] for _, span in wanted], [span[1] for _, span in wanted]
    rows = await reader.fetch(FIRST_OPENINGS, *columns, begins, ends)
    return {(row["provider_id"], row["clinic_id"], row["visit_type_id"]): opening_of(row) for row in rows}
