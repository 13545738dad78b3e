"""Clinics, providers and people for tests, made by plain SQL; and the services on top of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg

from adapters.postgres import changes, locks, stream
from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.changes import Change, Request
from adapters.postgres.database import Database
from adapters.postgres.open_times import OpenTimes
from domain import ids, zones
from domain.access import Role, Viewer
from domain.ids import SlotKey
from services import records
from services.alternatives import Alternatives
from services.booking import Booking
from services.changing import Changing
from services.contention import Shield, SlotLock
from services.desk import Desk
from services.sweeping import Sweeping
from services.waiting import Waiting

MONDAY = datetime(2027, 3, 1, 14, tzinfo=UTC)  # where a test's clock starts: 09:00 in New York
_numbers = count(1)


async def nothing_written(_resources: list[int]) -> None:
    """Stands for the caches, which are told after each write."""


def new_key() -> str:
    return f"key-{next(_numbers)}"


@dataclass
class World:
    """A group of clinics in one database. Every test gets fresh services; `written` collects what the caches are told."""

    database: Database
    desk: Desk
    booking: Booking
    changing: Changing
    waiting: Waiting
    sweeping: Sweeping

    @classmethod
    def on(cls, pool: asyncpg.Pool, lock: SlotLock | None = None) -> "World":
        database, known = Database(pool), KnownSchedules()
        alternatives = Alternatives(database, OpenTimes(known))
        desk = Desk(database, known, Shield(lock), alternatives, nothing_written)
        return cls(database, desk, Booking(desk), Changing(desk), Waiting(desk), Sweeping(desk))

    def again(self, lock: SlotLock | None = None) -> "World":
        """The same database seen by another process: nothing remembered."""
        return World.on(self.database.primary, lock)

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        return list(await self.database.primary.fetch(statement, *arguments))

    async def value(self, statement: str, *arguments: Any) -> Any:
        return await self.database.primary.fetchval(statement, *arguments)

    async def run(self, statement: str, *arguments: Any) -> None:
        await self.database.primary.execute(statement, *arguments)

    async def clock(self, at: datetime) -> None:
        """Sets the database's clock; it goes on from there."""
        await self.run("UPDATE test_clock SET shift = $1 - clock_timestamp()", at)

    async def wait(self, **span: float) -> None:
        await self.run("UPDATE test_clock SET shift = shift + $1", timedelta(**span))

    async def clinic(self, zone: str = "America/New_York", name: str | None = None) -> int:
        found: int = await self.value(
            "INSERT INTO clinics (name, time_zone, city, country) VALUES ($1, $2, 'Town', 'US') RETURNING id",
            name or f"Clinic {next(_numbers)}", zone,
        )  # fmt: skip
        return found

    async def visit_type(
        self,
        minutes: int | None = 30,
        *,
        before: int = 0,
        after: int = 0,
        every: int | None = None,
        notice: int = 60,
        days: int = 90,
        cancel: int = 1440,
    ) -> int:
        found: int = await self.value(
            """INSERT INTO visit_types (name, duration_minutes, buffer_before_minutes, buffer_after_minutes,
                start_every_minutes, minimum_notice_minutes, bookable_days_ahead, cancel_until_minutes)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id""",
            f"Visit {next(_numbers)}", minutes, before, after, every, notice, days, cancel,
        )  # fmt: skip
        return found

    async def provider(
        self,
        clinics: Sequence[int],
        types: Sequence[int],
        *,
        opens: int = 8 * 60,
        closes: int = 18 * 60,
        accepting: bool = True,
        pool: bool = False,
    ) -> int:
        """Works every day at each of the clinics, `opens` to `closes` (minutes of the wall clock); a pool has no hours."""
        key: int = await self.value("INSERT INTO resources (kind) VALUES ('provider') RETURNING id")
        await self.run(
            "INSERT INTO providers (id, name, kind, accepting_new_patients) VALUES ($1, $2, $3, $4)",
            key, f"Provider {key}", "pool" if pool else "person", accepting,
        )  # fmt: skip
        for clinic in clinics:
            await self.run("INSERT INTO provider_clinics VALUES ($1, $2)", key, clinic)
            if not pool:
                await self.run("INSERT INTO schedules (provider_id, clinic_id) VALUES ($1, $2)", key, clinic)
                await self.run(
                    """INSERT INTO weekly_hours (provider_id, clinic_id, weekday, opens, closes)
                    SELECT $1, $2, day, $3, $4 FROM generate_series(0, 6) AS day""",
                    key, clinic, opens, closes,
                )  # fmt: skip
        for kind in types:
            await self.run("INSERT INTO provider_visit_types VALUES ($1, $2)", key, kind)
        return key

    async def opening(self, provider: int, clinic: int, at: datetime, minutes: int = 30, capacity: int = 1) -> int:
        key: int = await self.value("INSERT INTO resources (kind) VALUES ('opening') RETURNING id")
        await self.run(
            "INSERT INTO openings (id, provider_id, clinic_id, starts_at, ends_at, capacity) VALUES ($1, $2, $3, $4, $5, $6)",
            key, provider, clinic, at, at + timedelta(minutes=minutes), capacity,
        )  # fmt: skip
        return key

    async def patient(self, *clinics: int) -> Viewer:
        """A patient, registered at the clinics, with a token of their own."""
        key: int = await self.value("INSERT INTO patients (name) VALUES ('Pat Doe') RETURNING id")
        for clinic in clinics:
            await self.run("INSERT INTO patient_clinics VALUES ($1, $2)", key, clinic)
        return Viewer(Role.PATIENT, f"patient-{key}", key, frozenset(), f"request-{next(_numbers)}")

    async def patients(self, how_many: int) -> list[Viewer]:
        rows = await self.fetch(
            "INSERT INTO patients (name) SELECT 'Pat Doe' FROM generate_series(1, $1::integer) RETURNING id", how_many
        )
        return [Viewer(Role.PATIENT, f"patient-{row['id']}", row["id"], frozenset(), "request") for row in rows]

    async def set_hours(self, provider: int, clinic: int, hours: Sequence[tuple[int, int]]) -> None:
        """An edit as the product makes it: under the provider's lock, the versions raised, every clinic told."""
        async with self.database.locked(None, [locks.resource(provider)]) as tx:
            await tx.execute("DELETE FROM weekly_hours WHERE provider_id = $1 AND clinic_id = $2", provider, clinic)
            for opens, closes in hours:
                await tx.execute(
                    """INSERT INTO weekly_hours (provider_id, clinic_id, weekday, opens, closes)
                    SELECT $1, $2, day, $3, $4 FROM generate_series(0, 6) AS day""",
                    provider, clinic, opens, closes,
                )  # fmt: skip
            await tx.execute(
                "UPDATE schedules SET version = version + 1 WHERE provider_id = $1 AND clinic_id = $2", provider, clinic
            )
            told = changes.told_to(provider, [clinic], records.INVALIDATED)
            request = Request(new_key(), "setWeeklyHours", b"")
            viewer = Viewer(Role.ADMIN, "editor", None, None, "request")
            at = await changes.now(tx)
            await changes.record(
                tx, Change(viewer, request, at, {"type": "ScheduleSaved"}, "schedule", clinic, told=told)
            )

    async def counts(self) -> dict[str, Any]:
        """Rows of every table that a write touches, and the sum of all versions: equal before and after a refusal."""
        tables = (
            "waitlist_entries",
            "waitlist_wishes",
            "waitlist_offers",
            "waitlist_decisions",
            "allocations",
            "holds",
            "appointments",
            "appointment_events",
            "idempotency",
            "audit",
            "outbox",
        )
        found = {one: await self.value(f"SELECT count(*) FROM {one}") for one in tables}
        found["versions"] = await self.value("SELECT sum(version) FROM resources")
        found["live"] = await self.value("SELECT count(*) FROM allocations WHERE state <> 'released'")
        return found


