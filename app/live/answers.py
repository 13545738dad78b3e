"""Any operation as a stream of answers: one for a query or mutation, one for each event of a subscription."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
import strawberry

from app.graphql import Asked, Operations, Refusal
from app.wiring import Product
from domain.access import Viewer
from schema.subscribing import Refused, Subscribed, is_subscription, understood
from services.live.member import TooSlow


class Declined(Exception):
    """No answer, or no more of them; `errors` are coded."""

    def __init__(self, errors: list[Any]) -> None:
        super().__init__(errors)
        self.errors = errors


class Answers:
    def __init__(self, schema: strawberry.Schema, product: Product, operations: Operations) -> None:
        self._schema = schema
        self._product = product
        self._operations = operations

    async def of(self, viewer: Viewer, asked: Asked, *, reading: bool = False) -> AsyncGenerator[bytes, None]:
        """Each as JSON; `reading`: no mutations. Raises Declined, and TooSlow."""
        try:
            known = understood(self._schema, asked.query, viewer)
            if not is_subscription(known, asked.operation_name):
                yield await self._once(viewer, asked, reading)
                return
            context = self._product.context(viewer)
            name, variables = asked.operation_name, asked.variables or {}
            subscribed = Subscribed(self._schema, known, asked.query, variables, name, context)
            source = await subscribed.source()
        except Refused as refused:
            raise Declined(refused.errors) from None
        async with aclosing(source):
            try:
                async for event in source:
                    yield subscribed.shared(event) or await subscribed.executed(event)
            except TooSlow:
                raise
            except Exception as fault:
                # Whatever broke, the client is told what `coded` tells, and the rest is logged there.
                raise Declined(subscribed.failed(fault).errors) from None

    async def _once(self, viewer: Viewer, asked: Asked, reading: bool) -> bytes:
        try:
            body = await self._operations.answer(viewer, asked, reading=reading)
        except Refusal as refusal:
            raise Declined(refusal.body["errors"]) from None
        if "data" not in body:
            raise Declined(body["errors"])
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
