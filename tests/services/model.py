"""The rules as a dictionary of intervals: what every call must answer. Knows nothing of SQL, locks or bits."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.access import Viewer
from domain.appointments import AppointmentStatus as Status
from domain.ids import SlotKey
from domain.schedules import Schedule, WeeklyHours
from tests.domain import oracle

DEAD = (Status.CANCELLED, Status.ENTERED_IN_ERROR)
FIVE_MINUTES, LAST_MINUTE = timedelta(minutes=5), timedelta(minutes=1)


@dataclass
class Kind:
    minutes: int | None
    before: int = 0
    after: int = 0
    every: int | None = None
    notice: int = 60
    days: int = 90
    cancel: int = 1440


@dataclass
class Claim:
    """One owner of a time: a hold (with its end) or an appointment."""

    owner: tuple[str, int]
    caller: str
    slot: SlotKey
    starts: datetime
    ends: datetime
    expires: datetime | None = None
    taken: datetime | None = None
    extended: bool = False


@dataclass
class Visit:
    key: int
    patient: int
    slot: SlotKey
    starts: datetime
    ends: datetime
    status: Status
    version: int
    since: datetime


@dataclass
class Model:
    now: datetime
    zones: dict[int, str]
    kinds: dict[int, Kind]
    openings: dict[int, tuple[datetime, datetime, int]]
    hours: dict[tuple[int, int], list[tuple[int, int]]]
    claims: dict[int, list[Claim]] = field(default_factory=dict)
    visits: dict[int, Visit] = field(default_factory=dict)

    def tick(self, seconds: float) -> None:
        """Time goes on, never to within some seconds of anything that depends on it: whole minutes and the ends of holds."""
        self.now += timedelta(seconds=seconds)
        ends = [one.expires for some in self.claims.values() for one in some if one.expires]
        edges = ends + [end - LAST_MINUTE for end in ends]
        while not 5 <= self.now.second <= 50 or any(abs(edge - self.now) < timedelta(seconds=3) for edge in edges):
            self.now += timedelta(seconds=7)

    def live(self, resource: int) -> list[Claim]:
        return [one for one in self.claims.get(resource, []) if one.expires is None or one.expires > self.now]

    def span(self, slot: SlotKey) -> tuple[datetime, datetime]:
        """The visit."""
        if slot.opening_id is not None:
            starts, ends, _ = self.openings[slot.opening_id]
            return starts, ends
        starts = datetime.fromtimestamp((slot.start or 0) * 60, self.now.tzinfo)
        return starts, starts + timedelta(minutes=self.kinds[slot.visit_type_id].minutes or 0)

    def occupied(self, slot: SlotKey) -> tuple[datetime, datetime]:
        """The visit with its buffers."""
        starts, ends = self.span(slot)
        kind = self.kinds[slot.visit_type_id]
        if slot.opening_id is not None:
            return starts, ends
        return starts - timedelta(minutes=kind.before), ends + timedelta(minutes=kind.after)

    def own_hold(self, caller: str, slot: SlotKey) -> Claim | None:
        some = self.live(slot.opening_id or slot.provider_id)
        return next((one for one in some if one.owner[0] == "hold" and one.caller == caller and one.slot == slot), None)

    def offered(self, slot: SlotKey) -> bool:
        if slot.opening_id is not None:
            return slot.opening_id in self.openings and self.kinds[slot.visit_type_id].minutes is None
        kind = self.kinds[slot.visit_type_id]
        if kind.minutes is None:
            return False
        name = self.zones[slot.clinic_id]
        rows = self.hours.get((slot.provider_id, slot.clinic_id), [])
        schedule = Schedule(0, 0, 1, tuple(WeeklyHours(day, *row) for day in range(7) for row in rows))
        visit = oracle.visit_type(kind.minutes, every=kind.every)
        starts, _ = self.span(slot)
        day = starts.astimezone(oracle.ZoneInfo(name)).date()
        return starts in oracle.offered(schedule, name, visit, day, day)

    def taken(self, slot: SlotKey, mine: Claim | None, moved: int | None = None) -> bool:
        some = [
            one for one in self.live(slot.opening_id or slot.provider_id)
            if one is not mine and one.owner != ("appointment", moved)
        ]  # fmt: skip
        if slot.opening_id is not None:
            return len(some) >= self.openings[slot.opening_id][2]
        starts, ends = self.occupied(slot)
        return any(one.starts < ends and starts < one.ends for one in some)

    def elsewhere(self, patient: int, slot: SlotKey, moved: int | None = None) -> bool:
        """Rule 13, arrival windows of more than two hours left out."""
        starts, ends = self.span(slot)

        def counts(opening: int | None, length: timedelta) -> bool:
            return opening is None or length <= timedelta(hours=2)

        for one in self.visits.values():
            if one.patient != patient or one.status in DEAD or one.key == moved:
                continue
            if slot.opening_id is not None and one.slot.opening_id == slot.opening_id:
                return True
            both = counts(slot.opening_id, ends - starts) and counts(one.slot.opening_id, one.ends - one.starts)
            if both and one.starts < ends and starts < one.ends:
                return True
        return False

    def policy(
        self, viewer: Viewer, slot: SlotKey, *, late: bool = False, hold: bool = False, same_type: bool = True
    ) -> str | None:
        """The first that is broken, in the order of the enum."""
        mine = self.own_hold(viewer.subject, slot)
        judged = mine.taken if mine is not None and mine.taken is not None else self.now
        starts, _ = self.span(slot)
        kind = self.kinds[slot.visit_type_id]
        binds = viewer.is_patient
        if starts <= judged:
            return "past"
        if not same_type or not self.offered(slot):
            return "not-offered"
        if binds and starts < judged + timedelta(minutes=kind.notice):
            return "minimum-notice"
        zone = oracle.ZoneInfo(self.zones[slot.clinic_id])
        days = kind.days if binds else 730
        if starts.astimezone(zone).date() > judged.astimezone(zone).date() + timedelta(days=days):
            return "booking-window"
        if late:
            return "cancel-deadline"
        held = [
            one
            for some in self.claims
            for one in self.live(some)
            if one.owner[0] == "hold" and one.caller == viewer.subject
        ]
        if hold and mine is None and len(held) >= (5 if binds else 20):
            return "hold-limit"
        return None

    def claim(
        self, viewer: Viewer, slot: SlotKey, patient: int | None, *, hold: bool = False, moved: int | None = None,
        late: bool = False, same_type: bool = True,
    ) -> str:  # fmt: skip
        """What is answered: a policy, "taken", "conflict" or "granted"."""
        broken = self.policy(viewer, slot, late=late, hold=hold, same_type=same_type)
        if broken is not None:
            return broken
        if self.taken(slot, self.own_hold(viewer.subject, slot), moved):
            return "taken"
        if not hold and patient is not None and self.elsewhere(patient, slot, moved):
            return "conflict"
        return "granted"

    def occupy(self, owner: tuple[str, int], caller: str, slot: SlotKey, expires: datetime | None = None) -> Claim:
        """Writes a granted claim; what is expired there goes, and an own hold is used up."""
        resource = slot.opening_id or slot.provider_id
        mine = self.own_hold(caller, slot)
        self.claims[resource] = [one for one in self.live(resource) if one is not mine]
        made = Claim(owner, caller, slot, *self.occupied(slot), expires, self.now)
        self.claims[resource].append(made)
        return made

    def release(self, owner: tuple[str, int]) -> None:
        for resource, some in self.claims.items():
            self.claims[resource] = [one for one in some if one.owner != owner]

    def intervals(self) -> set[tuple[Any, ...]]:
        """(resource, start, end, owner) of everything live."""
        return {(r, one.starts, one.ends, one.owner) for r in self.claims for one in self.live(r)}
