"""Columns of plain attributes whose types are leaves, or lists of native leaves."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    is_list_type,
    is_non_null_type,
)

from schema.plans import Column, Irregular, Reader

Judge = Callable[[Sequence[Any]], Column]
_NATIVE: Final = {
    GraphQLID.name: str,
    GraphQLString.name: str,
    GraphQLInt.name: int,
    GraphQLFloat.name: float,
    GraphQLBoolean.name: bool,
    "DateTime": datetime,
}
_INT_BITS: Final = 31


def leaf(attribute: str, kind: Any) -> Reader | None:
    """Reads the attribute of all objects; None where the type is no such leaf."""
    required, kind = unwrapped(kind)
    listed = is_list_type(kind)
    if listed:
        inner_required, kind = unwrapped(kind.of_type)
        if not inner_required or kind.name not in _NATIVE:
            return None
    if not isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        return None
    native = _NATIVE.get(kind.name)
    judged = _coerced(kind, required) if native is None else _native(native, required or listed)
    if listed:
        judged = _lists(judged, required)
    get = attrgetter(attribute)
    return lambda items: judged(list(map(get, items)))


def constant(value: str) -> Reader:
    return lambda items: [value] * len(items)


def unwrapped(kind: Any) -> tuple[bool, Any]:
    """Whether null is refused, and the type inside."""
    return (True, kind.of_type) if is_non_null_type(kind) else (False, kind)


def _native(native: type, required: bool) -> Judge:
    """Values that leave as they are, if they are of the very type and GraphQL has room for them."""
    right = frozenset({native} if required else {native, NoneType})
    fits = _FITS.get(native)

    def judged(values: Sequence[Any]) -> Column:
        if not right.issuperset(map(type, values)):
            raise Irregular
        if fits is not None and not all(map(fits, values)):
            raise Irregular
        return values

    return judged


# A number less itself is zero, but not for NaN and infinity.
_FITS: Final[dict[type, Callable[[Any], bool]]] = {
    int: lambda value: value is None or -1 << _INT_BITS <= value < 1 << _INT_BITS,
    float: lambda value: value is None or value - value == 0,
}


def _lists(judge: Judge, required: bool) -> Judge:
    right = frozenset({list} if required else {list, NoneType})

    def judged(values: Sequence[Any]) -> Column:
        if not right.issuperset(map(type, values)):
            raise Irregular
        judge(list(chain.from_iterable(value for value in values if value is not None)))
        return values

    return judged


def _coerced(kind: Any, required: bool) -> Judge:
    # Enum members live as long as the process, so their ids name them: hashing a member runs Python code.
    members = _members(kind) if isinstance(kind, GraphQLEnumType) else []
    known = {id(member): kind.coerce_output_value(member) for member in members}

    def coerce(value: Any) -> Any:
        if value is None:
            if required:
                raise Irregular
            return None
        found = kind.coerce_output_value(value)
        if found is None:
            raise Irregular
        return found

    def judged(values: Sequence[Any]) -> Column:
        found = list(map(known.get, map(id, values))) if known else [None]
        return [coerce(value) for value in values] if None in found else found

    return judged


def _members(kind: GraphQLEnumType) -> list[Any]:
    definition = (kind.extensions or {}).get("strawberry-definition")
    return list(definition.wrapped_cls) if definition is not None else []
