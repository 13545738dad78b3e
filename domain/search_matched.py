"""Which words of a hit matched: shown with it, the same for every engine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from domain import folding, search, search_documents, search_terms
from domain.clinics import Clinic, Provider, VisitType
from domain.search import Part


@dataclass(frozen=True, slots=True)
class Hit:
    """What stands there. `visit_types`: the active ones, by name."""

    provider: Provider
    clinic: Clinic
    visit_types: Sequence[VisitType]


@dataclass(frozen=True, slots=True, eq=False)
class _Text:
    """A text of the hit, what is said where it matches, and the mark of its field."""

    label: str
    field: str
    words: frozenset[str]


def matched(
    parts: Iterable[Part], hit: Hit, synonyms: Mapping[str, Sequence[str]], language: Callable[[str], str]
) -> list[str]:
    """For each part of the text the best that matched: "name", "specialty: Dermatology", "language: Polish", "place: Boise" or
    "visit type: Video visit". `language` names a tag."""
    texts = list(_texts(hit, synonyms))
    found = [_best(part, hit, texts, language) for part in parts]
    return list(dict.fromkeys(one for one in found if one is not None))


def _texts(hit: Hit, synonyms: Mapping[str, Sequence[str]]) -> Iterator[_Text]:
    yield _text("name", search_documents.NAME, hit.provider.name)
    for name in hit.provider.specialties:
        yield _text(f"specialty: {name}", search_documents.SPECIALTY_WORD, name, *synonyms.get(name, ()))
    city = hit.clinic.address.city
    yield _text(f"place: {city}", search_documents.PLACE, city)
    for text in search_documents.place(hit.clinic):
        yield _text(f"place: {text}", search_documents.PLACE, text)
    for kind in hit.visit_types:
        yield _text(f"visit type: {kind.name}", search_documents.VISIT, kind.name)


# Hits of one search, and of the next one as somebody types, have most texts in common.
@lru_cache(maxsize=16_384)
def _text(label: str, field: str, *texts: str) -> _Text:
    return _Text(label, field, frozenset(folding.distinct(*texts)))


def _best(part: Part, hit: Hit, texts: Sequence[_Text], language: Callable[[str], str]) -> str | None:
    """The label that gets most points, the first of several."""
    ways = [*_listed(part, hit, language), *((_worth(part, text), text.label) for text in texts)]
    points, label = max(ways, key=_points)
    if not points and len(part.words) == 1 and not part.optional:
        points, label = max(((_misspelled(part.words[0], text), text.label) for text in texts), key=_points)
    return label if points else None


def _points(way: tuple[int, str]) -> int:
    return way[0]


def _listed(part: Part, hit: Hit, language: Callable[[str], str]) -> Iterator[tuple[int, str]]:
    for name in hit.provider.specialties:
        if name in part.specialties:
            yield search.SPECIALTY, f"specialty: {name}"
    for tag in hit.provider.languages if part.languages else ():
        if not part.languages.isdisjoint(search_documents.spoken([tag])):
            yield search.LANGUAGE, f"language: {language(tag)}"
    for kind in hit.visit_types if part.modalities else ():
        if kind.modality in part.modalities:
            yield search.MODALITY, f"visit type: {kind.name}"


@lru_cache(maxsize=65_536)
def _worth(part: Part, text: _Text) -> int:
    """Points for words that stand there, or for one that begins one of the text's; else 0."""
    is_name = text.field == search_documents.NAME
    if text.words.issuperset(part.words):
        alone = len(part.words) == 1
        return search_terms.exact(text.field, part.words[0]) if alone else search_terms.EXACT[text.field]
    if is_name and not text.words.isdisjoint(part.joined):
        return search.NAME_WORD
    if _begins(part, text, is_name=is_name):
        return search.NAME_BEGINNING if is_name else search.OTHER_BEGINNING
    return 0


def _begins(part: Part, text: _Text, *, is_name: bool) -> bool:
    """Whether the part is one word, and the beginning of one of the text's."""
    asked = part.words[0]
    if part.optional:
        return is_name and search_terms.is_initial(part) and any(word.startswith(asked) for word in text.words)
    if len(part.words) > 1 or len(asked) < search.BEGINNING_MIN:
        return False
    return any(word.startswith(asked) for word in text.words)


@lru_cache(maxsize=65_536)
def _misspelled(asked: str, text: _Text) -> int:
    return max((search_terms.worth(asked, text.field + word) for word in text.words), default=0)
