"""Input objects of resolvers, made of coerced values by what is known of their types beforehand."""

from collections.abc import Callable
from typing import Any

from graphql import is_input_object_type, is_list_type
from strawberry.utils.str_converters import to_camel_case

from schema.leaves import unwrapped

Taken = Callable[[Any], Any]


def taken(kind: Any) -> Taken | None:
    """What makes of a value of the type, not null, what a resolver takes; None where that is the value itself."""
    _, kind = unwrapped(kind)
    if is_list_type(kind):
        inner = taken(kind.of_type)
        return None if inner is None else lambda values: [None if one is None else inner(one) for one in values]
    return _input(kind) if is_input_object_type(kind) else None


def _input(kind: Any) -> Taken:
    definition = kind.extensions["strawberry-definition"]
    fields = []
    for one in definition.fields:
        name = one.graphql_name or to_camel_case(one.python_name)
        fields.append((name, one.python_name, taken(kind.fields[name].type)))

    def make(values: Any) -> Any:
        found = {}
        for name, python_name, inner in fields:
            if name in values:
                value = values[name]
                found[python_name] = value if inner is None or value is None else inner(value)
        return definition.origin(**found)

    return make
