"""Many rows at once, for the demo's batches. Time is taken by `allocations.occupy` alone, here as everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.postgres import allocations
from adapters.postgres.allocations import Claim
from adapters.postgres.changes import Told
from adapters.postgres.database import Connection, Reader
from domain.appointments import Appointment, AppointmentEvent
from domain.messages import Planned

WAITING = """
WITH given AS (
    SELECT r.* FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (patient_id bigint, clinic_id bigint, visit_type_id bigint,
        provider_ids bigint[], windows jsonb, first_date date, last_date date, notice_minutes integer, urgency smallint,
        auto_book boolean, joined_at timestamptz)) WITH ORDINALITY AS r
), joined AS (
    INSERT INTO waitlist_entries (patient_id, clinic_id, visit_type_id, provider_ids, windows, first_date, last_date,
        notice_minutes, urgency, auto_book, joined_at)
    SELECT patient_id, clinic_id, visit_type_id, provider_ids, windows, first_date, last_date, notice_minutes, urgency, auto_book,
        joined_at
    FROM given ORDER BY ordinality RETURNING *
)
INSERT INTO waitlist_wishes
SELECT id, version, joined_at, provider_ids, windows, first_date, last_date, notice_minutes, urgency FROM joined
"""

IS_EMPTY = """
SELECT NOT EXISTS (SELECT FROM clinics) AND NOT EXISTS (SELECT FROM resources)
    AND NOT EXISTS (SELECT FROM patients) AND NOT EXISTS (SELECT FROM visit_types)
"""

ANALYZE = """
ANALYZE
"""

CLINICS = """
INSERT INTO clinics (name, time_zone, address_lines, city, region, postal_code, country, latitude, longitude, phone)
SELECT r.name, r.time_zone, r.address_lines, r.city, r.region, r.postal_code, r.country, r.latitude, r.longitude, r.phone
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (
    name text, time_zone text, address_lines text[], city text, region text, postal_code text, country text,
    latitude double precision, longitude double precision, phone text)) WITH ORDINALITY AS r
ORDER BY r.ordinality RETURNING id
"""

VISIT_TYPES = """
INSERT INTO visit_types (name, duration_minutes, buffer_before_minutes, buffer_after_minutes, start_every_minutes,
    minimum_notice_minutes, bookable_days_ahead, cancel_until_minutes, modality)
SELECT r.name, r.duration_minutes, r.buffer_before_minutes, r.buffer_after_minutes, r.start_every_minutes,
    r.minimum_notice_minutes, r.bookable_days_ahead, r.cancel_until_minutes, r.modality
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (
    name text, duration_minutes integer, buffer_before_minutes integer, buffer_after_minutes integer,
    start_every_minutes integer, minimum_notice_minutes integer, bookable_days_ahead integer,
    cancel_until_minutes integer, modality text)) WITH ORDINALITY AS r
ORDER BY r.ordinality RETURNING id
"""

RESOURCES = """
INSERT INTO resources (kind) SELECT 'provider' FROM generate_series(1, $1::integer) RETURNING id
"""

PROVIDERS = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS r (id bigint, npi text, name text, specialties text[],
        languages text[], accepting_new_patients boolean, clinics bigint[], visit_types bigint[])
), added AS (
    INSERT INTO providers (id, npi, name, specialties, languages, accepting_new_patients)
    SELECT id, npi, name, specialties, languages, accepting_new_patients FROM given
), placed AS (
    INSERT INTO provider_clinics (provider_id, clinic_id) SELECT id, unnest(clinics) FROM given
), scheduled AS (
    INSERT INTO schedules (provider_id, clinic_id) SELECT id, unnest(clinics) FROM given
)
INSERT INTO provider_visit_types (provider_id, visit_type_id) SELECT id, unnest(visit_types) FROM given
"""

WEEKLY_HOURS = """
INSERT INTO weekly_hours (provider_id, clinic_id, weekday, opens, closes, valid_from, valid_to, visit_type_ids)
SELECT provider_id, clinic_id, weekday, opens, closes, valid_from, valid_to, visit_type_ids
FROM jsonb_to_recordset($1::jsonb) AS r (provider_id bigint, clinic_id bigint, weekday smallint, opens smallint,
    closes smallint, valid_from date, valid_to date, visit_type_ids bigint[])
"""

EXCEPTIONS = """
INSERT INTO schedule_exceptions (provider_id, clinic_id, kind, date, opens, closes, reason)
SELECT provider_id, clinic_id, kind, date, opens, closes, reason
FROM jsonb_to_recordset($1::jsonb) AS r (provider_id bigint, clinic_id bigint, kind text, date date, opens smallint,
    closes smallint, reason text)
"""

