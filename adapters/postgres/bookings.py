"""Everything a claim is decided on, read in one statement under its locks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.postgres.clinics import visit_type_of
from adapters.postgres.database import Connection
from domain import zones
from domain.clinics import ProviderKind, VisitType

FACTS = """
SELECT (SELECT app_now()) AS now,
    (SELECT jsonb_build_array(operation, encode(request_hash, 'hex'), outcome) FROM idempotency
     WHERE caller = $1 AND key = $2 AND at > (SELECT app_now()) - interval '48 hours') AS remembered,
    p.id IS NOT NULL AND c.id IS NOT NULL AS known,
    coalesce(p.active AND c.active AND v.active, false)
        AND EXISTS (SELECT FROM provider_clinics WHERE provider_id = $3 AND clinic_id = $4)
        AND EXISTS (SELECT FROM provider_visit_types WHERE provider_id = $3 AND visit_type_id = $5) AS offered,
    p.kind, p.accepting_new_patients, c.time_zone, coalesce(s.version, 0) AS schedule_version, v.*,
    (SELECT version FROM resources WHERE id = coalesce($7, $3)) AS resource_version,
    CASE WHEN $7::bigint IS NULL THEN ARRAY(SELECT clinic_id FROM provider_clinics WHERE provider_id = $3 ORDER BY clinic_id)
         ELSE ARRAY[$4::bigint] END AS told_clinics,
    o.starts_at AS opening_starts_at, o.ends_at AS opening_ends_at, o.capacity,
    coalesce(o.offered AND o.provider_id = $3 AND o.clinic_id = $4, false) AS opening_offered,
    (SELECT jsonb_agg(jsonb_build_array(a.id, a.lane, extract(epoch FROM a.starts_at)::bigint,
            extract(epoch FROM a.ends_at)::bigint, a.state, a.expires_at <= (SELECT app_now()), a.hold_id, a.appointment_id,
            h.caller = $1 AND h.provider_id = $3 AND h.clinic_id = $4 AND h.visit_type_id = $5
                AND h.starts_at = coalesce(o.starts_at, $6),
            CASE WHEN w.patient_id = $8 AND w.provider_id = $3 AND w.clinic_id = $4 AND w.visit_type_id = $5
                AND w.starts_at = coalesce(o.starts_at, $6) THEN w.id END,
            coalesce(h.caller, (SELECT e.subject FROM appointment_events AS e WHERE e.appointment_id = a.appointment_id
                AND e.change IN ('booked', 'moved') ORDER BY e.version DESC LIMIT 1))) ORDER BY a.lane)
     FROM allocations AS a LEFT JOIN holds AS h ON h.id = a.hold_id AND a.state = 'held'
     LEFT JOIN waitlist_offers AS w ON w.allocation_id = a.id AND w.status = 'live' AND a.state = 'held' AND a.hold_id IS NULL
     WHERE a.resource_id = coalesce($7, $3) AND a.state <> 'released'
        AND ($7::bigint IS NOT NULL OR (
            a.starts_at >= $6::timestamptz - interval '40 hours'
            AND a.starts_at < $6 + make_interval(mins => coalesce(v.duration_minutes, 0) + v.buffer_after_minutes)
            AND a.ends_at > $6 - make_interval(mins => v.buffer_before_minutes)))) AS meeting,
    (SELECT jsonb_build_array(extract(epoch FROM h.taken_at), h.extended, h.resource_version, extract(epoch FROM a.expires_at))
     FROM holds AS h JOIN allocations AS a ON a.hold_id = h.id AND a.state = 'held'
     WHERE h.caller = $1 AND h.state = 'active' AND h.provider_id = $3 AND h.clinic_id = $4 AND h.visit_type_id = $5
        AND h.starts_at = coalesce(o.starts_at, $6) AND h.opening_id IS NOT DISTINCT FROM $7 LIMIT 1) AS own_hold,
    (SELECT count(*) FROM holds AS h JOIN allocations AS a ON a.hold_id = h.id AND a.state = 'held'
     WHERE h.caller = $1 AND h.state = 'active' AND a.expires_at > (SELECT app_now())) AS live_holds,
    EXISTS (SELECT FROM patients WHERE id = $8) AND ($10::bigint[] IS NULL
        OR EXISTS (SELECT FROM patient_clinics WHERE patient_id = $8 AND clinic_id = any($10))
        OR EXISTS (SELECT FROM appointments WHERE patient_id = $8 AND clinic_id = any($10))
        OR EXISTS (SELECT FROM waitlist_entries WHERE patient_id = $8 AND clinic_id = any($10))) AS patient_known,
    EXISTS (SELECT FROM appointments WHERE patient_id = $8 AND provider_id = $3
        AND status NOT IN ('cancelled', 'entered-in-error', 'noshow')) AS established,
    (SELECT x.id FROM appointments AS x
     WHERE x.patient_id = $8 AND x.status NOT IN ('cancelled', 'entered-in-error') AND x.id IS DISTINCT FROM $9::bigint
        AND (x.opening_id = $7
            OR ((x.opening_id IS NULL OR x.ends_at - x.starts_at <= interval '2 hours')
                AND (o.id IS NULL OR o.ends_at - o.starts_at <= interval '2 hours')
                AND x.starts_at < coalesce(o.ends_at, $6 + make_interval(mins => v.duration_minutes))
                AND x.starts_at > coalesce(o.starts_at, $6) - interval '24 hours'
                AND x.ends_at > coalesce(o.starts_at, $6)))
     ORDER BY x.starts_at LIMIT 1) AS patient_meets
