"""By which terms of documents a part of the text may match, and how much each way is worth."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from domain import folding, search
from domain.clinics import Modality
from domain.search import Part
from domain.search_documents import (
    MODALITY,
    NAME,
    PLACE,
    SPECIALTY,
    SPECIALTY_WORD,
    SPOKEN,
    VISIT,
    WORD_FIELDS,
)

EXACT: Final = {
    NAME: search.NAME_WORD,
    SPECIALTY_WORD: search.SPECIALTY_WORD,
    PLACE: search.PLACE_WORD,
    VISIT: search.VISIT_WORD,
}


@dataclass(frozen=True, slots=True)
class Way:
    """A document has any of `terms`, or with `phrase` all of them: then the part matches, for so many points."""

    part: int
    points: int
    terms: tuple[str, ...]
    phrase: bool = False


def is_initial(part: Part) -> bool:
    """It is the beginning of any name word with that letter."""
    return part.optional and len(part.words) == 1 and len(part.words[0]) == 1


def exact(field: str, word: str) -> int:
    """Points of a word that is the same."""
    return search.PLACE_CODE if field == PLACE and len(word) == 2 else EXACT[field]


def beginnings(parts: Sequence[Part]) -> list[str]:
    """What terms begin with that single words may mean."""
    words = [field + word for word in _single(parts) if len(word) >= search.BEGINNING_MIN for field in WORD_FIELDS]
    return [*words, *(NAME + part.words[0] for part in parts if is_initial(part))]


def spellings(parts: Iterable[Part]) -> list[str]:
    """What the words that may be spelled wrong share with those that they may stand for."""
    return [one for word in _single(parts) if mistakes(word) for one in folding.deletions(word)]


def mistakes(word: str) -> int:
    """How many a word may have."""
    if len(word) < search.NEAR_MIN or not word.isalpha():
        return 0
    return 2 if len(word) >= search.FAR_MIN else 1


def ways(parts: Sequence[Part], known: Iterable[str], visit_modality: Modality | None = None) -> list[Way]:
    """`known`: the terms that begin like a word of the text or may be spelled like one. `visit_modality`: the only one that
    counts."""
    found: list[Way] = []
    terms = list(known)
    for number, part in enumerate(parts):
        points: dict[int, list[str]] = defaultdict(list)
        points[search.SPECIALTY] += [SPECIALTY + one for one in sorted(part.specialties)]
        points[search.LANGUAGE] += [SPOKEN + one for one in sorted(part.languages)]
        points[search.MODALITY] += [
            MODALITY + one.value for one in Modality if one in part.modalities and visit_modality in (None, one)
        ]
        points[search.NAME_WORD] += [NAME + word for word in part.joined]
        if part.optional:
            for field in WORD_FIELDS:
                points[exact(field, part.words[0])].append(field + part.words[0])
            if is_initial(part):
                points[search.NAME_BEGINNING] += [term for term in terms if term.startswith(NAME + part.words[0])]
        elif len(part.words) == 1:
            for term in dict.fromkeys([*(field + part.words[0] for field in WORD_FIELDS), *terms]):
                if value := worth(part.words[0], term):
                    points[value].append(term)
        else:
            found += [
                Way(number, value, tuple(field + word for word in part.words), phrase=True)
                for field, value in EXACT.items()
            ]
        found += [Way(number, value, tuple(some)) for value, some in points.items() if some]
    return found


def worth(asked: str, term: str) -> int:
    """Points of a word that was asked for where a document has this term; 0 where they have nothing in common."""
    field, word = term[:2], term[2:]
    if field not in EXACT:
        return 0
    if word == asked:
        return exact(field, word)
    if len(asked) >= search.BEGINNING_MIN and word.startswith(asked):
        return search.NAME_BEGINNING if field == NAME else search.OTHER_BEGINNING
    most = mistakes(asked)
    if not most or not word.isalpha():
        return 0
    wrong = folding.distance(asked, word, most)
    if wrong > most:
        return 0
    if wrong == 2:
        return search.FAR
    return search.NAME_NEAR if field == NAME else search.OTHER_NEAR


def _single(parts: Iterable[Part]) -> list[str]:
    return list(dict.fromkeys(part.words[0] for part in parts if len(part.words) == 1 and not part.optional))
