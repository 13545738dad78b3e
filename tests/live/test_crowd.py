"""A thousand clients on one calendar: a restart, abrupt ends, and one that reads nothing, with the real hub."""

import asyncio
import gc
import random
import socket
import time
from contextlib import closing
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any, Final

import asyncpg
import httpx2
import pytest

from app.live.pace import PACE, Pace
from services.live.member import Mailbox
from services.live.reading import Content, Reading
from tests import sizes
from tests.api.scripted import until
from tests.api.talker import Talker, opened
from tests.live.conftest import Here, at, serving
from tests.live.place import Booker, place
from tests.live.processes import free_port
from tests.live.watcher import AWAY, WATCH
from tests.proofs import proof

CUT_OFF: Final = PACE if sizes.FULL else Pace(ping=1, pong=1)


class Counted:
    """How often all times of a calendar were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        everything = Reading.everything

        async def counted(*arguments: Any) -> Content:
            self.reads += 1
            return await everything(*arguments)

        monkeypatch.setattr(Reading, "everything", counted)


async def _joined(url: str, asked: dict[str, Any], after: str | None = None) -> tuple[Talker, dict[str, Any]]:
    """As soon as it goes."""
    while True:
        try:
            talker = await opened(url, open_timeout=30, ping_interval=None)
            await talker.begin()
            await talker.subscribe(WATCH, {"f": asked, "after": after})
            return talker, (await talker.next())["availability"]
        except AWAY:
            await asyncio.sleep(random.uniform(0.05, 0.5))


async def test_rule_34_a_crowd_that_comes_back_costs_three_reads_at_most(
    database_url: str, embedded: Any, tmp_path: Path, connections: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody is told to go (1012), and comes back to another process at once: half by cursor, half with nothing."""
    settings = at(database_url, tmp_path, port=free_port(), drain_seconds=1)
    asked = (await place(connections, settings)).asked(1, 3)
    async with serving(settings, embedded.redis_url) as (url, _):
        crowd = await asyncio.gather(*(_joined(url, asked) for _ in range(sizes.RECONNECTS)))
        ends = [asyncio.create_task(talker.closed()) for talker, _ in crowd]
    assert set(await asyncio.gather(*ends)) == {1012}
    counted = Counted(monkeypatch)
    async with serving(settings, embedded.redis_url) as (url, built):
        began = time.monotonic()
        afters = [frame["cursor"] if number % 2 else None for number, (_, frame) in enumerate(crowd)]
        back = await asyncio.gather(*(_joined(url, asked, after) for after in afters))
        seconds = time.monotonic() - began
        reads = counted.reads
        assert reads <= 3
        kinds = [frame["__typename"] for _, frame in back]
        assert kinds[::2] == ["AvailabilitySnapshot"] * (len(kinds) // 2)
        assert set(kinds[1::2]) == {"AvailabilityHeartbeat"}
        assert built.hub.counts()["members"] == sizes.RECONNECTS
        await _gone(built.hub, back)
    proof(
        "reconnects on one shape after a restart", reconnects=sizes.RECONNECTS, snapshots_computed=reads,
        seconds=round(seconds, 1), tasks_left=0, members_left=0,
    )  # fmt: skip


async def _gone(hub: Any, crowd: list[tuple[Talker, dict[str, Any]]]) -> None:
    """Abruptly, all at once: nothing is left of them."""
    for talker, _ in crowd:
        talker.connection.transport.abort()
    await asyncio.gather(*(talker.connection.wait_closed() for talker, _ in crowd))
    await until(lambda: hub.counts()["members"] == hub.counts()["tasks"] == 0, 10)
    await until(lambda: not _operations(), 10)
    gc.collect()
    left = [one.__qualname__ for one in gc.get_objects() if isinstance(one, AsyncGeneratorType)]
    assert [one for one in left if one.startswith("Answers.") or "availability" in one] == []
    assert [one for one in gc.get_objects() if isinstance(one, Mailbox)] == []


def _operations() -> list[str]:
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if "run_operation" in name or "run_asgi" in name]


async def test_rule_31_a_reader_that_stalls_is_cut_off_and_costs_others_nothing(
    database_url: str, embedded: Any, tmp_path: Path, connections: asyncpg.Pool
) -> None:
    settings = at(database_url, tmp_path)
    there = await place(connections, settings)
    asked = there.asked()
    async with (
        serving(settings, embedded.redis_url, pace=CUT_OFF) as (url, built),
        httpx2.AsyncClient(timeout=15) as http,
    ):
        here = Here(url, built, there, http, connections)
        with closing(_deaf(url)) as deaf:
            talker = await opened(url, sock=deaf, ping_interval=None, close_timeout=0.1)
            await talker.begin()
            await talker.subscribe(WATCH, {"f": asked})
            await talker.next()
            talker.connection.transport.pause_reading()
            began = time.monotonic()
            longest = 0.0
            async with here.watching() as watcher:
                await watcher.until(lambda view: view.frames)
                desk = Booker(there, [url])
                for number in range(400):
                    if built.hub.counts()["members"] == 1:
                        break
                    if there.slot_id(number) not in watcher.view.slots:
                        continue
                    started = time.monotonic()
                    await desk.book(http, number)
                    taken = there.slot_id(number)
                    await watcher.until(lambda view, taken=taken: taken not in view.slots)
                    longest = max(longest, time.monotonic() - started)
                    await asyncio.sleep(CUT_OFF.ping / 20)
                await until(lambda: built.hub.counts()["members"] == 1, 25 - (time.monotonic() - began))
                took = time.monotonic() - began
                assert watcher.closes == []
            talker.connection.transport.abort()
        assert longest < 2
        await until(lambda: not _operations(), 10)
    proof(
        "a reader that stalls",
        cut_off_after_seconds=round(took, 1),
        slowest_change_of_another_seconds=round(longest, 2),
    )


def _deaf(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    peer.connect((host, int(port)))
    peer.setblocking(False)
    return peer
