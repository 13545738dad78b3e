"""API processes, the relay, Redis and Kafka killed in a burst of bookings: all goes on, and every view ends with the truth.

The processes are real ones, so are their sockets; what is measured begins when the killed one is back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from adapters.postgres.database import pool
from app.kafka import make_topics
from app.settings import Settings
from domain import ids
from tests import sizes
from tests.kafka import Kafka
from tests.live.place import MARKER, Booker, Place, asked, place
from tests.live.processes import Api, Redis, kafka_texts, redis_texts, relaying
from tests.live.watcher import SNAPSHOT, Watcher
from tests.proofs import proof

WITHIN_SECONDS: Final = 5.0


@dataclass
class Scene:
    """Two API processes on one database, one Redis, and one log."""

    place: Place
    apis: list[Api]
    redis: Redis
    watchers: list[Watcher]
    booker: Booker
    longest: dict[str, float] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        return [api.url for api in self.apis]

    async def through(
        self,
        what: str,
        down: Callable[[], Awaitable[None]],
        back: Callable[[], Awaitable[None]],
        away: float = sizes.LIVE_BURST_SECONDS,
    ) -> None:
        """A burst of bookings in which something goes and comes back; 5 s later all views are the truth."""
        before = len(self.booker.acknowledged)
        async with self.booker:
            await asyncio.sleep(0.3)
            await down()
            during = len(self.booker.acknowledged)
            await asyncio.sleep(away)
            assert len(self.booker.acknowledged) > during, f"no booking while {what} was away"
            await back()
            began = asyncio.get_running_loop().time()
        seconds = asyncio.get_running_loop().time() - began
        seconds += await self.place.settled(self.watchers, WITHIN_SECONDS - seconds)
        assert len(self.booker.acknowledged) > before
        self.longest[what] = max(self.longest.get(what, 0), seconds)

    async def kill_and_restart(self, what: str, api: Api) -> None:
        async def down() -> None:
            api.kill()

        async def back() -> None:
            """Those who were on it have gone to the other one: they do not wait for it."""

        await self.through(what, down, back)
        api.begin()
        await api.ready()
        await self.place.settled(self.watchers, WITHIN_SECONDS)

    async def judge(self) -> None:
        """Nothing acknowledged is lost, nothing is there that nobody asked for, and all of it has gone through the log."""
        rows = await self.place.pool.fetch("SELECT id FROM appointments WHERE clinic_id = $1", self.place.clinic)
        stored = sorted(ids.node(ids.APPOINTMENT, row["id"]) for row in rows)
        assert stored == sorted(self.booker.acknowledged.values())
        told = (
            "SELECT count(*), count(DISTINCT seq), max(seq) FROM stream WHERE clinic_id = $1 AND topic = 'availability'"
        )
        [(rows_there, numbers, last)] = await self.place.pool.fetch(told, self.place.clinic)
        assert rows_there == numbers == last == len(stored) + self.booker.cancelled


@asynccontextmanager
async def scene(url: str, embedded: Any, folder: Path, kafka: Kafka | None) -> AsyncIterator[Scene]:
    given = {"DATABASE_URL": url, "BOOKING_LOCK": "always", "CACHE_FROM": "1", "LOG_LEVEL": "debug"}
    if kafka is not None:
        given["KAFKA_BOOTSTRAP_SERVERS"] = kafka.address
    settings = Settings(
        data_dir=folder, database_url=url, env="test", kafka_bootstrap_servers=kafka.address if kafka else None
    )
    await make_topics(settings)
    connections = await pool(url, size=4)
    there = await place(connections, settings, providers=12)
    async with AsyncExitStack() as ending:
        ending.push_async_callback(connections.close)
        redis = Redis(folder)
        redis.start()
        ending.callback(redis.kill)
        apis = [Api(folder, given | {"REDIS_URL": redis.url}) for _ in range(2)]
        for api in apis:
            api.begin()
            ending.callback(api.end)
        for api in apis:
            await api.ready()
        shapes = [there.asked(), there.asked(1, 2), there.asked(1, 31, there.providers[:5])]
        watchers = []
        for number in range(sizes.LIVE_WATCHERS):
            first, *others = apis if number % 2 else apis[::-1]
            watcher = Watcher([first.url, *(one.url for one in others)], shapes[number // 2 % 3])
            watchers.append(await ending.enter_async_context(watcher))
        await asyncio.gather(*(one.until(lambda view: view.frames) for one in watchers))
        yield Scene(
            there, apis, redis, watchers, Booker(there, [api.url for api in apis], pause=sizes.LIVE_PAUSE_SECONDS)
        )


@pytest.fixture(params=["table", "kafka"])
async def there(
    request: pytest.FixtureRequest, make_database: Callable[[], Awaitable[str]], embedded: Any, tmp_path: Path
) -> AsyncIterator[Scene]:
    kafka = request.getfixturevalue("kafka") if request.param == "kafka" else None
    async with scene(await make_database(), embedded, tmp_path, kafka) as found:
        yield found


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_killed_processes_cost_nothing_but_moments(there: Scene, request: pytest.FixtureRequest) -> None:
    log = request.node.callspec.params["there"]
    await _two_processes_tell_each_other(there)
    for _ in range(sizes.LIVE_ROUNDS):
        leading = await relaying(there.apis)
        if log == "table" or sizes.FULL:
            await there.kill_and_restart("the process that relays", leading)
        if sizes.FULL:
            leading = await relaying(there.apis)
            [other] = [api for api in there.apis if api is not leading]
            await there.kill_and_restart("an API process", other)
        if log == "table" or sizes.FULL:
            await there.through("Redis", _call(there.redis.kill), _call(there.redis.start))
        if log == "kafka":
            await _stop_kafka(there, request.getfixturevalue("kafka"))
    await there.judge()
    kafka = request.getfixturevalue("kafka") if log == "kafka" else None
    places = await _say_nothing_of_patients(there, kafka)
    assert sum(watcher.view.broken for watcher in there.watchers) == 0
    proof(
        f"killed in a burst of bookings, log: {log}", rounds=sizes.LIVE_ROUNDS, watchers=len(there.watchers),
        bookings=len(there.booker.acknowledged), lost=0,
        cancelled=there.booker.cancelled, slowest_booking_seconds=round(there.booker.slowest, 2),
        messages_values_and_lines_without_a_patient=places,
        **{f"seconds_until_every_view_was_true_after_{what}": round(took, 2) for what, took in there.longest.items()},
    )  # fmt: skip


async def _say_nothing_of_patients(there: Scene, kafka: Kafka | None) -> int:
    """The marker that stands in every text of a patient and of a booking is nowhere else (rule 36). How many places."""
    marked = await there.place.pool.fetch("SELECT DISTINCT reason FROM appointments")
    assert [row["reason"] for row in marked] == [MARKER]
    said = await everything_said(there, kafka)
    assert [text for text in said if MARKER.lower() in text.lower()] == []
    return len(said)


async def everything_said(there: Scene, kafka: Kafka | None) -> list[str]:
    """Public frames, log lines, what stands in Redis, in Kafka, in the outbox and in the stream."""
    said = [str(frame) for watcher in there.watchers for frame in watcher.view.frames]
    said += [api.log.read_text() for api in there.apis]
    said += await redis_texts(there.redis.url)
    said += await kafka_texts(kafka.address) if kafka is not None else []
    for table in ("outbox", "stream"):
        said += [str(tuple(row)) for row in await there.place.pool.fetch(f"SELECT * FROM {table}")]
    return said


async def _stop_kafka(there: Scene, kafka: Kafka) -> None:
    if kafka.pid is None:
        return  # A broker that is not ours to stop.
    await there.through("Kafka (SIGSTOP)", _call(kafka.pause), _call(kafka.resume), sizes.KAFKA_AWAY_SECONDS)
    await there.through("Kafka (SIGKILL)", _call(kafka.kill), _call(kafka.start), sizes.KAFKA_AWAY_SECONDS)


def _call(work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        await asyncio.to_thread(work)

    return call


async def _two_processes_tell_each_other(there: Scene) -> None:
    """A booking at one is seen at the other; what was heard at one is resumed at the other (rules 25 and 27)."""
    one, other = there.apis
    shape = there.place.asked()
    async with httpx2.AsyncClient(timeout=15) as http, Watcher([other.url], shape) as watcher:
        await watcher.until(lambda view: view.frames)
        shown = (number for number in count() if there.place.slot_id(number) in watcher.view.slots)
        first, there.booker.number = next(shown), 0
        booked = await there.booker.book(http, first)
        taken = there.place.slot_id(first)
        await watcher.until(lambda view: taken not in view.slots, 2)
        cursor = watcher.view.cursor
        second, there.booker.number = next(shown), 1
        await there.booker.book(http, second)
        for url in (one.url, other.url):
            async with Watcher([url], shape, after=cursor) as back:
                await back.until(lambda view: "Delta" in view.kinds())
                # A process that the booking has not reached yet says first that nothing happened.
                assert back.view.kinds()[-2:] in (["Delta"], ["Heartbeat", "Delta"]), (url, back.view.frames)
                assert there.place.slot_id(second) in back.view.frames[-1]["removed"]
            asking = {"f": shape, "l": booked["cursor"]}
            seen = (await asked(http, url, SNAPSHOT, asking))["availability"]
            assert taken not in [slot["id"] for slot in seen["slots"]]
        there.booker.number = second + 1
    await there.place.settled(there.watchers, WITHIN_SECONDS)
