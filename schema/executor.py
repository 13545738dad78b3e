"""Execution breadth first where it pays: a field is resolved once for all objects of a list, and plain leaves become rows at once.

A selection goes this way only if all of it can: leaves that are plain attributes, objects that are plain attributes, and fields
with a resolver for many (`resolvers.many`). Everything else, and every value that is not plainly right (null in a non-null
field, a foreign type, an error), takes graphql-core's own way from the start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
    get_argument_values,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.utils.str_converters import to_camel_case

from resolvers.many import MANY

Rows = list[dict[str, Any]]
Getter = Callable[[Any], Any]
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


class Irregular(Exception):
    """Something that the short way does not judge."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A field of objects: where it stands in the answer, its shape, and how its values are had."""

    name: str
    kind: GraphQLObjectType
    listed: bool
    required: bool
    get: Getter | None
    many: Callable[..., Awaitable[Sequence[Any]]] | None
    arguments: dict[str, Any]
    plan: "_Plan"


@dataclass(frozen=True, slots=True)
class _Plan:
    """How objects of one type become rows: leaves by code made for this selection, parts one after another for all."""

    leaves: Callable[[Any], dict[str, Any]]
    parts: list[_Part]
    kinds: frozenset[type] | None
    order: list[str]


class BreadthFirstExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor with a short way for selections that are plain or have resolvers for many."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[int, tuple[Any, _Plan | None]] = {}

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        plan = self._plan(parent_type, grouped_field_set)
        if plan is None:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        if not plan.parts:
            try:
                return plan.leaves(source_value)
            except Exception:  # An attribute that raises too: the usual way meets it again and tells it with its path.
                return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        usual = super().execute_fields

        async def one() -> Any:
            try:
                return (await self._rows(plan, [source_value]))[0]
            except Exception:  # Whatever it is, the usual way meets it again and reports it in its place.
                found = usual(parent_type, source_value, path, grouped_field_set, position_context)
                return await found if self.is_awaitable(found) else found

        return one()

    def complete_iterable_value(
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        usual = super().complete_iterable_value
        again = (item_type, field_details_list, info, path, items, position_context)
        kind = item_type.of_type if is_non_null_type(item_type) else None
        if not is_object_type(kind) or not isinstance(items, list) or _has_directives(field_details_list):
            return usual(*again)
        plan = self._plan(kind, self.collect_subfields(kind, field_details_list)[0])
        if plan is None:
            return usual(*again)
        if not plan.parts:
            try:
                return self._plain(plan, items)
            except Exception:  # As above.
                return usual(*again)

        async def all_of_them() -> Any:
            try:
                return await self._rows(plan, items)
            except Exception:  # Whatever it is, the usual way meets it again and reports it in its place.
                found = usual(*again)
                return await found if self.is_awaitable(found) else found

        return all_of_them()

    def _plain(self, plan: _Plan, items: Sequence[Any]) -> Rows:
        if plan.kinds is not None and not set(map(type, items)) <= plan.kinds:
            raise Irregular
        leaves = plan.leaves
        return [leaves(item) for item in items]

    async def _rows(self, plan: _Plan, items: Sequence[Any]) -> Rows:
        rows = self._plain(plan, items)
        if not items or not plan.parts:
            return rows
        # All at once, so that lists answered beside one another put their questions into the same batches.
        values = await _together([self._values(part, items) for part in plan.parts])
        await _together([self._fill(part, rows, some) for part, some in zip(plan.parts, values, strict=True)])
        if len(plan.order) > 1:
            return [{name: row[name] for name in plan.order} for row in rows]
        return rows

    async def _values(self, part: _Part, items: Sequence[Any]) -> Sequence[Any]:
        if part.many is not None:
            return await part.many(items, self.context_value, **part.arguments)
        assert part.get is not None
        return [part.get(item) for item in items]

    async def _fill(self, part: _Part, rows: Rows, values: Sequence[Any]) -> None:
        """Puts the part's objects into the rows: all of them become rows together, then go back to where they belong."""
        if part.listed:
            flat = [child for value in values for child in _listed(value)]
            made = iter(await self._rows(part.plan, flat))
            for row, value in zip(rows, values, strict=True):
                row[part.name] = None if value is None else [next(made) for _ in value]
        else:
            there = [value for value in values if value is not None]
            if part.required and len(there) < len(values):
                raise Irregular
            made = iter(await self._rows(part.plan, there))
            for row, value in zip(rows, values, strict=True):
                row[part.name] = None if value is None else next(made)

    def _plan(self, parent_type: GraphQLObjectType, grouped_field_set: Any) -> _Plan | None:
        key = id(grouped_field_set)
        known = self._plans.get(key)
        if known is None or known[0] is not grouped_field_set:
            # The set is kept beside its plan, so that its id is not given to another while this operation runs.
            known = self._plans[key] = (grouped_field_set, self._planned(parent_type, grouped_field_set))
        return known[1]

    def _planned(self, parent_type: GraphQLObjectType, grouped_field_set: Any) -> _Plan | None:
        leaves: list[_Leaf] = []
        parts: list[_Part] = []
        for response_name, details in grouped_field_set.items():
            name = details[0].node.name.value
            field = parent_type.fields.get(name)
            shown = (field.extensions or {}).get("strawberry-definition") if field is not None else None
            if field is None or shown is None:
                return None
            leaf = _leaf(response_name, field, shown)
            if leaf is not None:
                leaves.append(leaf)
                continue
            part = self._part(parent_type, response_name, field, shown, details)
            if part is None:
                return None
            parts.append(part)
        return _Plan(_compiled(leaves), parts, _kinds(parent_type), list(grouped_field_set))

    def _part(
        self, parent_type: GraphQLObjectType, response_name: str, field: Any, shown: Any, details: Any
    ) -> _Part | None:
        required, kind = _unwrapped(field.type)
        listed = is_list_type(kind)
        if listed:
            inner_required, kind = _unwrapped(kind.of_type)
            if not inner_required:
                return None
        many = MANY.get((parent_type.name, details[0].node.name.value))
        if not is_object_type(kind) or not (many or shown.is_basic_field) or _has_directives(details):
            return None
        plan = self._plan(kind, self.collect_subfields(kind, details)[0])
        if plan is None:
            return None
        if many is None:
            attribute = shown.python_name
            return _Part(response_name, kind, listed, required, lambda item: getattr(item, attribute), None, {}, plan)
        try:
            node = details[0].node
            arguments = _named(shown, get_argument_values(field, node, self.variable_values) if field.args else {})
        except Exception:  # Arguments that can't be taken are reported by the usual way.
            return None
        return _Part(response_name, kind, listed, required, None, many, arguments, plan)


async def _together(work: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    if len(work) == 1:
        return [await work[0]]
    return await asyncio.gather(*work)


def _kinds(parent_type: GraphQLObjectType) -> frozenset[type] | None:
    """The classes whose objects the type presents; None where it judges nothing."""
    definition = (parent_type.extensions or {}).get("strawberry-definition")
    found: frozenset[type] | None = getattr(getattr(definition, "origin", None), "presented", None)
    if found is None and parent_type.is_type_of is not None:
        return frozenset()  # It judges by itself: no object goes the short way.
    return found


def _named(shown: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names that resolvers know."""
    names = {one.graphql_name or to_camel_case(one.python_name): one.python_name for one in shown.arguments}
    return {names[name]: value for name, value in values.items()}


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Irregular
    return value


def _has_directives(details: Any) -> bool:
    return any(one.node.directives for one in details)


def _unwrapped(kind: Any) -> tuple[bool, Any]:
    return (True, kind.of_type) if is_non_null_type(kind) else (False, kind)


@dataclass(frozen=True, slots=True)
class _Leaf:
    name: str
    attribute: str
    kind: Any
    required: bool
    listed: bool


_COMPILED: dict[tuple[tuple[str, str, str, bool, bool], ...], Callable[[Any], dict[str, Any]]] = {}
_COMPILED_MAX: Final = 2000


def _leaf(response_name: str, field: Any, shown: Any) -> _Leaf | None:
    """A plain attribute whose type is a leaf, or a list of native leaves."""
    if not shown.is_basic_field:
        return None
    required, kind = _unwrapped(field.type)
    listed = is_list_type(kind)
    if listed:
        inner_required, kind = _unwrapped(kind.of_type)
        if not inner_required or kind.name not in _NATIVE:
            return None
    if not isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        return None
    return _Leaf(response_name, shown.python_name, kind, required, listed)


def _compiled(leaves: list[_Leaf]) -> Callable[[Any], dict[str, Any]]:
    key = tuple((one.name, one.attribute, one.kind.name, one.required, one.listed) for one in leaves)
    row = _COMPILED.get(key)
    if row is None:
        if len(_COMPILED) >= _COMPILED_MAX:
            _COMPILED.clear()
        row = _COMPILED[key] = _compile(leaves)
    return row


def _compile(leaves: list[_Leaf]) -> Callable[[Any], dict[str, Any]]:
    """A function from an object to its row. Attributes are the schema's own; response names are put in as literals."""
    names: dict[str, Any] = {"Irregular": Irregular}
    lines, entries = [], []
    for index, leaf in enumerate(leaves):
        value = f"v{index}"
        lines.append(f"{value} = source.{leaf.attribute}")
        lines += _judged(leaf, value, index, names)
        entries.append(f"{leaf.name!r}: {value}")
    code = (
        "def row(source):\n" + "".join(f"    {line}\n" for line in lines) + "    return {" + ", ".join(entries) + "}\n"
    )
    exec(code, names)
    made: Callable[[Any], dict[str, Any]] = names["row"]
    return made


def _judged(leaf: _Leaf, value: str, index: int, names: dict[str, Any]) -> list[str]:
    """Lines that raise Irregular unless the value is plainly right, and turn it into what leaves."""
    null = "" if leaf.required else f"{value} is not None and "
    native = _NATIVE.get(leaf.kind.name)
    if native is not None:
        names[f"t{index}"] = native
        if leaf.listed:
            right = f"type({value}) is list and all(type(one) is t{index} for one in {value})"
        else:
            right = f"type({value}) is t{index}" + _BOUNDS.get(leaf.kind.name, "").format(value)
        return [f"if {null}not ({right}): raise Irregular"]
    names[f"c{index}"] = _coerced(leaf.kind)
    coerce = f"{value} = c{index}({value})"
    return [coerce if leaf.required else f"if {value} is not None: {coerce}"]


def _coerced(kind: Any) -> Callable[[Any], Any]:
    known: dict[int, Any] = {}
    if isinstance(kind, GraphQLEnumType):
        # Enum members live as long as the process, so their ids name them: hashing a member runs Python code.
        known = {id(member): kind.coerce_output_value(member) for member in _members(kind)}

    def coerce(value: Any) -> Any:
        found = known.get(id(value))
        if found is not None:
            return found
        if value is None:
            raise Irregular
        try:
            return kind.coerce_output_value(value)
        except Exception as error:
            raise Irregular from error

    return coerce


def _members(kind: GraphQLEnumType) -> list[Any]:
    definition = (kind.extensions or {}).get("strawberry-definition")
    return list(definition.wrapped_cls) if definition is not None else []
