"""A long random history, a log that does what logs do, clients that come, go and sleep: everybody ends with the truth."""

import asyncio
import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import pytest

from domain import zones
from domain.calendars import Taken
from domain.faults import Unavailable
from domain.frames import Snapshot
from domain.shapes import Shape
from domain.streams import CalendarEvent, Resumed
from services.live.member import TooSlow
from tests.proofs import proof
from tests.services.live_town import TODAY, ZONE, Server, Town, View, kind, truth, week
from tests.sizes import LIVE_COMMITS

CLINICS = (1, 2, 3)
CHECK_EVERY = max(100, LIVE_COMMITS // 250)
PACE = {
    "frame_seconds": 0.001, "patience_seconds": 0.05, "backoff_seconds": 0.002, "backoff_seconds_max": 0.02, "mailbox": 3,
    "fresh_seconds": 0.5, "sweep_seconds": 0.05, "heartbeat_seconds": 0.1, "keep_seconds": 0.3, "slow_seconds": 0.05,
    "resume_events": 64, "ids": 90,
}  # fmt: skip
SHAPES = [
    week(1, 1), week(1, 2), week(2, 1, days=3), week(2, 2, (2, 3, 4)), week(3, 1, days=5), week(1, 1, (1,)), week(1, 1, (2, 5)),
    week(3, 3, days=4), week(2, 3, (3,), days=10),
]  # fmt: skip


@dataclass
class Counts:
    commits: int = 0
    frames: int = 0
    snapshots: dict[str, int] = field(default_factory=dict)
    resumed: int = 0
    slow: int = 0
    restarts: int = 0
    dropped: int = 0
    again: int = 0
    restores: int = 0
    asked: int = 0
    checks: int = 0


class Replica:
    """A process behind its own view of the log: late, again, in another order across clinics, sometimes losing something."""

    def __init__(self, town: Town, chance: random.Random, counts: Counts) -> None:
        self.town, self.chance, self.counts = town, chance, counts
        self.queues: dict[int, deque[CalendarEvent]] = {clinic: deque() for clinic in CLINICS}
        self.members: set[Any] = set()
        self.server = self._started()

    def _started(self) -> Server:
        server = Server.on(self.town, process=True, chance=self.chance, **PACE)
        server.hear(self.town.pulse())
        self.sweeper = asyncio.create_task(server.hub.run())
        return server

    async def restart(self) -> None:
        self.counts.restarts += 1
        old = self.server
        heard = {clinic: old.hub.stream(clinic).heard or 0 for clinic in CLINICS}
        self.sweeper.cancel()
        await old.hub.close()
        self.server = self._started()
        for event in self.town.log[-60:]:  # the log's last two minutes, in order
            if event.seq <= heard[event.clinic_key]:
                self.server.hear(event)
        for member in self.members:  # Of who is still entering, too: with the process all its sockets close.
            member.close()
        self.members.clear()

    def deliver(self, some: int) -> None:
        for _ in range(some):
            clinic = self.chance.choice(CLINICS)
            if not self.queues[clinic]:
                continue
            event, luck = self.queues[clinic].popleft(), self.chance.random()
            if luck < 0.002:
                self.counts.dropped += 1
                self.server.hear(Resumed())
                continue
            self.server.hear(event)
            if luck > 0.95:
                self.counts.again += 1
                past = [one for one in self.town.log[-30:] if one.seq <= event.seq and one.clinic_key == clinic]
                self.server.hear(*past[-self.chance.randrange(1, 9) :])

    async def ask_heads(self) -> None:
        """As by somebody who comes with a cursor of another life: the database says more than the log has brought."""
        self.counts.asked += 1
        with suppress(Unavailable):
            self.server.hub.learn(await self.server.reading.heads(self.chance.sample(CLINICS, 2)))

    def deliver_all(self) -> None:
        self.server.reading.down = False
        self.server.hear(self.town.pulse())
        for queue in self.queues.values():
            lost = (
                self.chance.randrange(1, 4) if self.chance.random() < 0.1 else 0
            )  # the newest: no later one will tell
            self.counts.dropped += min(lost, len(queue))
            while len(queue) > lost:
                self.server.hear(queue.popleft())
            queue.clear()
        self.server.hear(Resumed())


class Client:
    def __init__(self, shape: Shape, replicas: list[Replica], chance: random.Random, counts: Counts) -> None:
        self.shape, self.replicas, self.chance, self.counts = shape, replicas, chance, counts
        self.view = View()
        self.restless = True
        self.calm = False
        self.fault: Exception | None = None

    async def live(self) -> None:
        after: str | None = None
        while True:
            try:
                await self._subscribe(after)
            except TooSlow:
                self.counts.slow += 1
            except Unavailable:
                await asyncio.sleep(0.005)
            except Exception as fault:
                self.fault = fault
                raise
            after = self.view.cursor or None
            if self.chance.random() < 0.2:
                self.view, after = View(), None
            if not self.calm:
                await asyncio.sleep(self.chance.random() * 0.02)

    async def _subscribe(self, after: str | None) -> None:
        replica = self.chance.choice(self.replicas)
        server = replica.server
        member = await server.live.availability(self.shape, after)
        if server is not replica.server:
            return
        replica.members.add(member)
        try:
            await self._follow(member, after)
        finally:
            replica.members.discard(member)
            member.close()

    async def _follow(self, member: Any, after: str | None) -> None:
        first = True
        async for frame in member:
            if isinstance(frame, Snapshot):
                self.counts.snapshots[frame.reason.value] = self.counts.snapshots.get(frame.reason.value, 0) + 1
            elif first:
                self.counts.resumed += 1
                assert frame.previous_cursor == after
            first = False
            self.view.apply(frame)  # refuses a chain that does not hold
            self.counts.frames += 1
            if self.calm:
                continue
            luck = self.chance.random()
            if luck < 0.03:
                await asyncio.sleep(self.chance.random() * 0.1)
            elif luck < 0.06 and self.restless:
                return


class History:
    def __init__(self, town: Town, chance: random.Random) -> None:
        self.town, self.chance = town, chance
        self.zone = zones.named(ZONE)

    def commit(self) -> list[CalendarEvent]:
        town, chance = self.town, self.chance
        luck = chance.random()
        provider = chance.choice(list(town.providers))
        one = town.providers[provider]
        if luck < 0.002:
            return town.hours(provider, chance.choice(one.clinics), 480 + chance.randrange(4) * 15, 1020)
        if luck < 0.003:
            changed = town.kinds[chance.choice(list(town.kinds))]
            return town.save_kind(replace(changed, buffer_after_minutes=chance.randrange(5) * 5))
        taken = self._time(one.taken.values())
        if luck < 0.45 or not one.taken:
            return town.take_ticks(provider, taken)[1] if taken else []
        number = chance.choice(list(one.taken))
        if luck < 0.7 or len(one.taken) > 60:
            return town.give(provider, number)
        if luck < 0.8:  # a hold becomes a booking, or is extended
            before = one.taken[number]
            return town.move(provider, number, replace(before, expires_at=0 if before.expires_at else self._later()))
        return town.move(provider, number, taken) if taken else []

    def _later(self) -> int:
        return int(self.town.now.timestamp()) + 36_000

    def _time(self, among: Any) -> Taken | None:
        day = TODAY.toordinal() + self.chance.randrange(1, 12)
        start = zones.instant(self.zone, TODAY.fromordinal(day), 480) // 5 + self.chance.randrange(120)
        end = start + self.chance.choice((1, 3, 6, 6, 12))
        if any(one.start < end and start < one.end for one in among):
            return None
        return Taken(start, end, self._later() if self.chance.random() < 0.3 else 0)


def town_of(chance: random.Random) -> Town:
    town = Town([kind(1), kind(2, 45, before=10, after=5, every=15), kind(3, 20, every=5)], CLINICS)
    for _ in range(6):
        clinics = chance.choice(((1,), (1, 2), (2, 3), (1, 3), (1, 2, 3)))
        town.provider(clinics, chance.choice(((1, 2, 3), (1, 2), (1, 3))))
    return town


async def compare(town: Town, clients: list[Client], replicas: list[Replica]) -> None:
    """Once all is told, every view equals the truth."""
    for client in clients:
        client.calm = True
    for replica in replicas:
        replica.deliver_all()
    wanted = {shape: {one.id: one.left for one in (await truth(town, shape)).slots} for shape in SHAPES}
    wrong, before, until = clients, -1, 0.0
    while wrong:
        await asyncio.sleep(0.005)
        wrong = [one for one in clients if one.view.shown(town.now) != wanted[one.shape]]
        if len(wrong) != before:  # Whatever the machine's pace: 5 s in which no view comes right are too many.
            before, until = len(wrong), monotonic() + 5
        elif monotonic() > until:
            break
    for one in wrong:
        if one.fault is not None:
            raise one.fault
        shown = one.view.shown(town.now)
        pytest.fail(
            f"{one.shape}: {len(wanted[one.shape].keys() - shown)} missing, {len(shown.keys() - wanted[one.shape])} extra"
        )
    for client in clients:
        client.calm = False


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1])
async def test_every_client_ends_with_the_truth(seed: int) -> None:
    chance, counts = random.Random(seed), Counts()
    town = town_of(chance)
    history = History(town, chance)
    replicas = [Replica(town, chance, counts) for _ in range(2)]
    clients = [Client(SHAPES[index % len(SHAPES)], replicas, chance, counts) for index in range(27)]
    running = [asyncio.create_task(one.live()) for one in clients]
    began = monotonic()
    try:
        while counts.commits < LIVE_COMMITS:
            await turn(history, replicas, counts)
            if counts.commits // CHECK_EVERY > counts.checks:
                counts.checks = counts.commits // CHECK_EVERY
                if chance.random() < 0.15:
                    restore(town, replicas, counts)
                await compare(town, clients, replicas)
            for task in running:
                if task.done():
                    task.result()
        await compare(town, clients, replicas)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for replica in replicas:
            replica.sweeper.cancel()
            await replica.server.hub.close()
    for replica in replicas:
        assert replica.server.hub.counts()["members"] == 0
    assert counts.resumed
    assert counts.slow or counts.snapshots.get("slow-consumer")
    report(counts, monotonic() - began)


