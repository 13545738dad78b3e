"""Execution with a short way for plain attributes: a leaf without a resolver needs no resolve-info, path or awaitable check.

Everything else, and every value that is not plainly right (null in a non-null field, a foreign type), takes graphql-core's own way.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

Row = Callable[[Any], dict[str, Any] | None]
_NATIVE: Final = {
    GraphQLID.name: str,
    GraphQLString.name: str,
    GraphQLInt.name: int,
    GraphQLFloat.name: float,
    GraphQLBoolean.name: bool,
    "DateTime": datetime,
}


# What GraphQL has no room for is refused the usual way. A number less itself is zero, but not for NaN and infinity.
_BOUNDS: Final = {"Int": " and -2147483648 <= {0} <= 2147483647", "Float": " and {0} - {0} == 0"}


class _Irregular(Exception):
    """A value that the short way does not judge."""


class PlainLeafExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, with rows of plain leaves built by code made once for each selection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rows: dict[int, tuple[Any, Row | None]] = {}

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        row = self._row(parent_type, grouped_field_set)
        if row is not None:
            try:
                return row(source_value)
            except Exception:
                pass  # The usual way meets it again, and tells it with its path.
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def complete_iterable_value(
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        kind = item_type.of_type if is_non_null_type(item_type) else None
        if is_object_type(kind) and isinstance(items, list) and not self._streams(field_details_list):
            grouped, *_ = self.collect_subfields(kind, field_details_list)
            row = self._row(kind, grouped)
            if row is not None and all(map(_is_of(kind, info), items)):
                try:
                    return [row(item) for item in items]
                except Exception:
                    pass  # As above.
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _row(self, parent_type: GraphQLObjectType, grouped_field_set: Any) -> Row | None:
        """The code for a selection of plain leaves only; None where it holds anything else."""
        key = id(grouped_field_set)
        known = self._rows.get(key)
        if known is None or known[0] is not grouped_field_set:
            leaves = _leaves(parent_type, grouped_field_set)
            # The set is kept beside its row, so that its id is not given to another while this operation runs.
            known = self._rows[key] = (grouped_field_set, None if leaves is None else _compiled(leaves))
        return known[1]

    @staticmethod
    def _streams(field_details_list: Any) -> bool:
        return any(details.node.directives for details in field_details_list)


Leaf = tuple[str, str, Any, bool]
_COMPILED: dict[tuple[tuple[str, str, str, bool], ...], Row] = {}
_COMPILED_MAX: Final = 2000


def _leaves(parent_type: GraphQLObjectType, grouped_field_set: Any) -> list[Leaf] | None:
    """(response name, attribute, leaf type, non-null) of each field, where all of them are plain."""
    leaves: list[Leaf] = []
    for response_name, details in grouped_field_set.items():
        name = details[0].node.name.value
        if name == "__typename":
            return None
        field = parent_type.fields.get(name)
        shown = (field.extensions or {}).get("strawberry-definition") if field is not None else None
        if field is None or shown is None or not shown.is_basic_field:
            return None
        required = isinstance(field.type, GraphQLNonNull)
        kind = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        if is_list_type(kind) or not isinstance(kind, GraphQLScalarType | GraphQLEnumType):
            return None
        leaves.append((response_name, shown.python_name, kind, required))
    return leaves


def _compiled(leaves: list[Leaf]) -> Row:
    key = tuple((name, attribute, kind.name, required) for name, attribute, kind, required in leaves)
    row = _COMPILED.get(key)
    if row is None:
        if len(_COMPILED) >= _COMPILED_MAX:
            _COMPILED.clear()
        row = _COMPILED[key] = _compile(leaves)
    return row


def _compile(leaves: list[Leaf]) -> Row:
    """A function from an object to its row. Attributes are the schema's own; response names are put in as literals."""
    names: dict[str, Any] = {"_Irregular": _Irregular}
    lines, entries = [], []
    for index, (response_name, attribute, kind, required) in enumerate(leaves):
        value = f"v{index}"
        lines.append(f"    {value} = source.{attribute}")
        native = _NATIVE.get(kind.name)
        if native is not None:
            names[f"t{index}"] = native
            right = f"type({value}) is t{index}" + _BOUNDS.get(kind.name, "").format(value)
        else:
            names[f"c{index}"] = _coerced(kind)
            right = f"({value} := c{index}({value})) is not None" if required else ""
            if not required:
                lines.append(f"    if {value} is not None: {value} = c{index}({value})")
        if right:
            allowed = right if required else f"{value} is None or {right}"
            lines.append(f"    if not ({allowed}): raise _Irregular")
        entries.append(f"{response_name!r}: {value}")
    code = "def row(source):\n" + "\n".join(lines) + "\n    return {" + ", ".join(entries) + "}\n"
    exec(code, names)
    made: Row = names["row"]
    return made


def _coerced(kind: Any) -> Callable[[Any], Any]:
    def coerce(value: Any) -> Any:
        if value is None:
            raise _Irregular
        try:
            return kind.coerce_output_value(value)
        except Exception as error:
            raise _Irregular from error

    return coerce


def _is_of(kind: GraphQLObjectType, info: Any) -> Callable[[Any], bool]:
    check = kind.is_type_of
    if check is None:
        return lambda item: item is not None
    return lambda item: bool(check(item, info))
