"""Follows the log and keeps everybody who watches up to date: one per process, all on its event loop."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from adapters.postgres.stream_heads import Heads
from domain import streams, touched
from domain.faults import Unavailable
from domain.frames import SnapshotReason
from domain.shapes import Shape
from domain.streams import CalendarEvent, Cursor, Event, OfferEvent, Position, Pulse, Resumed, VisitEvent
from services.live.clock import Clock
from services.live.member import Mailbox, Member
from services.live.pace import HubPace
from services.live.reading import Reading
from services.live.snapshots import Snapshots
from services.live.stream import ClinicStream, Heard
from services.live.visits import Visits
from services.live.watching import Joining, Watched

PAST_EPOCHS: Final = 16
SWEPT_AT_ONCE: Final = 500
log = structlog.get_logger()


class Calendars(Protocol):
    """The calendars of this process: what changed is told to them before anybody reads."""

    def apply(self, event: CalendarEvent) -> None: ...

    def drop(self, clinic_key: int) -> None: ...

    def forget(self) -> None: ...

    def heard(self, pulse: Pulse) -> None: ...

    def now(self) -> datetime | None: ...

    def doubt(self) -> None: ...

    def settle(self) -> None: ...

    def is_behind(self, clinic_key: int, provider_keys: Iterable[int]) -> bool: ...

    def is_behind_anywhere(self) -> bool: ...


class Hub:
    """`receive` is all that the log calls; it never waits."""

    def __init__(
        self, reading: Reading, snapshots: Snapshots, calendars: Calendars, pace: HubPace | None = None
    ) -> None:
        self.reading = reading
        self.snapshots = snapshots
        self.pace = pace or HubPace()
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

    # The log

    def receive(self, event: Event) -> None:
        """What it raises is a gap for whom the event concerns."""
        try:
            self._take(event)
        except Exception:
            self._fail(event)
            raise

    def _take(self, event: Event) -> None:
        match event:
            case CalendarEvent():
                if self._of_this_epoch(event.epoch):
                    self._change(event)
            case VisitEvent() | OfferEvent():
                if self._of_this_epoch(event.epoch):
                    self.visits.receive(event)
            case Pulse():
                # The relay that is alive knows which epoch it is; what else is in the log may be from before.
                self._begin(event.epoch)
                self.clock.hear(event.at)
                self._calendars.heard(event)
            case Resumed():
                self._calendars.doubt()
                self.visits.reset(SnapshotReason.GAP)
                self._compare_again = True
                if not self._comparing:
                    self._comparing = True
                    self.spawn(self._compare())

    def _fail(self, event: Event) -> None:
        match event:
            case CalendarEvent():
                self._miss(event.clinic_key, event.seq)
            case VisitEvent():
                self.visits.reset(SnapshotReason.GAP)

    def _miss(self, clinic_key: int, seq: int) -> None:
        """Something up to that number is missing: everybody there reads again."""
        self.stream(clinic_key).lose(seq)
        for watched in self._watched.get(clinic_key, {}).values():
            watched.start_over(SnapshotReason.GAP)
        self._calendars.drop(clinic_key)

    @property
    def trusted(self) -> bool:
        """Whether what this process knows is at most a few seconds old, and nothing may be missing."""
        return self._calendars.now() is not None

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
        wait = self.pace.backoff_seconds
        while self._compare_again:
            self._compare_again = False
            try:
                compared = await self._catch_up(await self.reading.heads(list(self._streams)))
            except Unavailable:
                compared = False
            except Exception:  # Whatever it was: nothing here is believed before it was compared.
                log.exception("the live calendar could not be compared")
                compared = False
            if not compared:
                self._compare_again = True
                await asyncio.sleep(wait)
                wait = min(wait * 2, self.pace.backoff_seconds_max)
        self._comparing = False
        self._calendars.settle()

    async def _catch_up(self, heads: Heads) -> bool:
        """Whether it is known now what is missing."""
        streams = self._streams
        # Of whom nothing is known, nothing can be wrong.
        known = {key: seq for key, seq in heads.seqs.items() if key in streams and streams[key].told is not None}
        until = self.pace.monotonic() + self.pace.patience_seconds
        while True:
            if self.epoch is not None and heads.epoch != self.epoch:
                return False
            behind = {key: seq for key, seq in known.items() if self.stream(key).brought < seq}
            if not behind or self.pace.monotonic() >= until:
                break
            await asyncio.sleep(self.pace.patience_seconds / 50)
        for key, seq in behind.items():
            log.warning("events did not come", clinic=key, seq=seq)
            self._miss(key, seq)
        return True

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

    def is_behind_us(self, watched: Watched) -> bool:
        """Whether this process has written something there that its log has not brought yet."""
        facts = watched.facts
        if facts is None or facts.visit_type.duration_minutes is None:
            return self._calendars.is_behind_anywhere()
        return self._calendars.is_behind(watched.shape.clinic_key, facts.provider_keys)

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
        if not self.clock.known:
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
            try:
                for _ in self._sweep():
                    await asyncio.sleep(0)  # With thousands of them nobody else waits for all.
            except Exception:  # The next one may be none the worse, and without any there are no heartbeats.
                log.exception("a sweep of the live calendar failed")

    def sweep(self) -> None:
        """All of it at once."""
        for _ in self._sweep():
            pass

    def _sweep(self) -> Iterator[None]:
        now, clock = self.pace.monotonic(), self.clock.now()
        for number, watched in enumerate(list(self._all())):
            try:
                watched.beat(now, clock)
            except Exception:  # The others go on.
                log.exception("a live calendar has no heartbeat", clinic=watched.shape.clinic_key)
            if number % SWEPT_AT_ONCE == 0:
                yield
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