async def turn(history: History, replicas: list[Replica], counts: Counts) -> None:
    """A few commits; each process hears some of what is due to it."""
    town, chance = history.town, history.chance
    for _ in range(chance.randrange(1, 12)):
        for event in history.commit():
            for replica in replicas:
                replica.queues[event.clinic_key].append(event)
        counts.commits += 1
    for replica in replicas:
        replica.deliver(chance.randrange(60))
        if chance.random() < 0.01:
            replica.server.reading.down = not replica.server.reading.down
        if chance.random() < 0.05:
            await replica.ask_heads()
        if chance.random() < 0.002:
            await replica.restart()
    await asyncio.sleep(0.002 if chance.random() < 0.4 else 0)
    del town.log[:-200]


def restore(town: Town, replicas: list[Replica], counts: Counts) -> None:
    counts.restores += 1
    town.restore()
    for replica in replicas:
        for queue in replica.queues.values():
            queue.clear()
        replica.server.hear(town.pulse())


def report(counts: Counts, seconds: float) -> None:
    with suppress(TypeError):
        proof(
            "live calendar: clients end with the truth", commits=counts.commits, frames=counts.frames,
            resumed=counts.resumed, too_slow=counts.slow, restarts=counts.restarts, dropped=counts.dropped,
            redelivered=counts.again, restores=counts.restores, heads_asked=counts.asked, comparisons=counts.checks,
            snapshots=" ".join(f"{reason}:{count}" for reason, count in sorted(counts.snapshots.items())),
            seconds=round(seconds, 1), diverged=0,
        )  # fmt: skip
