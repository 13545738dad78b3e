"""Two clinics that know nothing of each other, each with a provider, a patient, an appointment and an exception."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from domain import ids, zones
from tests import builders


@dataclass(frozen=True, slots=True)
class Place(builders.World):
    """One clinic with one of everything; `exception` closes a far day."""

    appointment: int
    exception: int

    @property
    def appointment_id(self) -> str:
        return ids.node(ids.APPOINTMENT, self.appointment)

    @property
    def exception_id(self) -> str:
        return ids.node(ids.EXCEPTION, self.exception)

    def slot_in(self, days: int = 3, minute: int = 9 * 60) -> str:
        """So many days from the clinic's today, at that minute of its wall clock."""
        return self.slot_id(today() + timedelta(days=days), minute)


def today() -> date:
    return datetime.now(UTC).astimezone(zones.named(builders.ZONE)).date()


async def settle(pool: asyncpg.Pool, name: str, visit_type: int) -> Place:
    clinic = await builders.clinic(pool, name=f"{name} Clinic")
    provider = await builders.provider(pool, [clinic], [visit_type], name=f"Dr {name}")
    await builders.schedule(pool, provider, clinic)
    patient = await builders.patient(
        pool, [clinic], name=f"Pat {name}", birth_date=date(1990, 1, 2), email=f"{name.lower()}@example.org"
    )
    world = builders.World(clinic, provider, visit_type, patient)
    starts_at = builders.wall(today() + timedelta(days=5), 10 * 60)
    appointment = await builders.appointment(pool, world, starts_at)
    exception = await pool.fetchval(
        "INSERT INTO schedule_exceptions (provider_id, clinic_id, kind, date) VALUES ($1, $2, 'closed', $3) RETURNING id",
        provider, clinic, today() + timedelta(days=60),
    )  # fmt: skip
    return Place(**asdict(world), appointment=appointment, exception=exception)


@dataclass(frozen=True, slots=True)
class Town:
    """`east` and `west` are strangers to each other."""

    pool: asyncpg.Pool
    east: Place
    west: Place

    async def counts(self, *, audit: bool = False) -> dict[str, Any]:
        """Rows and newest changes of every table but the relay's own: equal before and after what writes nothing."""
        names = [
            row["relname"]
            for row in await self.pool.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        ]
        assert {"appointments", "audit", "outbox", "idempotency"} <= set(names)
        return {
            name: await self.pool.fetchval(
                f"SELECT md5(coalesce(string_agg(x::text, ',' ORDER BY x::text), '')) FROM {name} AS x"
            )
            for name in names
            if (audit or name != "audit") and not name.startswith("stream")
        }

    async def audits(self) -> list[dict[str, Any]]:
        return await builders.rows(
            self.pool, "SELECT subject, role, patient_id, operation, entity, request_id FROM audit ORDER BY id"
        )


async def town(pool: asyncpg.Pool) -> Town:
    visit_type = await builders.visit_type(pool)
    return Town(pool, await settle(pool, "East", visit_type), await settle(pool, "West", visit_type))
