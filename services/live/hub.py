"""Follows the log and keeps everybody who watches up to date: one per process, all on its event loop."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Final, Protocol

import structlog

from adapters.postgres.stream_heads import Heads
from domain import streams, touched
from domain.faults import Unavailable
from domain.frames import SnapshotReason
from domain.shapes import Shape
from domain.streams import CalendarEvent, Cursor, Event, Position, Pulse, Resumed, VisitEvent
from services.live.clock import Clock
from services.live.member import Mailbox, Member
from services.live.pace import Pace
from services.live.reading import Reading
from services.live.snapshots import Snapshots
from services.live.stream import ClinicStream, Heard
from services.live.visits import Visits
from services.live.watching import Joining, Watched

PAST_EPOCHS: Final = 16
log = structlog.get_logger()


class Calendars(Protocol):
    """The calendars of this process: what changed is told to them before anybody reads."""

    def apply(self, event: CalendarEvent) -> None: ...

    def drop(self, clinic_key: int) -> None: ...

    def forget(self) -> None: ...

    def heard(self, pulse: Pulse) -> None: ...


class Hub:
    """`receive` is all that the log calls; it never waits."""

    def __init__(self, reading: Reading, snapshots: Snapshots, calendars: Calendars, pace: Pace | None = None) -> None:
        self.reading = reading
        self.snapshots = snapshots
        self.pace = pace or Pace()
        self.clock = Clock(self.pace.monotonic)
        self.visits = Visits(self.clock, self.pace)
        self.epoch: str | None = None
        self._past: list[str] = []
        self._calendars = calendars
        self._streams: dict[int, ClinicStream] = {}
        self._watched: dict[int, dict[Shape, Watched]] = {}
        self._shapes = 0
        self._seats: dict[Member, Watched] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._comparing = False
        self._compare_again = False
        self._waiting = 0
        self._pulse: tuple[float, float] | None = None

    # The log

    def receive(self, event: Event) -> None:
        match event:
            case CalendarEvent():
                if self._of_this_epoch(event.epoch):
                    self._change(event)
            case VisitEvent():
                if self._of_this_epoch(event.epoch):
                    self.visits.receive(event)
            case Pulse():
                # The relay that is alive knows which epoch it is; what else is in the log may be from before.
                self._begin(event.epoch)
                if self.clock.hear(event.at):
                    self._pulse = (self.pace.monotonic(), event.horizon_age)
                self._calendars.heard(event)
            case Resumed():
                self.visits.reset(SnapshotReason.GAP)
                self._compare_again = True
                if not self._comparing:
                    self.spawn(self._compare())

    @property
    def trusted(self) -> bool:
        """Whether what this process knows is at most a few seconds old."""
        if self._pulse is None:
            return False
        heard_at, horizon_age = self._pulse
        return self.pace.monotonic() - heard_at < self.pace.trust_seconds and horizon_age < self.pace.trust_seconds

    def _change(self, event: CalendarEvent) -> None:
        heard = self.stream(event.clinic_key).hear(event)
        if heard is Heard.AGAIN:
            return
        if heard is Heard.GAP:
            log.warning("events are missing", clinic=event.clinic_key, seq=event.seq)
            self._calendars.drop(event.clinic_key)
        self._calendars.apply(event)
        watched = self._watched.get(event.clinic_key)
        if not watched:
            return
        if heard is Heard.GAP:
            for one in watched.values():
                one.start_over(SnapshotReason.GAP)
            return
        begin, end = touched.extent(event)
        for one in watched.values():
            if begin < one.until and one.since < end:
                one.touch(event)

    def _of_this_epoch(self, epoch: str) -> bool:
        if epoch != self.epoch:
            if epoch in self._past:
                return False
            self._begin(epoch)
        return True

    def _begin(self, epoch: str) -> None:
        """Another life of the database: numbers and versions begin anew, nothing of the one before counts."""
        if epoch == self.epoch:
            return
        before, self.epoch = self.epoch, epoch
        if before is None:
            return
        log.warning("the database lives anew", epoch=epoch)
        self._past = [*(one for one in self._past if one != epoch), before][-PAST_EPOCHS:]
        self._calendars.forget()
        for stream in self._streams.values():
            stream.forget()
        for watched in self._all():
            watched.start_over(SnapshotReason.EPOCH_CHANGED)
        self.visits.reset(SnapshotReason.EPOCH_CHANGED)

    async def _compare(self) -> None:
        """After the source was lost: whoever does not come as far as the database is by now reads everything again."""
        self._comparing, wait = True, self.pace.backoff_seconds
        try:
            while self._compare_again:
                self._compare_again = False
                try:
                    heads = await self.reading.heads(list(self._streams))
                except Unavailable:
                    self._compare_again = True
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, self.pace.backoff_seconds_max)
                    continue
                await self._catch_up(heads)
        finally:
            self._comparing = False

    async def _catch_up(self, heads: Heads) -> None:
        # Of whom nothing is known, nothing can be wrong.
        streams_here = self._streams
        known = {
            key: seq for key, seq in heads.seqs.items() if key in streams_here and streams_here[key].told is not None
        }
        until = self.pace.monotonic() + self.pace.patience_seconds
        while True:
            behind = {key: seq for key, seq in known.items() if self.stream(key).brought < seq}
            if heads.epoch != self.epoch or not behind or self.pace.monotonic() >= until:
                break
            await asyncio.sleep(self.pace.patience_seconds / 50)
        if heads.epoch != self.epoch:
            return
        for key, seq in behind.items():
            stream = self.stream(key)
            log.warning("events did not come", clinic=key, seq=seq)
            stream.lose(seq)
            self._calendars.drop(key)
            for watched in self._watched.get(key, {}).values():
                watched.start_over(SnapshotReason.GAP)

    # Who watches

    def watch(self, shape: Shape) -> Watched:
        """The one that everybody shares. Raises Unavailable where there are too many."""
        watched = self.watched(shape)
        if watched is None:
            if self._shapes >= self.pace.shapes:
                self._forget_idle()
            if self._shapes >= self.pace.shapes:
                raise Unavailable("too many calendars are watched")
            watched = self._watched.setdefault(shape.clinic_key, {})[shape] = Watched(
                shape, self.stream(shape.clinic_key), self
            )
            self._shapes += 1
        return watched

    def watched(self, shape: Shape) -> Watched | None:
        return self._watched.get(shape.clinic_key, {}).get(shape)

    def discard(self, watched: Watched) -> None:
        """Where nobody uses it."""
        if watched.idle and self.watched(watched.shape) is watched:
            self._remove(watched)

    def member(self, shape: Shape, after: str | None) -> Member:
        async def enter(member: Member) -> None:
            await self._enter(member, shape, after)

        return Mailbox(self.pace.mailbox, self._leave, enter)

    def glance(self, watched: Watched) -> Member:
        """A member that gets one snapshot first, whatever else; close it."""
        member: Member = Mailbox(self.pace.mailbox, self._leave)
        self._seats[member] = watched
        watched.join(Joining(member, SnapshotReason.INITIAL))
        return member

    async def _enter(self, member: Member, shape: Shape, after: str | None) -> None:
        watched = self.watch(shape)
        watched.entering += 1
        try:
            joining = await self._place(member, watched.stream, after)
        finally:
            watched.entering -= 1
        if not member.closed:
            self._seats[member] = watched
            watched.join(joining)

    async def _place(self, member: Member, stream: ClinicStream, after: str | None) -> Joining:
        """How a subscription begins (rules 23, 25 to 27): a process that is behind the client waits."""
        if after is None:
            return Joining(member, SnapshotReason.INITIAL)
        found = streams.read(after)
        if found is None or found.clinic_key != stream.clinic_key:
            return Joining(member, SnapshotReason.GAP)
        await self.know(stream)
        if found.epoch != self.epoch:
            self.learn(await self.reading.heads([stream.clinic_key]))
        if found.epoch != self.epoch:
            return Joining(member, SnapshotReason.EPOCH_CHANGED)
        reached = await self.reached(stream, found)
        if isinstance(found, Position):
            return Joining(member, SnapshotReason.INITIAL, primary=not reached)
        if not reached:
            return Joining(member, SnapshotReason.GAP, primary=True)
        return Joining(member, SnapshotReason.GAP, after, found)

    async def reached(self, stream: ClinicStream, place: Position | Cursor) -> bool:
        """Whether the stream comes that far within rule 26's patience."""
        if isinstance(place, Position):
            point = (place.xid, place.outbox_id)
            if stream.point is None or self._waiting >= self.pace.waiting:
                return stream.point is not None and stream.point >= point
        self._waiting += 1
        try:
            if isinstance(place, Position):
                return await stream.reached(lambda: stream.point is not None and stream.point >= point)
            return await stream.reached(lambda: stream.settled and (stream.told or 0) >= place.seq)
        finally:
            self._waiting -= 1

    def _leave(self, member: Member) -> None:
        watched = self._seats.pop(member, None)
        if watched is not None:
            watched.leave(member)

    # What those who watch need

    def stream(self, clinic_key: int) -> ClinicStream:
        stream = self._streams.get(clinic_key)
        if stream is None:
            stream = self._streams[clinic_key] = ClinicStream(clinic_key, self.pace)
        return stream

    async def know(self, stream: ClinicStream) -> None:
        """Asks the database where nothing was heard yet."""
        if self.epoch is None or stream.told is None or not self.clock.known:
            self.learn(await self.reading.heads([stream.clinic_key]))

    def learn(self, heads: Heads) -> None:
        self._begin(heads.epoch)
        if self._pulse is None:
            self.clock.hear(heads.now)
        for clinic_key, seq in heads.seqs.items():
            stream = self.stream(clinic_key)
            if stream.brought < seq:
                self._calendars.drop(clinic_key)  # What they lack may still be on its way; the database has it.
            stream.learn(seq)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Time

    async def run(self) -> None:
        """Heartbeats, midnights, and forgetting what nobody watches; until it is cancelled."""
        while True:
            await asyncio.sleep(self.pace.sweep_seconds)
            self.sweep()

    def sweep(self) -> None:
        now, clock = self.pace.monotonic(), self.clock.now()
        for watched in self._all():
            watched.beat(now, clock)
        self._forget_idle(now)
        self.visits.beat(now)
        for stream in self._streams.values():
            stream.trim()

    async def close(self) -> None:
        """Ends what is under way; members are left where they are."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def counts(self) -> dict[str, int]:
        """For metrics."""
        return {
            "clinics": len(self._streams), "shapes": self._shapes, "members": len(self._seats),
            "visit_members": len(self.visits), "tasks": len(self._tasks), "waiting": self._waiting,
        }  # fmt: skip

    def _all(self) -> Iterator[Watched]:
        return (one for some in self._watched.values() for one in some.values())

    def _forget_idle(self, now: float | None = None) -> None:
        """Those that were quiet for long; where there are too many, all that nobody watches."""
        for watched in [one for one in self._all() if (one.idle if now is None else one.forgettable(now))]:
            self._remove(watched)

    def _remove(self, watched: Watched) -> None:
        some = self._watched[watched.shape.clinic_key]
        del some[watched.shape]
        self._shapes -= 1
        if not some:
            del self._watched[watched.shape.clinic_key]
            if watched.stream.told is None:  # Perhaps there is no such clinic.
                self._streams.pop(watched.shape.clinic_key, None)
