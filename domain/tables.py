"""CSV as people export it: records with their line numbers; what is broken costs its own line and no more."""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

Columns = Mapping[str, Sequence[str]]  # our name: the names a header may use, the first one found counts

_ABSENT: Final = {"", "n/a", "null"}
_RECORD_LINES: Final = 10  # a quote that is never closed would else swallow the rest of the file
_VALUE_LENGTH: Final = 500


class UnusableFile(ValueError):
    """Nothing of the file can be read."""


class RefusedLine(ValueError):
    """This line cannot be used; the others can."""


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    line: int
    reason: str


def records(data: bytes, columns: Columns, required: Sequence[str]) -> Iterator[Record | Refusal]:
    """Every record of the file under our names for its columns. Raises UnusableFile before the first."""
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    lines = list(io.StringIO(text, newline=""))
    at, header = _header(lines)
    places = _places(header, columns)
    missing = [name for name in required if name not in places]
    if missing:
        names = ", ".join("/".join(columns[name]) for name in missing)
        raise UnusableFile(f"the header lacks {names}")
    return _rows(lines, at, len(header), places)


def clean(text: str) -> str:
    """Outer and repeated blanks removed; N/A is nothing. Raises RefusedLine for what no text may hold."""
    plain = " ".join(_mended(text).split())
    if plain.lower() in _ABSENT:
        return ""
    if len(plain) > _VALUE_LENGTH:
        raise RefusedLine(f"a value is longer than {_VALUE_LENGTH} characters")
    for character in plain:
        kind = unicodedata.category(character)
        if kind == "Cs":
            raise RefusedLine("not UTF-8")
        if kind == "Cc":
            raise RefusedLine(f"control character {character!a}")
    return plain


def _mended(text: str) -> str:
    """UTF-8 that was once read as Windows-1252 ("Toll â€¢ Free") is read again as what it was."""
    if text.isascii():
        return text
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


def _header(lines: list[str]) -> tuple[int, list[str]]:
    for at, line in enumerate(lines):
        if line.strip():
            try:
                return at + 1, next(csv.reader([line], strict=True))
            except csv.Error as error:
                raise UnusableFile(f"the header cannot be read: {error}") from error
    raise UnusableFile("the file is empty")


def _places(header: list[str], columns: Columns) -> dict[str, int]:
    found = [name.strip().lower().replace(" ", "_") for name in header]
    return {
        name: next(found.index(alias) for alias in aliases if alias in found)
        for name, aliases in columns.items()
        if any(alias in found for alias in aliases)
    }


def _rows(lines: list[str], at: int, width: int, places: Mapping[str, int]) -> Iterator[Record | Refusal]:
    while at < len(lines):
        number = at + 1
        reader = csv.reader(islice(lines, at, at + _RECORD_LINES), strict=True)
        try:
            row = next(reader)
        except csv.Error as error:
            at += 1
            yield Refusal(number, f"broken CSV: {error}")
            continue
        at += reader.line_num
        if not any(value.strip() for value in row):
            continue
        if len(row) != width:
            yield Refusal(number, f"{len(row)} fields where the header has {width}")
            continue
        try:
            yield Record(number, {name: clean(row[place]) for name, place in places.items()})
        except RefusedLine as refusal:
            yield Refusal(number, str(refusal))
