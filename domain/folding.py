"""Text as it is compared: without accents and case, cut into words; and how far one word is from another."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

WORD_MAX: Final = 40
# Letters that do not come apart into a plain one and a mark.
_LETTERS: Final = str.maketrans("øłđðħıŧɓɗƙə`´ʼʻ‘’", "olddhitbdke''''''") | str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", "ŋ": "ng"}
)
_INITIALS: Final = re.compile(r"(?<=\b\w)\.(?=\w\b)")
_MARKS: Final = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
# Letters and digits; in scripts of South and South-East Asia also the signs that stand with letters.
_LETTER: Final = r"(?:[^\W_]|[\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])"
_WORD: Final = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*")


def fold(text: str) -> str:
    """`text` without accents and case, compatibility forms made plain: "Ångström" and "ÅNGSTRÖM" are "angstrom"."""
    if text.isascii():
        return text.lower().replace("`", "'")
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS))
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFKD", plain)))


@lru_cache(maxsize=16_384)
def words(text: str) -> tuple[str, ...]:
    """The folded words in order, letters and digits alone: "O'Brien-Łoś, M.D." is obrien, los, md."""
    return tuple(found.replace("'", "")[:WORD_MAX] for found in _WORD.findall(_INITIALS.sub("", fold(text))))


def distinct(*texts: str) -> tuple[str, ...]:
    """The folded words of all, each once, in order."""
    return tuple(dict.fromkeys(word for text in texts for word in words(text)))


def deletions(word: str) -> list[str]:
    """The word, and what it is without one of its letters: two words that share one of these are at most two mistakes apart."""
    return list(dict.fromkeys([word, *(word[:place] + word[place + 1 :] for place in range(len(word)))]))


def distance(one: str, other: str, most: int) -> int:
    """Letters wrong, missing, too many, or neighbours exchanged, between them; `most` + 1 where there are more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    # A letter that the other has not is a mistake of its own: that tells most words apart at once.
    if len(set(one) - set(other)) > most or len(set(other) - set(one)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, against in enumerate(other, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != against))
            if before and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        if min(line) > most:
            return most + 1
        before, last = last, line
    return min(last[-1], most + 1)
