"""A client of graphql-transport-ws as others would write one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

AVAILABILITY = """subscription Q($c: ID!, $after: StreamCursor) {
    availability(filter: { clinicId: $c, visitTypeId: "%s", from: "2026-03-02", to: "2026-03-04" }, after: $after) {
        __typename
        ... on AvailabilityFrame { cursor serverTime }
        ... on AvailabilitySnapshot { reason slots { id left startsAt } }
        ... on AvailabilityDelta { previousCursor opened { id } removed }
        ... on AvailabilityHeartbeat { previousCursor } } }"""


class Talker:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.connection.recv())
        return found

    async def begin(self, token: str | None = None) -> None:
        payload = {} if token is None else {"authorization": f"Bearer {token}"}
        await self.say({"type": "connection_init", "payload": payload})
        assert await self.hear() == {"type": "connection_ack"}

    async def subscribe(self, query: str, variables: dict[str, Any] | None = None, name: str = "1") -> None:
        await self.say({"id": name, "type": "subscribe", "payload": {"query": query, "variables": variables or {}}})

    async def next(self, name: str = "1") -> Any:
        message = await self.hear()
        assert (message["type"], message["id"]) == ("next", name), message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def refused(self, name: str = "1") -> list[dict[str, Any]]:
        message = await self.hear()
        assert (message["type"], message["id"]) == ("error", name), message
        errors: list[dict[str, Any]] = message["payload"]
        return errors

    async def codes(self, name: str = "1") -> list[str]:
        return [error["extensions"]["code"] for error in await self.refused(name)]

    async def closed(self) -> int | None:
        """The code of the server's close; what it said before is passed over."""
        try:
            while True:
                await self.connection.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else None


@asynccontextmanager
async def talking(
    url: str, *, protocols: list[str] | None = None, origin: str | None = None, **more: Any
) -> AsyncIterator[Talker]:
    talker = await opened(url, protocols, origin, **more)
    async with talker.connection:
        yield talker


async def opened(url: str, protocols: list[str] | None = None, origin: str | None = None, **more: Any) -> Talker:
    named = [Subprotocol(one) for one in (protocols if protocols is not None else ["graphql-transport-ws"])]
    address = url.replace("http", "ws", 1) + "/graphql"
    return Talker(await connect(address, subprotocols=named or None, origin=origin, **more))  # type: ignore[arg-type]
