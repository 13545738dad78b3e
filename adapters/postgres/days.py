"""The day sheet: who has hours or appointments at a clinic on one of its dates."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from adapters.postgres import appointments, calendars
from adapters.postgres.database import Reader
from domain import days, zones
from domain.appointments import Appointment
from domain.faults import BadInput
from domain.schedules import Schedule

YEARS: Final = (1900, 2200)

WORKING = """
SELECT p.id FROM provider_clinics AS w JOIN providers AS p ON p.id = w.provider_id AND p.active
JOIN clinics AS c ON c.id = w.clinic_id AND c.active
WHERE w.clinic_id = $1 AND (
    EXISTS (SELECT FROM weekly_hours AS h WHERE h.provider_id = p.id AND h.clinic_id = $1
        AND h.weekday = extract(isodow FROM $2::date) - 1
        AND (h.valid_from IS NULL OR h.valid_from <= $2) AND (h.valid_to IS NULL OR h.valid_to >= $2))
    OR EXISTS (SELECT FROM schedule_exceptions AS e WHERE e.provider_id = p.id AND e.clinic_id = $1
        AND e.date = $2 AND e.kind IN ('open', 'replaced')))
LIMIT 2000
"""

BY_NAME = """
SELECT id FROM providers WHERE id = any($1::bigint[]) ORDER BY lower(name), id
"""


@dataclass(frozen=True, slots=True)
class ProviderDayRow:
    """Minutes count no published openings; appointments by start, all but those entered in error."""

    provider_key: int
    schedule: Schedule
    appointments: list[Appointment]
    open_minutes: int
    booked_minutes: int


async def sheet(reader: Reader, clinic_key: int, day: date, zone: ZoneInfo) -> list[ProviderDayRow]:
    """Providers with open time or appointments on the clinic's date, by name. `reader` should be a snapshot.

    Raises BadInput for a date outside the years 1900 to 2200: the ends of the calendar have no next day.
    """
    if not YEARS[0] <= day.year <= YEARS[1]:
        raise BadInput("date", f"A date of the years {YEARS[0]} to {YEARS[1]} is taken.")
    first, before = _instant(zone, day, 0), _instant(zone, day, zones.MINUTES_A_DAY)
    by_provider = _by_provider(await appointments.on_day(reader, clinic_key, first, before))
    working = {row["id"] for row in await reader.fetch(WORKING, clinic_key, day)}
    listed = [row["id"] for row in await reader.fetch(BY_NAME, list(working | set(by_provider)))]
    known = await calendars.schedules(reader, [(key, clinic_key) for key in listed])
    rows = []
    for key in listed:
        schedule = known.get((key, clinic_key), Schedule(key, clinic_key, 0))
        minutes = days.open_minutes(schedule, zone, day) if key in working else 0
        booked = by_provider.get(key, [])
        if minutes or booked:
            rows.append(ProviderDayRow(key, schedule, booked, minutes, days.booked_minutes(booked)))
    return rows


def _by_provider(found: Iterable[Appointment]) -> dict[int, list[Appointment]]:
    grouped: dict[int, list[Appointment]] = {}
    for one in found:
        grouped.setdefault(one.provider_key, []).append(one)
    return grouped


def _instant(zone: ZoneInfo, day: date, minute: int) -> datetime:
    return datetime.fromtimestamp(zones.instant(zone, day, minute) * 60, UTC)
