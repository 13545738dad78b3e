"""What runs out by the clock: holds give their time back, offers pass on to the next, old keys and decisions go.

Offers that were consented to beforehand are taken up here too, and newly opened hours are offered.
"""

from collections.abc import Coroutine
from datetime import timedelta
from itertools import groupby
from typing import Any, Final

import structlog

from adapters.postgres import changes, decisions, holds, locks, offers, opened, waitlist
from adapters.postgres.changes import By, Change, Request
from adapters.postgres.database import answering
from adapters.postgres.opened import Opened
from domain import ids, zones
from domain.access import Role, Viewer
from domain.faults import RequestInProgress, Unavailable
from domain.outcomes import OfferAccepted, PatientConflict
from domain.waitlist import OfferStatus
from services import accepting, claims, offering
from services.booking import end_holds
from services.desk import Desk
from services.waiting import offer_locks

BATCH: Final = 200
OFFERS_AT_ONCE: Final = 50
SYSTEM: Final = Viewer(Role.SYSTEM, "sweeper", request_id="sweeper")
log = structlog.get_logger()


class Sweeping:
    """Safe to run in several processes at once: everything is looked at again under its lock."""

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

    async def expire_offers(self) -> int:
        """Passes on the offers that have run out, each in a transaction of its own; answers how many."""
        found = await offers.run_out(self._desk.database.primary, OFFERS_AT_ONCE)
        return sum([await self._tried(self._end(key, OfferStatus.EXPIRED)) for key in found])

    async def take_up_consented(self) -> int:
        """Books at once what was offered to those who agreed to that; an offer that can't be booked goes to the next."""
        done = 0
        for key in await offers.consented(self._desk.database.primary, OFFERS_AT_ONCE):
            done += await self._tried(self._take_up(key))
        return done

    async def offer_opened(self) -> int:
        """Offers times that have come up for the first time, a stretch a transaction; answers how many were looked at."""
        done = 0
        for one in await opened.opened(self._desk.database.primary, OFFERS_AT_ONCE):
            done += await self._tried(self._offer(one))
        return done

    async def expire_entries(self) -> int:
        """Ends a batch of entries whose last date has passed at their clinic."""
        reader = self._desk.database.primary
        now, ended = await changes.now(reader), 0
        latest = now.date() + timedelta(days=1)  # Somewhere it is tomorrow already.
        for clinic_key, zone in await waitlist.clinics_to_look_at(reader, latest):
            today = zones.today(now, zones.named(zone))
            async with self._desk.database.locked(None, [locks.waitlist(clinic_key)]) as tx:
                ended += await waitlist.end_old(tx, clinic_key, today, BATCH, By(SYSTEM, "expireEntry"))
        return ended

    async def figures(self) -> dict[tuple[str, str], int]:
        """How the waitlist does: see `offers.figures`."""
        async with answering():
            return await offers.figures(self._desk.database.replica)

    async def forget_keys(self) -> int:
        """Removes a batch of idempotency keys that are older than 48 hours."""
        async with self._desk.database.transaction() as tx:
            return await changes.forget_keys(tx, BATCH)

    async def forget_decisions(self) -> int:
        """Removes a batch of the waitlist's decisions that are older than 90 days."""
        async with self._desk.database.transaction() as tx:
            return await decisions.forget(tx, BATCH)

    async def _tried(self, work: Coroutine[Any, Any, bool]) -> int:
        """One of many: what can't be done just now must not keep the others waiting."""
        try:
            return int(await work)
        except (Unavailable, RequestInProgress) as fault:
            log.warning("waitlist waits", reason=str(fault))
            return 0

    async def _end(self, offer_key: int, status: OfferStatus) -> bool:
        desk = self._desk
        seen = (await offers.offers(desk.database.primary, [offer_key]))[offer_key]
        request = Request("", "expireOffer", b"")
        async with desk.database.locked(None, offer_locks(seen)) as tx:
            stored = (await offers.offers(tx, [offer_key]))[offer_key]
            if stored.offer.status is not OfferStatus.LIVE or (status is OfferStatus.EXPIRED and not stored.run_out):
                return False
            await offering.pass_on(tx, desk, stored, status, SYSTEM, request)
        desk.shield.released(stored.resource_key)
        await desk.wrote([stored.resource_key], request)
        return True

    async def _take_up(self, offer_key: int) -> bool:
        outcome = await accepting.accept(
            self._desk, accepting.Wanted(SYSTEM, Request("", "acceptOffer", b""), offer_key)
        )
        if isinstance(outcome, PatientConflict):
            await self._end(offer_key, OfferStatus.SUPERSEDED)
        return isinstance(outcome, OfferAccepted)

    async def _offer(self, one: Opened) -> bool:
        desk, request = self._desk, Request("", "offerOpened", b"")
        keys = [locks.waitlist(one.clinic_key), locks.resource(one.resource_key)]
        async with desk.database.locked(None, keys) as tx:
            if not await opened.drop(tx, one.key):
                return False
            slot = ids.SlotKey(one.provider_key, one.clinic_key, 0, None, one.opening_key)
            given = offering.gift(one.clinic_key, slot, (one.starts_at, one.ends_at), None, None, kinds=one.kinds)
            now = await changes.now(tx)
            closed = await offering.offer(tx, desk, given, now, By(SYSTEM, request.operation))
            if closed:
                told = changes.told_to(
                    one.resource_key, await offering.told_clinics(tx, slot), claims.payload([], closed)
                )
                if one.opening_key is not None:  # Its other places go one after another.
                    await opened.add_openings(tx, [(one.opening_key, one.places - 1)])
                outcome, entity = {"type": "Opened"}, f"provider:{one.provider_key}"
                await changes.record(tx, Change(SYSTEM, request, now, outcome, entity, one.clinic_key, told=told))
        if closed:
            await desk.wrote([one.resource_key], request)
        return True
