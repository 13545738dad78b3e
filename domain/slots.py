"""Slots out of starts and openings: the same ones whether they are listed, pushed, held or booked."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain import ids, zones
from domain.appointments import OpenSlot, Slot, SlotStatus
from domain.clinics import VisitType
from domain.openings import Opening


def of_starts(
    provider_key: int, clinic_key: int, visit_type: VisitType, zone: ZoneInfo, starts: Iterable[int]
) -> list[Slot]:
    """Free slots of these starts (UTC minutes)."""
    duration, kind_key, free = visit_type.duration_minutes, visit_type.key, SlotStatus.FREE
    assert duration is not None
    prefix = ids.slot_prefix(provider_key, clinic_key, kind_key)
    return [
        Slot(prefix + suffix, provider_key, clinic_key, kind_key, starts_at, ends_at, day, free, 1)
        for starts_at, ends_at, day, suffix in [_visit(start, duration, zone) for start in starts]
    ]


@lru_cache(maxsize=16_384)
def _visit(start: int, duration: int, zone: ZoneInfo) -> tuple[datetime, datetime, date, str]:
    """Start, end, date and id suffix: providers side by side offer the same times, so they are worth remembering."""
    starts_at = zones.at(start, zone)
    return starts_at, zones.at(start + duration, zone), starts_at.date(), ids.suffix(start)


def of_opening(opening: Opening, visit_type_key: int, zone: ZoneInfo, status: SlotStatus = SlotStatus.FREE) -> Slot:
    starts_at = opening.starts_at.astimezone(zone)
    return Slot(
        ids.opening_prefix(opening.provider_key, opening.clinic_key, visit_type_key) + ids.suffix(opening.key),
        opening.provider_key,
        opening.clinic_key,
        visit_type_key,
        starts_at,
        opening.ends_at.astimezone(zone),
        starts_at.date(),
        status,
        opening.left if status is SlotStatus.FREE else 0,
    )


def past(key: ids.SlotKey, starts_at: datetime, ends_at: datetime) -> Slot:
    """A time that is not offered any more, as somebody remembers it; instants in the clinic's zone."""
    return Slot(
        str(key), key.provider_id, key.clinic_id, key.visit_type_id, starts_at, ends_at, starts_at.date(), SlotStatus.BUSY, 0
    )  # fmt: skip


def as_open(slot: Slot, visit_type: VisitType) -> OpenSlot:
    """The slot as the live calendar shows it."""
    until = slot.starts_at - timedelta(minutes=visit_type.minimum_notice_minutes)
    return OpenSlot(
        slot.id, ids.node(ids.PROVIDER, slot.provider_key), slot.starts_at, slot.ends_at, slot.local_date, slot.left,
        until,
    )  # fmt: skip


def nearest(slots: Iterable[Slot], wanted: datetime, provider_key: int, count: int) -> list[Slot]:
    """Nearest in time first; where equal the same provider first, then the earlier (rule 10)."""

    def distance(slot: Slot) -> tuple[timedelta, bool, datetime, str]:
        return abs(slot.starts_at - wanted), slot.provider_key != provider_key, slot.starts_at, slot.id

    return sorted(slots, key=distance)[:count]
