"""Who gets a freed time: the order of the rules, and what holds for any people and freed time (rules 46, 47, 51)."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import availability, ranking, zones
from domain.clinics import VisitType
from domain.ranking import ORDINARY, Candidate, Freed, Place, Reason, Situation, Standing, Wish, places, plan
from domain.schedules import TICK_MINUTES, Schedule, WeeklyHours
from domain.waitlist import AllocationOutcome, EntryStatus, Window, after_miss, offered_until
from tests import sizes
from tests.domain.oracle import visit_type
from tests.proofs import proof

ZONE = zones.named("America/New_York")
NOW = datetime(2027, 3, 1, 14, tzinfo=UTC)  # Monday, 09:00 in New York
DAY = date(2027, 3, 3)
OPENS, CLOSES = 8 * 60, 18 * 60
HOURS = Schedule(1, 1, 1, tuple(WeeklyHours(weekday, OPENS, CLOSES) for weekday in range(7)))
tried = {"situations": 0, "offers": 0}


def minute(hours: float) -> int:
    """The UTC minute of a wall time on Wednesday."""
    return zones.instant(ZONE, DAY, int(hours * 60))


def freed(start: float, end: float, giver: int | None = None) -> Freed:
    return Freed(1, 1, minute(start), minute(end), giver)


def candidate(key: int, **wishes: object) -> Candidate:
    """Somebody of whom this is true, whichever part of the entry says it."""
    wish, standing = Wish(1, (), (), DAY, DAY, 0), Standing()
    parts = [{name: wishes.pop(name) for name in [*wishes] if hasattr(one, name)} for one in (wish, standing)]
    wish, standing = replace(wish, **parts[0]), replace(standing, **parts[1])  # type: ignore[arg-type]
    plain = Candidate(key, 1, 100 + key, wish, 0, NOW - timedelta(minutes=100 - key), standing)
    return replace(plain, **wishes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Verdict:
    """What a plan says of one candidate."""

    entry_key: int
    outcome: AllocationOutcome
    rank: int | None
    place: Place | None
    reasons: tuple[Reason, ...]


def verdicts_on(situation: Situation) -> dict[int, Verdict]:
    found, said = plan(situation), {}
    for number, one in enumerate(situation.candidates):
        rank = found.ranks[number] or None
        outcome = AllocationOutcome.OUTRANKED if rank else AllocationOutcome.NOT_ELIGIBLE
        if number in found.offered:
            outcome = AllocationOutcome.OFFERED
        said[one.key] = Verdict(one.key, outcome, rank, found.places[number], found.reasons[number])
    return said


def kind(minutes: int = 30, before: int = 0, after: int = 0, every: int | None = 15) -> VisitType:
    return visit_type(minutes, before=before, after=after, every=every)


def possible(given_up: Freed, of: VisitType, taken: list[tuple[int, int]] | None = None) -> list[Place]:
    bound = availability.limits(of, ZONE, NOW, binding=False)
    return places(given_up, HOURS, ZONE, of, taken or [], bound)


def decide(given_up: Freed, *some: Candidate, of: VisitType | None = None) -> dict[int, Verdict]:
    of = of or kind()
    there = tuple(possible(given_up, of, _closed(given_up)))
    return verdicts_on(Situation(NOW, ZONE, given_up, there, some))


def _closed(given_up: Freed) -> list[tuple[int, int]]:
    """Everything but the freed time is taken."""
    day = minute(0) // 5, minute(24) // 5
    return [(day[0], given_up.start // 5), (given_up.end // 5, day[1])]


def ranks(verdicts: dict[int, Verdict]) -> list[int]:
    """Keys in the order of their ranks."""
    return [one.entry_key for one in sorted(verdicts.values(), key=lambda one: one.rank or 999) if one.rank]


def test_urgency_then_whole_days_then_fit_then_a_named_provider_then_who_joined_first() -> None:
    verdicts = decide(
        freed(9, 9.5),
        candidate(1),
        candidate(2),
        candidate(3, provider_keys=(1, 7)),
        candidate(4, joined_at=NOW - timedelta(days=1)),
        candidate(5, joined_at=NOW - timedelta(hours=23, minutes=59)),
        candidate(6, urgency=1),
        candidate(7, urgency=3),
    )
    assert ranks(verdicts) == [7, 6, 4, 3, 5, 1, 2]
    assert verdicts[7].outcome is AllocationOutcome.OFFERED
    assert {verdicts[key].outcome for key in (1, 2, 3, 4, 5, 6)} == {AllocationOutcome.OUTRANKED}


def test_who_leaves_less_of_the_time_unused_comes_first() -> None:
    short, long = kind(30), replace(kind(45), key=2)
    given_up = freed(9, 9.75)
    there = tuple(possible(given_up, short, _closed(given_up)) + possible(given_up, long, _closed(given_up)))
    some = candidate(1, visit_type_key=short.key), candidate(2, visit_type_key=2)
    said = verdicts_on(Situation(NOW, ZONE, given_up, there, some))
    first, second = said[1], said[2]
    assert (first.rank, second.rank) == (2, 1)
    assert (second.outcome, first.outcome) == (AllocationOutcome.OFFERED, AllocationOutcome.OUTRANKED)


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"status": EntryStatus.SUSPENDED}, (Reason.SUSPENDED,)),
        ({"status": EntryStatus.OFFERED, "had_it": True}, (Reason.HAS_OFFER, Reason.HAD_IT)),
        ({"patient_key": 55}, (Reason.GAVE_IT_UP,)),
        ({"provider_keys": (2, 3), "newcomer": True, "movable": False}, (Reason.PROVIDER, Reason.NEWCOMER, Reason.NOT_MOVABLE)),
        ({"visit_type_key": 9}, (Reason.NO_ROOM,)),
        ({"first_date": DAY + timedelta(days=1), "last_date": DAY + timedelta(days=2)}, (Reason.DATES,)),
        ({"windows": (Window(None, 9 * 60, 9 * 60 + 25),)}, (Reason.WINDOWS,)),
        ({"windows": (Window(3, 0, 1440),)}, (Reason.WINDOWS,)),
        ({"notice_minutes": 48 * 60}, (Reason.NOTICE,)),
        ({"before": minute(9)}, (Reason.NOT_EARLIER,)),
        ({"busy": ((minute(9.25), minute(10)),)}, (Reason.BUSY,)),
    ],
)  # fmt: skip
def test_why_not(wishes: dict[str, object], why: tuple[Reason, ...]) -> None:
    said = decide(freed(9, 9.5, giver=55), candidate(1, **wishes))[1]
    assert (said.outcome, said.rank, said.place, said.reasons) == (AllocationOutcome.NOT_ELIGIBLE, None, None, why)


@pytest.mark.parametrize(
    "wishes",
    [
        {"windows": (Window(2, 9 * 60, 9 * 60 + 30),)},
        {"notice_minutes": 48 * 60 - 1},
        {"before": minute(9) + 1},
        {"busy": ((minute(8), minute(9)), (minute(9.5), minute(10)))},
        {"provider_keys": (1,)},
    ],
)
def test_what_just_fits(wishes: dict[str, object]) -> None:
    assert decide(freed(9, 9.5), candidate(1, **wishes))[1].outcome is AllocationOutcome.OFFERED


def test_buffers_need_not_lie_in_the_window_but_must_be_free() -> None:
    wide = kind(30, before=15, after=15)
    window = Window(None, 9 * 60, 9 * 60 + 30)
    assert decide(freed(8.75, 9.75), candidate(1, windows=(window,)), of=wide)[1].rank == 1
    assert decide(freed(9, 9.5), candidate(1, windows=(window,)), of=wide)[1].reasons == (Reason.NO_ROOM,)


def test_a_patient_gets_one_of_the_offers() -> None:
    verdicts = decide(freed(9, 10), candidate(1, patient_key=5), candidate(2, patient_key=5), candidate(3))
    assert [verdicts[key].outcome.name for key in (1, 2, 3)] == ["OFFERED", "OUTRANKED", "OFFERED"]


def test_how_long_an_offer_lasts() -> None:
    def lasting(away: timedelta, notice: int = 0, longest: timedelta = timedelta(hours=4)) -> timedelta:
        return offered_until(NOW, NOW + away, notice, longest) - NOW

    assert lasting(timedelta(hours=8)) == timedelta(hours=1)
    assert lasting(timedelta(days=30)) == timedelta(hours=4)
    assert lasting(timedelta(minutes=40)) == timedelta(minutes=10)
    assert lasting(timedelta(minutes=40), notice=35) == timedelta(minutes=5)
    assert lasting(timedelta(days=3), longest=timedelta(seconds=2)) == timedelta(seconds=2)


def test_the_third_miss_suspends() -> None:
    assert after_miss(0) == (EntryStatus.ACTIVE, 1)
    assert after_miss(1) == (EntryStatus.ACTIVE, 2)
    assert after_miss(2) == (EntryStatus.SUSPENDED, 3)


SPANS = st.tuples(st.integers(0, 143), st.integers(1, 48)).map(lambda one: (one[0] * 5, one[0] * 5 + one[1] * 5))
KINDS = st.builds(
    lambda minutes, before, after, every: (minutes * 5, before * 5, after * 5, every * 5),
    st.integers(1, 18), st.integers(0, 4), st.integers(0, 4), st.integers(1, 12),
)  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> tuple[Situation, list[tuple[int, int]], list[VisitType]]:
    """A freed time in a half-booked day, a few kinds of visits, and people with all sorts of wishes."""
    begin = minute(0)
    start, end = draw(SPANS)
    given_up = Freed(1, 1, begin + start, begin + end, draw(st.sampled_from([None, 101, 102])))
    taken = []
    for one, other in draw(st.lists(SPANS, max_size=6)):
        if other <= start or end <= one:
            taken.append(((begin + one) // 5, (begin + other) // 5))
    kinds = [
        replace(visit_type(minutes, before=before, after=after, every=every), key=key)
        for key, (minutes, before, after, every) in enumerate(draw(st.lists(KINDS, min_size=1, max_size=3)), 1)
    ]
    there = [place for one in kinds for place in possible(given_up, one, taken)]
    some = draw(st.lists(wishes(), max_size=12))
    joined = [replace(one, key=key) for key, one in enumerate(some, 1)]
    return Situation(NOW, ZONE, given_up, tuple(there), tuple(joined)), taken, kinds


@st.composite
def wishes(draw: st.DrawFn) -> Candidate:
    windows = draw(st.lists(st.tuples(st.sampled_from([None, 2, 3]), SPANS), max_size=2))
    return candidate(
        1,
        patient_key=draw(st.integers(101, 108)),
        visit_type_key=draw(st.integers(1, 3)),
        provider_keys=draw(st.sampled_from([(), (1,), (2,), (1, 2)])),
        windows=tuple(Window(weekday, start, min(end, 1440)) for weekday, (start, end) in windows),
        status=draw(st.sampled_from([EntryStatus.ACTIVE] * 4 + [EntryStatus.OFFERED, EntryStatus.SUSPENDED])),
        notice_minutes=draw(st.sampled_from([0, 0, 0, 60, 48 * 60])),
        urgency=draw(st.integers(0, 3)),
        joined_at=NOW - timedelta(hours=draw(st.integers(0, 100))),
        before=draw(st.sampled_from([None, None, minute(12)])),
        had_it=draw(st.sampled_from([False, False, False, True])),
        busy=tuple((minute(0) + start, minute(0) + end) for start, end in draw(st.lists(SPANS, max_size=1))),
    )


@given(situations())
@settings(max_examples=sizes.ALLOCATION_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_freed_and_whoever_waits(drawn: tuple[Situation, list[tuple[int, int]], list[VisitType]]) -> None:
    situation, taken, kinds = drawn
    said = verdicts_on(situation)
    assert len(said) == len(situation.candidates)
    again = replace(situation, candidates=situation.candidates[::-1], places=situation.places[::-1])
    assert verdicts_on(again) == said, "the order in which they are read decides nothing"
    assert ranking.recomputes(_sharing(situation), plan(situation)), "nor whether those who wish for the same share it"
    by_key = {one.key: one for one in situation.candidates}
    offered = [(by_key[one.entry_key], one.place) for one in said.values() if one.outcome is AllocationOutcome.OFFERED]
    occupied = {tick for start, end in taken for tick in range(start, end)}
    for one, place in offered:
        assert place is not None
        of = kinds[one.wish.visit_type_key - 1]
        span = range(place.from_minute // TICK_MINUTES, place.to_minute // TICK_MINUTES)
        assert occupied.isdisjoint(span), "never outside free time, and never two that overlap"
        occupied.update(span)
        assert place.from_minute < situation.freed.end
        assert place.to_minute > situation.freed.start
        assert place.end - place.start == of.duration_minutes
        local = zones.at(place.start, ZONE)
        assert (local.hour * 60 + local.minute - OPENS) % (of.start_every_minutes or 1) == 0
        assert local.hour * 60 + local.minute >= OPENS
        assert not any(start < place.end and place.start < end for start, end in one.standing.busy)
        assert one.patient_key != situation.freed.giver
        assert one.standing.status is EntryStatus.ACTIVE
        assert not one.standing.had_it
    people = [one.patient_key for one, _ in offered]
    assert len(people) == len(set(people))
    assert sorted(one.rank for one in said.values() if one.rank) == list(
        range(1, sum(one.rank is not None for one in said.values()) + 1)
    )
    _nobody_better_left_out(situation, said)
    tried["situations"] += 1
    tried["offers"] += len(offered)


def _sharing(situation: Situation) -> Situation:
    """Whoever wishes for the same shares one wish, and of whom there is nothing to say stands as ORDINARY."""
    known: dict[object, object] = {Standing(): ORDINARY}
    some = [
        replace(one, wish=known.setdefault(one.wish, one.wish), standing=known.get(one.standing, one.standing))
        for one in situation.candidates
    ]
    return replace(situation, candidates=tuple(some))


def _nobody_better_left_out(situation: Situation, said: dict[int, Verdict]) -> None:
    """Who ranks first among the eligible always gets a time; who is outranked has no room left at the end."""
    eligible = [one for one in said.values() if one.rank is not None]
    if eligible:
        first = min(eligible, key=lambda one: one.rank or 0)
        assert first.outcome is AllocationOutcome.OFFERED
    for one in said.values():
        assert (one.rank is None) == (one.outcome is AllocationOutcome.NOT_ELIGIBLE) == bool(one.reasons)
        assert (one.place is None) == (one.rank is None)


@given(situations())
@settings(max_examples=sizes.ALLOCATION_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_start_that_became_possible_is_found(
    drawn: tuple[Situation, list[tuple[int, int]], list[VisitType]],
) -> None:
    """The same function as `find`: what it lists after the time was given up and did not before."""
    situation, taken, kinds = drawn
    given_up = situation.freed
    base, end = availability.window(ZONE, DAY, DAY)
    for one in kinds:
        plane = availability.offers(HOURS, ZONE, one, DAY, DAY)
        busy = sum({1 << (tick - base) for start, stop in taken for tick in range(start, stop) if base <= tick < end})
        was = busy | sum(1 << (tick - base) for tick in range(given_up.start // 5, given_up.end // 5))
        after = plane & availability.free(one, busy, end - base)
        before = plane & availability.free(one, was, end - base)
        became = {(base + bit) * TICK_MINUTES for bit in availability.bits(after & ~before)}
        assert {
            place.start for place in situation.places if place.visit_type_key == one.key and place.day == DAY
        } == became


def test_counts_of_the_properties() -> None:
    proof("freed times that were given out", **tried)
    assert tried["situations"] >= min(sizes.ALLOCATION_EXAMPLES, 20)


def test_hours_that_an_edit_opens() -> None:
    longer = Schedule(1, 1, 2, tuple(WeeklyHours(weekday, OPENS, CLOSES + 60) for weekday in range(7)))
    spans = ranking.newly_open(HOURS, longer, ZONE, [kind(30)], DAY, DAY)
    assert spans == [(minute(17.75), minute(19), frozenset({kind(30).key}))]
    assert ranking.newly_open(longer, HOURS, ZONE, [kind(30)], DAY, DAY) == []


def test_hours_around_the_clock_come_up_a_day_at_a_time() -> None:
    whole = Schedule(1, 1, 2, tuple(WeeklyHours(weekday, 0, 1440) for weekday in range(7)))
    spans = ranking.newly_open(Schedule(1, 1, 1), whole, ZONE, [kind(30)], DAY, DAY + timedelta(days=99))
    assert len(spans) == 100
    assert all(end - start <= 1440 + 30 for start, end, _ in spans)
    assert sum(end - start for start, end, _ in spans) >= 100 * 1440 - 60
