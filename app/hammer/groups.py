"""Groups of slots to fight over: those of a group all overlap one another, those of two groups never at one provider."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.postgres import hammering
from adapters.postgres.calendars import KnownSchedules, Offering, offerings_now
from adapters.postgres.database import Reader
from adapters.postgres.open_times import OpenTimes
from app.refusal import Refused
from domain.appointments import Slot

DAYS = 14
SLOTS_MAX = 12
STARTS_MAX = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """An open slot with the time it would take, buffers included."""

    slot: Slot
    from_at: datetime
    to_at: datetime


async def groups(reader: Reader, count: int) -> list[list[Wanted]]:
    """As many as asked for. Where possible no two lie at the same time, so that a patient may win several of them."""
    triples = await hammering.offered(reader, max(60, 3 * count))
    found = list((await offerings_now(reader, triples)).values())
    by_provider: dict[int, list[Wanted]] = defaultdict(list)
    times = OpenTimes(KnownSchedules())
    for first in range(0, len(found), 400):
        some = found[first : first + 400]
        by_triple = {(one.provider_key, one.clinic_key, one.visit_type.key): one for one, _ in some}
        begin = min(now for _, now in some).date()
        free = await times.free(
            reader, list(by_triple), begin, begin + timedelta(days=DAYS), binding=True, limit=STARTS_MAX
        )
        for triple, slots in free.items():
            by_provider[triple[0]].extend(_wanted(by_triple[triple], slot) for slot in slots)
    chosen = _chosen(by_provider, count)
    if len(chosen) < count:
        raise Refused(f"only {len(chosen)} groups of open times are to be had in the next {DAYS} days: ask for fewer")
    return chosen


def _wanted(offering: Offering, slot: Slot) -> Wanted:
    kind = offering.visit_type
    before, after = timedelta(minutes=kind.buffer_before_minutes), timedelta(minutes=kind.buffer_after_minutes)
    return Wanted(slot, slot.starts_at - before, slot.ends_at + after)


def _chosen(by_provider: dict[int, list[Wanted]], count: int) -> list[list[Wanted]]:
    apart: list[list[Wanted]] = []
    rest: list[list[Wanted]] = []
    spans: list[tuple[datetime, datetime]] = []
    for group in _one_after_the_other(by_provider):
        span = min(one.from_at for one in group), max(one.to_at for one in group)
        if any(span[0] < end and start < span[1] for start, end in spans):
            rest.append(group)
            continue
        apart.append(group)
        spans.append(span)
        if len(apart) == count:
            return apart
    return (apart + rest)[:count]


def _one_after_the_other(by_provider: dict[int, list[Wanted]]) -> Iterable[list[Wanted]]:
    """One group of each provider, then a second one of each, and so on."""
    left = {key: sorted(wanted, key=lambda one: one.slot.starts_at) for key, wanted in by_provider.items()}
    turn = 0
    while left:
        for key in list(left):
            wanted = left[key]
            if not wanted:
                del left[key]
                continue
            turn += 1
            middle = wanted[(7 * turn) % len(wanted)].slot
            at = middle.starts_at + (middle.ends_at - middle.starts_at) / 2
            group = [one for one in wanted if one.from_at <= at < one.to_at][:SLOTS_MAX]
            start, end = min(one.from_at for one in group), max(one.to_at for one in group)
            left[key] = [one for one in wanted if one.to_at <= start or one.from_at >= end]
            yield group
