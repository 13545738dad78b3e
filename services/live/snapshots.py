"""The open times of a clinic at one moment, with the cursor of that moment: what a live calendar starts with."""

from collections.abc import Mapping
from datetime import date, timedelta

from adapters.postgres import calendars, changes, clinics
from adapters.postgres.calendars import Triple
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.standing import Standing
from domain import slots
from domain.appointments import OpenSlot, Slot
from domain.clinics import VisitType
from domain.faults import BadInput
from domain.frames import Snapshot
from domain.shapes import TIMES_MAX, Shape
from services.live.calendars import ProcessCalendars


class Snapshots:
    """Applies the patients' limits for everyone (rule 6)."""

    def __init__(
        self, database: Database, open_times: OpenTimes, own: tuple[ProcessCalendars, OpenTimes, Standing] | None = None
    ) -> None:
        """`own`: what this process keeps, and who reads through it."""
        self._database = database
        self._open_times = open_times
        self._own = own

    async def read(self, shape: Shape, *, primary: bool) -> Snapshot:
        """Calendar and cursor of one moment. Raises BadInput for ids that name nothing."""
        if self._own is not None and not primary:
            found = await self._here(shape, *self._own)
            if found is not None:
                return found
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
            if self._own is not None:
                self._own[0].learn_point(position, now)
            times = await self._open_times.free(tx, keys, shape.first, shape.last, binding=True, limit=TIMES_MAX + 1)
        through, shown = _whole_days(_in_order(times), shape.first, shape.last)
        return Snapshot(str(position), now.astimezone(clinic.zone), clinic.time_zone, through, _open(shown, kind))

    async def _here(
        self, shape: Shape, own: ProcessCalendars, open_times: OpenTimes, standing: Standing
    ) -> Snapshot | None:
        """Nothing here is older than the cursor, which is had first; what is newer will be told after it once more."""
        now, position, reader = own.now(), own.point(shape.clinic_key), self._database.primary
        if now is None or position is None:
            return None
        async with answering():
            clinic = (await standing.clinics(reader, [shape.clinic_key])).get(shape.clinic_key)
            kind = (await standing.visit_types(reader, [shape.visit_type_key])).get(shape.visit_type_key)
            among = None if shape.provider_keys is None else list(shape.provider_keys)
            if clinic is None or kind is None or (among and len(await standing.providers(reader, among)) < len(among)):
                return None
            found = await standing.offering_providers(reader, clinic.key, kind.key, among)
            keys = [(one, clinic.key, kind.key) for one in found]
            times = await open_times.free(reader, keys, shape.first, shape.last, binding=True, limit=TIMES_MAX + 1)
        through, shown = _whole_days(_in_order(times), shape.first, shape.last)
        return Snapshot(str(position), now.astimezone(clinic.zone), clinic.time_zone, through, _open(shown, kind))


def _in_order(times: Mapping[Triple, list[Slot]]) -> list[Slot]:
    return sorted((slot for some in times.values() for slot in some), key=lambda one: (one.starts_at, one.id))


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
