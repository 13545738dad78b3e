"""Open times in batches: whatever one operation asks of the calendar becomes one statement for versions and one for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from adapters.postgres import changes, slot_states
from adapters.postgres.calendars import Triple
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import OpenTimes
from dataloaders.calendars import RecentWrites
from domain import availability
from domain.access import Viewer
from domain.appointments import Slot
from domain.ids import SlotKey

SLOTS_MAX = 200
NEXT_STEPS_DAYS = (14, 62, 400, availability.DAYS_AHEAD_MAX + 2)


@dataclass(frozen=True, slots=True)
class Asked:
    """Open times of one provider, clinic and visit type on the clinic dates `first` to `last`."""

    provider_key: int
    clinic_key: int
    visit_type_key: int
    first: date
    last: date
    limit: int

    @property
    def triple(self) -> Triple:
        return self.provider_key, self.clinic_key, self.visit_type_key


class SlotReader:
    """Applies the viewer's limits: minimum notice and window bind patients and the anonymous."""

    def __init__(self, database: Database, open_times: OpenTimes, recent: RecentWrites, viewer: Viewer) -> None:
        self._database = database
        self._open_times = open_times
        self._recent = recent
        self._viewer = viewer
        self._binding = not viewer.is_staff
        self.primary = False

    async def slots(self, asked: Sequence[Asked]) -> list[list[Slot] | None]:
        """By start; None where the provider does not offer that visit type there."""
        groups: dict[tuple[date, date, int], list[Triple]] = {}
        for one in asked:
            groups.setdefault((one.first, one.last, one.limit), []).append(one.triple)
        times = {}
        async with answering():
            reader = self._reader({one.provider_key for one in asked})
            for (first, last, limit), keys in groups.items():
                times[first, last, limit] = await self._free(reader, keys, first, last, limit)
        return [times[one.first, one.last, one.limit].get(one.triple) for one in asked]

    async def next_slots(self, asked: Sequence[Triple]) -> list[Slot | None]:
        """The earliest open time each: a narrow look first, further ahead only for those that have none."""
        found: dict[Triple, Slot] = {}
        async with answering():
            reader = self._reader({one[0] for one in asked})
            # Every clinic's today lies within a day of this one's.
            now = self._open_times.now() or await changes.now(reader)
            yesterday = now.date() - timedelta(days=1)
            first = yesterday
            for days in NEXT_STEPS_DAYS:
                left = [one for one in dict.fromkeys(asked) if one not in found]
                last = yesterday + timedelta(days=days)
                times = await self._free(reader, left, first, last, 1) if left else {}
                found.update({triple: slots[0] for triple, slots in times.items() if slots})
                first = last + timedelta(days=1)
        return [found.get(one) for one in asked]

    async def states(self, keys: Sequence[SlotKey]) -> list[Slot | None]:
        """What has become of slots that are named by their ids."""
        async with answering():
            reader = self._reader({one.provider_id for one in keys})
            found = await slot_states.states(
                reader, self._open_times.known, keys, finer=self._viewer.works_at, binding=self._binding
            )
        return [found.get(key) for key in keys]

    async def _free(
        self, reader: Reader, keys: list[Triple], first: date, last: date, limit: int
    ) -> dict[Triple, list[Slot]]:
        return await self._open_times.free(reader, keys, first, last, binding=self._binding, limit=limit)

    def _reader(self, provider_keys: set[int]) -> Reader:
        if self.primary or self._open_times.now() is not None or any(map(self._recent.include, provider_keys)):
            return self._database.primary
        return self._database.replica
