"""What decides open times: who offers what where and at which version, the hours, and what occupies time."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from adapters.postgres.clinics import visit_type_of
from adapters.postgres.database import Reader
from domain import availability, zones
from domain.calendars import CHUNK_TICKS, Calendar, Spans, whole
from domain.clinics import ProviderKind, VisitType
from domain.openings import Opening
from domain.schedules import TICK_MINUTES, ExceptionKind, Schedule, ScheduleException, WeeklyHours

TICK_SECONDS = TICK_MINUTES * 60
OFFERS_MAX = 10_000
Triple = tuple[int, int, int]
Pair = tuple[int, int]

OFFERINGS = """
SELECT k.provider_id, k.clinic_id, p.kind AS provider_kind, c.time_zone, r.version AS resource_version,
    coalesce(s.version, 0) AS schedule_version, p.active AND c.active AND v.active AS open, (SELECT app_now()) AS now,
    (SELECT epoch FROM stream_epoch) AS epoch, v.*
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (provider_id, clinic_id, visit_type_id)
JOIN providers AS p ON p.id = k.provider_id
JOIN resources AS r ON r.id = p.id
JOIN clinics AS c ON c.id = k.clinic_id
JOIN visit_types AS v ON v.id = k.visit_type_id
JOIN provider_clinics AS w ON w.provider_id = p.id AND w.clinic_id = c.id
JOIN provider_visit_types AS o ON o.provider_id = p.id AND o.visit_type_id = v.id
LEFT JOIN schedules AS s ON s.provider_id = p.id AND s.clinic_id = c.id
"""

# Nobody counts the rows of stream_epoch, there being one: without the limit the plan is one for thousands, and reads whole tables.
OPEN_TIMES = """
SELECT k.provider_id, k.clinic_id, p.kind AS provider_kind, c.time_zone, r.version AS resource_version,
    coalesce(s.version, 0) AS schedule_version, p.active AND c.active AND v.active AS open, (SELECT app_now()) AS now, e.epoch,
    CASE WHEN s.version <> k.schedule_version THEN
        coalesce((SELECT jsonb_agg(jsonb_build_array(h.weekday, h.opens, h.closes, h.valid_from, h.valid_to, h.visit_type_ids)
                  ORDER BY h.weekday, h.opens, h.id)
                  FROM weekly_hours AS h WHERE h.provider_id = s.provider_id AND h.clinic_id = s.clinic_id), '[]') END AS hours,
    CASE WHEN s.version <> k.schedule_version THEN
        coalesce((SELECT jsonb_agg(jsonb_build_array(x.id, x.kind, x.date, x.opens, x.closes, x.reason)
                  ORDER BY x.date, x.opens, x.id)
                  FROM schedule_exceptions AS x WHERE x.provider_id = s.provider_id AND x.clinic_id = s.clinic_id
                      AND x.date >= (SELECT app_now() - interval '800 days')::date), '[]') END AS exceptions,
    k.calendar_version < r.version OR e.epoch::text <> $8 OR ($9 AND k.calendar_version <> r.version) AS calendar_read,
    b.starts, b.ends, b.expiries, v.*
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::bigint[])
    AS k (provider_id, clinic_id, visit_type_id, schedule_version, calendar_version)
