"""Plans for selections, each made once and kept: by the field nodes it stands for, and the booleans that directives may ask."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    VariableNode,
    coerce_input_literal,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_required_argument,
)
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.utils.str_converters import to_camel_case

from resolvers.many import MANY
from schema.leaves import constant, leaf, unwrapped
from schema.plans import OMITTED, REFUSED, Arguments, Choice, Part, Plan, Reader, rows_of
from schema.taking import taken

Grouped = Mapping[str, Sequence[Any]]
Collect = Callable[[GraphQLObjectType, Any], Grouped]
PLANS_MAX: Final = 4000
_UNASKED: Final = Arguments({}, ())


class Plans:
    """`kept` holds what a key's ids name beside the plan, so that they are not given to others meanwhile."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Any, Plan | None]] = {}

    def plan(
        self, kind: GraphQLObjectType, named: Sequence[Any], flags: Any, make: Callable[[], Plan | None]
    ) -> Plan | None:
        """The plan for objects of `kind`. The nodes in `named` stand for the selection."""
        key = (id(kind), flags, *map(id, named))
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= PLANS_MAX:
                self._kept.clear()
            kept = self._kept[key] = ((kind, named), make())
        return kept[1]


PLANS: Final = Plans()


class Planner:
    """Makes the plans of one operation's selections; `collect` names the fields that a field's nodes ask of a type."""

    def __init__(self, schema: GraphQLSchema, collect: Collect) -> None:
        self._schema = schema
        self._collect = collect

    def plan(self, kind: GraphQLObjectType, grouped: Grouped) -> Plan | None:
        """None where one of the fields is none for the short way."""
        leaves: dict[str, Reader] = {}
        parts: dict[str, Part] = {}
        for response_name, details in grouped.items():
            name = details[0].node.name.value
            reader = _leaf(kind, name)
            if reader is not None:
                leaves[response_name] = reader
                continue
            part = self._part(kind, name, details)
            if part is None:
                return None
            parts[response_name] = part
        if not grouped:
            leaves[""] = list  # Rows without a name, as many as there are objects.
        ordered = sorted(parts.items(), key=lambda one: (one[1].many is not None, one[1].plan.awaits))
        return Plan(
            presented(kind),
            list(leaves.values()),
            [part for _, part in ordered],
            rows_of([*leaves, *(name for name, _ in ordered)], list(grouped)),
            any(part.many is not None or part.plan.awaits for part in parts.values()),
        )

    def _part(self, parent: GraphQLObjectType, name: str, details: Sequence[Any]) -> Part | None:
        field = parent.fields.get(name)
        shown = _shown(field)
        many = MANY.get((parent.name, name))
        if field is None or shown is None or not (many or shown.is_basic_field):
            return None
        required, kind = unwrapped(field.type)
        listed = is_list_type(kind)
        if listed:
            inner_required, kind = unwrapped(kind.of_type)
            if not inner_required:
                return None
        plan = self._plan_of(kind, details)
        arguments = _UNASKED if many is None else _arguments(field, shown, details[0].node)
        if plan is None or arguments is None:
            return None
        get = attrgetter(shown.python_name) if many is None else None
        return Part(many, arguments, get, listed, required, plan)

    def _plan_of(self, kind: Any, details: Sequence[Any]) -> Plan | Choice | None:
        if is_object_type(kind):
            return self.plan(kind, self._collect(kind, details))
        if not is_abstract_type(kind):
            return None
        plans: dict[type, Plan] = {}
        for one in self._schema.get_possible_types(kind):
            plan = self.plan(one, self._collect(one, details))
            if plan is None or not plan.kinds or plan.kinds & plans.keys():
                return None
            plans.update(dict.fromkeys(plan.kinds, plan))
        return Choice(plans, any(plan.awaits for plan in plans.values()))


def presented(kind: GraphQLObjectType) -> frozenset[type] | None:
    """The classes whose objects the type presents; None where it judges nothing."""
    definition = (kind.extensions or {}).get("strawberry-definition")
    found: frozenset[type] | None = getattr(getattr(definition, "origin", None), "presented", None)
    if found is None and kind.is_type_of is not None:
        return frozenset()  # It judges by itself: no object goes the short way.
    return found


def _shown(field: GraphQLField | None) -> Any:
    return None if field is None else (field.extensions or {}).get("strawberry-definition")


def _leaf(parent: GraphQLObjectType, name: str) -> Reader | None:
    if name == "__typename":
        return constant(parent.name)
    field = parent.fields.get(name)
    shown = _shown(field)
    if field is None or shown is None or not shown.is_basic_field:
        return None
    return leaf(shown.python_name, field.type)


def _arguments(field: GraphQLField, shown: Any, node: Any) -> Arguments | None:
    """Scalars and enums as they stand in the document or in variables, input objects in variables; None for what needs more."""
    names = {one.graphql_name or to_camel_case(one.python_name): one.python_name for one in shown.arguments}
    values = {one.name.value: one.value for one in node.arguments or ()}
    fixed: dict[str, Any] = {}
    given = []
    for name, argument in field.args.items():
        value = values.get(name)
        if isinstance(value, VariableNode):
            nullable = not is_non_null_type(argument.type)
            given.append((names[name], value.name.value, _default(argument), nullable, taken(argument.type)))
        else:
            fixed[names[name]] = _default(argument) if value is None else _constant(value, argument)
    if any(value is REFUSED for value in fixed.values()):
        return None
    return Arguments({name: value for name, value in fixed.items() if value is not OMITTED}, given)


def _default(argument: GraphQLArgument) -> Any:
    """What counts where nothing is given."""
    if is_required_argument(argument):
        return REFUSED
    found = coerce_default_value(argument)
    return OMITTED if found is Undefined else found


def _constant(value: Any, argument: GraphQLArgument) -> Any:
    if isinstance(value, ListValueNode | ObjectValueNode):
        return REFUSED  # There may be variables inside.
    found = coerce_input_literal(value, argument.type)
    return REFUSED if found is Undefined else found
