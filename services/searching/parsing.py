"""What a text asks for: phrases that stand for something, longest first, and words; what says nothing falls away."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from domain import folding
from domain.search import Part
from services.searching import synonyms
from services.searching.synonyms import Meaning

# Words that say nothing where another does: "a doctor near me who speaks Polish".
NOISE: Final = frozenset(
    folding.words(
        "a an and any appointment are at available book by can care clinic clinics close dr doctor doctors find for from "
        "get good i in is looking me my near nearby need new next of offer offers on open or patient patients "
        "physician physicians please practice practitioner provider providers see soon speak speaking speaks specialist "
        "specialists specialty take taking that the to today treat treats visit want week who with"
    )
)

# What stands beside names and is in few of them, if it isn't a state: MD, DC.
TITLES: Final = frozenset(
    folding.words("md do dc od dds dmd dpm dvm pharmd psyd phd edd msn mph mba jr sr ii iii iv esq facp facs faap")
)
STATES: Final = frozenset({"in", "me", "or"})  # At the end, after a word that says something: "Portland, ME".
JOINED_MAX: Final = 3


def prepare() -> None:
    """Reads the phrases, half a second's work, before the first text comes."""
    synonyms.longest()


def parts(text: str) -> tuple[Part, ...]:
    """Each must match. None: the text asks for nothing."""
    found = list(_phrases(folding.words(text)))
    if len(found) > 1 and found[-1][0].words[0] in STATES and not found[-2][1]:
        found[-1] = Part(found[-1][0].words, optional=True), False
    telling = [part for part, noise in found if not noise]
    if all(part.optional for part in telling):
        telling = [replace(part, optional=False) for part, _ in found]
    return tuple(_beside(list(dict.fromkeys(telling))))


def _beside(parts: Sequence[Part]) -> list[Part]:
    """Single words with what they make together with their neighbours: one name may be kept as one word."""
    names = ["" if part.words[0] in TITLES or _stands(part) else part.words[0] for part in parts]
    joined: list[list[str]] = [[] for _ in parts]
    for first in range(len(names)):
        for end in range(first + 2, min(first + JOINED_MAX, len(names)) + 1):
            if all(names[first:end]):
                for at in range(first, end):
                    joined[at].append("".join(names[first:end])[: folding.WORD_MAX])
    return [replace(part, joined=tuple(words)) for part, words in zip(parts, joined, strict=True)]


def _stands(part: Part) -> bool:
    return bool(part.specialties or part.languages or part.modalities)


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
        (word,) = phrase
        return Part(phrase, optional=word in TITLES or (len(word) == 1 and word.isascii() and word.isalpha()))
    return Part(phrase, frozenset(meaning.specialties), frozenset(meaning.languages), frozenset(meaning.modalities))
