"""The sweeper's loops outlive whatever happens to one try, with a real PostgreSQL that is away or stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from app.workers import loops, sweeper
from tests.services.waiters import Place, place
from tests.world import World

CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'appointments'
"""


@asynccontextmanager
async def sweeping(world: World) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(sweeper.sweep(world.sweeping))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def an_offer_runs_out(here: Place) -> None:
    """Within a generous while: what the sweeper is for still happens."""
    await here.wait()
    await here.cancel(await here.booked())
    assert len(await here.live()) == 1
    await here.world.run(
        "UPDATE waitlist_offers SET expires_at = app_now() - interval '1 second' WHERE status = 'live'"
    )
    async with asyncio.timeout(30):
        while await here.live():  # noqa: ASYNC110 (what is waited for happens in the database)
            await asyncio.sleep(0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "BACK_OFF_SECONDS", 0.1)


async def test_it_goes_on_after_a_table_was_locked_for_longer_than_a_statement_may_take(
    world: World, database_url: str, impatient: None
) -> None:
    outside = await asyncpg.connect(database_url)
    here = await place(world)
    failed = loops.FAILED.labels("holds")
    before = failed._value.get()
    async with sweeping(here.world) as task:
        async with outside.transaction():
            await outside.execute("LOCK TABLE holds IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(30):
                while failed._value.get() == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await an_offer_runs_out(here)
        assert not task.done()
    await outside.close()


async def test_it_goes_on_after_the_server_was_away(world: World, database_url: str, impatient: None) -> None:
    outside = await asyncpg.connect(database_url)
    here = await place(world)
    async with sweeping(here.world) as task:
        for _ in range(10):
            await outside.execute(CUT_OFF)
            await asyncio.sleep(0.1)
        await an_offer_runs_out(here)
        assert not task.done()
    await outside.close()


async def test_what_is_a_bug_ends_no_loop_and_is_counted(world: World, impatient: None) -> None:
    async def broken() -> int:
        raise KeyError("a bug")

    before = loops.FAILED.labels("a broken loop")._value.get()
    task = asyncio.create_task(loops.again("a broken loop", broken, 0.01))
    async with asyncio.timeout(30):
        while loops.FAILED.labels("a broken loop")._value.get() < before + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_hours_that_were_opened_keep_no_offer_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def stuck() -> int:
        await never.wait()
        return 0

    monkeypatch.setattr(world.sweeping, "offer_opened", stuck)
    here = await place(world)
    async with sweeping(world):
        await an_offer_runs_out(here)
