"""One day of a provider at a clinic in minutes, and which visits lie outside the hours."""

from collections.abc import Iterable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from domain import zones
from domain.appointments import Appointment
from domain.schedules import TICK_MINUTES, Schedule, spans

_NO_TYPE = 0  # Only rows that name no visit type are open for it.


def open_minutes(schedule: Schedule, zone: ZoneInfo, day: date) -> int:
    """Minutes of elapsed time that are open on the clinic's date for at least one visit type; openings do not count."""
    base = _base(zone, day)
    keys = {_NO_TYPE, *(key for row in schedule.hours for key in row.visit_type_keys)}
    plane = 0
    for key in keys:
        plane |= _open(schedule, zone, day, key, base)
    return plane.bit_count() * TICK_MINUTES


def booked_minutes(appointments: Iterable[Appointment]) -> int:
    """Minutes of the visits that are live; those in published openings do not count."""
    visits = (one for one in appointments if one.status.live and one.opening_key is None)
    return sum(int((one.ends_at - one.starts_at).total_seconds()) // 60 for one in visits)


def orphaned(schedule: Schedule, zone: ZoneInfo, appointments: Iterable[Appointment]) -> list[Appointment]:
    """Those whose visit does not lie wholly in time that is open for its visit type. Off the grid is no matter."""
    planes: dict[tuple[date, int], int] = {}
    found = []
    for one in appointments:
        day = one.starts_at.astimezone(zone).date()
        base = _base(zone, day)
        asked = (day, one.visit_type_key)
        if asked not in planes:  # A visit may run into the next day's hours.
            days = (day, day + timedelta(days=1))
            planes[asked] = _open(schedule, zone, days[0], one.visit_type_key, base) | _open(
                schedule, zone, days[1], one.visit_type_key, base
            )
        start = zones.minutes(one.starts_at) // TICK_MINUTES - base
        end = -(-zones.minutes(one.ends_at) // TICK_MINUTES) - base
        visit = ((1 << (end - start)) - 1) << start
        if visit & ~planes[asked]:
            found.append(one)
    return found


def _base(zone: ZoneInfo, day: date) -> int:
    return zones.instant(zone, day, 0) // TICK_MINUTES


def _open(schedule: Schedule, zone: ZoneInfo, day: date, visit_type_key: int, base: int) -> int:
    """Plane of the ticks that are open on `day`; bit 0 is tick `base`."""
    opened, closed = spans(schedule, zone, day, visit_type_key)
    added = cut = 0
    for start, end in opened:
        added |= ((1 << (end - start)) - 1) << (start - base)
    for start, end in closed:
        cut |= ((1 << (end - start)) - 1) << (start - base)
    return added & ~cut
