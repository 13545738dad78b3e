"""Open times as adapters read them."""

from datetime import date

import pytest

from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database, pool
from adapters.postgres.open_times import OpenTimes
from tests import builders


@pytest.mark.parametrize("day", [date.min, date(1900, 1, 1), date(2020, 5, 30), date(9998, 1, 1), date.max])
async def test_days_that_nobody_may_book_have_no_times(database_url: str, day: date) -> None:
    database = Database(await pool(database_url, size=1))
    try:
        world = await builders.world(database.primary)
        triple = (world.provider, world.clinic, world.visit_type)
        found = await OpenTimes(KnownSchedules()).free(database.primary, [triple], day, day, binding=False, limit=9)
        assert found == {triple: []}
    finally:
        await database.close()
