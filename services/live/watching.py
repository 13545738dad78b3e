"""A shape that is being watched: one chain of frames for everybody on it, made of what changed and how it stands now.

It keeps no times, but what those who join were given, for a second (`recent`). Every event mentions all that it touches, and a
frame says how that stands when it is made: whoever got a snapshot at or after a frame's cursor ends up with the truth (rules 23
to 32).
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from domain import touched, zones
from domain.appointments import OpenSlot
from domain.faults import BadInput, Unavailable
from domain.frames import Delta, Frame, Heartbeat, Snapshot, SnapshotReason
from domain.shapes import Shape
from domain.streams import CalendarEvent, Cursor
from domain.touched import ALL_TIME
from services.live import reading
from services.live.clock import Clock
from services.live.member import Member
from services.live.pace import HubPace
from services.live.reading import Change, Content, Facts, Reading
from services.live.recent import Recent, View
from services.live.snapshots import Snapshots
from services.live.stream import ClinicStream

MIDNIGHT_SECONDS: Final = 1.0  # This process's clock may stand a little before the one that decides.
_STRENGTH: Final = (SnapshotReason.INVALIDATED, SnapshotReason.GAP, SnapshotReason.EPOCH_CHANGED)
log = structlog.get_logger()


class Host(Protocol):
    reading: Reading
    snapshots: Snapshots
    clock: Clock
    pace: HubPace
    epoch: str | None

    async def know(self, stream: ClinicStream) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


@dataclass(slots=True)
class Joining:
    """`after` as the client wrote it, where it can be resumed; else a snapshot for that reason."""

    member: Member
    reason: SnapshotReason
    after: str = ""
    resume: Cursor | None = None
    primary: bool = False


class Watched:
    """What lies outside of `since` and `until` (UTC seconds) can't touch it. `covers` is the last date that the chain shows,
    `through` the last that fits; both stay until a snapshot for everybody.
    """

    def __init__(self, shape: Shape, stream: ClinicStream, host: Host) -> None:
        self.shape = shape
        self.stream = stream
        self.members: set[Member] = set()
        self.entering = 0
        self._host = host
        self._pace = host.pace
        self._joining: list[Joining] = []
        self._pending: list[CalendarEvent] = []
        self._reset: SnapshotReason | None = None
        self._generation = 0
        self._facts: Facts | None = None
        self._facts_lock = asyncio.Lock()
        self.since, self.until = ALL_TIME
        self._covers: date | None = None
        self._through = shape.last
        self._midnight: float | None = None
        self._zone: ZoneInfo = zones.named("UTC")
        self._zone_name = "UTC"
        self.recent = Recent(self._pace)
        self._seq, self._epoch = 0, ""
        self._cursor = ""
        self._sent_at = float("-inf")
        self._quiet_since = self._pace.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return not (self.members or self._joining or self.entering or self._task)

    @property
    def facts(self) -> Facts | None:
        """None where they are to be read."""
        return self._facts

    def forgettable(self, now: float) -> bool:
        return self.idle and now - self._quiet_since >= self._pace.keep_seconds

    # What the hub tells

    def concerns(self, event: CalendarEvent) -> bool:
        """Cheap, and never wrong when it says no (rule 38)."""
        provider_key, named = event.provider_key, self.shape.provider_keys
        if provider_key is None:
            return True
        if named is not None and provider_key not in named:
            return False
        if event.invalidated:
            return True
        if self._facts is not None and provider_key not in self._facts.provider_keys:
            return False
        return touched.within(event, self.since, self.until)

    def touch(self, event: CalendarEvent) -> None:
        if not self.concerns(event):
            return
        if event.invalidated or event.provider_key is None or len(self._pending) >= self._pace.pending:
            self.start_over(SnapshotReason.INVALIDATED)
        elif self.idle:
            self.recent.forget()
        else:
            self._pending.append(event)
            self._wake()

    def start_over(self, reason: SnapshotReason) -> None:
        """One snapshot for everybody who watches; facts are read again."""
        self._generation += 1
        self._facts, self._covers, self._midnight = None, None, None
        self.since, self.until = ALL_TIME
        self.recent.forget()
        self._pending.clear()
        if not self.idle:
            if self._reset is None or _STRENGTH.index(reason) > _STRENGTH.index(self._reset):
                self._reset = reason
            self._wake()

    def join(self, joining: Joining) -> None:
        self._joining.append(joining)
        self._wake()

    def leave(self, member: Member) -> None:
        self.members.discard(member)
        self._joining = [one for one in self._joining if one.member is not member]
        self._quiet_since = self._pace.monotonic()

    def beat(self, now: float, clock: datetime) -> None:
        """What comes by time alone: the heartbeat, and the midnight that lets a new day into the booking window."""
        self.recent.trim()
        if self._midnight is not None and clock.timestamp() >= self._midnight and self._facts is not None:
            covers = reading.covers(self.shape, self._facts, self._through, clock)
            if covers != self._covers:
                self.start_over(SnapshotReason.INVALIDATED)
            else:
                self._midnight = self._next_midnight(self._facts.zone, clock)
        if self.members and now - self._sent_at >= self._pace.heartbeat_seconds:
            before = self._cursor
            if self._task is None and self.stream.told is not None:
                self._stand(max(self._seq, self.stream.told))
            self._send(Heartbeat(before, self._cursor, self._now()))
            if self._joining:
                self._wake()

    async def prepare(self) -> Facts:
        """Raises BadInput for ids that name nothing, Unavailable."""
        async with self._facts_lock:
            while self._facts is None:
                generation = self._generation
                facts = await self._host.reading.facts(self.shape)
                if generation == self._generation:
                    self._facts = facts
                    self.since, self.until = touched.reach(facts.zone, self.shape.first, self.shape.last)
                    self._zone, self._zone_name = facts.zone, facts.zone_name
            return self._facts

    # The one task that makes frames; there is none while nothing is to be done

    def _wake(self) -> None:
        if self._task is None:
            self._task = self._host.spawn(self._work())

    async def _work(self) -> None:
        wait = self._pace.backoff_seconds
        try:
            while self._joining or (self.members and (self._pending or self._reset)):
                try:
                    await self._turn()
                    wait = self._pace.backoff_seconds
                except Unavailable as fault:
                    log.warning("a live calendar waits", clinic=self.shape.clinic_key, reason=str(fault))
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, self._pace.backoff_seconds_max)
                except BadInput as fault:
                    self._refuse(fault)
                except Exception:
                    # Everybody who watches would be left without a word; what is pending stays, and a moment later may do.
                    log.exception("a live calendar failed", clinic=self.shape.clinic_key)
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, self._pace.backoff_seconds_max)
        finally:
            self._task = None

    def _refuse(self, fault: BadInput) -> None:
        """The ids name nothing any more, as after another life of the database: there will be no frame."""
        for member in [*self.members, *(one.member for one in self._joining)]:
            member.fail(fault)
        self._joining.clear()
        self._pending.clear()
        self._reset = None

    async def _turn(self) -> None:
        if not self.members:
            # Nobody is on the chain: it begins where the stream is.
            if self._pending or self._reset:
                self._pending.clear()
                self._reset = None
                self.recent.forget()
            view = await self._fresh_view()
            if self._reset is None and not self._pending and self.stream.told is not None:
                view.seq = max(view.seq, self.stream.told)
            self._begin_at(view)
        elif self._pending or self._reset:
            delay = self._sent_at + self._pace.frame_seconds - self._pace.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            await self._flush()
        if self._reset is None:
            await self._admit()

    async def _flush(self) -> None:
        if self._reset is None:
            told, covers, facts = self.stream.told, self._covers, self._facts
            assert told is not None
            assert covers is not None
            assert facts is not None
            events, self._pending = self._pending, []
            try:
                change = await self._host.reading.changed(self.shape, facts, events, covers)
            except BaseException:
                self._pending = events + self._pending
                raise
            if self._reset is None and len(change) <= self._pace.ids:
                if change:
                    self.recent.forget()
                    before = self._cursor
                    self._stand(max(told, self._seq))
                    self._send(Delta(before, self._cursor, self._now(), change.opened, change.removed))
                return
            self.start_over(SnapshotReason.INVALIDATED)
        view = await self._fresh_view()
        reason, self._reset = self._reset, None
        assert reason is not None
        self._begin_at(view)
        self._send(self._snapshot(view, reason))

    async def _admit(self) -> None:
        """One read serves all who wait here for the primary: they had asked before it begins."""
        joining, self._joining = self._joining, []
        primary: dict[SnapshotReason, Snapshot] = {}
        for index, one in enumerate(joining):
            try:
                frame = await self._first(one, primary)
            except BaseException:
                self._joining = [*joining[index:], *self._joining]
                raise
            if self._reset is not None:
                self._joining = [*joining[index:], *self._joining]
                return
            if not one.member.closed:
                if not self.members:
                    self._sent_at = max(self._sent_at, self._pace.monotonic() - self._pace.frame_seconds)
                self.members.add(one.member)
                one.member.put(frame)

    async def _first(self, one: Joining, primary: dict[SnapshotReason, Snapshot]) -> Frame:
        reason = one.reason
        if one.resume is not None:
            resumed = await self._resume(one.resume, one.after)
            if not isinstance(resumed, SnapshotReason):
                return resumed
            reason = resumed
        if not one.primary or self._covers is None:
            return self._snapshot(await self._fresh_view(), reason)
        if reason not in primary:
            slots = next(iter(primary.values())).slots if primary else await self._past_the_log(self._covers)
            primary[reason] = self._made(Content(self._through, slots), reason)
        return primary[reason]

    async def _past_the_log(self, covers: date) -> list[OpenSlot]:
        """What the chain shows, as the database has it by now."""
        found = await self._host.snapshots.read(replace(self.shape, last=covers), primary=True)
        if found.through < covers:
            self.start_over(SnapshotReason.INVALIDATED)
        return found.slots

    async def _resume(self, cursor: Cursor, after: str) -> Delta | Heartbeat | SnapshotReason:
        """What lies between as one delta, a heartbeat where nothing does, or why it can't be had (rule 25)."""
        facts, covers = self._facts, self._covers
        if cursor.epoch != self._epoch:
            return SnapshotReason.EPOCH_CHANGED
        if facts is None or covers is None or cursor.covers != covers.toordinal():
            return SnapshotReason.INVALIDATED
        since = self.stream.since(cursor.seq)
        if since is None:
            return SnapshotReason.GAP
        events = [event for event in since if self.concerns(event)]
        if any(event.invalidated or event.provider_key is None for event in events):
            return SnapshotReason.INVALIDATED
        kept, now = self.recent.frame(after, self._cursor), self._pace.monotonic()
        if kept is not None:
            return kept
        change = await self._changed_since(events, facts, covers) if events else Change()
        if len(change) > self._pace.ids:
            return SnapshotReason.INVALIDATED
        frame: Delta | Heartbeat = Heartbeat(after, self._cursor, self._now())
        if change:
            frame = Delta(after, self._cursor, self._now(), change.opened, change.removed)
        self.recent.keep_frame(after, now, frame)
        return frame

    async def _changed_since(self, events: list[CalendarEvent], facts: Facts, covers: date) -> Change:
        """Shared by all who resume before the same change; forgotten with the next frame."""
        known, now = self.recent.change(events[0].seq), self._pace.monotonic()
        if known is not None:
            return known
        change = await self._host.reading.changed(self.shape, facts, events, covers)
        self.recent.keep_change(events[0].seq, now, change)
        return change

    async def _fresh_view(self) -> View:
        """All times, read once for those who join within a second; `seq` is what they contain at least."""
        while True:
            kept, now = self.recent.view(), self._pace.monotonic()
            if kept is not None:
                return kept
            await self._host.know(self.stream)
            facts = await self.prepare()
            generation, epoch, seq, clock = self._generation, self._host.epoch, self.stream.told, self._host.clock.now()
            if seq is None or epoch is None:
                continue
            covers = self._covers
            content = await self._host.reading.everything(self.shape, facts, covers or self.shape.last)
            if generation != self._generation:
                continue
            if covers is not None and content.through < covers:
                self.start_over(
                    SnapshotReason.INVALIDATED
                )  # More times than fit have opened: fewer days for everybody.
                continue
            if covers is None:
                self._through = content.through
                self._covers = reading.covers(self.shape, facts, content.through, clock)
                self._midnight = self._next_midnight(facts.zone, clock) if self._covers < self._through else None
            view = View(content, epoch, seq, now)
            self.recent.keep_view(view)
            return view

    def _snapshot(self, view: View, reason: SnapshotReason) -> Snapshot:
        key = (reason, self._cursor)
        made = view.snapshots.get(key)
        if made is None:
            made = view.snapshots[key] = self._made(view.content, reason)
        return made

    def _made(self, content: Content, reason: SnapshotReason) -> Snapshot:
        return Snapshot(self._cursor, self._now(), self._zone_name, self._through, content.slots, reason)

    def _send(self, frame: Frame) -> None:
        self._sent_at = self._pace.monotonic()
        for member in list(self.members):
            if not member.put(frame):
                self.members.discard(member)
                if member.overflowed(self._sent_at, self._pace.slow_seconds):
                    self._joining.append(Joining(member, SnapshotReason.SLOW_CONSUMER))

    def _begin_at(self, view: View) -> None:
        self._stand(view.seq, view.epoch)
        self._pending = [event for event in self._pending if event.seq > view.seq]

    def _stand(self, seq: int, epoch: str | None = None) -> None:
        assert self._covers is not None
        self._seq, self._epoch = seq, epoch or self._epoch
        self._cursor = str(Cursor(self._epoch, self.shape.clinic_key, seq, self._covers.toordinal()))

    def _next_midnight(self, zone: ZoneInfo, clock: datetime) -> float:
        return touched.next_day(zone, zones.today(clock, zone)) + MIDNIGHT_SECONDS

    def _now(self) -> datetime:
        return self._host.clock.now().astimezone(self._zone)
