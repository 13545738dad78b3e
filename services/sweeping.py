"""What runs out by the clock: expired holds give their time back with an event, old idempotency keys go."""

from itertools import groupby
from typing import Final

from adapters.postgres import changes, holds, locks
from adapters.postgres.changes import Request
from domain.access import Role, Viewer
from services.booking import Desk, end_holds

BATCH: Final = 200
SYSTEM: Final = Viewer(Role.SYSTEM, "sweeper", request_id="sweeper")


class Sweeping:
    """Safe to run in several processes at once: each resource is looked at again under its lock."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def expire_holds(self) -> int:
        """Ends the holds that have run out; answers how many."""
        found = await holds.expired(self._desk.database.primary, BATCH)
        found.sort(key=lambda one: one.resource_key)
        ended = 0
        for resource_key, some in groupby(found, key=lambda one: one.resource_key):
            keys = [one.hold.key for one in some]
            request = Request("", "expireHold", b"")
            async with self._desk.database.locked(None, [locks.resource(resource_key)]) as tx:
                still = await holds.holds(tx, keys)
                gone = [one for one in still.values() if one.hold.expires_at <= one.now]
                if gone:
                    await end_holds(tx, SYSTEM, request, gone, "expired")
            if gone:
                self._desk.shield.released(resource_key)
                await self._desk.wrote([resource_key], request)
                ended += len(gone)
        return ended

    async def forget_keys(self) -> int:
        """Removes a batch of idempotency keys that are older than 48 hours."""
        async with self._desk.database.transaction() as tx:
            return await changes.forget_keys(tx, BATCH)
