"""What staff read of a clinic: hours and the day sheet. A clinic that is not theirs is refused as a whole (rule 20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from adapters.postgres import clinics, days, waitlist
from adapters.postgres.database import Database, answering
from dataloaders import cursors
from dataloaders.cursors import Edge, Page
from dataloaders.loaders import Loaders
from domain import access
from domain.access import Viewer
from domain.appointments import Appointment
from domain.clinics import Clinic
from domain.faults import BadInput, Forbidden
from domain.schedules import Schedule, ScheduleException
from domain.shapes import span
from domain.waitlist import URGENCY_MAX, WAITING, Entry, EntryStatus

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MICROSECOND: Final = 7_258_118_400_000_000  # the year 2200


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

    async def waitlist(
        self, clinic_key: int | None, statuses: Sequence[EntryStatus] | None, first: int, after: str | None
    ) -> Page[Entry]:
        """In rank order but for fit, which only a freed time has: urgency, then who has waited longer."""
        clinic = await self.clinic(clinic_key)
        limit = cursors.bounded(first) + 1
        kind = f"waitlist:{clinic.key}"
        below, joined, key = cursors.read(after, kind, (0, 0, 0))
        if joined > LAST_MICROSECOND:
            raise BadInput("after", "This is not a cursor of this list.")
        wanted = [one.value for one in (WAITING if statuses is None else statuses)]
        start = (below, EPOCH + timedelta(microseconds=joined), key)
        async with answering():
            rows = await waitlist.at_clinic(self._loaders.reader, clinic.key, wanted, start, limit)
        for one in rows[:first]:
            self._loaders.read_patient(one.patient_key)
            self._loaders.entry.prime(one.key, one)
        edges = [Edge((kind, *_place(one)), one) for one in rows]
        return cursors.page(edges, first, after=after is not None)

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


def _place(entry: Entry) -> tuple[int, int, int]:
    return URGENCY_MAX - entry.urgency, (entry.joined_at - EPOCH) // timedelta(microseconds=1), entry.key
