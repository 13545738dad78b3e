"""The open times of a clinic at one moment, with the cursor of that moment: what a live calendar starts with."""

from datetime import date, timedelta

from adapters.postgres import calendars, changes, clinics
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import OpenTimes
from domain import slots
from domain.appointments import OpenSlot, Slot
from domain.clinics import VisitType
from domain.faults import BadInput
from domain.frames import Snapshot
from domain.shapes import TIMES_MAX, Shape


class Snapshots:
    """Applies the patients' limits for everyone (rule 6)."""

    def __init__(self, database: Database, open_times: OpenTimes) -> None:
        self._database = database
        self._open_times = open_times

    async def read(self, shape: Shape, *, primary: bool) -> Snapshot:
        """Calendar and cursor of one moment. Raises BadInput for ids that name nothing."""
        async with answering(), self._database.snapshot(primary=primary) as tx:
            clinic = (await clinics.clinics(tx, [shape.clinic_key])).get(shape.clinic_key)
            if clinic is None:
                raise BadInput("filter.clinicId", "There is no such clinic.")
            kind = (await clinics.visit_types(tx, [shape.visit_type_key])).get(shape.visit_type_key)
            if kind is None:
                raise BadInput("filter.visitTypeId", "There is no such visit type.")
            among = await _among(tx, shape)
            keys = [
                (one, clinic.key, kind.key)
                for one in await calendars.offering_providers(tx, clinic.key, kind.key, among)
            ]
            position, now = await changes.newest(tx, clinic.key)
            times = await self._open_times.free(tx, keys, shape.first, shape.last, binding=True, limit=TIMES_MAX + 1)
        found = sorted((slot for some in times.values() for slot in some), key=lambda one: (one.starts_at, one.id))
        through, shown = _whole_days(found, shape.first, shape.last)
        return Snapshot(str(position), now.astimezone(clinic.zone), clinic.time_zone, through, _open(shown, kind))


async def _among(tx: Reader, shape: Shape) -> list[int] | None:
    if shape.provider_keys is None:
        return None
    if len(await clinics.providers(tx, shape.provider_keys)) < len(shape.provider_keys):
        raise BadInput("filter.providerIds", "There is no such provider.")
    return list(shape.provider_keys)


def _whole_days(found: list[Slot], first: date, last: date) -> tuple[date, list[Slot]]:
    if len(found) <= TIMES_MAX:
        return last, found
    cut = found[TIMES_MAX].local_date
    through = max(first, cut - timedelta(days=1))
    return through, [slot for slot in found if slot.local_date <= through]


def _open(found: list[Slot], kind: VisitType) -> list[OpenSlot]:
    return [slots.as_open(slot, kind) for slot in found]
