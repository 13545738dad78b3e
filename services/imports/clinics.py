"""Clinics from a CSV file; the feeds' locations and the providers' places are stored here too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from adapters.postgres import imported_clinics, imported_providers, locks
from adapters.postgres.database import Database
from adapters.postgres.imported_clinics import StoredClinic
from domain import imports
from domain.faults import Unavailable
from domain.imports import ClinicRow, Report
from domain.tables import RefusedLine
from services.imports import lines

Progress = Callable[[int, int], None]
IMPORT_LOCK: Final = locks.record("import", 0)  # one import writes at a time; bookings never wait for it
TRIES: Final = 3
CLINIC_ROWS: Final = 2  # the clinic, its outbox row


@dataclass(frozen=True, slots=True)
class Sourced:
    """A clinic and the line it stands on."""

    file: str
    line: int | None
    row: ClinicRow


@dataclass(frozen=True, slots=True)
class SavedClinic:
    """No key: a dry run, and the clinic is new."""

    key: int | None
    row: ClinicRow


@dataclass(slots=True)
class _Plan:
    new: list[ClinicRow]
    changed: list[ClinicRow]
    moved: list[tuple[int, ClinicRow]]  # to another zone
    kept: list[StoredClinic]
    refused: list[Sourced]


async def import_clinics(
    database: Database,
    data: bytes,
    file: str,
    report: Report,
    *,
    source: str = "",
    dry_run: bool,
    progress: Progress,
) -> None:
    """`source` tells files apart whose ids are not of one series. Raises UnusableFile."""
    sourced, seen = [], dict[str, int]()
    for record in lines.usable(data, file, imports.CLINIC_COLUMNS, imports.CLINIC_REQUIRED, report):
        try:
            row = _row(record.values, source, partial(report.warn, file, record.line))
            if row.source_key in seen:
                raise RefusedLine(f"id {record.values['id']!r} is already on line {seen[row.source_key]}")
        except RefusedLine as refusal:
            report.refuse(file, record.line, str(refusal))
            continue
        seen[row.source_key] = record.line
        sourced.append(Sourced(file, record.line, row))
    await save(database, sourced, report, dry_run=dry_run, progress=progress)


async def save(
    database: Database, clinics: Sequence[Sourced], report: Report, *, dry_run: bool, progress: Progress
) -> dict[str, SavedClinic]:
    """Stores what is new or changed, in batches; answers where each source key now is."""
    saved: dict[str, SavedClinic] = {}
    done = 0
    for batch in imports.batches(clinics, lambda _: CLINIC_ROWS):
        saved |= await _save_batch(database, batch, report, dry_run=dry_run)
        done += len(batch)
        progress(done, len(clinics))
    return saved


def _row(values: dict[str, str], source: str, warn: imports.Warn) -> ClinicRow:
    if not values["id"]:
        raise RefusedLine("the id is empty")
    row = imports.clinic_row("", values, warn)
    return replace(row, source_key=f"csv:{source}:{row.country}:{values['id']}")


async def _save_batch(
    database: Database, batch: Sequence[Sourced], report: Report, *, dry_run: bool
) -> dict[str, SavedClinic]:
    source_keys = [one.row.source_key for one in batch]
    stored = await imported_clinics.stored(database.primary, source_keys)
    plan = _plan(batch, stored)
    keys: dict[str, int] = {}
    if (plan.new or plan.changed) and not dry_run:
        touched = [locks.record("clinic", old.key) for old in stored.values()]
        async with database.locked(None, [IMPORT_LOCK, *touched]) as tx:
            stored = await imported_clinics.stored(tx, source_keys)
            plan = _plan(batch, stored)
            if plan.new:
                keys = await imported_clinics.insert(tx, plan.new)
            if plan.changed:
                await imported_clinics.update(tx, plan.changed)
    for key, row in plan.moved:
        if not dry_run:
            await _move(database, key, row)
    for one in plan.refused:
        report.refuse(one.file, one.line, "the id belongs to another clinic: name, street and postal code all differ")
    report.count("clinics added", len(plan.new))
    report.count("clinics changed", len(plan.changed) + len(plan.moved))
    report.count("clinics unchanged", len(plan.kept))
    return {
        **{row.source_key: SavedClinic(keys.get(row.source_key), row) for row in plan.new},
        **{row.source_key: SavedClinic(stored[row.source_key].key, row) for row in plan.changed},
        **{row.source_key: SavedClinic(key, row) for key, row in plan.moved},
        **{one.row.source_key: SavedClinic(one.key, one.row) for one in plan.kept},
    }


def _plan(batch: Sequence[Sourced], stored: dict[str, StoredClinic]) -> _Plan:
    plan = _Plan([], [], [], [], [])
    for one in batch:
        old = stored.get(one.row.source_key)
        if old is None:
            plan.new.append(one.row)
            continue
        if one.row.another_than(old.row):
            plan.refused.append(one)
            continue
        row = one.row.over(old.row)
        if row == old.row:
            plan.kept.append(old)
        elif row.time_zone == old.row.time_zone:
            plan.changed.append(row)
        else:
            plan.moved.append((old.key, row))
    return plan


async def _move(database: Database, key: int, row: ClinicRow) -> None:
    """Another zone moves all hours there: the calendars of all who work there change with it, in one transaction."""
    for _ in range(TRIES):
        providers = await imported_clinics.resources(database.primary, key)
        locked = [IMPORT_LOCK, locks.record("clinic", key), *map(locks.resource, providers)]
        async with database.locked(None, locked) as tx:
            if not set(await imported_clinics.resources(tx, key)) <= set(providers):
                continue
            await imported_clinics.update(tx, [row])
            await imported_providers.raise_versions(tx, providers)
            return
    raise Unavailable(f"the providers of {row.name} keep changing")
