"""What a text asks for: phrases that stand for something, longest first, and words; what says nothing falls away."""

from collections.abc import Iterator
from typing import Final

from domain import folding
from domain.search import Part
from services.searching import synonyms
from services.searching.synonyms import Meaning

# Words that say nothing where another does: "a doctor near me who speaks Polish".
NOISE: Final = frozenset(
    folding.words(
        "a an and any appointment are at available book by can care clinic clinics close dr doctor doctors find for from "
        "get good i in is looking md me my near nearby need new next of offer offers on open or patient patients "
        "physician physicians please practice practitioner provider providers see soon speak speaking speaks specialist "
        "specialists specialty take taking that the to today treat treats visit want week who with"
    )
)


def prepare() -> None:
    """Reads the phrases, half a second's work, before the first text comes."""
    synonyms.longest()


def parts(text: str) -> tuple[Part, ...]:
    """Each must match. None: the text asks for nothing."""
    found = list(_phrases(folding.words(text)))
    telling = [part for part, noise in found if not noise]
    return tuple(dict.fromkeys(telling or [part for part, _ in found]))


def _phrases(words: tuple[str, ...]) -> Iterator[tuple[Part, bool]]:
    at = 0
    while at < len(words):
        for count in range(min(synonyms.longest(), len(words) - at), 0, -1):
            phrase = words[at : at + count]
            meaning = _meaning(phrase)
            if meaning is not None or count == 1:
                break
        yield _part(phrase, meaning), meaning is None and phrase[0] in NOISE
        at += count


def _meaning(phrase: tuple[str, ...]) -> Meaning | None:
    """Of the phrase as it is, or of its singular: "skin doctors"."""
    known = synonyms.meanings()
    found = known.get(phrase)
    if found is None and len(phrase[-1]) > 3 and phrase[-1].endswith("s"):
        found = known.get((*phrase[:-1], phrase[-1][:-1]))
    return found


def _part(phrase: tuple[str, ...], meaning: Meaning | None) -> Part:
    if meaning is None:
        return Part(phrase)
    return Part(phrase, frozenset(meaning.specialties), frozenset(meaning.languages), frozenset(meaning.modalities))
