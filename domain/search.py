"""What a search asks for and what is searched: one document for each provider at each clinic (rules 52 to 58)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Final

from domain.clinics import GeoPoint, Modality

Pair = tuple[int, int]  # Keys of a provider and of a clinic.
TEXT_MAX: Final = 200
FACET_VALUES_MAX: Final = 50
PAIRS_MAX: Final = 10_000  # Candidates that the calendar looks through; more are cut, the best first.

# Points that a part of the text gets for the best of its ways to match; both engines count the same. A phrase matches by its words
# only where one field has all of them, exactly.
NAME_WORD: Final = 12
SPECIALTY: Final = 10  # One that the part stands for.
NAME_BEGINNING: Final = 9
SPECIALTY_WORD: Final = 7
LANGUAGE: Final = 6
MODALITY: Final = 6
PLACE_WORD: Final = 6
PLACE_CODE: Final = 10  # A place word of two letters: GA is Georgia before it is the beginning of Gary.
VISIT_WORD: Final = 6
OTHER_BEGINNING: Final = 5
NAME_NEAR: Final = 4  # One letter wrong, missing or too many, or two neighbours exchanged.
OTHER_NEAR: Final = 3
FAR: Final = 2  # Two such mistakes.

BEGINNING_MIN: Final = 2  # Letters that the beginning of a word has.
NEAR_MIN: Final = 4  # Letters of a word that may have one mistake. A word with a digit in it may have none.
FAR_MIN: Final = 8  # Letters of a word that may have two.


class Sort(Enum):
    BEST = "best"
    DISTANCE = "distance"
    SOONEST = "soonest"
    NAME = "name"


class FacetField(Enum):
    SPECIALTY = "specialty"
    LANGUAGE = "language"
    CLINIC = "clinic"
    MODALITY = "modality"


@dataclass(frozen=True, slots=True)
class Part:
    """A word of the text, or a phrase that stands for specialties, languages or kinds of visit. Each part must match.

    `words` are folded. It matches where all its words match words of the document, or one of the lists names one of the document's.
    `languages` are without region and script: they are looked for in `spoken`. `joined`: what its word makes with its neighbours,
    for names that are kept as one word: "Mc Donald". `optional`: one that only adds points, like an initial or "MD"; it matches as
    it is, or as the initial of a name.
    """

    words: tuple[str, ...]
    specialties: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    modalities: frozenset[Modality] = frozenset()
    joined: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checked filter: absent is None or empty. Keys of what does not exist are 0, so that nothing is found.

    `parts` are not all optional. `opens`: first and last clinic date between which there must be an open time. `visit_modality` is
    that of `visit_type`: with it, every document has that modality alone.
    """

    parts: tuple[Part, ...] = ()
    visit_type: int | None = None
    visit_modality: Modality | None = None
    specialties: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    clinics: tuple[int, ...] = ()
    near: GeoPoint | None = None
    within_km: float | None = None
    accepting: bool = False
    modality: Modality | None = None
    opens: tuple[date, date] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A provider at a clinic, as it is searched. `seq` is the clinic's place in its stream that it is at least as new as.

    All words are folded. `listed`: both are active and the provider works there; others are kept, so that no late writer brings
    them back. `next_days`: the first clinic date with an open time, by visit type: a hint, never shown. `spoken` are the languages
    without region and script.
    """

    provider_key: int
    clinic_key: int
    seq: int
    listed: bool
    name: str
    sort_name: str
    name_words: tuple[str, ...]
    specialties: tuple[str, ...]
    specialty_words: tuple[str, ...]
    languages: tuple[str, ...]
    spoken: tuple[str, ...]
    clinic_name: str
    place_words: tuple[str, ...]
    visit_words: tuple[str, ...]
    visit_types: tuple[int, ...]
    modalities: tuple[Modality, ...]
    accepting: bool
    location: GeoPoint | None
    next_days: Mapping[int, date] = field(default_factory=dict)

    @property
    def pair(self) -> Pair:
        return self.provider_key, self.clinic_key


@dataclass(frozen=True, slots=True)
class Match:
    """A document that fits. `score`: whole points of the text, 0 without one; `place`: what it is sorted by (search_order)."""

    pair: Pair
    score: int
    place: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One page, in order, of `total` matches, with each facet counted under all filters but its own: clinics by their key as text,
    modalities by their code; the largest first, where equal by value, at most FACET_VALUES_MAX."""

    matches: Sequence[Match]
    total: int
    facets: Mapping[FacetField, Sequence[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A match before the filters that are facets, with what those ask: the calendar decides the rest.

    `next_day`: the next open one by the hint, of the visit type asked for.
    """

    pair: Pair
    score: int
    sort_name: str
    specialties: tuple[str, ...]
    languages: tuple[str, ...]
    visit_types: tuple[int, ...]
    modalities: tuple[Modality, ...]
    location: GeoPoint | None
    next_day: date | None = None
