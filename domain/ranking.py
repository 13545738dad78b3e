"""Who gets a time that was given up: eligibility, ranking and the plan of offers (rules 46 and 51). Pure: the same situation
gives the same decision, whoever reckons it and whenever.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from domain import availability, zones
from domain.availability import Limits, Offers
from domain.clinics import VisitType
from domain.schedules import TICK_MINUTES, Schedule
from domain.waitlist import AllocationOutcome, EntryStatus, Window

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
class Candidate:
    """An entry as a decision sees it. `before`: start of the appointment that is to be moved earlier; spans are UTC minutes."""

    key: int
    version: int
    status: EntryStatus
    patient_key: int
    visit_type_key: int
    provider_keys: tuple[int, ...]
    windows: tuple[Window, ...]
    first_date: date
    last_date: date
    notice_minutes: int
    urgency: int
    joined_at: datetime
    before: int | None = None
    movable: bool = True
    had_it: bool = False
    newcomer: bool = False
    busy: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision depends on."""

    now: datetime
    zone: ZoneInfo
    freed: Freed
    places: tuple[Place, ...]
    candidates: tuple[Candidate, ...]


@dataclass(slots=True)
class Verdict:
    """What became of a candidate; `place` is what it got or would have got."""

    entry_key: int
    outcome: AllocationOutcome
    rank: int | None = None
    place: Place | None = None
    reasons: tuple[Reason, ...] = ()


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


def plan(situation: Situation) -> list[Verdict]:
    """The decision: best entry first, then what is left may serve others. Verdicts in the order of the candidates."""
    by_type: dict[int, list[Place]] = {}
    for place in sorted(situation.places, key=lambda one: (one.left, one.start)):
        by_type.setdefault(place.visit_type_key, []).append(place)
    now_minute = situation.now.timestamp() / 60
    verdicts: dict[int, Verdict] = {}
    ranked: list[tuple[tuple[int | datetime, ...], Candidate, Place]] = []
    found: dict[tuple[Hashable, ...], Place | tuple[Reason, ...]] = {}
    for one in situation.candidates:
        general = _general(one, situation.freed)
        if general:
            verdicts[one.key] = Verdict(one.key, AllocationOutcome.NOT_ELIGIBLE, reasons=tuple(general))
            continue
        # Most people wish for one of a few things: what is true of one of them is true of all who wish the same.
        wish = (
            one.visit_type_key,
            one.first_date,
            one.last_date,
            one.notice_minutes,
            one.before,
            one.windows,
            one.busy,
        )
        best = found.get(wish)
        if best is None:
            possible = by_type.get(one.visit_type_key, ())
            best = found[wish] = _best(one, possible, situation.zone, now_minute)
        if isinstance(best, Place):
            ranked.append((rank_key(one, best.left, situation.now), one, best))
        else:
            verdicts[one.key] = Verdict(one.key, AllocationOutcome.NOT_ELIGIBLE, reasons=best)
    ranked.sort(key=lambda item: item[0])
    free, served = by_type, set[int]()
    for rank, (_, one, best) in enumerate(ranked, 1):
        usable = () if one.patient_key in served else free.get(one.visit_type_key, ())
        got = next((place for place in usable if _why_not(one, place, situation.zone, now_minute) is None), None)
        if got is None:
            verdicts[one.key] = Verdict(one.key, AllocationOutcome.OUTRANKED, rank, best)
        else:
            verdicts[one.key] = Verdict(one.key, AllocationOutcome.OFFERED, rank, got)
            served.add(one.patient_key)
            free = {kind: [other for other in some if _apart(other, got)] for kind, some in free.items()}
    return [verdicts[one.key] for one in situation.candidates]


def _apart(one: Place, other: Place) -> bool:
    return one.to_minute <= other.from_minute or other.to_minute <= one.from_minute


def rank_key(one: Candidate, left: int, now: datetime) -> tuple[int | datetime, ...]:
    """Less is better: urgency, whole days waited, fit, who asked for this very provider, who joined first, id (rule 46)."""
    return -one.urgency, -(now - one.joined_at).days, left, 0 if one.provider_keys else 1, one.joined_at, one.key


def merits(urgency: int, joined_at: datetime, named: bool, left: int, at: datetime) -> list[str]:
    """What an eligible entry was ranked by, in words."""
    days = (at - joined_at).days
    told = [f"urgency {urgency}", f"{days} whole {'day' if days == 1 else 'days'} waited", f"{left} minutes left over"]
    return [*told, "asked for this provider"] if named else told


def _best(one: Candidate, possible: Sequence[Place], zone: ZoneInfo, now_minute: float) -> Place | tuple[Reason, ...]:
    """The first of the places that the entry can use; or why there is none."""
    failed = set[Reason]()
    for place in possible:
        reason = _why_not(one, place, zone, now_minute)
        if reason is None:
            return place
        failed.add(reason)
    if len(failed) > 1:
        return tuple([reason for reason in _REASONS if reason in failed])
    return tuple(failed) or (Reason.NO_ROOM,)


def _general(one: Candidate, freed: Freed) -> Sequence[Reason]:
    """What keeps the entry from any part of the freed time."""
    if (
        one.status is EntryStatus.ACTIVE and one.movable and not one.had_it and not one.newcomer
        and one.patient_key != freed.giver and (not one.provider_keys or freed.provider_key in one.provider_keys)
    ):  # fmt: skip
        return ()
    why = []
    if one.status is not EntryStatus.ACTIVE:
        why.append(Reason.SUSPENDED if one.status is EntryStatus.SUSPENDED else Reason.HAS_OFFER)
    if one.had_it:
        why.append(Reason.HAD_IT)
    if one.patient_key == freed.giver:
        why.append(Reason.GAVE_IT_UP)
    if one.provider_keys and freed.provider_key not in one.provider_keys:
        why.append(Reason.PROVIDER)
    if one.newcomer:
        why.append(Reason.NEWCOMER)
    if not one.movable:
        why.append(Reason.NOT_MOVABLE)
    return why


def _why_not(one: Candidate, place: Place, zone: ZoneInfo, now_minute: float) -> Reason | None:
    if not one.first_date <= place.day <= one.last_date:
        return Reason.DATES
    if place.start - one.notice_minutes <= now_minute:
        return Reason.NOTICE
    if one.before is not None and place.start >= one.before:
        return Reason.NOT_EARLIER
    if one.windows and not _inside(place, one.windows, zone):
        return Reason.WINDOWS
    if one.busy and any(start < place.end and place.start < end for start, end in one.busy):
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


def recomputes(situation: Situation, verdicts: Mapping[int, Verdict]) -> bool:
    """Whether the rules still decide as it was written down."""
    return {one.entry_key: one for one in plan(situation)} == dict(verdicts)