FROM (VALUES (1)) AS one
LEFT JOIN providers AS p ON p.id = $3
LEFT JOIN clinics AS c ON c.id = $4
LEFT JOIN visit_types AS v ON v.id = $5
LEFT JOIN schedules AS s ON s.provider_id = $3 AND s.clinic_id = $4
LEFT JOIN openings AS o ON o.id = $7
"""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A live allocation that overlaps the wanted time. `own` is the caller's hold of this very slot, `offer_key` the patient's
    offer of it; `holder` took the time."""

    key: int
    lane: int
    starts: int
    ends: int
    state: str
    expired: bool
    hold_key: int | None
    appointment_key: int | None
    own: bool
    offer_key: int | None
    holder: str | None


@dataclass(frozen=True, slots=True)
class OwnHold:
    taken_at: float
    extended: bool
    resource_version: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Facts:
    """`known`: provider and clinic exist. `offered`: all active, and the provider offers that visit type there."""

    now: datetime
    remembered: tuple[str, bytes, dict[str, Any]] | None
    known: bool
    offered: bool
    kind: ProviderKind | None
    accepting_new_patients: bool
    time_zone: str
    schedule_version: int
    visit_type: VisitType | None
    resource_version: int
    told_clinics: list[int]
    opening: tuple[datetime, datetime, int, bool] | None
    meeting: list[Meeting]
    own_hold: OwnHold | None
    live_holds: int
    patient_known: bool
    established: bool
    patient_meets: int | None

    @property
    def zone(self) -> Any:
        return zones.named(self.time_zone)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who wants which time for whom; `start` is absent for an opening, `appointment_key` names one that is to be moved."""

    caller: str
    idempotency_key: str
    provider_key: int
    clinic_key: int
    visit_type_key: int
    start: datetime | None
    opening_key: int | None
    patient_key: int | None
    appointment_key: int | None
    clinic_keys: list[int] | None


async def facts(tx: Connection, wanted: Wanted) -> Facts:
    row = await tx.fetchrow(
        FACTS,
        wanted.caller,
        wanted.idempotency_key,
        wanted.provider_key,
        wanted.clinic_key,
        wanted.visit_type_key,
        wanted.start,
        wanted.opening_key,
        wanted.patient_key,
        wanted.appointment_key,
        wanted.clinic_keys,
    )
    assert row is not None
    opening = None
    if row["capacity"] is not None:
        opening = (row["opening_starts_at"], row["opening_ends_at"], row["capacity"], row["opening_offered"])
    return Facts(
        now=row["now"],
        remembered=_remembered(row["remembered"]),
        known=row["known"],
        offered=row["offered"],
        kind=ProviderKind(row["kind"]) if row["kind"] else None,
        accepting_new_patients=bool(row["accepting_new_patients"]),
        time_zone=row["time_zone"] or "UTC",
        schedule_version=row["schedule_version"],
        visit_type=visit_type_of(row) if row["id"] is not None else None,
        resource_version=row["resource_version"] or 0,
        told_clinics=row["told_clinics"],
        opening=opening,
        meeting=[_meeting(item) for item in row["meeting"] or ()],
        own_hold=OwnHold(*row["own_hold"]) if row["own_hold"] else None,
        live_holds=row["live_holds"],
        patient_known=row["patient_known"],
        established=row["established"],
        patient_meets=row["patient_meets"],
    )


def _meeting(item: list[Any]) -> Meeting:
    key, lane, starts, ends, state, expired, hold_key, appointment_key, own, offer_key, holder = item
    return Meeting(
        key, lane, starts, ends, state, bool(expired), hold_key, appointment_key, bool(own), offer_key, holder
    )


def _remembered(item: list[Any] | None) -> tuple[str, bytes, dict[str, Any]] | None:
    return None if item is None else (item[0], bytes.fromhex(item[1]), item[2])
