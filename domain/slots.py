"""Slots out of starts and openings: the same ones whether they are listed, pushed, held or booked."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain import ids, zones
from domain.appointments import OpenSlot, Slot, SlotStatus
from domain.clinics import VisitType
from domain.openings import Opening


def of_starts(
    provider_key: int, clinic_key: int, visit_type: VisitType, zone: ZoneInfo, starts: Iterable[int]
) -> Iterator[Slot]:
    """Free slots of these starts (UTC minutes)."""
    assert visit_type.duration_minutes is not None
    prefix = ids.slot_prefix(provider_key, clinic_key, visit_type.key)
    duration, length = visit_type.duration_minutes, timedelta(minutes=visit_type.duration_minutes)
    instant, day, plain = datetime.fromtimestamp, date.min, False
    for start in starts:
        starts_at = instant(start * 60, zone)
        if starts_at.date() != day:
            day = starts_at.date()
            plain = zones.is_plain(zone, day)
        # On a day without a change of the clock the wall tells the end; a visit past midnight is reckoned by the instant.
        ends_at = starts_at + length
        if not plain or ends_at.date() != day:
            ends_at = instant((start + duration) * 60, zone)
        yield Slot(
            prefix + ids.suffix(start), provider_key, clinic_key, visit_type.key, starts_at, ends_at, day, SlotStatus.FREE, 1
        )  # fmt: skip


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