PATIENTS = """
INSERT INTO patients (name, birth_date, email, phone)
SELECT r.name, r.birth_date, r.email, r.phone
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (name text, birth_date date, email text, phone text))
    WITH ORDINALITY AS r
ORDER BY r.ordinality RETURNING id
"""

REGISTRATIONS = """
INSERT INTO patient_clinics (patient_id, clinic_id) SELECT * FROM unnest($1::bigint[], $2::bigint[])
"""

APPOINTMENT_KEYS = """
SELECT nextval('appointments_id_seq') AS id FROM generate_series(1, $1::integer)
"""

APPOINTMENTS = """
INSERT INTO appointments (id, version, status, patient_id, provider_id, clinic_id, visit_type_id, starts_at, ends_at, reason)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::timestamptz[], $9::timestamptz[], $10::text[])
ON CONFLICT DO NOTHING RETURNING id
"""

EVENTS = """
INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at, reason)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[], $9::text[])
"""

BOOKED_TIMES = """
SELECT id FROM allocations WHERE appointment_id = any($1::bigint[]) AND state = 'booked'
"""

APPOINTMENTS_TOLD = """
INSERT INTO outbox (at, topic, clinic_id, appointment_id, appointment_version, patient_id, payload)
SELECT (SELECT app_now()), 'appointments', r.clinic_id, r.appointment_id, r.version, r.patient_id, '{}'
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) AS r (clinic_id, appointment_id, version, patient_id)
"""

CALENDARS_TOLD = """
WITH bumped AS (
    UPDATE resources SET version = version + 1 WHERE id = any($1::bigint[]) RETURNING id, version
)
INSERT INTO outbox (at, topic, clinic_id, resource_id, resource_version, payload)
SELECT (SELECT app_now()), 'availability', t.clinic_id, t.resource_id, b.version, t.payload
FROM unnest($2::bigint[], $3::bigint[], $4::jsonb[]) AS t (resource_id, clinic_id, payload)
JOIN bumped AS b ON b.id = t.resource_id
"""

MESSAGES = """
INSERT INTO messages (appointment_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, why, tries, tried_at,
    sent_at)
SELECT r.appointment_id, r.version, r.rule, r.channel, r.starts_at, r.rule_at, r.due_at, r.due_at, r.status, r.why,
    (r.sent_at IS NOT NULL)::integer, r.sent_at, r.sent_at
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
    $8::text[], $9::text[], $10::timestamptz[])
    AS r (appointment_id, version, rule, channel, starts_at, rule_at, due_at, status, why, sent_at)
"""

APPOINTMENTS_AUDITED = """
INSERT INTO audit (at, subject, role, patient_id, operation, entity, request_id)
SELECT r.at, r.subject, r.role, r.patient_id, CASE r.change WHEN 'booked' THEN 'bookAppointment'
    WHEN 'cancelled' THEN 'cancelAppointment' ELSE 'setAppointmentStatus' END, 'appointment:' || r.appointment_id, ''
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
    AS r (at, subject, role, patient_id, change, appointment_id)
"""

AUDITED = """
INSERT INTO audit (at, subject, role, operation, entity, request_id)
VALUES ((SELECT app_now()), $1, 'system', $2, $3, '')
"""


class Refused(Exception):
    """Somebody has a time, or a patient is elsewhere at it: the batch is rolled back."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message about a version of an appointment, and when it was sent."""

    version: int
    planned: Planned
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """An appointment as it stands, what happened to it, who did each of that, and the time to take, buffers included; and what
    its patient is told."""

    appointment: Appointment
    events: list[AppointmentEvent]
    subjects: list[str]
    from_at: datetime
    to_at: datetime
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Providers:
    """Rows of one batch, named as the columns are; `providers` also carry `clinics` and `visit_types`, keys both."""

    providers: list[dict[str, Any]] = field(default_factory=list)
    hours: list[dict[str, Any]] = field(default_factory=list)
    exceptions: list[dict[str, Any]] = field(default_factory=list)


async def is_empty(reader: Reader) -> bool:
    """No clinic, resource, patient or visit type."""
    return bool(await reader.fetchval(IS_EMPTY))