CROSS JOIN (SELECT epoch FROM stream_epoch LIMIT 1) AS e
JOIN providers AS p ON p.id = k.provider_id
JOIN resources AS r ON r.id = p.id
JOIN clinics AS c ON c.id = k.clinic_id
JOIN visit_types AS v ON v.id = k.visit_type_id
JOIN provider_clinics AS w ON w.provider_id = p.id AND w.clinic_id = c.id
JOIN provider_visit_types AS o ON o.provider_id = p.id AND o.visit_type_id = v.id
LEFT JOIN schedules AS s ON s.provider_id = p.id AND s.clinic_id = c.id
LEFT JOIN LATERAL (
    SELECT array_agg(a.first_tick) AS starts, array_agg(a.end_tick) AS ends, array_agg(a.expires_at) AS expiries
    FROM allocations AS a
    WHERE a.resource_id = r.id AND a.state <> 'released'
        AND (k.calendar_version < r.version OR e.epoch::text <> $8 OR ($9 AND k.calendar_version <> r.version))
        AND a.starts_at < $7::timestamptz AND a.starts_at >= $6::timestamptz - interval '32 hours' AND a.ends_at > $6
) AS b ON true
"""

OFFERING_PROVIDERS = """
SELECT p.id FROM provider_clinics AS w
JOIN providers AS p ON p.id = w.provider_id AND p.active
JOIN provider_visit_types AS o ON o.provider_id = p.id AND o.visit_type_id = $2
WHERE w.clinic_id = $1 AND ($3::bigint[] IS NULL OR p.id = any($3))
ORDER BY p.id LIMIT 2000
"""

SCHEDULES = """
SELECT s.provider_id, s.clinic_id, s.version,
    coalesce((SELECT jsonb_agg(jsonb_build_array(h.weekday, h.opens, h.closes, h.valid_from, h.valid_to, h.visit_type_ids)
              ORDER BY h.weekday, h.opens, h.id)
              FROM weekly_hours AS h WHERE h.provider_id = s.provider_id AND h.clinic_id = s.clinic_id), '[]') AS hours,
    coalesce((SELECT jsonb_agg(jsonb_build_array(e.id, e.kind, e.date, e.opens, e.closes, e.reason)
              ORDER BY e.date, e.opens, e.id)
              FROM schedule_exceptions AS e WHERE e.provider_id = s.provider_id AND e.clinic_id = s.clinic_id
                  AND e.date >= (SELECT app_now() - interval '800 days')::date), '[]') AS exceptions
FROM unnest($1::bigint[], $2::bigint[]) AS k (provider_id, clinic_id)
JOIN schedules AS s ON s.provider_id = k.provider_id AND s.clinic_id = k.clinic_id
"""

BUSY = """
SELECT r.id, r.version, k.number,
    array_agg(a.first_tick) FILTER (WHERE a.id IS NOT NULL) AS starts,
    array_agg(a.end_tick) FILTER (WHERE a.id IS NOT NULL) AS ends,
    array_agg(a.expires_at) FILTER (WHERE a.id IS NOT NULL) AS expiries
FROM unnest($1::bigint[], $2::bigint[]) AS k (resource_id, number)
JOIN resources AS r ON r.id = k.resource_id
LEFT JOIN allocations AS a ON a.resource_id = r.id AND a.state <> 'released'
    AND a.starts_at < to_timestamp((k.number + 1) * $3::bigint)
    AND a.starts_at >= to_timestamp(k.number * $3::bigint) - interval '32 hours'
    AND a.ends_at > to_timestamp(k.number * $3::bigint)
GROUP BY r.id, k.number
"""

OPENINGS = """
SELECT k.visit_type_id, o.*, (SELECT count(*) FROM allocations AS a WHERE a.resource_id = o.id AND a.state <> 'released'
    AND (a.expires_at IS NULL OR a.expires_at > (SELECT app_now()))) AS taken
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (provider_id, clinic_id, visit_type_id)
JOIN openings AS o ON o.provider_id = k.provider_id AND o.clinic_id = k.clinic_id
WHERE o.starts_at >= $4 AND o.starts_at < $5 AND o.offered
ORDER BY o.starts_at, o.ends_at, o.id LIMIT $6
"""

OPENINGS_BY_KEY = """
SELECT 0::bigint AS visit_type_id, o.*, (SELECT count(*) FROM allocations AS a WHERE a.resource_id = o.id AND a.state <> 'released'
    AND (a.expires_at IS NULL OR a.expires_at > (SELECT app_now()))) AS taken
