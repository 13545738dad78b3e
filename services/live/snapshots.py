"""The open times of a clinic at one moment, with the cursor of that moment: from this process where it can tell, else from the
database as one."""

from adapters.postgres import stream_heads
from adapters.postgres.database import Database, answering
from adapters.postgres.open_times import OpenTimes
from adapters.postgres.standing import Standing
from domain.faults import BadInput
from domain.frames import Snapshot
from domain.shapes import Shape
from domain.streams import Cursor
from services.live import reading
from services.live.calendars import ProcessCalendars


class Snapshots:
    """Applies the patients' limits for everyone (rule 6)."""

    def __init__(
        self, database: Database, open_times: OpenTimes, own: tuple[ProcessCalendars, OpenTimes, Standing] | None = None
    ) -> None:
        """`own`: what this process keeps, and who reads through it."""
        self._database = database
        self._open_times = open_times
        self._straight = Standing(database)
        self._own = own

    async def read(self, shape: Shape, *, primary: bool) -> Snapshot:
        """Calendar and cursor of one moment. Raises BadInput for ids that name nothing."""
        if self._own is not None and not primary:
            found = await self._here(shape, *self._own)
            if found is not None:
                return found
        async with answering(), self._database.snapshot(primary=primary) as tx:
            about = await reading.facts(tx, self._straight, shape)
            heads = await stream_heads.heads(tx, [shape.clinic_key])
            if self._own is not None:
                self._own[0].learn_place(Cursor(heads.epoch, shape.clinic_key, heads.seqs[shape.clinic_key]), heads.now)
            read = await reading.content(tx, self._open_times, shape, about, shape.last)
        until = reading.covers(shape, about, read.through, heads.now)
        cursor = Cursor(heads.epoch, shape.clinic_key, heads.seqs[shape.clinic_key], until.toordinal())
        return Snapshot(str(cursor), heads.now.astimezone(about.zone), about.zone_name, read.through, read.slots)

    async def _here(
        self, shape: Shape, own: ProcessCalendars, open_times: OpenTimes, standing: Standing
    ) -> Snapshot | None:
        """Nothing here is older than the cursor, which is had first; what is newer will be told after it once more."""
        now, place, reader = own.now(), own.place(shape.clinic_key), self._database.primary
        if now is None or place is None:
            return None
        async with answering():
            try:
                about = await reading.facts(reader, standing, shape)
            except BadInput:
                return None  # Perhaps it is only not known here yet.
            read = await reading.content(reader, open_times, shape, about, shape.last)
        until = reading.covers(shape, about, read.through, now)
        cursor = Cursor(place.epoch, shape.clinic_key, place.seq, until.toordinal())
        return Snapshot(str(cursor), now.astimezone(about.zone), about.zone_name, read.through, read.slots)
