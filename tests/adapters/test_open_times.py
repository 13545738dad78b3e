"""Open times as adapters read them."""

from datetime import UTC, date, datetime

import pytest

from adapters.postgres.calendars import KnownSchedules, Offering
from adapters.postgres.open_times import OpenTimes
from domain import zones
from domain.clinics import Modality, ProviderKind, VisitType

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("day", [date.min, date(2026, 5, 30), date(2028, 6, 3), date(9998, 1, 1), date.max])
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("duration", [30, None])
async def test_days_that_nobody_may_book_cost_no_statement(day: date, zone: str, duration: int | None) -> None:
    kind = VisitType(1, 1, True, "Check-up", duration, 0, 0, duration, 0, 730, 0, Modality.IN_PERSON)
    offering = Offering(1, 2, ProviderKind.PERSON, zones.named(zone), kind, 0, 1, True, NOW, "epoch")
    open_times = OpenTimes(KnownSchedules())
    nobody: dict[tuple[int, int, int], list[object]] = {(1, 2, 1): []}
    reader: None = None
    assert await open_times.free(reader, [offering], day, day, binding=False, limit=9) == nobody  # type: ignore[arg-type]
