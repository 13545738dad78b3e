"""Forward cursors: where a page ended, opaque to clients. A cursor of another list, or a forged one, is refused."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from domain.faults import BadInput

T = TypeVar("T")
FIRST_MAX = 100


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    """`place`: the list's name, and the values by which it is sorted. Seldom is more than the last cursor asked for."""

    place: tuple[Any, ...]
    node: T

    @property
    def cursor(self) -> str:
        return write(*self.place)


@dataclass(frozen=True, slots=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo


def write(kind: str, *values: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([kind, *values])).decode()


def read(cursor: str | None, kind: str, start: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values in `cursor`, or `start` without one. Raises BadInput where it is not one of this list."""
    if cursor is None:
        return start
    try:
        found = orjson.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise BadInput("after", "This is not a cursor of this list.") from None
    shape = [type(value) for value in start]
    if not isinstance(found, list) or found[:1] != [kind] or [type(value) for value in found[1:]] != shape:
        raise BadInput("after", "This is not a cursor of this list.")
    # Texts and numbers that PostgreSQL has no room for were never given out.
    if any("\x00" in value if isinstance(value, str) else not -1 <= value < 1 << 63 for value in found[1:]):
        raise BadInput("after", "This is not a cursor of this list.")
    return tuple(found[1:])


def bounded(first: int, most: int = FIRST_MAX) -> int:
    """`first`, if it lies between 1 and `most` (rule 9)."""
    if not 1 <= first <= most:
        raise BadInput("first", f"From 1 to {most}.")
    return first


def page(edges: list[Edge[T]], first: int, *, after: bool) -> Page[T]:
    """A page of at most `first` edges out of up to `first` + 1."""
    shown = edges[:first]
    ends = (shown[0].cursor, shown[-1].cursor) if shown else (None, None)
    return Page(shown, PageInfo(len(edges) > first, after, *ends))
