"""GraphQL over HTTP (the current draft): POST and GET on /graphql, both media types, bounded bodies, coded errors."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import orjson
import strawberry
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType
from structlog.contextvars import bound_contextvars

from app import pages
from app.auth import TokenRefused, Tokens
from app.wiring import Product
from domain.access import Viewer
from domain.faults import Unavailable
from schema.limits import STAFF
from schema.operations import coded

RESPONSE_JSON: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"
RUNNING_MAX: Final = 128
BODY_MAX: Final = 2 * STAFF.characters
HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept, Authorization"}


class Refusal(Exception):
    """A request that is answered before any operation runs."""

    def __init__(self, status: int, message: str, code: str = "BAD_USER_INPUT", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"message": message, "extensions": {"code": code}}]}
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Asked:
    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


class Operations:
    """Queries and mutations, however they arrived."""

    def __init__(self, schema: strawberry.Schema, product: Product) -> None:
        self._schema = schema
        self._product = product
        # What is begun is finished soon: ten thousand half-done operations would all be late.
        self._running = asyncio.Semaphore(RUNNING_MAX)

    async def answer(self, viewer: Viewer, asked: Asked, *, reading: bool = False) -> dict[str, Any]:
        """The response of a query or a mutation; `reading`: of a query only. Raises Refusal where nothing is executed at all."""
        allowed = {OperationType.QUERY} if reading else {OperationType.QUERY, OperationType.MUTATION}
        context = self._product.context(viewer)
        try:
            async with self._running, asyncio.timeout(self._product.settings.request_seconds):
                result = await self._schema.execute(
                    asked.query,
                    variable_values=asked.variables,
                    context_value=context,
                    operation_name=asked.operation_name,
                    allowed_operation_types=allowed,
                )
                await context.pages.write_audit()
        except InvalidOperationTypeError as error:
            if reading:
                raise Refusal(405, "GET answers queries only.", Allow="POST") from None
            raise Refusal(400, f"A {error.operation_type.value} is not taken here.") from None
        except (CannotGetOperationTypeError, MissingQueryError):
            raise Refusal(400, "There is no such operation in the document.", "GRAPHQL_VALIDATION_FAILED") from None
        except (TimeoutError, Unavailable) as error:
            return {"data": None, "errors": [coded(GraphQLError("", original_error=error)).formatted]}
        body: dict[str, Any] = {"data": result.data} if result.data is not None or _began(result) else {}
        if result.errors:
            body["errors"] = [coded(error).formatted for error in result.errors]
        return body


class GraphQLEndpoint:
    """One operation a request; the answer is encoded once, by orjson."""

    def __init__(self, operations: Operations, product: Product) -> None:
        self._operations = operations
        self._product = product

    async def __call__(self, request: Request) -> Response:
        request_id = uuid4().hex
        with bound_contextvars(request_id=request_id):
            return await self._answered(request, request_id)

    async def _answered(self, request: Request, request_id: str) -> Response:
        accept = request.headers.get("accept", "")
        if request.method == "GET" and "query" not in request.query_params and _prefers_html(accept):
            return pages.explorer(request, development=not self._product.settings.production)
        media_type = _media_type(accept)
        try:
            if request.method not in ("GET", "POST"):
                raise Refusal(405, "Ask with GET or POST.", Allow="GET, POST")
            if media_type is None:
                raise Refusal(406, f"Answers come as {RESPONSE_JSON} or {PLAIN_JSON}.")
            viewer = await viewer_of(self._product.tokens, request, request_id)
            asked = await asked_in(request)
            body = await self._operations.answer(viewer, asked, reading=request.method == "GET")
            status = 200 if "data" in body else 400
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
            return response(body, status, media_type or PLAIN_JSON, request_id, refusal.headers)
        except ClientDisconnect:
            return Response(status_code=499)
        if media_type == PLAIN_JSON:
            status = 200
        return response(body, status, media_type, request_id, {})


async def viewer_of(tokens: Tokens, request: Request, request_id: str) -> Viewer:
    """Raises Refusal for a token that does not count."""
    try:
        viewer = await tokens.viewer(request.headers.get("authorization"))
    except TokenRefused as refused:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Refusal(401, refused.message, "UNAUTHENTICATED", **challenge) from None
    return replace(viewer, request_id=request_id)


def _began(result: Any) -> bool:
    """Whether execution began: an error with a path lies inside the answer, one without came before it."""
    return any(error.path for error in result.errors or ())


def _prefers_html(accept: str) -> bool:
    html, json = accept.find("text/html"), accept.find("json")
    return html >= 0 and (json < 0 or html < json)


def _media_type(accept: str) -> str | None:
    if not accept or "*/*" in accept or "application/*" in accept:
        return RESPONSE_JSON if RESPONSE_JSON in accept else PLAIN_JSON
    if RESPONSE_JSON in accept:
        return RESPONSE_JSON
    return PLAIN_JSON if PLAIN_JSON in accept else None


async def asked_in(request: Request) -> Asked:
    """Raises Refusal for a body that is none, and ClientDisconnect."""
    if request.method == "GET":
        found: Mapping[str, Any] = dict(request.query_params)
        return _fields({**found, "variables": _parsed(found.get("variables") or "null", "variables")})
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PLAIN_JSON:
        raise Refusal(415, "A request is JSON: Content-Type application/json.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX:
            raise Refusal(413, f"At most {BODY_MAX} bytes.", "LIMIT_EXCEEDED")
    return _fields(_parsed(bytes(body), "the body"))


def _parsed(text: str | bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refusal(400, f"JSON is expected in {what}.") from None


def _fields(found: Any) -> Asked:
    if not isinstance(found, dict):
        raise Refusal(400, "One operation a request: a JSON object.")
    query, variables = found.get("query"), found.get("variables")
    name, extensions = found.get("operationName"), found.get("extensions")
    if not isinstance(query, str) or not query:
        raise Refusal(400, "`query` is a text.")
    if variables is not None and not isinstance(variables, dict):
        raise Refusal(400, "`variables` is an object.")
    if name is not None and not isinstance(name, str):
        raise Refusal(400, "`operationName` is a text.")
    if extensions is not None and not isinstance(extensions, dict | str):
        raise Refusal(400, "`extensions` is an object.")
    return Asked(query, variables, name)


def response(
    body: Mapping[str, Any], status: int, media_type: str, request_id: str, headers: Mapping[str, str]
) -> Response:
    named = {**HEADERS, "X-Request-Id": request_id, "Content-Type": f"{media_type}; charset=utf-8", **headers}
    return Response(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status_code=status, headers=named)
