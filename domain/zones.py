"""Wall time to instants, by the pinned tzdata alone (rule 4). Instants here are UTC minutes since 1970."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

zoneinfo.reset_tzpath(())  # The system's copy may be older than the package's and would disagree with it.

MINUTES_A_DAY: Final = 1440
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NAMES: Final = frozenset(zoneinfo.available_timezones()) - {"localtime", "posixrules", "Factory"}


@lru_cache(maxsize=1024)
def named(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises ZoneInfoNotFoundError for a name that tzdata lacks."""
    if name not in NAMES:
        raise zoneinfo.ZoneInfoNotFoundError(name)
    return ZoneInfo(name)


def minutes(at: datetime) -> int:
    """UTC minutes since 1970 of an aware instant, rounded down."""
    return int(at.timestamp() // 60)


def at(minute: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(minute * 60, zone)


@lru_cache(maxsize=1024)
def today(now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date()


def instant(zone: ZoneInfo, day: date, minute: int) -> int:
    """UTC minute of the wall time `minute` (0 to 1440; 1440 is the next day's 00:00) of `day`.

    Inside a spring gap it is the first instant after the gap; inside an autumn fold the first reading counts.
    """
    midnight, regular = _midnight(zone, day)
    return midnight + minute if regular else _irregular(zone, day, minute)


def is_plain(zone: ZoneInfo, day: date) -> bool:
    """Whether the day has 24 hours and no change of the clock."""
    return _midnight(zone, day)[1]


@lru_cache(maxsize=100_000)
def _midnight(zone: ZoneInfo, day: date) -> tuple[int, bool]:
    midnight = _irregular(zone, day, 0)
    return midnight, _irregular(zone, day, MINUTES_A_DAY) - midnight == MINUTES_A_DAY


@lru_cache(maxsize=20_000)
def _irregular(zone: ZoneInfo, day: date, minute: int) -> int:
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 (wall time, on purpose)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return minutes(first)
    # A gap: the change lies between the two readings; find its minute.
    low, high = minutes(wall.replace(tzinfo=zone, fold=1).astimezone(UTC)), minutes(first)
    before = at(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if at(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=10_000)
def date_of(text: str) -> date:
    return date.fromisoformat(text)
