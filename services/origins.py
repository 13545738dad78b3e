"""Which web sites may ask us from a browser: kept by clinic, asked by origin (rule 39)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog

from adapters.postgres import changes, clinics, locks
from adapters.postgres import origins as stored
from adapters.postgres.changes import Change
from adapters.postgres.database import Database, Reader, answering
from domain import access, ids, origins
from domain.access import Viewer
from domain.faults import BadInput, Unavailable
from domain.outcomes import ClinicOriginsSet, IdempotencyMismatch, InvalidInput, NotFound
from domain.streams import CalendarEvent, Event, Resumed
from services import records, requests
from services.background import beside

REFRESH_SECONDS: Final = 60.0  # Against an event that was missed: the stream tells of changes much sooner.
RETRY_SECONDS: Final = 1.0
OriginsOutcome = ClinicOriginsSet | InvalidInput | IdempotencyMismatch | NotFound
log = structlog.get_logger()


class Origins:
    """The union over all clinics in memory, so that `allows` waits for nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._allowed: frozenset[str] = frozenset()
        self._loading = asyncio.Lock()
        self._stale = asyncio.Event()

    def allows(self, origin: str) -> bool:
        """Whether a clinic has allowed what a browser sent as `Origin`, letter for letter."""
        return origin in self._allowed

    def heard(self, event: Event) -> None:
        """For every event of the stream: what may have changed some clinic's set has it read again, soon."""
        clinic_wide = isinstance(event, CalendarEvent) and event.invalidated and event.resource_key is None
        if clinic_wide or isinstance(event, Resumed):
            self._stale.set()

    async def load(self) -> None:
        """Reads the set. One at a time, so that an older answer never comes last. Raises Unavailable."""
        async with self._loading, answering():
            self._allowed = await stored.every_origin(self._database.primary)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """The set is up to date while the context is open: at once, then with each event and each minute."""
        self._stale.set()
        async with beside(self._keep()):
            yield

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._stale.wait()
            self._stale.clear()
            try:
                await self.load()
            except Exception as error:  # Whatever it is: the set stays as it was, and the next try may do.
                log.warning("allowed origins could not be read", fault=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._stale.set()

    async def set_of_clinic(
        self, viewer: Viewer, clinic_id: str, some: list[str], idempotency_key: str
    ) -> OriginsOutcome:
        """Replaces the clinic's whole set; it counts here when this answers. Its version stays: no part of the clinic's record."""
        access.require_admin(viewer)
        request = requests.request("setClinicOrigins", idempotency_key, {"clinic": clinic_id, "origins": some})
        key = ids.key(clinic_id, ids.CLINIC)
        held = [] if key is None else [locks.record("clinic", key)]
        async with self._database.locked((viewer.subject, request.key), held) as tx:
            answered = await records.used(tx, viewer, request, _again)
            if answered is not None:
                return answered
            clinic = None if key is None else (await clinics.clinics(tx, [key])).get(key)
            if clinic is None:
                return NotFound()
            try:
                clean = origins.several("origins", some)
            except BadInput as fault:
                return records.invalid(fault)
            at = await changes.now(tx)
            outcome = {"type": "ClinicOriginsSet", "clinic": clinic.key}
            await changes.record(tx, Change(viewer, request, at, outcome, f"clinic:{clinic.key}"))
            await stored.replace(tx, clinic.key, clean, at, records.INVALIDATED)
        try:
            await self.load()
        except Unavailable:
            self._stale.set()
        return ClinicOriginsSet(clinic)


async def _again(reader: Reader, outcome: dict[str, Any]) -> ClinicOriginsSet:
    key = outcome["clinic"]
    return ClinicOriginsSet((await clinics.clinics(reader, [key]))[key])
