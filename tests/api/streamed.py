"""The streams by hand: outbox rows become events of a product in this process when a test says so."""

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import Any

import asyncpg

from app.wiring import Product
from domain.streams import CalendarEvent, Pulse
from services.live.trust import PACE_SECONDS

ROWS = """
SELECT o.*, o.xid::text::bigint AS at_xid, coalesce(p.provider_id, o.resource_id) AS provider_id, p.id AS opening_id
FROM outbox AS o LEFT JOIN openings AS p ON p.id = o.resource_id
WHERE o.topic = 'availability' AND o.clinic_id IS NOT NULL AND o.id > $1 ORDER BY o.xid, o.id
"""


class Streamed:
    def __init__(self, pool: asyncpg.Pool, product: Product | None) -> None:
        assert product is not None
        self._pool = pool
        self._process = product.process
        self._heads: dict[int, int] = defaultdict(int)
        self._seen = 0

    async def begin(self) -> None:
        """From here on."""
        self._seen = await self._pool.fetchval("SELECT coalesce(max(id), 0) FROM outbox")
        await self.steady()

    async def steady(self) -> None:
        """Two pulses at their pace: from here on the streams are believed."""
        await self.pulse()
        await asyncio.sleep(PACE_SECONDS + 0.1)
        await self.pulse()

    async def pulse(self, horizon_age: float = 0.0, later: timedelta = timedelta()) -> None:
        row = await self._pool.fetchrow("SELECT epoch::text, app_now() AS now FROM stream_epoch")
        self._process.heard(Pulse(row["epoch"], row["now"] + later, horizon_age))

    async def catch_up(self) -> int:
        """Applies what was told since; answers how much."""
        rows = await self._pool.fetch(ROWS, self._seen)
        epoch = await self._pool.fetchval("SELECT epoch::text FROM stream_epoch")
        for row in rows:
            self._heads[row["clinic_id"]] += 1
            self._seen = max(self._seen, row["id"])
            self._process.apply(_event(row, epoch, self._heads[row["clinic_id"]]))
        return len(rows)


def _event(row: Any, epoch: str, seq: int) -> CalendarEvent:
    said = row["payload"]
    return CalendarEvent(
        epoch, row["clinic_id"], seq, row["at"], row["at_xid"], row["id"], row["provider_id"], row["opening_id"],
        row["resource_version"] or 0,
        tuple((start, end) for start, end in said.get("opened", ())),
        tuple((start, end, *(until or [0])) for start, end, *until in said.get("closed", ())),
        said.get("invalidated", said.get("kind") == "invalidated"),
    )  # fmt: skip
