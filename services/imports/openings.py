"""Writes a feed's openings: new ones, changed ones, and those that take no new booking any more (rule 42)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.postgres import imported_openings, locks, opened
from adapters.postgres.database import Database
from adapters.postgres.imported_openings import NewOpening, OpeningKey, StoredOpening
from domain import imports
from domain.faults import Unavailable
from domain.imports import Report
from services.imports.clinics import IMPORT_LOCK, TRIES, Progress

OPENING_ROWS: Final = 4  # the opening, its resource, its outbox row, and a note for the waitlist


@dataclass(frozen=True, slots=True)
class WantedOpening:
    """As the feed has it. No pool key: a dry run, and the pool is new. No capacity: gone from the feed."""

    pool_key: int | None
    clinic_key: int | None
    starts_at: datetime
    ends_at: datetime
    capacity: int | None
    offered: bool
    file: str
    line: int | None

    @property
    def key(self) -> OpeningKey:
        return self.pool_key or 0, self.starts_at, self.ends_at


@dataclass(slots=True)
class _Plan:
    new: list[WantedOpening]
    changed: list[tuple[int, int, bool]]
    kept: int
    short: list[tuple[WantedOpening, StoredOpening]]  # more is booked than the feed has room for


async def save(
    database: Database, wanted: Sequence[WantedOpening], report: Report, *, dry_run: bool, progress: Progress
) -> None:
    done = 0
    for batch in imports.batches(wanted, lambda _: OPENING_ROWS):
        plan = await _save_batch(database, batch, dry_run=dry_run)
        for one, old in plan.short:
            text = f"capacity {one.capacity} is less than the {old.taken} booked: kept at {old.taken}"
            report.warn(one.file, one.line, text)
        report.count("openings added", len(plan.new))
        report.count("openings changed", len(plan.changed))
        report.count("openings unchanged", plan.kept)
        done += len(batch)
        progress(done, len(wanted))


async def withdraw(
    database: Database, pool_keys: Sequence[int], present: set[OpeningKey], report: Report, *, dry_run: bool
) -> None:
    """What these pools still offer and the feed no longer names takes no new booking; what is booked stays."""
    ahead = await imported_openings.offered_ahead(database.primary, pool_keys)
    gone = [
        WantedOpening(pool_key, None, starts_at, ends_at, None, False, "", None)
        for pool_key, starts_at, ends_at in ahead
        if (pool_key, starts_at, ends_at) not in present
    ]
    for batch in imports.batches(gone, lambda _: OPENING_ROWS):
        plan = await _save_batch(database, batch, dry_run=dry_run)
        report.count("openings withdrawn", len(plan.changed))


async def _save_batch(database: Database, batch: Sequence[WantedOpening], *, dry_run: bool) -> _Plan:
    keys = [one.key for one in batch]
    stored = await imported_openings.stored(database.primary, keys)
    plan = _plan(batch, stored)
    if dry_run or not (plan.new or plan.changed):
        return plan
    for _ in range(TRIES):
        locked = {old.key for old in stored.values()}
        async with database.locked(None, [IMPORT_LOCK, *map(locks.resource, locked)]) as tx:
            stored = await imported_openings.stored(tx, keys)
            if not {old.key for old in stored.values()} <= locked:
                continue
            plan = _plan(batch, stored)
            came = []
            if plan.new:
                new = await imported_openings.insert(tx, [_new(one) for one in plan.new])
                came += [(key, one.capacity or 0) for key, one in zip(new, plan.new, strict=True)]
            if plan.changed:
                await imported_openings.change(tx, plan.changed)
                came += _more_room(plan.changed, stored)
            await opened.add_openings(tx, came)
            return plan
    raise Unavailable("these openings keep changing")


def _plan(batch: Sequence[WantedOpening], stored: Mapping[OpeningKey, StoredOpening]) -> _Plan:
    plan = _Plan([], [], 0, [])
    for one in batch:
        old = stored.get(one.key)
        if old is None:
            plan.new.append(one)
            continue
        capacity = old.capacity if one.capacity is None else max(one.capacity, old.taken)
        if one.capacity is not None and one.offered and one.capacity < old.taken:
            plan.short.append((one, old))
        if (capacity, one.offered) == (old.capacity, old.offered):
            plan.kept += 1
        else:
            plan.changed.append((old.key, capacity, one.offered))
    return plan


def _more_room(
    changed: Sequence[tuple[int, int, bool]], stored: Mapping[OpeningKey, StoredOpening]
) -> list[tuple[int, int]]:
    """(opening, free places more than before); those that are not offered count as none."""
    before = {old.key: old for old in stored.values()}
    found = []
    for key, capacity, offered in changed:
        old = before[key]
        had = old.capacity - old.taken if old.offered else 0
        found.append((key, capacity - old.taken - had if offered else 0))
    return found


def _new(one: WantedOpening) -> NewOpening:
    assert one.pool_key is not None
    assert one.clinic_key is not None
    assert one.capacity is not None
    return NewOpening(one.pool_key, one.clinic_key, one.starts_at, one.ends_at, one.capacity, one.offered)
