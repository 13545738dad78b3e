"""A live calendar whose frames the tests write, and the product served with it."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.embedded import Addresses
from app.live.pace import PACE, Pace
from app.serving import listen, served
from app.settings import Settings
from app.wiring import product
from domain.appointments import OpenSlot
from domain.faults import BadInput
from domain.frames import Delta, Heartbeat, Snapshot, SnapshotReason, StreamReset
from domain.shapes import Shape
from services.live.member import TooSlow

UNKNOWN_CLINIC = 999_999_999


class ScriptedWatch:
    def __init__(self, live: "ScriptedLive", key: Hashable, first: list[Any]) -> None:
        self._live, self._key = live, key
        self._mailbox = deque(first)
        self._wake = asyncio.Event()
        live.watches[key].add(self)

    def __aiter__(self) -> "ScriptedWatch":
        return self

    async def __anext__(self) -> Any:
        while not self._mailbox:
            self._wake.clear()
            await self._wake.wait()
        found = self._mailbox.popleft()
        if isinstance(found, Exception):
            raise found
        return found

    def tell(self, event: Any) -> None:
        self._mailbox.append(event)
        self._wake.set()

    def close(self) -> None:
        self._live.watches[self._key].discard(self)


@dataclass
class ScriptedLive:
    """A watch begins with a snapshot, or with a heartbeat where its `after` is the newest cursor."""

    watches: dict[Hashable, set[ScriptedWatch]] = field(default_factory=lambda: defaultdict(set))
    cursor: int = 0
    slots: int = 3
    afters: list[str | None] = field(default_factory=list)

    async def availability(self, shape: Shape, after: str | None) -> ScriptedWatch:
        if shape.clinic_key == UNKNOWN_CLINIC:
            raise BadInput("filter.clinicId", "There is no such clinic.")
        self.afters.append(after)
        if after == str(self.cursor):
            return ScriptedWatch(self, "times", [Heartbeat(after, after, now())])
        return ScriptedWatch(self, "times", [self.snapshot()])

    def clinic_day(self, clinic_key: int) -> ScriptedWatch:
        return ScriptedWatch(self, ("clinic", clinic_key), [StreamReset(SnapshotReason.INITIAL)])

    def patient(self, patient_key: int) -> ScriptedWatch:
        return ScriptedWatch(self, ("patient", patient_key), [StreamReset(SnapshotReason.INITIAL)])

    def snapshot(self) -> Snapshot:
        some = [open_slot(number) for number in range(self.slots)]
        return Snapshot(str(self.cursor), now(), "America/New_York", date(2026, 3, 2), some)

    def change(self, opened: int = 1) -> Delta:
        """The next frame for all who watch times."""
        before, self.cursor = str(self.cursor), self.cursor + 1
        delta = Delta(before, str(self.cursor), now(), [open_slot(one) for one in range(opened)], ["gone"])
        self.tell("times", delta)
        return delta

    def tell(self, key: Hashable, event: Any) -> None:
        for watch in list(self.watches[key]):
            watch.tell(event)

    def slow(self) -> None:
        self.tell("times", TooSlow())

    @property
    def watching(self) -> int:
        return sum(len(some) for some in self.watches.values())


async def until(true: Any, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)


def now() -> datetime:
    return datetime.now(UTC)


def open_slot(number: int) -> OpenSlot:
    start = datetime(2026, 3, 2, 14, tzinfo=UTC) + timedelta(minutes=15 * number)
    return OpenSlot(
        f"slot-{number}",
        "provider",
        start,
        start + timedelta(minutes=15),
        date(2026, 3, 2),
        1,
        start - timedelta(hours=2),
    )


@dataclass(frozen=True, slots=True)
class Stage:
    url: str
    live: ScriptedLive
    settings: Settings


@asynccontextmanager
async def staged(settings: Settings, addresses: Addresses, pace: Pace = PACE) -> AsyncIterator[Stage]:
    live = ScriptedLive()
    async with product(settings, addresses) as built:
        scripted = replace(built, services=replace(built.services, live=live))
        async with served(scripted, listen(settings), pace=pace) as url:
            yield Stage(url, live, settings)
