"""Providers and the places where they practise, from CSV files of the shape of the CMS registers."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import resources

from adapters.postgres import changes, imported_clinics, imported_providers, locks, opened
from adapters.postgres.database import Connection, Database
from adapters.postgres.imported_providers import StoredProvider
from domain import imports
from domain.clinics import ProviderKind
from domain.faults import Unavailable
from domain.imports import Addresses, Place, ProviderRow, Report, WantedProvider
from domain.tables import RefusedLine
from services import coming_up
from services.imports import clinics, lines
from services.imports.clinics import IMPORT_LOCK, TRIES, Progress, Sourced


@dataclass(slots=True)
class _Person:
    row: ProviderRow
    line: int
    places: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Mention:
    """A line that names a place. A provider's own line is imported without it, a line of the places file is refused."""

    file: str
    line: int
    place: Place
    own: bool


@cache
def specialty_names() -> Mapping[str, str]:
    """The crosswalk from CMS to NUCC names, by `imports.specialty_key`."""
    text = resources.files(__package__).joinpath("specialties.csv").read_text("utf-8")
    return {imports.specialty_key(row["cms"]): row["nucc"] for row in csv.DictReader(text.splitlines())}


async def import_providers(
    database: Database,
    data: bytes,
    file: str,
    report: Report,
    *,
    places: tuple[bytes, str] | None = None,
    create_places: bool = False,
    dry_run: bool,
    progress: Progress,
) -> None:
    """`places` are the contents and name of the second file. Raises UnusableFile."""
    mentions: list[_Mention] = []
    people = _read_people(data, file, report, mentions)
    if places is not None:
        _read_places(*places, people, report, mentions)
    found = await _find_clinics(database, mentions, report, create_places=create_places, dry_run=dry_run)
    wanted = [
        WantedProvider(
            identity=number,
            kind=ProviderKind.PERSON,
            name=person.row.name,
            specialties=person.row.specialties,
            languages=person.row.languages,
            clinics=frozenset(found[key] for key in person.places if key in found),
        )
        for number, person in people.items()
    ]
    await save(database, wanted, "providers", report, dry_run=dry_run, progress=progress)


async def save(
    database: Database,
    wanted: Sequence[WantedProvider],
    what: str,
    report: Report,
    *,
    dry_run: bool,
    progress: Progress,
) -> dict[str, int]:
    """Stores what is new or changed, in batches; answers the keys by identity. `what` is the word in the summary."""
    keys: dict[str, int] = {}
    done = 0
    for batch in imports.batches(wanted, lambda one: one.rows):
        keys |= await _save_batch(database, batch, what, report, dry_run=dry_run)
        done += len(batch)
        progress(done, len(wanted))
    return keys


def _read_people(data: bytes, file: str, report: Report, mentions: list[_Mention]) -> dict[str, _Person]:
    people: dict[str, _Person] = {}
    for record in lines.usable(data, file, imports.PROVIDER_COLUMNS, imports.PROVIDER_REQUIRED, report):
        try:
            row = imports.provider_row(
                record.values,
                specialty_names(),
                partial(report.warn, file, record.line),
            )
            if row.npi in people:
                raise RefusedLine(f"NPI {row.npi} is already on line {people[row.npi].line}")
        except RefusedLine as refusal:
            report.refuse(file, record.line, str(refusal))
            continue
        person = people[row.npi] = _Person(row, record.line)
        place = imports.place_row(record.values)
        if place is not None:
            person.places.add(place.key)
            mentions.append(_Mention(file, record.line, place, own=True))
    return people


def _read_places(data: bytes, file: str, people: dict[str, _Person], report: Report, mentions: list[_Mention]) -> None:
    for record in lines.usable(data, file, imports.PLACE_COLUMNS, imports.PLACE_REQUIRED, report):
        number = record.values["npi"]
        person = people.get(number)
        if person is None:
            report.refuse(file, record.line, f"NPI {number!r} is not in the providers' file")
            continue
        if not person.row.specialties:
            found = imports.specialties(record.values.get("specialty", ""), specialty_names(), lambda _: None)
            person.row = replace(person.row, specialties=found)
        place = imports.place_row(record.values)
        if place is None:
            report.refuse(file, record.line, "no street address: place skipped")
            continue
        person.places.add(place.key)
        mentions.append(_Mention(file, record.line, place, own=False))


async def _find_clinics(
    database: Database, mentions: Sequence[_Mention], report: Report, *, create_places: bool, dry_run: bool
) -> dict[tuple[str, str], int | None]:
    """Clinics of the places by key (None: one that a dry run would make); the others are reported (rule 44)."""
    zips = {mention.place.zip5 for mention in mentions}
    known = Addresses(await imported_clinics.addresses(database.primary, zips))
    found: dict[tuple[str, str], int | None] = {}
    unknown: dict[tuple[str, str], list[_Mention]] = defaultdict(list)
    for mention in mentions:
        matches = known.find(mention.place)
        if len(matches) == 1:
            found[mention.place.key] = matches[0]
        else:
            unknown[mention.place.key].append(mention)
    reasons = dict.fromkeys(unknown, "no clinic there")
    for key, of_place in unknown.items():
        if known.find(of_place[0].place):
            reasons[key] = "several clinics there"
    if create_places:
        fresh = [of_place[0] for key, of_place in unknown.items() if reasons[key] == "no clinic there"]
        found |= await _create(database, fresh, reasons, report, dry_run=dry_run)
    _report_unknown(unknown, found, reasons, report)
    return found


