"""What every operation passes: parse and validation once per text, limits, and errors that carry a code and no internals."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from traceback import format_tb
from typing import Any, Final

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner

from domain.access import AccessDenied
from domain.faults import BadInput, Forbidden, RequestInProgress, Unavailable
from schema import limits
from schema.limits import LimitExceeded, Limits

DOCUMENTS_MAX: Final = 1000
LABEL_MAX: Final = 200
COSTS_MAX: Final = 50
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Known:
    """A text as it was understood: a document, or why not. `asked`: the root fields of each operation, by its name.

    `costs` keeps what its operations cost, by name and sizes.
    """

    document: DocumentNode | None
    errors: list[GraphQLError]
    asked: dict[str, str] = field(default_factory=dict)
    costs: dict[Hashable, int] = field(default_factory=dict)

    def fields_of(self, operation_name: str | None) -> str:
        return self.asked.get(operation_name or "") or next(iter(self.asked.values()), "")

    def cost(self, schema: GraphQLSchema, operation_name: str | None, variables: Mapping[str, Any]) -> int:
        if self.document is None:
            return 0
        key = (operation_name, limits.sizes(variables))
        known = self.costs.get(key)
        if known is None:
            if len(self.costs) >= COSTS_MAX:
                self.costs.clear()
            known = self.costs[key] = limits.cost(schema, self.document, operation_name, variables)
        return known


class Documents:
    """Texts that were seen before need neither parsing nor validation again. Bounded, the longest unused go first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bool, bool], Known] = OrderedDict()

    def understood(self, schema: GraphQLSchema, text: str, allowed: Limits, *, introspection: bool) -> Known:
        key = (text, allowed is limits.STAFF, introspection)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _understand(schema, text, allowed, introspection)
            if len(self._known) > DOCUMENTS_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return known


def _understand(schema: GraphQLSchema, text: str, allowed: Limits, introspection: bool) -> Known:
    if len(text) > allowed.characters:
        return Known(None, [LimitExceeded(f"At most {allowed.characters} characters.")])
    try:
        document = parse(text, max_lexical_tokens=allowed.tokens)
    except RecursionError:
        return Known(None, [LimitExceeded("Nested too deeply.")])
    except GraphQLError as error:
        if "tokens" in error.message:
            return Known(None, [LimitExceeded(f"At most {allowed.tokens} tokens.")])
        return Known(None, [_with_code(error, "GRAPHQL_PARSE_FAILED")])
    too_much = limits.shape(document, allowed)
    if too_much is not None:
        return Known(document, [too_much])
    rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
    found = validate(schema, document, rules, max_errors=20)
    coded_errors = [_with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in found]
    return Known(document, coded_errors, {} if coded_errors else _root_fields(document))


