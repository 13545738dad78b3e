"""What has become of slots that somebody names: free, or why not (rule 8)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from adapters.postgres import calendars
from adapters.postgres.calendars import KnownSchedules, Offering
from adapters.postgres.database import Reader
from domain import availability, booking, slots, zones
from domain.appointments import Slot, SlotStatus
from domain.calendars import CHUNK_TICKS, Calendar, chunks, join
from domain.ids import SlotKey
from domain.openings import Opening
from domain.schedules import TICK_MINUTES, Schedule


async def states(
    reader: Reader,
    known: KnownSchedules,
    keys: Sequence[SlotKey],
    *,
    finer: Callable[[int], bool],
    binding: bool,
) -> dict[SlotKey, Slot]:
    """Slots of providers who offer that visit type there; others are left out. `finer(clinic)`: whether FHIR's states are told."""
    triples = list({(key.provider_id, key.clinic_id, key.visit_type_id) for key in keys})
    offerings = await calendars.offerings_now(reader, triples)
    wanted = [key for key in keys if (key.provider_id, key.clinic_id, key.visit_type_id) in offerings]
    timed = [key for key in wanted if key.start is not None]
    found: dict[SlotKey, Slot] = {}
    if timed:
        found.update(await _timed(reader, known, timed, offerings, binding))
    opened = [key for key in wanted if key.opening_id is not None]
    if opened:
        rows = await calendars.openings_by_key(reader, [key.opening_id for key in opened if key.opening_id])
        for key in opened:
            opening = rows.get(key.opening_id or 0)
            one, now = offerings[key.provider_id, key.clinic_id, key.visit_type_id]
            if opening is not None and (opening.provider_key, opening.clinic_key) == (key.provider_id, key.clinic_id):
                status = _opening_status(opening, one, now)
                found[key] = slots.of_opening(opening, key.visit_type_id, one.zone, status)
    for slot in found.values():
        if slot.status is not SlotStatus.FREE and not finer(slot.clinic_key):
            slot.status = SlotStatus.BUSY
    return found


async def _timed(
    reader: Reader,
    known: KnownSchedules,
    keys: Sequence[SlotKey],
    offerings: Mapping[calendars.Triple, tuple[Offering, datetime]],
    binding: bool,
) -> dict[SlotKey, Slot]:
    pairs = {}
    for key in keys:
        one, _ = offerings[key.provider_id, key.clinic_id, key.visit_type_id]
        pairs[one.provider_key, one.clinic_key] = one.schedule_version
    schedules = await known.at(reader, pairs)
    parts = await calendars.busy(reader, list({pair for key in keys for pair in _chunks_of(key)}))
    found = {}
    for key in keys:
        one, now = offerings[key.provider_id, key.clinic_id, key.visit_type_id]
        assert key.start is not None
        if one.visit_type.duration_minutes is None:
            continue
        (slot,) = slots.of_starts(one.provider_key, one.clinic_key, one.visit_type, one.zone, [key.start])
        schedule = schedules.get((one.provider_key, one.clinic_key))
        calendar = join([parts[pair] for pair in _chunks_of(key)])
        slot.status = _timed_status(key.start, one, schedule, calendar, now, binding)
        slot.left = 1 if slot.status is SlotStatus.FREE else 0
        found[key] = slot
    return found


def _chunks_of(key: SlotKey) -> list[tuple[int, int]]:
    assert key.start is not None
    tick = key.start // TICK_MINUTES
    first, last = tick - availability.TICKS_BEFORE, tick + availability.TICKS_AFTER
    return [(key.provider_id, number) for number in chunks(max(first, 0), min(last, first + CHUNK_TICKS))]


def _timed_status(
    start: int, one: Offering, schedule: Schedule | None, calendar: Calendar, now: datetime, binding: bool
) -> SlotStatus:
    kind = one.visit_type
    bound = availability.limits(kind, one.zone, now, binding=binding)
    day = zones.at(start, one.zone).date()
    offered = schedule is not None and one.open and booking.offered_start(schedule, one.zone, kind, start)
    if not offered or start < bound.earliest or day > bound.last_date:
        return SlotStatus.BUSY_UNAVAILABLE
    assert kind.duration_minutes is not None
    base = (start - kind.buffer_before_minutes) // TICK_MINUTES
    end = (start + kind.duration_minutes + kind.buffer_after_minutes) // TICK_MINUTES
    if not calendar.busy(now, base, end):
        return SlotStatus.FREE
    booked = Calendar(calendar.version, calendar.base, calendar.booked).busy(now, base, end)
    return SlotStatus.BUSY if booked else SlotStatus.BUSY_TENTATIVE


def _opening_status(opening: Opening, one: Offering, now: datetime) -> SlotStatus:
    if not one.open or not opening.offered or opening.starts_at <= now:
        return SlotStatus.BUSY_UNAVAILABLE
    return SlotStatus.FREE if opening.left else SlotStatus.BUSY