async def _create(
    database: Database, fresh: Iterable[_Mention], reasons: dict[tuple[str, str], str], report: Report, *, dry_run: bool
) -> dict[tuple[str, str], int | None]:
    sourced, keys = [], {}
    for mention in fresh:
        try:
            row = imports.clinic_of_place(mention.place)
        except RefusedLine as refusal:
            reasons[mention.place.key] = str(refusal)
            continue
        sourced.append(Sourced(mention.file, mention.line, row))
        keys[row.source_key] = mention.place.key
    saved = await clinics.save(database, sourced, report, dry_run=dry_run, progress=lambda _done, _total: None)
    return {keys[source_key]: clinic.key for source_key, clinic in saved.items()}


def _report_unknown(
    unknown: Mapping[tuple[str, str], Sequence[_Mention]],
    found: Mapping[tuple[str, str], int | None],
    reasons: Mapping[tuple[str, str], str],
    report: Report,
) -> None:
    """Lines of the places file one by one; the providers' own addresses, whose lines are in, as one warning."""
    own: list[_Mention] = []
    found_nowhere = [mention for key, of_place in unknown.items() if key not in found for mention in of_place]
    for mention in sorted(found_nowhere, key=lambda mention: (mention.file, mention.line)):
        if mention.own:
            own.append(mention)
            continue
        place = mention.place
        report.refuse(mention.file, mention.line, f"{place.address}, {place.zip5}: {reasons[place.key]}: place skipped")
    if own:
        first = own[0]
        text = f"{len(own)} practice addresses are no clinic yet and are skipped, the first on line {first.line}"
        report.warn(first.file, None, text)


async def _save_batch(
    database: Database, batch: Sequence[WantedProvider], what: str, report: Report, *, dry_run: bool
) -> dict[str, int]:
    identities = [one.identity for one in batch]
    stored = await imported_providers.stored(database.primary, identities)
    new, changed = _plan(batch, stored)
    keys = {identity: old.key for identity, old in stored.items()}
    if (new or changed) and not dry_run:
        keys |= await _write(database, batch, identities, stored)
    report.count(f"{what} added", len(new))
    report.count(f"{what} changed", len(changed))
    report.count(f"{what} unchanged", len(batch) - len(new) - len(changed))
    return keys


async def _write(
    database: Database, batch: Sequence[WantedProvider], identities: Sequence[str], stored: dict[str, StoredProvider]
) -> dict[str, int]:
    places = {key for one in batch for key in one.clinics if key is not None}
    for _ in range(TRIES):
        locked = {old.key for old in stored.values()}
        keys = [*map(locks.resource, locked), *(locks.record("clinic", key) for key in places)]
        async with database.locked(None, [IMPORT_LOCK, *keys]) as tx:
            stored = await imported_providers.stored(tx, identities)
            if {old.key for old in stored.values()} <= locked:
                return await _write_locked(tx, *_plan(batch, stored))
    raise Unavailable("these providers keep changing")


async def _write_locked(
    tx: Connection, new: Sequence[WantedProvider], changed: Sequence[tuple[StoredProvider, WantedProvider]]
) -> dict[str, int]:
    keys = await imported_providers.insert(tx, new) if new else {}
    renamed = [_merged(old, one) for old, one in changed]
    renamed = [now for now, (old, _) in zip(renamed, changed, strict=True) if now != old]
    if renamed:
        await imported_providers.update(tx, renamed)
    known = [old.key for old, _ in changed]
    offered = await opened.waited_for(tx, known)
    owners = [(keys[one.identity], one) for one in new] + [(old.key, one) for old, one in changed]
    await imported_providers.link(
        tx,
        [(key, clinic) for key, one in owners for clinic in one.clinics if clinic is not None],
        [(key, visit_type) for key, one in owners for visit_type in one.visit_types if visit_type is not None],
    )
    await imported_providers.raise_versions(tx, [key for key, _ in owners])
    await coming_up.offers(tx, known, offered, await changes.now(tx))
    return keys


def _plan(
    batch: Sequence[WantedProvider], stored: Mapping[str, StoredProvider]
) -> tuple[list[WantedProvider], list[tuple[StoredProvider, WantedProvider]]]:
    new = [one for one in batch if one.identity not in stored]
    both = [(stored[one.identity], one) for one in batch if one.identity in stored]
    return new, [(old, one) for old, one in both if not _same(old, one)]


def _merged(old: StoredProvider, one: WantedProvider) -> StoredProvider:
    return replace(
        old, name=one.name, specialties=one.specialties or old.specialties, languages=one.languages or old.languages
    )


def _same(old: StoredProvider, one: WantedProvider) -> bool:
    return _merged(old, one) == old and one.clinics <= old.clinics and one.visit_types <= old.visit_types