def _root_fields(document: DocumentNode) -> dict[str, str]:
    """What audit rows call an operation: the fields themselves, not the names that clients give."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    found = {}
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            names = dict.fromkeys(_field_names(one.selection_set.selections, dict(fragments)))
            found[one.name.value if one.name else ""] = " ".join(names)[:LABEL_MAX]
    return found


def _field_names(selections: Iterable[SelectionNode], unseen: dict[str, FragmentDefinitionNode]) -> Iterator[str]:
    """Each fragment is walked once: spreads of spreads could otherwise double at every step."""
    for one in selections:
        if isinstance(one, FieldNode):
            yield one.name.value
        elif isinstance(one, InlineFragmentNode):
            yield from _field_names(one.selection_set.selections, unseen)
        elif isinstance(one, FragmentSpreadNode) and one.name.value in unseen:
            yield from _field_names(unseen.pop(one.name.value).selection_set.selections, unseen)


DOCUMENTS: Final = Documents()


class Operation(SchemaExtension):
    """One operation: understood from the cache, held to its limits, its errors coded."""

    introspection_for_all = True
    _known: Known

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        staff = context.context.viewer.is_staff
        known = DOCUMENTS.understood(
            context.schema._schema,
            context.query or "",
            limits.STAFF if staff else limits.PUBLIC,
            introspection=staff or self.introspection_for_all,
        )
        if known.document is None:
            raise known.errors[0]
        context.graphql_document = known.document
        context.context.loaders.operation = known.fields_of(context.operation_name)
        self._known = known
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        known = self._known
        allowed = limits.STAFF if context.context.viewer.is_staff else limits.PUBLIC
        name = context._provided_operation_name
        context.pre_execution_errors = refusals(context.schema._schema, known, allowed, name, context.variables or {})
        yield

    def on_operation(self) -> Iterator[None]:
        yield
        result: Any = self.execution_context.result
        if isinstance(result, ExecutionResult) and result.errors:
            result.errors = [coded(error) for error in result.errors]


class Steps(SchemaExtensionsRunner):
    """The steps of an operation with `Operation` as the only extension: its hooks as they are, without stacks for more."""

    def operation(self) -> Any:
        return _Step(self.extensions[0].on_operation())

    def parsing(self) -> Any:
        return _Step(self.extensions[0].on_parse())

    def validation(self) -> Any:
        return _Step(self.extensions[0].on_validate())

    def executing(self) -> Any:
        return nullcontext()


class _Step:
    """A hook around a step. A step that fails ends its hook there: none of ours looks at errors that are raised."""

    __slots__ = ("_hook",)

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    async def __aenter__(self) -> None:
        next(self._hook)

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            next(self._hook, None)
        else:
            self._hook.close()


def refusals(
    schema: GraphQLSchema, known: Known, allowed: Limits, operation_name: str | None, variables: Mapping[str, Any]
) -> list[GraphQLError]:
    """Why an operation is not begun; empty where it may be."""
    if known.errors or known.document is None:
        return known.errors
    if len(known.asked) > 1 and not operation_name:
        return [_with_code(GraphQLError("Name the operation: there are several."), "GRAPHQL_VALIDATION_FAILED")]
    asked = known.cost(schema, operation_name or None, variables)
    if asked > allowed.cost:
        return [LimitExceeded(f"The answer may hold {asked} objects; at most {allowed.cost} are given.")]
    return []


def coded(error: GraphQLError) -> GraphQLError:
    """The error as clients may see it: a stable code, and no message of our own internals."""
    if error.extensions and "code" in error.extensions:
        return error
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        if not error.path or error.message.startswith("Argument "):
            return _with_code(error, "BAD_USER_INPUT")
        cause = error  # The executor found our own answer wrong.
    if isinstance(cause, BadInput):
        return _told(error, cause.message, "BAD_USER_INPUT", field=cause.field)
    if isinstance(cause, AccessDenied):
        anonymous = cause.code == "UNAUTHENTICATED"
        return _told(error, "Sign in first." if anonymous else "You may not do this.", cause.code)
    for kind, code, message in _CAUSES:
        if isinstance(cause, kind):
            return _told(error, message, code)
    # Only what and where: a database's message holds the row that it refused, and so somebody's data.
    log.error(
        "operation failed",
        path=error.path,
        fault=type(cause).__name__,
        sqlstate=getattr(cause, "sqlstate", None),
        at="".join(format_tb(cause.__traceback__)),
    )
    return _told(error, "Something went wrong here. It has been noted.", "INTERNAL")


_CAUSES: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (Forbidden, "FORBIDDEN", "This is not one of your clinics."),
    (RequestInProgress, "REQUEST_IN_PROGRESS", "The same request is being carried out. Ask again with the same key."),
    (Unavailable, "UNAVAILABLE", "This can't be answered just now. Ask again with the same key."),
    (TimeoutError, "TIMEOUT", "This took too long."),
)


def _with_code(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": code}
    return error


def _told(error: GraphQLError, message: str, code: str, **more: str) -> GraphQLError:
    return GraphQLError(
        message, nodes=error.nodes, source=error.source, positions=error.positions, path=error.path,
        extensions={"code": code, **more},
    )  # fmt: skip
