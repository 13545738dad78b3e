"""What one document may ask, checked before it is executed and mostly before it is validated (reliability: caps come first)."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one document. `cost` counts objects that the answer may hold, not scalars."""

    characters: int = 32_768
    tokens: int = 1_000
    depth: int = 12
    aliases: int = 30
    directives: int = 20
    mutations: int = 5
    cost: int = 10_000


PUBLIC: Final = Limits()
STAFF: Final = Limits(characters=131_072, tokens=4_000, aliases=60, directives=50, mutations=10, cost=20_000)
SNAPSHOT_TIMES: Final = 5_000
SMALL_LIST: Final = 3
INTROSPECTION_DEPTH: Final = 16  # What tools ask goes 14 deep; validation keeps it from going round in circles.
FIRST_MAX: Final = 200


class LimitExceeded(GraphQLError):
    """The document asks too much; `extensions.code` is LIMIT_EXCEEDED."""

    def __init__(self, message: str) -> None:
        super().__init__(message, extensions={"code": "LIMIT_EXCEEDED"})


def shape(document: DocumentNode, limits: Limits) -> LimitExceeded | None:
    """Why the document's shape is refused, or None: depth, aliases, directives, number of mutations."""
    counter = _Counter(document)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            depth = counter.depth(definition.selection_set, frozenset())
            about_schema = _only_introspects(definition)
            if depth > (INTROSPECTION_DEPTH if about_schema else limits.depth):
                return LimitExceeded(f"At most {limits.depth} levels deep.")
            fields = len(definition.selection_set.selections)
            if definition.operation.value == "mutation" and fields > limits.mutations:
                return LimitExceeded(f"At most {limits.mutations} mutations in one request.")
    if counter.aliases > limits.aliases:
        return LimitExceeded(f"At most {limits.aliases} aliases.")
    if counter.directives > limits.directives:
        return LimitExceeded(f"At most {limits.directives} directives.")
    return None


def _only_introspects(operation: OperationDefinitionNode) -> bool:
    return all(
        isinstance(one, FieldNode) and one.name.value.startswith("__") for one in operation.selection_set.selections
    )


class _Counter:
    def __init__(self, document: DocumentNode) -> None:
        self.aliases = 0
        self.directives = 0
        self._fragments = _fragments(document)
        self._depths: dict[str, int] = {}

    def depth(self, selection_set: SelectionSetNode | None, inside: frozenset[str]) -> int:
        if selection_set is None:
            return 0
        deepest = 0
        for selection in selection_set.selections:
            self.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self.aliases += selection.alias is not None
                deepest = max(deepest, 1 + self.depth(selection.selection_set, inside))
            elif isinstance(selection, InlineFragmentNode):
                deepest = max(deepest, self.depth(selection.selection_set, inside))
            elif isinstance(selection, FragmentSpreadNode):
                deepest = max(deepest, self._spread(selection.name.value, inside))
        return deepest

    def _spread(self, name: str, inside: frozenset[str]) -> int:
        """Each fragment is walked once; one that spreads itself is left to validation."""
        if name in inside or name not in self._fragments:
            return 0
        if name not in self._depths:
            self._depths[name] = self.depth(self._fragments[name].selection_set, inside | {name})
        return self._depths[name]


def cost(
    schema: GraphQLSchema, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any]
) -> int:
    """How many objects the answer may hold at most, by the sizes of the lists that are asked for."""
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    named = [one for one in operations if operation_name is None or (one.name and one.name.value == operation_name)]
    if not named:
        return 0
    root = schema.get_root_type(named[0].operation)
    defaults = {
        one.variable.name.value: int(one.default_value.value)
        for one in named[0].variable_definitions or ()
        if isinstance(one.default_value, IntValueNode)
    }
    return _Cost(schema, _fragments(document), {**defaults, **variables}).of(named[0].selection_set, root)


def sizes(variables: Mapping[str, Any]) -> Hashable:
    """All that `cost` looks at: where they are equal, so are the costs."""
    return tuple(
        [
            (name, len(value) if isinstance(value, list | tuple) else value)
            for name, value in variables.items()
            if isinstance(value, int | list | tuple)
        ]
    )


class _Cost:
    def __init__(
        self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._of_fragments: dict[str, int] = {}

    def of(self, selection_set: SelectionSetNode | None, parent: Any) -> int:
        if selection_set is None or parent is None:
            return 0
        total = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                total += self._field(selection, parent)
            elif isinstance(selection, InlineFragmentNode):
                on = selection.type_condition
                kind = self._schema.get_type(on.name.value) if on else parent
                total += self.of(selection.selection_set, kind)
            elif isinstance(selection, FragmentSpreadNode):
                total += self._of_fragment(selection.name.value)
        return total

    def _of_fragment(self, name: str) -> int:
        """Each is walked once: fragments that spread one another twice would double at every step."""
        fragment = self._fragments.get(name)
        if fragment is None:
            return 0
        if name not in self._of_fragments:
            kind = self._schema.get_type(fragment.type_condition.name.value)
            self._of_fragments[name] = self.of(fragment.selection_set, kind)
        return self._of_fragments[name]

    def _field(self, node: FieldNode, parent: Any) -> int:
        field = getattr(parent, "fields", {}).get(node.name.value)
        if field is None or node.selection_set is None:
            return 0
        inner = self.of(node.selection_set, get_named_type(field.type))
        return self._times(node, field, parent.name) * (1 + inner)

    def _times(self, node: FieldNode, field: Any, parent_name: str) -> int:
        """How many objects this field gives: the `first` or `ids` asked for, or what such lists hold."""
        if "first" in field.args:
            return min(max(self._number(node, field), 1), FIRST_MAX)
        listed = is_list_type(field.type.of_type if is_non_null_type(field.type) else field.type)
        if not listed or node.name.value == "edges":
            return 1
        if parent_name == "AvailabilitySnapshot":
            return SNAPSHOT_TIMES
        for argument in node.arguments or ():
            if argument.name.value == "ids":
                value = argument.value
                ids = value.values if isinstance(value, ListValueNode) else self._variable(value)
                return len(ids) if isinstance(ids, list | tuple) else 1
        return SMALL_LIST

    def _number(self, node: FieldNode, field: Any) -> int:
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    return int(value.value)
                number = self._variable(value)
                return number if isinstance(number, int) else FIRST_MAX
        default = field.args["first"].default_value
        return default if isinstance(default, int) else FIRST_MAX

    def _variable(self, value: Any) -> Any:
        return self._variables.get(value.name.value) if isinstance(value, VariableNode) else None


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
