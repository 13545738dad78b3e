"""Who gets a time that was given up: eligibility, ranking and the plan of offers (rules 46 and 51). Pure: the same situation
gives the same decision, whoever reckons it and whenever.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from domain import availability, zones
from domain.availability import Limits, Offers
from domain.clinics import VisitType
from domain.schedules import TICK_MINUTES, Schedule
from domain.waitlist import EntryStatus, Window

RULE_VERSION: Final = "1"


class Reason(Enum):
    """Why an entry could not have a time. Their places in this list are stored: new ones come last. The values are told."""

    SUSPENDED = "suspended after offers that were declined or ran out"
    HAS_OFFER = "had another offer at that time"
    HAD_IT = "had an offer of this time before"
    GAVE_IT_UP = "gave this time up"
    PROVIDER = "waits for another provider"
    NEWCOMER = "the provider takes no new patients"
    NOT_MOVABLE = "the appointment that was to be moved can't be moved any more"
    NO_ROOM = "the visit does not fit into the freed time"
    DATES = "outside the dates waited for"
    WINDOWS = "outside the hours waited for"
    NOTICE = "too soon for the notice asked for"
    NOT_EARLIER = "not before the present appointment"
    BUSY = "the patient is busy at that time"

    # A decision looks up thousands of them; the enum's own would hash the name each time.
    __hash__ = object.__hash__


_REASONS = tuple(Reason)
Rank = tuple[int, int, int, int, datetime, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A start that became possible. UTC minutes; `from_minute` to `to_minute` is what it takes, buffers included.

    `left` is what it leaves of the freed time, in minutes; `day` the clinic's date of its start.
    """

    visit_type_key: int
    start: int
    end: int
    from_minute: int
    to_minute: int
    left: int
    day: date


@dataclass(frozen=True, slots=True)
class Freed:
    """Time of a provider that was given up at a clinic, in UTC minutes, buffers included. `giver` is whose it was; `visit` what it
    was given up by: visit type, start and end."""

    clinic_key: int
    provider_key: int
    start: int
    end: int
    giver: int | None = None
    opening_key: int | None = None
    visit: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is waited for. Entries that wish for the same mostly share one, and then it is looked at once for all of them."""

    visit_type_key: int
    provider_keys: tuple[int, ...]
    windows: tuple[Window, ...]
    first_date: date
    last_date: date
    notice_minutes: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is true of an entry just then. `before`: start of the appointment that is to be moved earlier; spans are UTC minutes."""

    status: EntryStatus = EntryStatus.ACTIVE
    before: int | None = None
    movable: bool = True
    had_it: bool = False
    newcomer: bool = False
    busy: tuple[tuple[int, int], ...] = ()


