"""Changes of appointments for those who watch a clinic's day or their own visits: no state, no `after` (rule 35)."""

from collections import OrderedDict
from typing import Final

from domain.frames import SnapshotReason, StreamHeartbeat, StreamReset
from domain.streams import OfferEvent, VisitEvent
from services.live.clock import Clock
from services.live.member import Mailbox, VisitMember, VisitNews
from services.live.pace import HubPace

REMEMBERED: Final = 8192
CLINIC: Final = "clinic"
PATIENT: Final = "patient"
Channel = tuple[str, int]


class Visits:
    """An event comes once for each clinic and once for the patient; members get it once."""

    def __init__(self, clock: Clock, pace: HubPace) -> None:
        self._clock = clock
        self._pace = pace
        self._members: dict[Channel, dict[VisitMember, float]] = {}
        self._channels: dict[VisitMember, Channel] = {}
        self._seen: OrderedDict[tuple[str, int, int], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._channels)

    def member(self, channel: Channel) -> VisitMember:
        """Everything from this moment on; it begins with a reset, so that the state is read after it."""
        member: VisitMember = Mailbox(self._pace.mailbox, self._leave)
        self._members.setdefault(channel, {})[member] = self._pace.monotonic()
        self._channels[member] = channel
        member.put(StreamReset(SnapshotReason.INITIAL))
        return member

    def receive(self, event: VisitEvent | OfferEvent) -> None:
        point = (event.epoch, event.xid, event.outbox_id)
        if point in self._seen:
            return
        self._seen[point] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        told: set[VisitMember] = set()
        for channel in [*((CLINIC, key) for key in event.clinic_keys), (PATIENT, event.patient_key)]:
            told.update(self._members.get(channel, ()))
        for member in told:
            self._put(member, event)

    def reset(self, reason: SnapshotReason) -> None:
        """Events may be missing: everybody reads the state again."""
        for member in list(self._channels):
            self._put(member, StreamReset(reason))

    def beat(self, now: float) -> None:
        due = now - self._pace.heartbeat_seconds
        silent = [member for some in self._members.values() for member, sent_at in some.items() if sent_at <= due]
        for member in silent:
            self._put(member, StreamHeartbeat(self._clock.now()))

    def _put(self, member: VisitMember, one: VisitNews) -> None:
        now = self._pace.monotonic()
        self._members[self._channels[member]][member] = now
        if not member.put(one) and member.overflowed(now, self._pace.slow_seconds):
            member.put(StreamReset(SnapshotReason.SLOW_CONSUMER))

    def _leave(self, member: VisitMember) -> None:
        channel = self._channels.pop(member)
        some = self._members[channel]
        del some[member]
        if not some:
            del self._members[channel]
