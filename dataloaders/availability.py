"""The open times of a clinic at one moment, with the cursor of that moment: what a live calendar starts with."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final

from adapters.postgres import calendars, changes, clinics
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import OpenTimes
from domain import slots
from domain.appointments import OpenSlot, Slot
from domain.clinics import VisitType
from domain.faults import BadInput

TIMES_MAX: Final = 5000
DAYS_MAX: Final = 31
DAYS_MAX_UNNAMED: Final = 7
NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Filter:
    clinic_key: int | None
    visit_type_key: int | None
    provider_keys: list[int | None] | None
    first: date
    last: date


class SnapshotReason(Enum):
    INITIAL = "initial"
    GAP = "gap"
    EPOCH_CHANGED = "epoch-changed"
    SLOW_CONSUMER = "slow-consumer"
    INVALIDATED = "invalidated"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`through`: the last date covered, a whole day, less than asked for where there would be more than 5,000 times."""

    cursor: str
    server_time: datetime
    time_zone: str
    through: date
    slots: list[OpenSlot]
    reason: SnapshotReason = SnapshotReason.INITIAL


class Snapshots:
    """Applies the patients' limits for everyone (rule 6)."""

    def __init__(self, database: Database, open_times: OpenTimes) -> None:
        self._database = database
        self._open_times = open_times

    async def read(self, asked: Filter, *, primary: bool) -> Snapshot:
        """Calendar and cursor of one moment. Raises BadInput for ids that name nothing and spans that are too long."""
        _check(asked)
        async with answering(), self._database.snapshot(primary=primary) as tx:
            clinic = (await clinics.clinics(tx, [asked.clinic_key or 0])).get(asked.clinic_key or 0)
            if clinic is None:
                raise BadInput("filter.clinicId", "There is no such clinic.")
            kind = (await clinics.visit_types(tx, [asked.visit_type_key or 0])).get(asked.visit_type_key or 0)
            if kind is None:
                raise BadInput("filter.visitTypeId", "There is no such visit type.")
            among = await self._among(tx, asked)
            keys = [
                (one, clinic.key, kind.key)
                for one in await calendars.offering_providers(tx, clinic.key, kind.key, among)
            ]
            position, now = await changes.newest(tx, clinic.key)
            times = await self._open_times.free(tx, keys, asked.first, asked.last, binding=True, limit=TIMES_MAX + 1)
        found = sorted((slot for some in times.values() for slot in some), key=lambda one: (one.starts_at, one.id))
        through, shown = _whole_days(found, asked.first, asked.last)
        return Snapshot(str(position), now.astimezone(clinic.zone), clinic.time_zone, through, _open(shown, kind))

    async def _among(self, tx: Reader, asked: Filter) -> list[int] | None:
        if not asked.provider_keys:
            return None
        named = [key for key in asked.provider_keys if key is not None]
        if len(named) < len(asked.provider_keys) or len(await clinics.providers(tx, named)) < len(set(named)):
            raise BadInput("filter.providerIds", "There is no such provider.")
        return named


def _check(asked: Filter) -> None:
    named = len(asked.provider_keys or [])
    days = DAYS_MAX if 1 <= named <= NAMED_MAX else DAYS_MAX_UNNAMED
    if named > 100:
        raise BadInput("filter.providerIds", "At most 100 providers.")
    if asked.clinic_key is None:
        raise BadInput("filter.clinicId", "There is no such clinic.")
    if asked.visit_type_key is None:
        raise BadInput("filter.visitTypeId", "There is no such visit type.")
    span(asked.first, asked.last, days, "filter.")


def span(first: date, last: date, days: int = DAYS_MAX, prefix: str = "") -> None:
    """Raises BadInput where `last` is before `first` or they span more than `days` dates (rule 1)."""
    if last < first:
        raise BadInput(f"{prefix}to", "`to` is before `from`.")
    if (last - first).days > days - 1:
        raise BadInput(f"{prefix}to", f"At most {days} days.")


def _whole_days(found: list[Slot], first: date, last: date) -> tuple[date, list[Slot]]:
    if len(found) <= TIMES_MAX:
        return last, found
    cut = found[TIMES_MAX].local_date
    through = max(first, cut - timedelta(days=1))
    return through, [slot for slot in found if slot.local_date <= through]


def _open(found: list[Slot], kind: VisitType) -> list[OpenSlot]:
    return [slots.as_open(slot, kind) for slot in found]