def staff(*clinics: int) -> Viewer:
    return Viewer(Role.STAFF, f"staff-{next(_numbers)}", None, frozenset(clinics), "request")


def admin() -> Viewer:
    return Viewer(Role.ADMIN, f"admin-{next(_numbers)}", None, None, "request")


def patient_id(viewer: Viewer) -> str:
    assert viewer.patient_key is not None
    return ids.node(ids.PATIENT, viewer.patient_key)


def slot_id(provider: int, clinic: int, kind: int, at: datetime) -> str:
    return str(SlotKey(provider, clinic, kind, zones.minutes(at)))


def opening_id(provider: int, clinic: int, kind: int, opening: int) -> str:
    return str(SlotKey(provider, clinic, kind, None, opening))


async def relayed(database: Database, *, publishing: bool = False) -> int:
    """Numbers what is in the outbox, as the relay does; waits for who still writes in another database. How many rows."""
    done = 0
    async with database.primary.acquire() as connection:
        while await connection.fetchval(
            "SELECT EXISTS (SELECT FROM outbox AS o, stream_pulse AS p WHERE (o.xid, o.id) > (p.xid, p.outbox_id))"
        ):
            done += (await stream.number(connection, publishing=publishing)).rows
    return done


OVERLAPS = """
SELECT 'provider' AS whose, a.id AS one, b.id AS other FROM allocations AS a JOIN allocations AS b
    ON a.resource_id = b.resource_id AND a.lane = b.lane AND a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
WHERE a.state <> 'released' AND b.state <> 'released'
UNION ALL
SELECT 'patient', a.id, b.id FROM appointments AS a JOIN appointments AS b
    ON a.patient_id = b.patient_id AND a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
WHERE a.status NOT IN ('cancelled', 'entered-in-error') AND b.status NOT IN ('cancelled', 'entered-in-error')
    AND (a.opening_id IS NULL OR a.ends_at - a.starts_at <= interval '2 hours')
    AND (b.opening_id IS NULL OR b.ends_at - b.starts_at <= interval '2 hours')
UNION ALL
SELECT 'one opening twice', a.id, b.id FROM appointments AS a JOIN appointments AS b
    ON a.patient_id = b.patient_id AND a.opening_id = b.opening_id AND a.id < b.id
WHERE a.status NOT IN ('cancelled', 'entered-in-error') AND b.status NOT IN ('cancelled', 'entered-in-error')
"""

