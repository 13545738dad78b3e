"""The open times of a clinic at one moment, with the cursor of that moment: from the database as one, or from this process."""

from dataclasses import dataclass, replace
from datetime import datetime

from adapters.postgres import stream_heads
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.standing import Standing
from domain.frames import Snapshot
from domain.shapes import Shape
from domain.streams import Cursor
from services.live import reading
from services.live.calendars import ProcessCalendars


@dataclass(frozen=True, slots=True)
class Kept:
    """What this process keeps, and who reads through it."""

    calendars: ProcessCalendars
    open_times: OpenTimes
    standing: Standing


class Snapshots:
    """Applies the patients' limits for everyone (rule 6)."""

    def __init__(self, database: Database, open_times: OpenTimes, kept: Kept | None = None) -> None:
        self._database = database
        self._open_times = open_times
        self._standing = Standing(database)
        self._kept = kept

    async def read(self, shape: Shape, *, primary: bool) -> Snapshot:
        """Calendar and cursor of one moment. Raises BadInput for ids that name nothing."""
        if self._kept is not None and not primary:
            found = await self._here(shape, self._kept)
            if found is not None:
                return found
        async with answering(), self._database.snapshot(primary=primary) as tx:
            heads = await stream_heads.heads(tx, [shape.clinic_key])
            place = Cursor(heads.epoch, shape.clinic_key, heads.seqs[shape.clinic_key])
            if self._kept is not None:
                self._kept.calendars.learn_point(place, heads.now)
            about = await reading.facts(tx, shape, self._standing)
            return await self._snapshot(tx, self._open_times, shape, about, place, heads.now)

    async def _here(self, shape: Shape, kept: Kept) -> Snapshot | None:
        """Nothing here is older than the cursor, which is had first; what is newer will be told after it once more."""
        now, place = kept.calendars.now(), kept.calendars.point(shape.clinic_key)
        if now is None or place is None:
            return None
        async with answering():
            about = await reading.facts(self._database.primary, shape, kept.standing)
            return await self._snapshot(self._database.primary, kept.open_times, shape, about, place, now)

    async def _snapshot(
        self,
        reader: Reader,
        open_times: OpenTimes,
        shape: Shape,
        about: reading.Facts,
        place: Cursor,
        now: datetime,
    ) -> Snapshot:
        keys = [(one, shape.clinic_key, shape.visit_type_key) for one in sorted(about.provider_keys)]
        found = await reading.content(reader, open_times, keys, shape.first, shape.last, about.visit_type)
        until = reading.covers(shape, about, found.through, now)
        cursor = replace(place, covers=until.toordinal())
        return Snapshot(str(cursor), now.astimezone(about.zone), about.zone_name, found.through, found.slots)
