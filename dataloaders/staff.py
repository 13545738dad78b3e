"""What staff read of a clinic: hours and the day sheet. A clinic that is not theirs is refused as a whole (rule 20)."""

from dataclasses import dataclass
from datetime import date

from adapters.postgres import clinics, days
from adapters.postgres.database import Database, answering
from dataloaders.loaders import Loaders
from domain import access
from domain.access import Viewer
from domain.appointments import Appointment
from domain.clinics import Clinic
from domain.faults import Forbidden
from domain.schedules import Schedule, ScheduleException
from domain.shapes import span


@dataclass(frozen=True, slots=True)
class ProviderDay:
    provider_key: int
    schedule: Schedule
    appointments: list[Appointment]
    open_minutes: int
    booked_minutes: int


@dataclass(frozen=True, slots=True)
class ClinicDay:
    clinic: Clinic
    date: date
    providers: list[ProviderDay]


class StaffPages:
    def __init__(self, database: Database, viewer: Viewer, loaders: Loaders) -> None:
        self._database = database
        self._viewer = viewer
        self._loaders = loaders

    async def schedule(self, provider_key: int | None, clinic_key: int | None) -> Schedule:
        """Version 0 and no hours where none is set yet; a provider who never worked there is refused like an unknown one."""
        clinic = await self.clinic(clinic_key)
        provider = await self._loaders.provider.load(provider_key) if provider_key is not None else None
        if provider is None:
            raise Forbidden
        pair = (provider.key, clinic.key)
        known = await self._loaders.schedule.load(pair)
        if known is None and clinic.key not in provider.clinic_keys:
            raise Forbidden
        return known or Schedule(*pair, 0)

    async def day(self, clinic_key: int | None, day: date) -> ClinicDay:
        """Providers with hours or appointments that day, by name."""
        clinic = await self.clinic(clinic_key)
        async with answering(), self._database.snapshot(primary=False) as tx:
            rows = await days.sheet(tx, clinic.key, day, clinic.zone)
        for row in rows:
            for one in row.appointments:
                self._loaders.read_patient(one.patient_key)
        found = [
            ProviderDay(row.provider_key, row.schedule, row.appointments, row.open_minutes, row.booked_minutes)
            for row in rows
        ]
        return ClinicDay(clinic, day, found)

    async def clinic(self, key: int | None) -> Clinic:
        """One of the viewer's own. Raises AccessDenied for other roles than staff, Forbidden for other clinics."""
        access.require_staff(self._viewer)
        if key is None or not self._viewer.works_at(key):
            raise Forbidden
        async with answering():
            found = (await clinics.clinics(self._loaders.reader, [key])).get(key)
        if found is None:
            raise Forbidden
        return found


def between(schedule: Schedule, first: date, last: date) -> list[ScheduleException]:
    """The exceptions on these dates, by date. At most 800 days."""
    span(first, last, 800)
    return [one for one in schedule.exceptions if first <= one.date <= last]
