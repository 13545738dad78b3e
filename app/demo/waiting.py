"""Who waits at a clinic of the demo: for what, on which days, at which hours."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, Final

from domain import zones
from domain.clinics import VisitType

WAITING_MAX: Final = 6
DAYS_MAX: Final = 30
NOON: Final = zones.MINUTES_A_DAY // 2
# Most take any time; weekday, opens and closes as the entries have them.
_WINDOWS: Final[tuple[list[list[int | None]], ...]] = (
    [],
    [],
    [],
    [[None, 0, NOON]],
    [[None, NOON, zones.MINUTES_A_DAY]],
    [[day, 0, zones.MINUTES_A_DAY] for day in range(5)],
)


def entries(
    random: Random,
    clinic_key: int,
    kinds: Sequence[VisitType],
    offered: Mapping[int, Sequence[int]],
    patients: Sequence[int],
    today: date,
) -> list[dict[str, Any]]:
    """Rows of entries. `offered`: by kind of visit, who offers it there. One patient waits for one thing."""
    # Short visits above all: they fit wherever anything is given up.
    wanted = sorted(kinds, key=lambda kind: (kind.duration_minutes or 0, kind.key))
    found = []
    for number, patient_key in enumerate(random.sample(patients, min(WAITING_MAX, len(patients))) if wanted else ()):
        kind = wanted[number % len(wanted)]
        joined_at = datetime.combine(today, time(), UTC) - timedelta(days=random.uniform(0.1, 12))
        days = min(random.randint(14, DAYS_MAX), kind.bookable_days_ahead)
        providers = [random.choice(offered[kind.key])] if random.random() < 0.2 else []
        found.append(
            {
                "patient_id": patient_key,
                "clinic_id": clinic_key,
                "visit_type_id": kind.key,
                "provider_ids": providers,
                "windows": random.choice(_WINDOWS),
                "first_date": today.isoformat(),
                "last_date": (today + timedelta(days=days)).isoformat(),
                "notice_minutes": random.choice((60, 180, 720)),
                "urgency": 1 if random.random() < 0.1 else 0,
                "auto_book": random.random() < 0.1,
                "joined_at": joined_at.isoformat(),
            }
        )
    return found
