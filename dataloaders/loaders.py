"""The batched reads of one operation. Built anew for each, so nothing is shared between viewers and nothing grows stale."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeVar

from strawberry.dataloader import DataLoader

from adapters.postgres import (
    appointments,
    calendars,
    changes,
    decisions,
    holds,
    messages,
    offer_messages,
    offers,
    origins,
    patients,
    preferences,
    schedules,
    waitlist,
)
from adapters.postgres.calendars import Pair, Triple
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.standing import Standing
from dataloaders.calendars import RecentWrites
from dataloaders.slots import Asked, SlotReader
from domain.access import Viewer
from domain.appointments import Appointment, AppointmentEvent, Patient, Slot
from domain.clinics import Clinic, Provider, VisitType
from domain.ids import SlotKey
from domain.messages import Reminder, Version, timeline
from domain.outcomes import patients_in
from domain.recipients import Recipient
from domain.schedules import Schedule, ScheduleException
from domain.waitlist import Entry, Offer, Receipt

K = TypeVar("K")
V = TypeVar("V")
BATCH_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ProviderPage:
    """One page of a clinic's active providers, by name."""

    clinic_key: int
    specialty: str | None
    after: tuple[str, int]
    limit: int


class Loaders:
    """Each loader is made when it is first asked. `audited` collects the patients whose data was read: the operation
    writes them down, and what was asked, before its answer leaves; `written` are those it has written already."""

    def __init__(
        self,
        database: Database,
        open_times: OpenTimes,
        recent: RecentWrites,
        viewer: Viewer,
        standing: Standing | None = None,
    ) -> None:
        self._database = database
        self._viewer = viewer
        self.standing = standing or Standing(database)
        self._primary = False
        self.audited: set[int] = set()
        self.written: set[int] = set()
        self.operation = ""
        self._slots = SlotReader(database, open_times, recent, viewer)

    @cached_property
    def clinic(self) -> DataLoader[int, Clinic | None]:
        return self._by_key(self.standing.clinics)

    @cached_property
    def provider(self) -> DataLoader[int, Provider | None]:
        return self._by_key(self.standing.providers)

    @cached_property
    def visit_type(self) -> DataLoader[int, VisitType | None]:
        return self._by_key(self.standing.visit_types)

    @cached_property
    def visit_types_at(self) -> DataLoader[int, list[int] | None]:
        return self._by_key(self.standing.visit_types_at_clinics)

    @cached_property
    def events(self) -> DataLoader[int, list[AppointmentEvent] | None]:
        return self._by_key(appointments.events)

    @cached_property
    def reminders(self) -> DataLoader[int, list[Reminder] | None]:
        return self._by_key(self._timelines)

    @cached_property
    def recipient(self) -> DataLoader[int, Recipient | None]:
        return self._by_key(preferences.recipients)

    @cached_property
    def schedule(self) -> DataLoader[Pair, Schedule | None]:
        return self._by_key(calendars.schedules)

    @cached_property
    def hold(self) -> DataLoader[int, holds.StoredHold | None]:
        return self._by_key(holds.holds)

    @cached_property
    def exception(self) -> DataLoader[int, ScheduleException | None]:
        return _loader(self._exceptions)

    @cached_property
    def origins(self) -> DataLoader[int, list[str] | None]:
        return _loader(self._origins)

    @cached_property
    def clock(self) -> DataLoader[None, datetime]:
        return _loader(self._clock)

    @cached_property
    def patient(self) -> DataLoader[int, Patient | None]:
        return _loader(self._patients)

    @cached_property
    def appointment(self) -> DataLoader[int, Appointment | None]:
        return _loader(self._appointments)

    @cached_property
    def entry(self) -> DataLoader[int, Entry | None]:
        return _loader(self._entries)

    @cached_property
    def entries_of(self) -> DataLoader[int, list[Entry]]:
        return _loader(self._entries_of)

    @cached_property
    def offer(self) -> DataLoader[int, Offer | None]:
        return _loader(self._offers)

    @cached_property
    def live_offer(self) -> DataLoader[int, Offer | None]:
        return _loader(self._live_offers)

    @cached_property
    def receipts(self) -> DataLoader[tuple[int, int], list[Receipt]]:
        return _loader(self._receipts)

    @cached_property
    def slots(self) -> DataLoader[Asked, list[Slot] | None]:
        return _loader(self._slots.slots)

    @cached_property
    def slot(self) -> DataLoader[SlotKey, Slot | None]:
        return _loader(self._slots.states)

    @cached_property
    def next_slot(self) -> DataLoader[Triple, Slot | None]:
        return _loader(self._slots.next_slots)

    @cached_property
    def provider_page(self) -> DataLoader[ProviderPage, list[tuple[str, Provider]]]:
        return _loader(self._provider_pages)

    @property
    def reader(self) -> Reader:
        return self._database.primary if self._primary else self._database.replica

    async def slots_now(self, asked: Sequence[Asked]) -> list[list[Slot] | None]:
        """For a whole list that is there already: nothing more has to be waited for."""
        return await self._slots.slots(asked)

    def after_write(self, outcome: object) -> None:
        """From here on the operation reads what it wrote: the primary, and nothing read before. What is answered is read too."""
        for key in patients_in(outcome):
            self.read_patient(key)
        self.read_anew()

    def read_anew(self) -> None:
        """From here on the primary is read, and nothing read before counts: the next event of a stream may have changed it."""
        self._primary = self._slots.primary = True
        self.standing = Standing(self._database)
        for loader in vars(self).values():
            if isinstance(loader, DataLoader):
                loader.clear_all()

    def read_patient(self, patient_key: int) -> None:
        """Notes that staff read a patient's data (rule 22)."""
        if self._viewer.is_staff and patient_key not in self.written:
            self.audited.add(patient_key)

    def _by_key(
        self, read: Callable[[Reader, Sequence[K]], Coroutine[Any, Any, dict[K, V]]]
    ) -> DataLoader[K, V | None]:
        async def load(keys: list[K]) -> list[V | None]:
            async with answering():
                found = await read(self.reader, keys)
            return [found.get(key) for key in keys]

        return _loader(load)

    async def _exceptions(self, keys: list[int]) -> list[ScheduleException | None]:
        """Those at the viewer's clinics: hours are staff's."""
        if not self._viewer.is_staff:
            return [None] * len(keys)
        async with answering():
            found = await schedules.exceptions(self.reader, keys)
        return [one if one and self._viewer.works_at(one.clinic_key) else None for one in map(found.get, keys)]

    async def _origins(self, keys: list[int]) -> list[list[str] | None]:
        """Whom a clinic lets in is for admin to know."""
        if not self._viewer.is_admin:
            return [None] * len(keys)
        async with answering():
            found = await origins.origins(self.reader, keys)
        return [found.get(key) for key in keys]

    async def _clock(self, keys: list[None]) -> list[datetime]:
        """The database's clock, asked once in an operation."""
        async with answering():
            return [await changes.now(self.reader)] * len(keys)

    async def _patients(self, keys: list[int]) -> list[Patient | None]:
        async with answering():
            found = await patients.patients(self.reader, self._viewer, keys)
        for key in found:
            self.read_patient(key)
        return [found.get(key) for key in keys]

    async def _appointments(self, keys: list[int]) -> list[Appointment | None]:
        async with answering():
            found = await appointments.appointments(self.reader, keys)
        seen = {
            key: one for key, one in found.items() if self._viewer.sees_appointment(one.patient_key, one.clinic_key)
        }
        for one in seen.values():
            self.read_patient(one.patient_key)
        return [seen.get(key) for key in keys]

    async def _entries(self, keys: list[int]) -> list[Entry | None]:
        async with answering():
            found = await waitlist.entries(self.reader, keys)
        return [self._seen(found.get(key)) for key in keys]

    def _seen(self, entry: Entry | None) -> Entry | None:
        if entry is None or not self._viewer.sees_appointment(entry.patient_key, entry.clinic_key):
            return None
        self.read_patient(entry.patient_key)
        return entry

    async def _entries_of(self, patient_keys: list[int]) -> list[list[Entry]]:
        """A patient's own; staff see those at their clinics."""
        async with answering():
            found = await waitlist.of_patients(self.reader, patient_keys, patients.clinics_of(self._viewer))
        return [found[key] for key in patient_keys]

    async def _offers(self, keys: list[int]) -> list[Offer | None]:
        async with answering():
            found = await offers.offers(self.reader, keys)
        seen = {
            key: one.offer
            for key, one in found.items()
            if self._viewer.sees_appointment(one.offer.patient_key, one.offer.clinic_key)
        }
        for one in seen.values():
            self.read_patient(one.patient_key)
        return [seen.get(key) for key in keys]

    async def _live_offers(self, entry_keys: list[int]) -> list[Offer | None]:
        async with answering():
            live = await offers.live_of_entries(self.reader, entry_keys)
            found = await offers.offers(self.reader, list(live.values())) if live else {}
        return [found[live[key]].offer if key in live else None for key in entry_keys]

    async def _receipts(self, asked: list[tuple[int, int]]) -> list[list[Receipt]]:
        """By entry and how many: one question for each length asked for."""
        found: dict[tuple[int, int], list[Receipt]] = {}
        async with answering():
            for limit in {limit for _, limit in asked}:
                keys = [key for key, most in asked if most == limit]
                told = await decisions.receipts(self.reader, keys, limit)
                found.update({(key, limit): told[key] for key in keys})
        return [found[one] for one in asked]

    async def _timelines(self, reader: Reader, keys: Sequence[int]) -> dict[int, list[Reminder]]:
        """Of the waitlist's offers those of clinics whose waitlist the viewer sees."""
        kept = await messages.of_appointments(reader, keys)
        offered = await offer_messages.about_appointments(reader, keys, patients.clinics_of(self._viewer))
        unplanned: dict[int, list[tuple[Version, Recipient]]] = {}
        for one in await messages.unplanned(reader, keys):
            unplanned.setdefault(one.version.appointment_key, []).append((one.version, one.recipient))
        return {key: timeline(kept.get(key, []), unplanned.get(key, []), offered.get(key, [])) for key in keys}

    async def _provider_pages(self, asked: list[ProviderPage]) -> list[list[tuple[str, Provider]]]:
        pages: dict[ProviderPage, list[tuple[str, Provider]]] = {}
        async with answering():
            for group in {(one.specialty, one.after, one.limit) for one in asked}:
                members = [one for one in asked if (one.specialty, one.after, one.limit) == group]
                specialty, after, limit = group
                keys = [one.clinic_key for one in members]
                found = await self.standing.providers_at_clinics(self.reader, keys, specialty, after, limit)
                pages.update({one: found[one.clinic_key] for one in members})
        return [pages[one] for one in asked]


def _loader(load: Callable[[list[K]], Coroutine[Any, Any, Sequence[V]]]) -> DataLoader[K, V]:
    return DataLoader(load_fn=load, max_batch_size=BATCH_MAX)
