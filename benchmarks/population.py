"""The same clinics, providers, hours and taken times for both sides, so that both must give the same answers."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Phoenix")
OPENS = time(7)
MINUTES = 15
STARTS_A_DAY = 48

# About 41 % of the times are taken. Both sides fill from this one expression over working_days and k.
TAKEN = "(hashint8(provider_id * 1000003 + (local_date - date '2020-01-01') * 97 + k) & 31) < 13"

WORKING_DAYS = """
create temp table working_days (provider_id bigint, clinic_id bigint, local_date date, opens_at timestamptz)
"""


@dataclass(frozen=True)
class Population:
    """Numbers start at 1. Each provider works at two clinics, on one half of the week each."""

    first_day: date
    clinics: int = 200
    providers: int = 2000
    patients: int = 2000
    days: int = 4

    def zone(self, clinic: int) -> str:
        return ZONES[clinic % len(ZONES)]

    def places(self, provider: int) -> tuple[int, int]:
        return (provider % self.clinics + 1, (provider + self.clinics // 2) % self.clinics + 1)

    def place(self, provider: int, day: date) -> int:
        """Where the provider works that day: Monday, Wednesday, Friday and Sunday here, else there."""
        return self.places(provider)[day.weekday() % 2]

    def day(self, index: int) -> date:
        return self.first_day + timedelta(days=index)

    def working_days(self) -> list[tuple[int, int, date, datetime]]:
        rows = []
        for index in range(self.days):
            day = self.day(index)
            opens = {z: datetime.combine(day, OPENS, ZoneInfo(z)).astimezone(UTC) for z in ZONES}
            for provider in range(1, self.providers + 1):
                clinic = self.place(provider, day)
                rows.append((provider, clinic, day, opens[self.zone(clinic)]))
        return rows


def tomorrow(days: int = 1) -> date:
    """The day after the latest date on earth, so that every time of it lies ahead in every zone."""
    return (datetime.now(UTC) + timedelta(hours=14)).date() + timedelta(days=days)


async def load_working_days(connection: asyncpg.Connection, population: Population) -> None:
    await connection.execute(WORKING_DAYS)
    await connection.copy_records_to_table("working_days", records=population.working_days())
