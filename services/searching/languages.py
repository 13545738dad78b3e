"""Languages by the names that people have for them, in English and in the language itself."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from babel import Locale

# Those whose own names are known too: who speaks one may look for it so. Loading each takes some milliseconds.
OWN_NAMES: Final = (
    *(
        "am",
        "ar",
        "bg",
        "bn",
        "bs",
        "cs",
        "da",
        "de",
        "el",
        "es",
        "fa",
        "fi",
        "fil",
        "fr",
        "gu",
        "he",
        "hi",
        "hr",
        "ht",
        "hu",
        "hy",
    ),
    *(
        "it",
        "ja",
        "km",
        "ko",
        "lo",
        "my",
        "ne",
        "nl",
        "pa",
        "pl",
        "pt",
        "ro",
        "ru",
        "sk",
        "so",
        "sq",
        "sr",
        "sv",
        "sw",
        "ta",
        "te",
    ),
    *("th", "tr", "uk", "ur", "vi", "zh"),
)
# What CLDR calls otherwise, or leaves out.
MORE: Final = {
    "fa": ("farsi",),
    "zh": ("mandarin",),
    "yue": ("cantonese",),
    "ht": ("haitian",),
    "fil": ("pilipino",),
    "tl": ("filipino",),
    "ase": ("asl", "sign language"),
    "es": ("castellano",),
}
# No languages: several, none, unknown.
NONE: Final = frozenset({"root", "mul", "und", "zxx"})


@cache
def names() -> Mapping[str, tuple[str, ...]]:
    """Names by the language's tag without region and script."""
    found = {tag: (name,) for tag, name in _english().items() if "_" not in tag and tag not in NONE}
    for tag in OWN_NAMES:
        own = Locale.parse(tag).get_language_name(tag)
        found[tag] = (*found.get(tag, ()), *([own] if own else []))
    for tag, more in MORE.items():
        found[tag] = (*found.get(tag, ()), *more)
    return found


def english(tag: str) -> str:
    """As it is shown: "Polish", "Brazilian Portuguese"; the tag where nobody has a name for it."""
    known = _english()
    parts = tag.split("-")
    return known.get("_".join(parts)) or known.get(parts[0].lower()) or tag


@cache
def _english() -> Mapping[str, str]:
    return dict(Locale.parse("en").languages)
