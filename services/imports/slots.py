"""A SMART Scheduling Links publication: its locations become clinics, schedules pools, slots openings (rules 7, 41 to 43)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from adapters.postgres import imported_providers
from adapters.postgres.changes import now
from adapters.postgres.database import Database
from domain import feeds, imports, zones
from domain.clinics import ProviderKind
from domain.feeds import FeedLocation, FeedSchedule, FeedSlot
from domain.imports import Report, WantedProvider
from domain.tables import RefusedLine
from services.imports import clinics, openings, providers, publications
from services.imports.clinics import IMPORT_LOCK, Progress, SavedClinic, Sourced
from services.imports.openings import WantedOpening
from services.imports.publications import Line, Publication

Said = TypeVar("Said", FeedLocation, FeedSchedule)


@dataclass(frozen=True, slots=True)
class _Pool:
    """No keys: a dry run, and they are new."""

    key: int | None
    clinic_key: int | None
    zone: ZoneInfo


async def import_slots(
    database: Database,
    manifest: str,
    report: Report,
    *,
    offline: bool = False,
    shift_weeks: int = 0,
    dry_run: bool,
    progress: Progress,
) -> None:
    """`manifest` is a path or URL. Raises UnusableFile."""
    publication = await publications.read(manifest, report, offline=offline)
    places = await _save_clinics(database, publication, report, dry_run=dry_run)
    pools = await _save_pools(database, publication, places, report, dry_run=dry_run)
    wanted = _openings(publication, pools, manifest, shift_weeks, report)
    await openings.save(database, wanted, report, dry_run=dry_run, progress=progress)
    if publication.whole:
        keys = [pool.key for pool in pools.values() if pool.key is not None]
        await openings.withdraw(database, keys, {one.key for one in wanted}, report, dry_run=dry_run)
    weeks = feeds.past_only([one.ends_at for one in wanted], await now(database.primary))
    if weeks is not None:
        text = f"every opening is past; with --shift-weeks {weeks + shift_weeks} they lie ahead"
        report.warn(manifest, None, text)


async def _save_clinics(
    database: Database, publication: Publication, report: Report, *, dry_run: bool
) -> dict[str, SavedClinic]:
    """By the location's id."""
    sourced, ids = [], {}
    for one in _once(publication.locations, "Location", report):
        key = f"ssl:{publication.feed}#Location/{one.said.id}"
        try:
            row = imports.clinic_row(
                key,
                one.said.values,
                partial(report.warn, one.file, one.number),
                one.said.address_lines,
            )
        except RefusedLine as refusal:
            report.refuse(one.file, one.number, str(refusal))
            continue
        ids[key] = one.said.id
        sourced.append(Sourced(one.file, one.number, row))
    saved = await clinics.save(database, sourced, report, dry_run=dry_run, progress=lambda _done, _total: None)
    return {ids[key]: clinic for key, clinic in saved.items()}


async def _save_pools(
    database: Database, publication: Publication, places: dict[str, SavedClinic], report: Report, *, dry_run: bool
) -> dict[str, _Pool]:
    """By the schedule's id. A pool is named by its place."""
    lines = list(_once(publication.schedules, "Schedule", report))
    prefix = f"ssl:{publication.feed}#Schedule/"
    stored = await imported_providers.stored(database.primary, [prefix + one.said.id for one in lines])
    visit_types = await _save_visit_types(database, [one.said for one in lines], report, dry_run=dry_run)
    wanted, found = [], dict[str, _Pool]()
    for one in lines:
        place = places.get(one.said.location)
        if place is None:
            report.refuse(one.file, one.number, f"unknown Location/{one.said.location}")
            continue
        old = stored.get(prefix + one.said.id)
        if old is not None and old.clinics and place.key not in old.clinics:
            report.refuse(one.file, one.number, "the schedule has moved to another location: give it a new id")
            continue
        found[one.said.id] = _Pool(None, place.key, zones.named(place.row.time_zone))
        wanted.append(
            WantedProvider(
                identity=prefix + one.said.id,
                kind=ProviderKind.POOL,
                name=place.row.name,
                specialties=(),
                languages=(),
                clinics=frozenset({place.key}),
                visit_types=frozenset(visit_types.get(key) for key, _ in one.said.services),
            )
        )
    keys = await providers.save(database, wanted, "pools", report, dry_run=dry_run, progress=lambda _done, _total: None)
    return {name: replace(pool, key=keys.get(prefix + name)) for name, pool in found.items()}


async def _save_visit_types(
    database: Database, schedules: Sequence[FeedSchedule], report: Report, *, dry_run: bool
) -> dict[str, int]:
    names = {key: name for one in schedules for key, name in one.services}
    known = await imported_providers.visit_types(database.primary, list(names))
    missing = {key: name for key, name in names.items() if key not in known}
    report.count("visit types added", len(missing))
    if missing and not dry_run:
        async with database.locked(None, [IMPORT_LOCK]) as tx:
            await imported_providers.insert_visit_types(tx, missing)
        known = await imported_providers.visit_types(database.primary, list(names))
    return known


def _openings(
    publication: Publication, pools: dict[str, _Pool], manifest: str, weeks: int, report: Report
) -> list[WantedOpening]:
    lines: list[tuple[Line[FeedSlot], _Pool]] = []
    for one in publication.slots:
        pool = pools.get(one.said.schedule)
        if pool is None:
            report.refuse(one.file, one.number, f"unknown Schedule/{one.said.schedule}")
        else:
            lines.append((one, pool))
    reading = feeds.reading((one.said, pool.zone) for one, pool in lines)
    if reading.off is not None:
        text = f"every time is off its clinic's zone by {_hours(reading.off)}: read as the clinics' wall time"
        report.warn(manifest, None, text)
    elif reading.odd:
        report.warn(manifest, None, f"{reading.odd} times have an offset that is not their clinic's: taken as written")
    found: dict[tuple[str, datetime, datetime], WantedOpening] = {}
    for one, pool in lines:
        try:
            start, end = feeds.resolve(one.said, pool.zone, wall=reading.off is not None, weeks=weeks)
        except RefusedLine as refusal:
            report.refuse(one.file, one.number, str(refusal))
            continue
        said = one.said
        opening = WantedOpening(
            pool.key, pool.clinic_key, start, end, said.capacity, said.offered, one.file, one.number
        )
        earlier = found.get((said.schedule, start, end))
        if earlier is not None:
            report.count("openings repeated")
            if (earlier.capacity, earlier.offered) != (opening.capacity, opening.offered):
                report.warn(
                    one.file, one.number, f"differs from line {earlier.line} of the same opening: this one counts"
                )
        found[said.schedule, start, end] = opening
    return list(found.values())


def _once(lines: Sequence[Line[Said]], kind: str, report: Report) -> list[Line[Said]]:
    first: dict[str, Line[Said]] = {}
    for one in lines:
        earlier = first.setdefault(one.said.id, one)
        if earlier is not one:
            place = f"{earlier.file}:{earlier.number}"
            report.refuse(one.file, one.number, f"{kind}/{one.said.id} is already in {place}")
    return list(first.values())


def _hours(off: timedelta) -> str:
    minutes = round(off / timedelta(minutes=1))
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