# Whatever is half there: an appointment without its time, event or outbox row; a time without its owner; a version told twice.
HALF_WRITTEN = """
SELECT 'a live appointment without its time' AS what, a.id FROM appointments AS a
WHERE a.status NOT IN ('cancelled', 'entered-in-error')
    AND (SELECT count(*) FROM allocations AS x WHERE x.appointment_id = a.id AND x.state = 'booked'
         AND x.starts_at <= a.starts_at AND x.ends_at >= a.ends_at
         AND x.resource_id = coalesce(a.opening_id, a.provider_id)) <> 1
UNION ALL
SELECT 'a dead appointment with time', a.id FROM appointments AS a JOIN allocations AS x ON x.appointment_id = a.id
WHERE x.state = 'booked' AND a.status IN ('cancelled', 'entered-in-error')
UNION ALL
SELECT 'events do not follow the versions', a.id FROM appointments AS a
WHERE (SELECT array_agg(e.version ORDER BY e.version) FROM appointment_events AS e WHERE e.appointment_id = a.id)
    IS DISTINCT FROM ARRAY(SELECT generate_series(1, a.version))
UNION ALL
SELECT 'outbox rows do not follow the versions', a.id FROM appointments AS a
WHERE (SELECT array_agg(o.appointment_version ORDER BY o.appointment_version) FROM outbox AS o
       WHERE o.appointment_id = a.id AND o.topic = 'appointments') IS DISTINCT FROM ARRAY(SELECT generate_series(1, a.version))
UNION ALL
SELECT 'a held time without its hold', x.id FROM allocations AS x LEFT JOIN holds AS h ON h.id = x.hold_id
WHERE x.state = 'held' AND x.hold_id IS NOT NULL AND h.state IS DISTINCT FROM 'active'
UNION ALL
SELECT 'a held time without its offer', x.id FROM allocations AS x LEFT JOIN waitlist_offers AS o ON o.allocation_id = x.id
WHERE x.state = 'held' AND x.hold_id IS NULL AND o.status IS DISTINCT FROM 'live'
UNION ALL
SELECT 'a live offer without time, or of an entry that has none', o.id FROM waitlist_offers AS o
JOIN waitlist_entries AS e ON e.id = o.entry_id LEFT JOIN allocations AS x ON x.id = o.allocation_id AND x.state = 'held'
WHERE o.status = 'live' AND (x.id IS NULL OR e.status <> 'offered')
UNION ALL
SELECT 'an entry said to have an offer that has none', e.id FROM waitlist_entries AS e
WHERE e.status = 'offered' AND NOT EXISTS (SELECT FROM waitlist_offers AS o WHERE o.entry_id = e.id AND o.status = 'live')
UNION ALL
SELECT 'an active hold without time', h.id FROM holds AS h
WHERE h.state = 'active' AND NOT EXISTS (SELECT FROM allocations AS x WHERE x.hold_id = h.id AND x.state = 'held')
UNION ALL
SELECT 'a version that no clinic was told', r.id FROM resources AS r
WHERE r.version <> (SELECT count(DISTINCT o.resource_version) FROM outbox AS o WHERE o.resource_id = r.id)
UNION ALL
SELECT 'an appointment whose audit rows differ from its versions', a.id FROM appointments AS a
WHERE a.version <> (SELECT count(*) FROM audit AS x WHERE x.entity = 'appointment:' || a.id)
"""


async def faults(world: World) -> list[tuple[Any, ...]]:
    """Everything in the database that must not be: empty where the promises hold."""
    return [tuple(row) for row in await world.fetch(OVERLAPS)] + [tuple(row) for row in await world.fetch(HALF_WRITTEN)]
