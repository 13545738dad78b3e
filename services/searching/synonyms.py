"""Plain words for specialties, languages and kinds of visit: what a phrase of the text stands for."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

from domain import folding
from domain.clinics import Modality
from services.searching import languages

MODALITIES: Final = {
    Modality.VIDEO: (
        "video",
        "video visit",
        "video call",
        "telehealth",
        "telemedicine",
        "virtual",
        "virtual visit",
        "online",
    ),
    Modality.PHONE: ("phone", "phone call", "phone visit", "telephone", "by phone"),
    Modality.IN_PERSON: ("in person", "face to face"),
}


@dataclass(slots=True)
class Meaning:
    """What a folded phrase stands for; a word may stand for several specialties."""

    specialties: set[str] = field(default_factory=set)
    languages: set[str] = field(default_factory=set)
    modalities: set[Modality] = field(default_factory=set)


@cache
def of_specialties() -> Mapping[str, Sequence[str]]:
    """Our list: synonyms by specialty, as people write them."""
    text = resources.files(__package__).joinpath("synonyms.csv").read_text("utf-8")
    return {
        row["specialty"]: [one for one in row["synonyms"].split("|") if one]
        for row in csv.DictReader(text.splitlines())
    }


@cache
def meanings() -> Mapping[tuple[str, ...], Meaning]:
    """By folded words. Specialties that are not in our list stand for themselves by their words alone."""
    found: dict[tuple[str, ...], Meaning] = {}
    for specialty, synonyms in of_specialties().items():
        for text in (specialty, *synonyms):
            found.setdefault(folding.words(text), Meaning()).specialties.add(specialty)
    for language, names in languages.names().items():
        for text in names:
            found.setdefault(folding.words(text), Meaning()).languages.add(language)
    for modality, texts in MODALITIES.items():
        for text in texts:
            found.setdefault(folding.words(text), Meaning()).modalities.add(modality)
    found.pop((), None)
    return found


@cache
def longest() -> int:
    """Words of the longest phrase."""
    return max(map(len, meanings()))
