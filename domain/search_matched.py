"""Which words of a hit matched: shown with it, the same for every engine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain import folding, search, search_documents, search_terms
from domain.clinics import Clinic, Provider, VisitType
from domain.search import Part


@dataclass(frozen=True, slots=True)
class Hit:
    """What stands there. `visit_types`: the active ones, by name."""

    provider: Provider
    clinic: Clinic
    visit_types: Sequence[VisitType]


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of the hit, what is said where it matches, and the mark of its field."""

    label: str
    field: str
    words: tuple[str, ...]


def matched(
    parts: Iterable[Part], hit: Hit, synonyms: Mapping[str, Sequence[str]], language: Callable[[str], str]
) -> list[str]:
    """For each part of the text the best that matched: "name", "specialty: Dermatology", "language: Polish", "place: Boise" or
    "visit type: Video visit". `language` names a tag."""
    texts = list(_texts(hit, synonyms))
    found = [_best(part, hit, texts, language) for part in parts]
    return list(dict.fromkeys(one for one in found if one is not None))


def _texts(hit: Hit, synonyms: Mapping[str, Sequence[str]]) -> Iterator[_Text]:
    yield _Text("name", search_documents.NAME, folding.words(hit.provider.name))
    for name in hit.provider.specialties:
        words = folding.distinct(name, *synonyms.get(name, ()))
        yield _Text(f"specialty: {name}", search_documents.SPECIALTY_WORD, words)
    address = hit.clinic.address
    yield _Text(f"place: {address.city}", search_documents.PLACE, folding.words(address.city))
    for text in search_documents.place(hit.clinic):
        yield _Text(f"place: {text}", search_documents.PLACE, folding.words(text))
    for kind in hit.visit_types:
        yield _Text(f"visit type: {kind.name}", search_documents.VISIT, folding.words(kind.name))


def _best(part: Part, hit: Hit, texts: Sequence[_Text], language: Callable[[str], str]) -> str | None:
    """The label that gets most points, the first of several."""
    ways = [*_listed(part, hit, language), *_worded(part, texts)]
    if not ways and len(part.words) == 1 and not part.optional:
        ways = list(_misspelled(part.words[0], texts))
    return max(ways, key=lambda way: way[0])[1] if ways else None


def _listed(part: Part, hit: Hit, language: Callable[[str], str]) -> Iterator[tuple[int, str]]:
    for name in hit.provider.specialties:
        if name in part.specialties:
            yield search.SPECIALTY, f"specialty: {name}"
    for tag in hit.provider.languages:
        if not part.languages.isdisjoint(search_documents.spoken([tag])):
            yield search.LANGUAGE, f"language: {language(tag)}"
    for kind in hit.visit_types:
        if kind.modality in part.modalities:
            yield search.MODALITY, f"visit type: {kind.name}"


def _worded(part: Part, texts: Sequence[_Text]) -> Iterator[tuple[int, str]]:
    for text in texts:
        is_name = text.field == search_documents.NAME
        if all(word in text.words for word in part.words):
            alone = len(part.words) == 1
            exact = search_terms.EXACT[text.field]
            yield search_terms.exact(text.field, part.words[0]) if alone else exact, text.label
        elif is_name and not set(part.joined).isdisjoint(text.words):
            yield search.NAME_WORD, text.label
        elif _begins(part, text, is_name=is_name):
            yield search.NAME_BEGINNING if is_name else search.OTHER_BEGINNING, text.label


def _begins(part: Part, text: _Text, *, is_name: bool) -> bool:
    """Whether the part is one word, and the beginning of one of the text's."""
    asked = part.words[0]
    if part.optional:
        return is_name and search_terms.is_initial(part) and any(word.startswith(asked) for word in text.words)
    if len(part.words) > 1 or len(asked) < search.BEGINNING_MIN:
        return False
    return any(word.startswith(asked) for word in text.words)


def _misspelled(asked: str, texts: Sequence[_Text]) -> Iterator[tuple[int, str]]:
    for text in texts:
        worth = max((search_terms.worth(asked, text.field + word) for word in text.words), default=0)
        if worth:
            yield worth, text.label
