"""What callers are told while PostgreSQL stands still: Unavailable, which they may try again, and nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from domain.appointments import AppointmentStatus
from domain.faults import RequestInProgress, Unavailable
from domain.outcomes import SlotHeld
from tests.services.waiters import Place, place
from tests.world import World, new_key

Call = Callable[[], Awaitable[object]]


async def calls(here: Place) -> dict[str, Call]:
    """A call of each write of the calendar and the waitlist; each would do something."""
    world, by = here.world, here.clerk
    entry = await here.join()
    await here.cancel(await here.booked())
    (live,) = await here.live()
    offer = live.offer.id
    made, other = await here.booked(days=1), await here.booked(days=2)
    who = await world.patient(here.clinic)
    held = await world.booking.hold(who, here.slot(days=3), new_key())
    assert isinstance(held, SlotHeld)
    booking, changing, waiting = world.booking, world.changing, world.waiting
    return {
        "hold": lambda: booking.hold(who, here.slot(days=4), new_key()),
        "release": lambda: booking.release(who, held.hold.id, new_key()),
        "release of what is unknown": lambda: booking.release(who, "unknown", new_key()),
        "book": lambda: booking.book(who, here.slot(days=5), None, None, new_key()),
        "cancel": lambda: changing.cancel(by, made.id, 1, None, new_key()),
        "cancel, refused": lambda: changing.cancel(by, made.id, 9, None, new_key()),
        "move": lambda: changing.reschedule(by, other.id, here.slot(days=6), 1, new_key()),
        "status": lambda: changing.set_status(by, other.id, 1, AppointmentStatus.ARRIVED, None, new_key()),
        "join": lambda: waiting.join(who, here.asked(), new_key()),
        "leave": lambda: waiting.leave(by, entry.id, new_key()),
        "accept": lambda: waiting.accept(by, offer, new_key()),
        "decline": lambda: waiting.decline(by, offer, new_key()),
        "accept what is unknown": lambda: waiting.accept(by, "unknown", new_key()),
    }


LOCKED = """
LOCK TABLE appointments, holds, allocations, idempotency, waitlist_entries, waitlist_offers IN ACCESS EXCLUSIVE MODE
"""
WRITTEN = """
SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM audit), (SELECT count(*) FROM idempotency)
"""


@pytest.mark.timeout(120)
async def test_every_write_says_that_it_can_be_tried_again(world: World, database_url: str) -> None:
    here = await place(world)
    tried = await calls(here)
    before = await world.fetch(WRITTEN)
    outside = await asyncpg.connect(database_url)
    transaction = outside.transaction()
    await transaction.start()
    await outside.execute(LOCKED)
    answers = await asyncio.gather(*(call() for call in tried.values()), return_exceptions=True)
    await transaction.rollback()
    await outside.close()
    told = {name: answer for name, answer in zip(tried, answers, strict=True)}
    wrong = {name: one for name, one in told.items() if not isinstance(one, Unavailable | RequestInProgress)}
    assert not {name: repr(one) for name, one in wrong.items()}
    assert await world.fetch(WRITTEN) == before
