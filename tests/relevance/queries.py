"""The list of queries, `queries.tsv`, made into what is typed.

`text`: `{first}` and so on are the person's on line `row` of the register's file. `change`: what happens to the last name, or to
the text. `answer`: specialties of which the first hit must have one, and `language: pl`; of names it is the person of that line.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from domain import states
from tests.relevance.world import Person

LIST: Final = Path(__file__).with_name("queries.tsv")
STATE_NAMES: Final = {code: name.title() for name, code in states.US_NAMES.items()}
ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of keys, each half a key to the right of the one above
ACCENTS: Final = str.maketrans("aeiouncAEIOUNC", "áèïôüñçÁÈÏÔÜÑÇ")


@dataclass(frozen=True, slots=True)
class Query:
    number: int
    kind: str
    text: str
    row: int | None
    changes: tuple[str, ...]
    specialties: frozenset[str]
    language: str | None


def queries() -> list[Query]:
    with LIST.open(encoding="utf-8", newline="") as file:
        return [_query(number, line) for number, line in enumerate(csv.DictReader(file, delimiter="\t"), 2)]


def _query(number: int, line: dict[str, str]) -> Query:
    specialties, _, language = line["answer"].partition("language: ")
    return Query(
        number,
        line["kind"],
        line["text"],
        int(line["row"]) if line["row"] else None,
        tuple(line["change"].split()),
        frozenset(one for one in specialties.strip("; ").split("|") if one),
        language or None,
    )


def typed(query: Query, person: Person | None) -> str:
    """What the patient types. The same at every run."""
    if person is None:
        return query.text
    last = person.last.title()
    for change in query.changes:
        last = _last_name(change, last, Random(f"{query.number} {change}"))
    text = query.text.format(
        first=person.first.title(),
        initial=person.first[:1],
        last=last,
        city=person.city.title(),
        state=person.state,
        zip5=person.zip5,
        state_name=STATE_NAMES.get(person.state, person.state),
    )
    for change in query.changes:
        text = TEXTS[change](text) if change in TEXTS else text
    return text


def _last_name(change: str, name: str, random: Random) -> str:
    kind, *at = change.split(":")
    if kind in TYPOS:
        return TYPOS[kind](name, random)
    for place in sorted(map(int, at), reverse=True):
        name = name[:place] + MARKS[kind] + name[place:].title()
    return name


def swap(name: str, random: Random) -> str:
    """Two neighbours exchanged."""
    places = [at for at in range(len(name) - 1) if name[at].lower() != name[at + 1].lower()]
    at = random.choice(places)
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def drop(name: str, random: Random) -> str:
    at = random.randrange(len(name))
    return name[:at] + name[at + 1 :]


def double(name: str, random: Random) -> str:
    at = random.randrange(len(name))
    return name[: at + 1] + name[at:]


def neighbour(name: str, random: Random) -> str:
    """The key beside, above or below is hit instead."""
    at = random.randrange(len(name))
    return name[:at] + random.choice(_beside(name[at].lower())) + name[at + 1 :]


def _beside(letter: str) -> list[str]:
    row = next(number for number, keys in enumerate(ROWS) if letter in keys)
    at = ROWS[row].index(letter)
    near = [(row, at - 1), (row, at + 1), (row - 1, at), (row - 1, at + 1), (row + 1, at), (row + 1, at - 1)]
    return [ROWS[one][two] for one, two in near if 0 <= one < len(ROWS) and 0 <= two < len(ROWS[one])]


TYPOS: Final[dict[str, Callable[[str, Random], str]]] = {
    "swap": swap,
    "drop": drop,
    "double": double,
    "neighbour": neighbour,
}
MARKS: Final = {"hyphen": "-", "space": " ", "apostrophe": "'"}
TEXTS: Final[dict[str, Callable[[str], str]]] = {
    "lower": str.lower,
    "upper": str.upper,
    "accents": lambda text: text.translate(ACCENTS),
}
