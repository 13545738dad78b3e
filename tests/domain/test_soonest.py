"""The earliest times and how long they hold, beside a plain look into the calendar at every moment."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain import availability, soonest, zones
from domain.calendars import Calendar, Taken
from domain.clinics import Modality, VisitType
from domain.schedules import ExceptionKind, Schedule, ScheduleException, WeeklyHours
from domain.soonest import Asked, Opens

ZONES = ["America/New_York", "Europe/London", "Asia/Kathmandu", "America/Havana", "Asia/Beirut", "Pacific/Chatham"]
# Each begins near a change of some clock.
BEGINNINGS = [
    datetime(2027, 3, 12, 20, tzinfo=UTC),
    datetime(2027, 10, 29, 9, tzinfo=UTC),
    datetime(2027, 6, 1, 3, 59, tzinfo=UTC),
]


def plain(
    kinds: list[VisitType], zone: ZoneInfo, schedule: Schedule, calendar: Calendar, opens: Opens | None, now: datetime
) -> tuple[int, int] | None:
    """Start and kind of visit, by looking at everything."""
    found = []
    for kind in kinds:
        bound = availability.limits(kind, zone, now, binding=True)
        first, last = opens or (date(1990, 1, 1), date(2100, 1, 1))
        starts = availability.open_starts(schedule, zone, kind, calendar, first, last, bound, now, most=1)
        found += [(at, kind.name.lower(), kind.key) for at in starts]
    return min(found)[::2] if found else None


def random_kinds(chance: random.Random) -> list[VisitType]:
    return [
        VisitType(
            key, 1, True, chance.choice(["Check", "check", "Visit", "Alpha", "zeta"]), chance.choice([10, 15, 30, 60]),
            chance.choice([0, 0, 10]), chance.choice([0, 0, 5]), chance.choice([None, 5, 15, 30]),
            chance.choice([0, 0, 60, 1440, 2880]), chance.choice([0, 1, 3, 10, 30, 90]), 0, Modality.IN_PERSON,
        )
        for key in chance.sample(range(1, 9), chance.randrange(1, 4))
    ]  # fmt: skip


def random_schedule(chance: random.Random, kinds: list[VisitType], today: date) -> Schedule:
    def some() -> tuple[int, ...]:
        return tuple(sorted(chance.sample([one.key for one in kinds], 1))) if chance.random() < 0.3 else ()

    rows = []
    for weekday in chance.sample(range(7), chance.randrange(0, 8)):
        opens = chance.randrange(0, 1300, 5)
        closes = min(1440, opens + chance.randrange(15, 400, 5))
        ends = today + timedelta(days=chance.randrange(-3, 30)) if chance.random() < 0.2 else None
        begins = today + timedelta(days=chance.randrange(-3, 40)) if chance.random() < 0.2 and ends is None else None
        rows.append(WeeklyHours(weekday, opens, closes, begins, ends, some()))
    exceptions = []
    for key in range(chance.randrange(0, 4)):
        opens = chance.choice([0, 600])
        day = today + timedelta(days=chance.randrange(-1, 45))
        exceptions.append(
            ScheduleException(key, 1, 1, chance.choice(list(ExceptionKind)), day, opens, opens + 120, None)
        )
    return Schedule(1, 1, 1, tuple(rows), tuple(exceptions))


def random_calendar(chance: random.Random, first: date, days: int, now: datetime) -> Calendar:
    """Booked through for some days, then here and there; holds that run out at odd moments."""
    base = zones.instant(zones.named("UTC"), first, 0) // 5 - 600
    booked, holds = 0, []
    full = (chance.choice([0, 0, 1, 3, 9, 33]) * 288 + 600, 600)[0]
    booked |= (1 << full) - 1
    for _ in range(chance.randrange(0, 60)):
        booked |= ((1 << chance.randrange(1, 30)) - 1) << chance.randrange(0, days * 288)
    for _ in range(chance.randrange(0, 5)):
        start = base + 600 + chance.randrange(0, 6 * 288)
        holds.append(
            Taken(start, start + chance.choice([3, 6, 288]), int(now.timestamp()) + chance.randrange(-60, 90_000))
        )
    return Calendar(1, base, booked, tuple(holds))


@pytest.mark.parametrize("seed", range(24))
def test_while_it_holds_it_says_what_a_plain_look_says(seed: int) -> None:
    chance = random.Random(seed)
    answered = 0
    for _ in range(12):
        now = chance.choice(BEGINNINGS) + timedelta(seconds=chance.randrange(100_000), microseconds=chance.randrange(2))
        zone = zones.named(chance.choice(ZONES))
        today = zones.today(now, zone)
        kinds = random_kinds(chance)
        schedule, calendar = random_schedule(chance, kinds, today), random_calendar(chance, today, 50, now)
        known = today, today + timedelta(days=chance.choice([3, 20, 45]))
        opens = None
        if chance.random() < 0.4:
            opens = (today + timedelta(days=chance.randrange(-3, 12)), today + timedelta(days=chance.randrange(12, 20)))
        found = soonest.earliest(kinds, zone, schedule, calendar, known, Asked(opens), now)
        whole = plain(kinds, zone, schedule, calendar, opens, now)
        if found is None:
            assert whole is None or zones.at(whole[0], zone).date() > known[1]
            continue
        moments = {now} | {
            now + timedelta(seconds=chance.expovariate(1 / chance.choice([40_000, 400_000]))) for _ in range(30)
        }
        moments |= {datetime.fromtimestamp(one.until, UTC) for one in found.starts if one.until > now.timestamp()}
        moments |= {datetime.fromtimestamp(found.until, UTC)} if found.until < 1e10 else set()
        moments |= {one + timedelta(microseconds=shift) for one in list(moments) for shift in (-1, 1) if one > now}
        for moment in sorted(moments):
            if moment < now or not found.holds(moment.timestamp()):
                continue
            first = found.first(moment.timestamp())
            if first is None and not found.none:
                break
            answered += 1
            said = None if first is None else (first.at, first.visit_type_key)
            assert said == plain(kinds, zone, schedule, calendar, opens, moment), moment
    assert answered > 100


def test_a_clock_that_was_set_back_is_not_told_what_has_been_left_out() -> None:
    kind = VisitType(1, 1, True, "Visit", 30, 0, 0, None, 0, 30, 0, Modality.IN_PERSON)
    schedule = Schedule(1, 1, 1, tuple(WeeklyHours(day, 480, 1000) for day in range(7)))
    now = datetime(2027, 3, 1, 8, 10, tzinfo=UTC)
    known = date(2027, 3, 1), date(2027, 3, 20)
    found = soonest.earliest([kind], zones.named("UTC"), schedule, Calendar(1, 0, 0), known, Asked(), now)
    assert found is not None
    assert found.holds(now.timestamp())
    later = now + timedelta(minutes=30)
    first = found.first(later.timestamp())
    assert first is not None
    assert zones.at(first.at, first.zone) == datetime(2027, 3, 1, 9, tzinfo=UTC)
    assert not found.holds(now.timestamp())
    assert found.holds(later.timestamp())


def test_the_next_time_of_one_kind_of_visit_is_not_missed_for_the_later_ones_of_another() -> None:
    """One has a time a week; the other begins on the tenth day: when the first has passed, the second week's comes first."""
    weekly = VisitType(1, 1, True, "Weekly", 30, 0, 0, None, 0, 90, 0, Modality.IN_PERSON)
    daily = VisitType(2, 1, True, "Daily", 30, 0, 0, None, 0, 90, 0, Modality.IN_PERSON)
    monday = date(2027, 3, 1)
    rows = [WeeklyHours(0, 480, 510, visit_type_keys=(1,))]
    rows += [WeeklyHours(day, 480, 1000, monday + timedelta(days=10), None, (2,)) for day in range(7)]
    schedule, zone, calendar = Schedule(1, 1, 1, tuple(rows)), zones.named("UTC"), Calendar(1, 0, 0)
    known = monday, monday + timedelta(days=40)
    found = soonest.earliest(
        [weekly, daily], zone, schedule, calendar, known, Asked(), datetime(2027, 3, 1, tzinfo=UTC)
    )
    assert found is not None
    for now in (datetime(2027, 3, 1, 7, tzinfo=UTC), datetime(2027, 3, 1, 9, tzinfo=UTC)):
        first = found.first(now.timestamp())
        said = None if first is None else (first.at, first.visit_type_key)
        assert said in (None, plain([weekly, daily], zone, schedule, calendar, None, now))