async def add_clinics(tx: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Keys in the order of the rows."""
    return [row["id"] for row in await tx.fetch(CLINICS, rows)]


async def add_visit_types(tx: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in await tx.fetch(VISIT_TYPES, rows)]


async def add_resources(tx: Connection, count: int) -> list[int]:
    """Keys of new resources that become providers in the same transaction."""
    return [row["id"] for row in await tx.fetch(RESOURCES, count)]


async def add_providers(tx: Connection, rows: Providers) -> None:
    await tx.execute(PROVIDERS, rows.providers)
    await tx.execute(WEEKLY_HOURS, rows.hours)
    if rows.exceptions:
        await tx.execute(EXCEPTIONS, rows.exceptions)


async def add_patients(tx: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Keys in the order of the rows; each row's `clinic` is where that patient is registered."""
    keys = [row["id"] for row in await tx.fetch(PATIENTS, rows)]
    await tx.execute(REGISTRATIONS, keys, [row["clinic"] for row in rows])
    return keys


async def appointment_keys(reader: Reader, count: int) -> list[int]:
    """Keys that nobody else will get."""
    return [row["id"] for row in await reader.fetch(APPOINTMENT_KEYS, count)]


async def add_appointments(tx: Connection, histories: Sequence[History]) -> None:
    """Their time, rows, events, messages and audit; the calendars are told by `tell`. Raises Refused where a guard does."""
    made = [one.appointment for one in histories]
    claims = [
        Claim(one.appointment.provider_key, one.from_at, one.to_at, appointment_key=one.appointment.key)
        for one in histories
    ]
    if None in await allocations.occupy(tx, claim=claims):
        raise Refused("a time is taken")
    rows = await tx.fetch(
        APPOINTMENTS,
        [one.key for one in made],
        [one.version for one in made],
        [one.status.value for one in made],
        [one.patient_key for one in made],
        [one.provider_key for one in made],
        [one.clinic_key for one in made],
        [one.visit_type_key for one in made],
        [one.starts_at for one in made],
        [one.ends_at for one in made],
        [one.reason for one in made],
    )
    if len(rows) < len(made):
        raise Refused("a patient is elsewhere")
    over = [one.key for one in made if not one.status.live]
    if over:
        await allocations.occupy(tx, release=[row["id"] for row in await tx.fetch(BOOKED_TIMES, over)])
    await _add_events(tx, histories)
    await _add_messages(tx, histories)


async def _add_events(tx: Connection, histories: Sequence[History]) -> None:
    events = [
        (history.appointment, event, subject)
        for history in histories
        for event, subject in zip(history.events, history.subjects, strict=True)
    ]
    keys, versions = [one.key for one, _, _ in events], [event.version for _, event, _ in events]
    patients = [one.patient_key for one, _, _ in events]
    at, subjects = [event.at for _, event, _ in events], [subject for _, _, subject in events]
    roles, changes = [event.by.value for _, event, _ in events], [event.change.value for _, event, _ in events]
    await tx.execute(
        EVENTS,
        keys,
        versions,
        at,
        roles,
        subjects,
        changes,
        [event.status.value for _, event, _ in events],
        [event.starts_at for _, event, _ in events],
        [event.reason for _, event, _ in events],
    )
    await tx.execute(APPOINTMENTS_TOLD, [one.clinic_key for one, _, _ in events], keys, versions, patients)
    await tx.execute(APPOINTMENTS_AUDITED, at, subjects, roles, patients, changes, keys)


async def _add_messages(tx: Connection, histories: Sequence[History]) -> None:
    told = [(history.appointment, one) for history in histories for one in history.messages]
    if not told:
        return
    planned = [one.planned for _, one in told]
    await tx.execute(
        MESSAGES,
        [made.key for made, _ in told],
        [one.version for _, one in told],
        [one.rule.value for one in planned],
        [one.channel.value for one in planned],
        [made.starts_at for made, _ in told],
        [one.rule_at for one in planned],
        [one.due_at for one in planned],
        [one.status.value for one in planned],
        [one.why.name if one.why else None for one in planned],
        [one.sent_at for _, one in told],
    )


async def add_waiting(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Entries of the waitlist, each with its wishes: two rows."""
    await tx.execute(WAITING, rows)


async def tell(tx: Connection, told: Sequence[Told], subject: str, operation: str, entity: str) -> None:
    """Each resource named gets one new version, told to its clinics; who did it is audited."""
    await tx.execute(
        CALENDARS_TOLD,
        list({one.resource_key for one in told}),
        [one.resource_key for one in told],
        [one.clinic_key for one in told],
        [one.payload for one in told],
    )
    await tx.execute(AUDITED, subject, operation, entity)


async def analyze(reader: Reader) -> None:
    """Lets the planner look at what came in; until it has, its first plans are guesses."""
    await reader.execute(ANALYZE)
