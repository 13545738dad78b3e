"""One subscription: limited like every operation, then executed once for each frame, or once for all who watch the same."""

from collections.abc import AsyncGenerator, Awaitable, Hashable, Iterator, Mapping
from typing import Any, Final, cast

import orjson
import strawberry
from graphql import (
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationType,
    VariableNode,
    Visitor,
    create_source_event_stream,
    get_operation_ast,
    visit,
)

from domain.access import Viewer
from domain.frames import Delta, Heartbeat, Snapshot
from resolvers.context import Context
from schema import limits
from schema.executor import BreadthFirstExecutor
from schema.operations import DOCUMENTS, Known, Operation, coded, refusals

# Every field of theirs is public, and nothing in their frames depends on who asks (rule 35).
SHARED: Final = frozenset({"availability"})


_ABSENT: Final = object()


class Refused(Exception):
    """The operation is not begun, or ends here; the errors are coded."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = [coded(error).formatted for error in errors]


def understood(schema: strawberry.Schema, text: str, viewer: Viewer) -> Known:
    """Raises Refused for what can't be parsed, is too large or is not valid."""
    known = DOCUMENTS.understood(
        schema._schema,
        text,
        limits.STAFF if viewer.is_staff else limits.PUBLIC,
        introspection=viewer.is_staff or _introspects(schema),
    )
    if known.errors:
        raise Refused(known.errors)
    return known


def is_subscription(known: Known, operation_name: str | None) -> bool:
    """Raises Refused where the document has no such operation, or several and none is named."""
    assert known.document is not None
    operation = get_operation_ast(known.document, operation_name)
    if operation is None:
        said = "There is no such operation in the document." if operation_name else "Name the operation."
        raise Refused([GraphQLError(said, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})])
    return operation.operation is OperationType.SUBSCRIPTION


class Subscribed:
    """`source` yields what happens; `shared` and `executed` make the answer to it."""

    def __init__(
        self,
        schema: strawberry.Schema,
        known: Known,
        text: str,
        variables: Mapping[str, Any],
        operation_name: str | None,
        context: Context,
    ) -> None:
        allowed = limits.STAFF if context.viewer.is_staff else limits.PUBLIC
        errors = refusals(schema._schema, known, allowed, operation_name, variables)
        if errors:
            raise Refused(errors)
        assert known.document is not None
        self._schema = schema
        self._document: DocumentNode = known.document
        self._name = operation_name
        self._variables = dict(variables)
        self._context = context
        context.loaders.operation = known.fields_of(operation_name)
        self._key: Hashable | None = None
        if context.loaders.operation in SHARED:
            self._key = (text, operation_name, *(_deciding(self._document, variables) if "@" in text else ()))

    async def source(self) -> AsyncGenerator[Any, None]:
        """Raises Refused where the arguments are wrong."""
        try:
            found = create_source_event_stream(self._executor(None))
        except StopIteration:
            raise Refused([GraphQLError("Nothing is asked: the only field is skipped.")]) from None
        if isinstance(found, Awaitable):
            found = await found
        if isinstance(found, ExecutionResult):
            raise Refused(found.errors or [])
        return cast("AsyncGenerator[Any, None]", found)

    def shared(self, frame: Snapshot | Delta | Heartbeat) -> bytes | None:
        """The answer's JSON, made by the first who asks for it; None where it is the viewer's own."""
        if self._key is None:
            return None
        found = frame.encoded.get(self._key)
        if found is None:
            result = self._executor(frame).execute_operation(False)
            assert isinstance(result, ExecutionResult), "what is shared awaits nothing"
            found = frame.encoded[self._key] = _json(result)
        return found

    async def executed(self, event: Any) -> bytes:
        """The answer's JSON, once it is written down whose data it tells (rule 22)."""
        result = self._executor(event).execute_operation(False)
        if not isinstance(result, ExecutionResult):
            result = await result
        assert isinstance(result, ExecutionResult)
        await self._context.pages.write_audit()
        return _json(result)

    def failed(self, fault: Exception) -> Refused:
        """What a client is told where the source broke."""
        if isinstance(fault, Refused):
            return fault
        return Refused([GraphQLError("", original_error=fault)])

    def _executor(self, event: Any) -> BreadthFirstExecutor:
        """Anew for each event: what an executor remembers of its selections would grow with every one."""
        made = BreadthFirstExecutor.build(
            self._schema._schema,
            self._document,
            root_value=event,
            context_value=self._context,
            raw_variable_values=self._variables,
            operation_name=self._name,
            hide_suggestions=True,
        )
        if isinstance(made, list):
            raise Refused(made)
        assert isinstance(made, BreadthFirstExecutor)
        return made


def _introspects(schema: strawberry.Schema) -> bool:
    return any(
        isinstance(one, type) and issubclass(one, Operation) and one.introspection_for_all for one in schema.extensions
    )


def _json(result: ExecutionResult) -> bytes:
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [coded(error).formatted for error in result.errors]
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)


def _deciding(document: DocumentNode, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The variables that frames themselves depend on: those of directives. The rest choose what is watched, and from where."""
    found = _InDirectives()
    visit(document, found)
    for name in sorted(found.names):
        yield name, variables.get(name, _ABSENT)


class _InDirectives(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names.add(argument.value.name.value)
