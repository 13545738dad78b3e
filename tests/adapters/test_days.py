"""The day sheet's rows."""

from collections.abc import AsyncIterator
from datetime import date

import pytest

from adapters.postgres import days
from adapters.postgres.database import Database
from domain import zones
from domain.faults import BadInput
from tests import builders
from tests.builders import wall

DAY = date(2027, 3, 1)
ZONE = zones.named(builders.ZONE)


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with builders.opened(database_url) as database:
        yield database


async def test_providers_with_hours_or_appointments_that_day_are_listed_by_name(database: Database) -> None:
    reader = database.primary
    world = await builders.world(reader)

    async def another(name: str, days_of: range | list[int], kind: str = "person") -> int:
        found = await builders.provider(reader, [world.clinic], [world.visit_type], name, kind)
        await builders.schedule(reader, found, world.clinic, 600, 660, days_of)
        return found

    mondays, closed, away = (
        await another("Dr Birch", [0]),
        await another("Dr Cedar", range(7)),
        await another("Dr Elm", [1]),
    )
    inactive, booked, opened = (
        await another("Dr Fir", range(7)),
        await another("dr aspen", [2]),
        await another("Dr Hazel", [3]),
    )
    exceptions = "INSERT INTO schedule_exceptions (provider_id, clinic_id, kind, date, opens, closes)"
    exceptions += " VALUES ($1, $2, $3, $4, $5, $6)"
    await reader.execute(exceptions, closed, world.clinic, "closed", DAY, 0, 1440)
    await reader.execute(exceptions, opened, world.clinic, "open", DAY, 900, 930)
    await reader.execute("UPDATE providers SET active = false WHERE id = $1", inactive)
    elsewhere = builders.World(world.clinic, booked, world.visit_type, world.patient)
    late = await builders.appointment(reader, elsewhere, wall(DAY, 1410))
    early = await builders.appointment(reader, elsewhere, wall(DAY, 0), status="cancelled")
    await builders.appointment(reader, elsewhere, wall(DAY, 500), status="entered-in-error")
    await builders.appointment(reader, elsewhere, wall(DAY, 1440), patient_key=await builders.patient(reader))
    rows = await days.sheet(reader, world.clinic, DAY, ZONE)
    listed = [(row.provider_key, row.open_minutes, row.booked_minutes) for row in rows]
    assert listed == [(world.provider, 480, 0), (booked, 0, 30), (mondays, 60, 0), (opened, 30, 0)]
    assert [one.key for one in rows[1].appointments] == [early, late]
    assert [row.schedule.version for row in rows] == [1, 1, 1, 1]
    assert away not in [row.provider_key for row in rows]


async def test_an_inactive_providers_appointments_are_listed_without_hours(database: Database) -> None:
    world = await builders.world(database.primary)
    await builders.appointment(database.primary, world, wall(DAY, 600))
    await database.primary.execute("UPDATE providers SET active = false WHERE id = $1", world.provider)
    (row,) = await days.sheet(database.primary, world.clinic, DAY, ZONE)
    assert (row.provider_key, row.open_minutes, row.booked_minutes) == (world.provider, 0, 30)


async def test_a_clinic_without_anybody_has_an_empty_sheet(database: Database) -> None:
    assert await days.sheet(database.primary, await builders.clinic(database.primary), DAY, ZONE) == []


async def test_a_date_at_the_end_of_the_calendar_is_refused(database: Database) -> None:
    for day in (date.min, date.max):
        with pytest.raises(BadInput) as raised:
            await days.sheet(database.primary, 1, day, ZONE)
        assert raised.value.field == "date"