ORDINARY: Final = Standing()


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry as a decision sees it. Of most there is nothing to say but what they wish for: they stand as ORDINARY."""

    key: int
    version: int
    patient_key: int
    wish: Wish
    urgency: int
    joined_at: datetime
    standing: Standing = ORDINARY


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision depends on."""

    now: datetime
    zone: ZoneInfo
    freed: Freed
    places: tuple[Place, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What became of the candidates. Columns in their order, since a cancellation waits for it: `ranks` from 1, 0 where somebody is
    not eligible for the `reasons`; `places`, what each got or would have got. `offered`: who got one, the best first."""

    ranks: list[int]
    places: list[Place | None]
    reasons: list[tuple[Reason, ...]]
    offered: list[int]


def places(
    freed: Freed,
    schedule: Schedule,
    zone: ZoneInfo,
    visit_type: VisitType,
    taken: Sequence[tuple[int, int]],
    bound: Limits,
    offers_of: Offers = availability.offers,
) -> list[Place]:
    """Starts that became possible when the time was given up: those that hours and grid offer, that meet nothing in `taken`
    (ticks), and whose visit with its buffers reaches into the freed time."""
    if visit_type.duration_minutes is None:
        return []
    before, after = visit_type.buffer_before_minutes, visit_type.buffer_after_minutes
    length = visit_type.duration_minutes
    lowest, highest = freed.start - length - after, freed.end + before
    first, last = zones.at(lowest, zone).date(), min(zones.at(highest, zone).date(), bound.last_date)
    if last < first:
        return []
    base, end = availability.window(zone, first, last)
    plane = offers_of(schedule, zone, visit_type, first, last)
    if plane:
        plane &= availability.free(visit_type, _busy(taken, base, end), end - base)
    found = []
    for bit in availability.bits(plane):
        start = (base + bit) * TICK_MINUTES
        if start >= bound.earliest and start - before < freed.end and start + length + after > freed.start:
            found.append(_place(freed, zone, visit_type.key, start, start + length, before, after))
    return found


def opening_place(freed: Freed, zone: ZoneInfo, visit_type_key: int) -> Place:
    """A published opening is given out whole."""
    return _place(freed, zone, visit_type_key, freed.start, freed.end, 0, 0)


def _place(freed: Freed, zone: ZoneInfo, visit_type_key: int, start: int, end: int, before: int, after: int) -> Place:
    from_minute, to_minute = start - before, end + after
    used = min(to_minute, freed.end) - max(from_minute, freed.start)
    left = freed.end - freed.start - used
    return Place(visit_type_key, start, end, from_minute, to_minute, left, zones.at(start, zone).date())


def _busy(taken: Sequence[tuple[int, int]], base: int, end: int) -> int:
    plane = 0
    for start, stop in taken:
        first, last = max(start, base), min(stop, end)
        if first < last:
            plane |= ((1 << (last - first)) - 1) << (first - base)
    return plane


def plan(situation: Situation) -> Plan:
    """The decision: best entry first, then what is left may serve others."""
    some, freed, now = situation.candidates, situation.freed, situation.now
    possible: dict[int, list[Place]] = {}
    for place in sorted(situation.places, key=lambda one: (one.left, one.start)):
        possible.setdefault(place.visit_type_key, []).append(place)
    now_minute = now.timestamp() / 60
    decided = Plan([0] * len(some), [None] * len(some), [()] * len(some), [])
    ranked: list[Rank] = []
    found: dict[int, Place | tuple[Reason, ...]] = {}
    for number, one in enumerate(some):
        wish = one.wish
        if one.standing is ORDINARY and one.patient_key != freed.giver:
            # Most people wish for one of a few things: what is true of one of them is true of all who wish the same.
            best = found.get(id(wish))
            if best is None:
                best = found[id(wish)] = _best(one, freed, possible, situation.zone, now_minute)
        else:
            best = _best(one, freed, possible, situation.zone, now_minute)
        if isinstance(best, Place):
            decided.places[number] = best
            named = 0 if wish.provider_keys else 1
            days = (now - one.joined_at).days
            # Less is better: urgency, whole days waited, fit, who asked for this very provider, who joined first, id (rule 46).
            ranked.append((-one.urgency, -days, best.left, named, one.joined_at, one.key, number))
        else:
            decided.reasons[number] = best
    ranked.sort()
    for rank, line in enumerate(ranked, 1):
        decided.ranks[line[-1]] = rank
    _give(situation, decided, ranked, possible)
    return decided


def _give(situation: Situation, decided: Plan, ranked: Sequence[Rank], free: dict[int, list[Place]]) -> None:
    """Each in turn gets the first place that it can use of those that are left."""
    now_minute, served = situation.now.timestamp() / 60, set[int]()
    for line in ranked:
        if not free:
            return
        one = situation.candidates[line[-1]]
        usable = () if one.patient_key in served else free.get(one.wish.visit_type_key, ())
        got = next((place for place in usable if _why_not(one, place, situation.zone, now_minute) is None), None)
        if got is not None:
            decided.places[line[-1]] = got
            decided.offered.append(line[-1])
            served.add(one.patient_key)
            apart = {kind: [other for other in some if _apart(other, got)] for kind, some in free.items()}
            free = {kind: some for kind, some in apart.items() if some}


def _apart(one: Place, other: Place) -> bool:
    return one.to_minute <= other.from_minute or other.to_minute <= one.from_minute


def merits(urgency: int, joined_at: datetime, named: bool, left: int, at: datetime) -> list[str]:
    """What an eligible entry was ranked by, in words."""
    days = (at - joined_at).days
    told = [f"urgency {urgency}", f"{days} whole {'day' if days == 1 else 'days'} waited", f"{left} minutes left over"]
    return [*told, "asked for this provider"] if named else told


def _best(
    one: Candidate, freed: Freed, possible: Mapping[int, Sequence[Place]], zone: ZoneInfo, now_minute: float
) -> Place | tuple[Reason, ...]:
    """The first of the places that the entry can use; or why there is none."""
    why = _general(one, freed)
    if why:
        return why
    failed = set[Reason]()
    for place in possible.get(one.wish.visit_type_key, ()):
        reason = _why_not(one, place, zone, now_minute)
        if reason is None:
            return place
        failed.add(reason)
    if len(failed) > 1:
        return tuple([reason for reason in _REASONS if reason in failed])
    return tuple(failed) or (Reason.NO_ROOM,)


def _general(one: Candidate, freed: Freed) -> tuple[Reason, ...]:
    """What keeps the entry from any part of the freed time."""
    wish, standing, why = one.wish, one.standing, []
    if standing.status is not EntryStatus.ACTIVE:
        why.append(Reason.SUSPENDED if standing.status is EntryStatus.SUSPENDED else Reason.HAS_OFFER)
    if standing.had_it:
        why.append(Reason.HAD_IT)
    if one.patient_key == freed.giver:
        why.append(Reason.GAVE_IT_UP)
    if wish.provider_keys and freed.provider_key not in wish.provider_keys:
        why.append(Reason.PROVIDER)
    if standing.newcomer:
        why.append(Reason.NEWCOMER)
    if not standing.movable:
        why.append(Reason.NOT_MOVABLE)
    return tuple(why)


def _why_not(one: Candidate, place: Place, zone: ZoneInfo, now_minute: float) -> Reason | None:
    wish, standing = one.wish, one.standing
    if not wish.first_date <= place.day <= wish.last_date:
        return Reason.DATES
    if place.start - wish.notice_minutes <= now_minute:
        return Reason.NOTICE
    if standing.before is not None and place.start >= standing.before:
        return Reason.NOT_EARLIER
    if wish.windows and not _inside(place, wish.windows, zone):
        return Reason.WINDOWS
    if standing.busy and any(start < place.end and place.start < end for start, end in standing.busy):
        return Reason.BUSY
    return None


def _inside(place: Place, windows: Iterable[Window], zone: ZoneInfo) -> bool:
    """The whole visit, without its buffers, lies in one of the windows of the day on which it starts."""
    weekday = place.day.weekday()
    for window in windows:
        if (window.weekday is None or window.weekday == weekday) and (
            zones.instant(zone, place.day, window.opens) <= place.start
            and place.end <= zones.instant(zone, place.day, window.closes)
        ):
            return True
    return False


def newly_open(
    before: Schedule, after: Schedule, zone: ZoneInfo, kinds: Iterable[VisitType], first: date, last: date
) -> list[tuple[int, int, frozenset[int]]]:
    """UTC minutes of what visits may take on these dates that could not with other hours; and which kinds of visit.

    Merged where they begin on the same date, so that a stretch is never longer than a day and a visit: each is decided at once.
    """
    spans = []
    base, _ = availability.window(zone, first, last)
    for kind in kinds:
        if kind.duration_minutes is None:
            continue
        plane = availability.offers(after, zone, kind, first, last)
        plane &= ~availability.offers(before, zone, kind, first, last)
        for bit in availability.bits(plane):
            start = (base + bit) * TICK_MINUTES
            end = start + kind.duration_minutes + kind.buffer_after_minutes
            spans.append((start - kind.buffer_before_minutes, end, kind.key))
    merged: list[tuple[int, int, frozenset[int]]] = []
    day = None
    for start, end, key in sorted(spans):
        today = zones.at(start, zone).date()
        if merged and today == day and start <= merged[-1][1]:
            earlier = merged[-1]
            merged[-1] = earlier[0], max(end, earlier[1]), earlier[2] | {key}
        else:
            merged.append((start, end, frozenset({key})))
            day = today
    return merged


def recomputes(situation: Situation, decided: Plan) -> bool:
    """Whether the rules still decide as it was written down."""
    return plan(situation) == decided
