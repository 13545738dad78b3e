"""The register as it is imported, with what it lacks made up by seed: languages, who accepts, where clinics lie, open days."""

import csv
import io
import os
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Final

from adapters.postgres import clinics as catalog
from adapters.postgres.database import Database
from domain import search_documents
from domain.clinics import Clinic, GeoPoint, Provider
from domain.imports import Report
from domain.search import Document, Pair
from services.imports.providers import import_providers
from services.searching import synonyms

PEOPLE: Final = "providers/nppes_individuals_5000.csv"
PLACES: Final = "providers/cms_provider_locations_9685.csv"
SEED: Final = 6
LANGUAGES: Final = ("es", "pl", "zh", "vi", "ar", "ru", "fr", "pt-BR", "ko", "ase")
FIRST_DAY: Final = date(2030, 1, 7)
MADE_UP = """
INSERT INTO visit_types (name, duration_minutes, modality)
VALUES ('New patient', 45, 'in-person'), ('Follow-up', 15, 'in-person'), ('Video visit', 20, 'video'), ('Phone call', 10, 'phone')
"""
OFFERED = """
INSERT INTO provider_visit_types (provider_id, visit_type_id)
SELECT p.id, t.id FROM providers AS p CROSS JOIN visit_types AS t
WHERE t.name = 'Follow-up' OR (hashint8(p.id * 31 + t.id) & 1) = 0
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A line of the register's file."""

    key: int
    first: str
    last: str
    city: str
    state: str
    zip5: str
    specialties: tuple[str, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """`people` by the number of their line, the first of them 1. They are real: none of their names may stand in the project."""

    people: dict[int, Person]
    clinics: dict[int, Clinic]
    documents: dict[Pair, Document]
    languages: dict[int, tuple[str, ...]]


def folder() -> Path:
    return Path(os.environ["APPOINTMENTS_DATA"])


async def register(database: Database) -> Register:
    """Imported, and made into documents by the product's own code."""
    await _import(database)
    async with database.transaction() as tx:
        await tx.execute(MADE_UP)
        await tx.execute(OFFERED)
    reader = database.primary
    pairs: list[Pair] = [
        (row[0], row[1]) for row in await reader.fetch("SELECT provider_id, clinic_id FROM provider_clinics")
    ]
    providers = await catalog.providers(reader, sorted({one for one, _ in pairs}))
    clinics = await catalog.clinics(reader, sorted({two for _, two in pairs}))
    kinds = await catalog.visit_types(reader, [row[0] for row in await reader.fetch("SELECT id FROM visit_types")])
    random = Random(SEED)
    providers = {key: _spoken(random, one) for key, one in sorted(providers.items())}
    clinics = {key: _located(random, one) for key, one in sorted(clinics.items())}
    documents = {}
    for pair in sorted(pairs):
        provider = providers[pair[0]]
        days = {key: FIRST_DAY + timedelta(random.randrange(20)) for key in kinds if random.random() < 0.8}
        documents[pair] = search_documents.document(
            provider,
            clinics[pair[1]],
            [kinds[key] for key in provider.visit_type_keys],
            synonyms.of_specialties(),
            days,
            1,
        )
    by_npi = {one.npi: one for one in providers.values()}
    people = {number: _person(row, by_npi[row["npi"]]) for number, row in _lines() if row["npi"] in by_npi}
    return Register(people, clinics, documents, {key: tuple(one.languages) for key, one in providers.items()})


async def _import(database: Database) -> None:
    report = Report(lambda _line: None)
    await import_providers(
        database,
        (folder() / PEOPLE).read_bytes(),
        PEOPLE,
        report,
        places=((folder() / PLACES).read_bytes(), PLACES),
        create_places=True,
        dry_run=False,
        progress=lambda _done, _of: None,
    )


def _lines() -> list[tuple[int, dict[str, str]]]:
    text = (folder() / PEOPLE).read_text("utf-8")
    return list(enumerate(csv.DictReader(io.StringIO(text)), 1))


def _person(row: dict[str, str], provider: Provider) -> Person:
    return Person(
        provider.key,
        row["first_name"],
        row["last_name"],
        row["city"],
        row["state"],
        row["zip5"],
        tuple(provider.specialties),
        tuple(provider.languages),
    )


def _spoken(random: Random, provider: Provider) -> Provider:
    """Most speak English, some something else beside it; eight of ten accept."""
    languages = ["en"] if random.random() < 0.9 else []
    languages += random.sample(LANGUAGES, random.choice((0, 0, 1, 1, 2)))
    return replace(provider, languages=languages, accepting_new_patients=random.random() < 0.8)


def _located(random: Random, clinic: Clinic) -> Clinic:
    """Somewhere in the country; a few nobody knows where."""
    if random.random() < 0.05:
        return replace(clinic, location=None)
    return replace(clinic, location=GeoPoint(random.uniform(26, 48), random.uniform(-122, -70)))
