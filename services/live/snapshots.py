"""The open times of a clinic at one moment, with the cursor of that moment, read from the database as one."""

from adapters.postgres import stream_heads
from adapters.postgres.database import Database, answering
from adapters.postgres.open_times import OpenTimes
from domain.frames import Snapshot
from domain.shapes import Shape
from domain.streams import Cursor
from services.live import reading


class Snapshots:
    """Applies the patients' limits for everyone (rule 6)."""

    def __init__(self, database: Database, open_times: OpenTimes) -> None:
        self._database = database
        self._open_times = open_times

    async def read(self, shape: Shape, *, primary: bool) -> Snapshot:
        """Calendar and cursor of one moment. Raises BadInput for ids that name nothing."""
        async with answering(), self._database.snapshot(primary=primary) as tx:
            about = await reading.facts(tx, shape)
            heads = await stream_heads.heads(tx, [shape.clinic_key])
            keys = [(one, shape.clinic_key, shape.visit_type_key) for one in sorted(about.provider_keys)]
            found = await reading.content(tx, self._open_times, keys, shape.first, shape.last, about.visit_type)
        until = reading.covers(shape, about, found.through, heads.now)
        cursor = Cursor(heads.epoch, shape.clinic_key, heads.seqs[shape.clinic_key], until.toordinal())
        return Snapshot(str(cursor), heads.now.astimezone(about.zone), about.zone_name, found.through, found.slots)
