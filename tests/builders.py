"""A small world in plain SQL, for tests that need somebody to book and somewhere to do it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from adapters.postgres.database import Database, Reader, pool
from domain import ids, zones
from domain.access import Role, Viewer

ZONE = "America/New_York"


@dataclass(frozen=True, slots=True)
class World:
    """One clinic with one provider who offers one visit type of 30 minutes every day from 09:00 to 17:00, and one patient."""

    clinic: int
    provider: int
    visit_type: int
    patient: int

    @property
    def clinic_id(self) -> str:
        return ids.node(ids.CLINIC, self.clinic)

    @property
    def provider_id(self) -> str:
        return ids.node(ids.PROVIDER, self.provider)

    @property
    def visit_type_id(self) -> str:
        return ids.node(ids.VISIT_TYPE, self.visit_type)

    @property
    def patient_id(self) -> str:
        return ids.node(ids.PATIENT, self.patient)

    @property
    def staff(self) -> Viewer:
        return staff(self.clinic)

    def slot_id(self, day: date, minute: int, zone: str = ZONE) -> str:
        """The slot that starts at that minute of the clinic's wall clock."""
        start = zones.instant(zones.named(zone), day, minute)
        return str(ids.SlotKey(self.provider, self.clinic, self.visit_type, start))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database with a pool of its own."""
    database = Database(await pool(url, size=10))
    try:
        yield database
    finally:
        await database.close()


def key() -> str:
    """An idempotency key that nobody has used."""
    return uuid4().hex


def admin() -> Viewer:
    return Viewer(Role.ADMIN, "test-admin", None, None, "request-admin")


def staff(*clinic_keys: int, subject: str = "test-staff") -> Viewer:
    """Without clinics: staff of none."""
    return Viewer(Role.STAFF, subject, None, frozenset(clinic_keys), "request-staff")


def patient_viewer(patient_key: int) -> Viewer:
    return Viewer(Role.PATIENT, ids.node(ids.PATIENT, patient_key), patient_key, frozenset(), "request-patient")


async def world(reader: Reader, zone: str = ZONE) -> World:
    clinic_key = await clinic(reader, zone=zone)
    visit_type_key = await visit_type(reader)
    provider_key = await provider(reader, [clinic_key], [visit_type_key])
    await schedule(reader, provider_key, clinic_key)
    return World(clinic_key, provider_key, visit_type_key, await patient(reader, [clinic_key]))


async def clinic(reader: Reader, name: str = "Elm Street Clinic", zone: str = ZONE, country: str = "US") -> int:
    return await _key(
        reader,
        "INSERT INTO clinics (name, time_zone, address_lines, city, country) VALUES ($1, $2, '{1 Elm Street}', 'Elmton', $3)"
        " RETURNING id",
        name,
        zone,
        country,
    )


async def visit_type(reader: Reader, name: str = "Check-up", duration: int | None = 30, notice: int = 0) -> int:
    """Bookable to the last minute, one year ahead. Duration None: published openings."""
    return await _key(
        reader,
        "INSERT INTO visit_types (name, duration_minutes, start_every_minutes, minimum_notice_minutes, bookable_days_ahead)"
        " VALUES ($1, $2, $2, $3, 365) RETURNING id",
        name,
        duration,
        notice,
    )


async def provider(
    reader: Reader,
    clinic_keys: Sequence[int],
    visit_type_keys: Sequence[int],
    name: str = "Dr Ash",
    kind: str = "person",
    npi: str | None = None,
) -> int:
    found = await _key(reader, "INSERT INTO resources (kind) VALUES ('provider') RETURNING id")
    await reader.execute("INSERT INTO providers (id, name, kind, npi) VALUES ($1, $2, $3, $4)", found, name, kind, npi)
    await reader.execute("INSERT INTO provider_clinics SELECT $1, unnest($2::bigint[])", found, list(clinic_keys))
    await reader.execute(
        "INSERT INTO provider_visit_types SELECT $1, unnest($2::bigint[])", found, list(visit_type_keys)
    )
    return found


async def schedule(
    reader: Reader,
    provider_key: int,
    clinic_key: int,
    opens: int = 540,
    closes: int = 1020,
    days: Sequence[int] = range(7),
) -> None:
    """Version 1: the same hours (minutes of the wall clock) on each of the weekdays (0 is Monday)."""
    await reader.execute("INSERT INTO schedules (provider_id, clinic_id) VALUES ($1, $2)", provider_key, clinic_key)
    await reader.execute(
        "INSERT INTO weekly_hours (provider_id, clinic_id, weekday, opens, closes)"
        " SELECT $1, $2, unnest($3::smallint[]), $4::smallint, $5::smallint",
        provider_key,
        clinic_key,
        list(days),
        opens,
        closes,
    )


async def opening(
    reader: Reader, provider_key: int, clinic_key: int, starts_at: datetime, minutes: int = 15, capacity: int = 1
) -> int:
    found = await _key(reader, "INSERT INTO resources (kind) VALUES ('opening') RETURNING id")
    await reader.execute(
        "INSERT INTO openings (id, provider_id, clinic_id, starts_at, ends_at, capacity) VALUES ($1, $2, $3, $4, $5, $6)",
        found,
        provider_key,
        clinic_key,
        starts_at,
        starts_at + timedelta(minutes=minutes),
        capacity,
    )
    return found


async def patient(
    reader: Reader,
    clinic_keys: Sequence[int] = (),
    name: str = "Ada Birch",
    birth_date: date | None = None,
    email: str | None = None,
    phone: str | None = None,
) -> int:
    """Registered at those clinics."""
    found = await _key(
        reader,
        "INSERT INTO patients (name, birth_date, email, phone) VALUES ($1, $2, $3, $4) RETURNING id",
        name,
        birth_date,
        email,
        phone,
    )
    await reader.execute("INSERT INTO patient_clinics SELECT $1, unnest($2::bigint[])", found, list(clinic_keys))
    return found


async def appointment(
    reader: Reader, at: World, starts_at: datetime, minutes: int = 30, status: str = "booked", patient_key: int = 0
) -> int:
    """With the time it occupies and its first event, as a booking leaves them (but no outbox row)."""
    ends_at = starts_at + timedelta(minutes=minutes)
    found = await _key(
        reader,
        "INSERT INTO appointments (status, patient_id, provider_id, clinic_id, visit_type_id, starts_at, ends_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        status,
        patient_key or at.patient,
        at.provider,
        at.clinic,
        at.visit_type,
        starts_at,
        ends_at,
    )
    await reader.execute(
        "INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at)"
        " VALUES ($1, 1, app_now(), 'system', 'test', 'booked', $2, $3)",
        found,
        status,
        starts_at,
    )
    state = "released" if status in ("cancelled", "entered-in-error") else "booked"
    await reader.execute(
        "INSERT INTO allocations (resource_id, starts_at, ends_at, state, appointment_id) VALUES ($1, $2, $3, $4, $5)",
        at.provider,
        starts_at,
        ends_at,
        state,
        found,
    )
    return found


def wall(day: date, minute: int, zone: str = ZONE) -> datetime:
    """The instant of a minute of the wall clock."""
    return datetime.fromtimestamp(zones.instant(zones.named(zone), day, minute) * 60, UTC)


async def rows(reader: Reader, statement: str, *arguments: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in await reader.fetch(statement, *arguments)]


async def _key(reader: Reader, statement: str, *arguments: Any) -> int:
    found: int = await reader.fetchval(statement, *arguments)
    return found


async def offered(reader: Reader, place: World) -> tuple[int, int]:
    """The patient's entry on the clinic's waitlist, and an offer of it that ran out."""
    days = [date(2027, 1, 1), date(2030, 1, 1)]
    entry: int = await reader.fetchval(
        """WITH joined AS (
            INSERT INTO waitlist_entries (patient_id, clinic_id, visit_type_id, first_date, last_date, notice_minutes, joined_at)
            VALUES ($1, $2, $3, $4, $5, 60, app_now()) RETURNING *
        ), wished AS (
            INSERT INTO waitlist_wishes SELECT id, version, joined_at, provider_ids, windows, first_date, last_date,
                notice_minutes, urgency FROM joined
        ) SELECT id FROM joined""",
        place.patient, place.clinic, place.visit_type, *days,
    )  # fmt: skip
    offer: int = await reader.fetchval(
        """WITH taken AS (
            INSERT INTO allocations (resource_id, starts_at, ends_at, state)
            VALUES ($1, app_now() + interval '9 days', app_now() + interval '9 days 30 minutes', 'released') RETURNING *
        ) INSERT INTO waitlist_offers (entry_id, patient_id, allocation_id, cascade_id, provider_id, clinic_id, visit_type_id,
            starts_at, ends_at, made_at, expires_at, status)
        SELECT $2, $3, id, 0, $1, $4, $5, starts_at, ends_at, app_now(), app_now(), 'expired' FROM taken RETURNING id""",
        place.provider, entry, place.patient, place.clinic, place.visit_type,
    )  # fmt: skip
    return entry, offer