FROM openings AS o WHERE o.id = any($1::bigint[])
"""


@dataclass(frozen=True, slots=True)
class Offering:
    """A provider who offers a visit type at a clinic, with the versions of what decides the open times."""

    provider_key: int
    clinic_key: int
    kind: ProviderKind
    zone: ZoneInfo
    visit_type: VisitType
    resource_version: int
    schedule_version: int
    open: bool
    epoch: str


@dataclass(frozen=True, slots=True)
class Times:
    """What was read beside an offering: the schedule where another version was known, what is taken where none was new enough."""

    offering: Offering
    now: datetime
    schedule: Schedule | None
    taken: Spans | None


async def offerings(reader: Reader, keys: Sequence[Triple]) -> dict[Triple, Offering]:
    """By (provider, clinic, visit type); pairs that are not offered at all are left out."""
    return {key: one for key, (one, _) in (await offerings_now(reader, keys)).items()}


async def offerings_now(reader: Reader, keys: Sequence[Triple]) -> dict[Triple, tuple[Offering, datetime]]:
    """The same with the clock."""
    rows = await reader.fetch(OFFERINGS, *_columns(keys, 3))
    return {(row["provider_id"], row["clinic_id"], row["id"]): (_offering(row), row["now"]) for row in rows}


async def times(
    reader: Reader,
    keys: Sequence[Triple],
    known: Mapping[Pair, int],
    cached: Mapping[int, int],
    between: tuple[int, int],
    epoch: str,
    *,
    exact: bool,
) -> dict[Triple, Times]:
    """Offerings with all that decides their open times, in one statement: only what is not known or cached already is read.

    `known` names schedule versions by (provider, clinic), `cached` calendar versions by resource, of this epoch; `between` is
    the range of ticks that matters. `exact`: only a cached calendar of the very version counts.
    """
    rows = await reader.fetch(
        OPEN_TIMES,
        *_columns(keys, 3),
        [known.get((one[0], one[1]), -1) for one in keys],
        [cached.get(one[0], -1) for one in keys],
        *(datetime.fromtimestamp(tick * TICK_SECONDS, UTC) for tick in between),
        epoch,
        exact,
    )
    found = {}
    for row in rows:
        provider_key, clinic_key = row["provider_id"], row["clinic_id"]
        schedule = None
        if row["hours"] is not None:
            schedule = schedule_of(provider_key, clinic_key, row["schedule_version"], row["hours"], row["exceptions"])
        taken = taken_of(row) if row["calendar_read"] else None
        found[provider_key, clinic_key, row["id"]] = Times(_offering(row), row["now"], schedule, taken)
    return found


def _offering(row: Any) -> Offering:
    return Offering(
        provider_key=row["provider_id"],
        clinic_key=row["clinic_id"],
        kind=ProviderKind(row["provider_kind"]),
        zone=zones.named(row["time_zone"]),
        visit_type=visit_type_of(row),
        resource_version=row["resource_version"],
        schedule_version=row["schedule_version"],
        open=row["open"],
        epoch=str(row["epoch"]),
    )


def taken_of(row: Any) -> Spans:
    expiries = [0 if one is None else ceil(one.timestamp()) for one in row["expiries"] or ()]
    return row["starts"] or [], row["ends"] or [], expiries


def schedule_of(provider_key: int, clinic_key: int, version: int, hours: list[Any], exceptions: list[Any]) -> Schedule:
    return Schedule(
        provider_key,
        clinic_key,
        version,
        tuple(_hours(item) for item in hours),
        tuple(_exception(provider_key, clinic_key, item) for item in exceptions),
    )


async def offering_providers(
    reader: Reader, clinic_key: int, visit_type_key: int, among: Sequence[int] | None = None
) -> list[int]:
    """Active providers who offer the visit type at the clinic, by key; at most 2,000."""
    rows = await reader.fetch(OFFERING_PROVIDERS, clinic_key, visit_type_key, among)
    return [row["id"] for row in rows]


async def schedules(reader: Reader, keys: Sequence[Pair]) -> dict[Pair, Schedule]:
    """By (provider, clinic); those that have none are left out."""
    found = {}
    for row in await reader.fetch(SCHEDULES, *_columns(keys, 2)):
        pair = row["provider_id"], row["clinic_id"]
        found[pair] = schedule_of(*pair, row["version"], row["hours"], row["exceptions"])
    return found


class KnownSchedules:
    """Schedules by (provider, clinic, version). A version never changes, so what is known stays true; only space runs out."""

    def __init__(self, limit: int = 20_000) -> None:
        self._known: OrderedDict[Triple, Schedule] = OrderedDict()
        self._latest: dict[Pair, int] = {}
        self._offers: OrderedDict[tuple[Any, ...], int] = OrderedDict()
        self._limit = limit

    def latest(self, pair: Pair) -> int:
        """The newest version known of a schedule; -1 where none is."""
        return self._latest.get(pair, -1)

    def version(self, pair: Pair, version: int) -> Schedule | None:
        """The schedule of that version, if it is known; version 0 is a schedule without hours."""
        return self._known.get((*pair, version)) if version else Schedule(*pair, 0)

    def learn(self, schedule: Schedule) -> None:
        pair = (schedule.provider_key, schedule.clinic_key)
        self._known[*pair, schedule.version] = schedule
        self._latest[pair] = max(schedule.version, self._latest.get(pair, -1))
        if len(self._known) > self._limit:
            (provider_key, clinic_key, version), _ = self._known.popitem(last=False)
            if self._latest.get((provider_key, clinic_key)) == version:
                del self._latest[provider_key, clinic_key]

    def forget(self) -> None:
        """After a restore versions may come again with other hours."""
        self._known.clear()
        self._latest.clear()
        self._offers.clear()

    async def at(self, reader: Reader, wanted: Mapping[Pair, int]) -> dict[Pair, Schedule]:
        """Schedules at least as new as the versions asked for; version 0 is a schedule without hours."""
        found, missing = {}, []
        for pair, version in wanted.items():
            known = self.version(pair, version)
            if known is None:
                missing.append(pair)
            else:
                found[pair] = known
        if missing:
            for pair, schedule in (await schedules(reader, missing)).items():
                found[pair] = schedule
                self.learn(schedule)
        return found

    def offers(self, schedule: Schedule, zone: ZoneInfo, visit_type: VisitType, first: date, last: date) -> int:
        """`availability.offers`, remembered: hours and visit type are named by their versions."""
        key = (
            schedule.provider_key, schedule.clinic_key, schedule.version, visit_type.key, visit_type.version, zone, first,
            last,
        )  # fmt: skip
        plane = self._offers.get(key)
        if plane is None:
            plane = self._offers[key] = availability.offers(schedule, zone, visit_type, first, last)
            if len(self._offers) > OFFERS_MAX:
                self._offers.popitem(last=False)
        return plane


async def busy(reader: Reader, keys: Sequence[Pair]) -> dict[Pair, Calendar]:
    """Calendars of chunks by (resource, number of the chunk)."""
    found = {}
    rows = await reader.fetch(BUSY, *_columns(keys, 2), CHUNK_TICKS * TICK_SECONDS)
    for row in rows:
        found[row["id"], row["number"]] = whole(row["version"], range(row["number"], row["number"] + 1), taken_of(row))
    return found


async def openings(
    reader: Reader, keys: Sequence[Triple], first: datetime, before: datetime, limit: int
) -> dict[Triple, list[Opening]]:
    """Offered openings that start in [first, before), by (pool, clinic, visit type), in order of start."""
    found: dict[Triple, list[Opening]] = {key: [] for key in keys}
    for row in await reader.fetch(OPENINGS, *_columns(keys, 3), first, before, limit):
        found[row["provider_id"], row["clinic_id"], row["visit_type_id"]].append(opening_of(row))
    return found


async def openings_by_key(reader: Reader, keys: Sequence[int]) -> dict[int, Opening]:
    return {row["id"]: opening_of(row) for row in await reader.fetch(OPENINGS_BY_KEY, keys)}


def opening_of(row: Any) -> Opening:
    return Opening(
        row["id"], row["provider_id"], row["clinic_id"], row["starts_at"], row["ends_at"], row["capacity"],
        row["offered"], row["taken"],
    )  # fmt: skip


def _hours(item: list[Any]) -> WeeklyHours:
    weekday, opens, closes, valid_from, valid_to, visit_type_keys = item
    return WeeklyHours(weekday, opens, closes, _date(valid_from), _date(valid_to), tuple(visit_type_keys))


def _exception(provider_key: int, clinic_key: int, item: list[Any]) -> ScheduleException:
    key, kind, day, opens, closes, reason = item
    return ScheduleException(
        key, provider_key, clinic_key, ExceptionKind(kind), zones.date_of(day), opens, closes, reason
    )


def _date(text: str | None) -> Any:
    return None if text is None else zones.date_of(text)


def _columns(keys: Sequence[tuple[int, ...]], width: int) -> list[list[int]]:
    return [[key[column] for key in keys] for column in range(width)]
