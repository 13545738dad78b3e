"""A clinic's calendar played by the test: it answers the widget's questions and sends the frames it is told to."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from playwright.async_api import Page, Route, WebSocketRoute

CLINIC, VISIT_TYPE = "clinic-1", "visit-1"
PEOPLE = {"provider-1": "Ada Osei", "provider-2": "Bo Lind"}
ELEMENT = f'<clinic-calendar clinic="{CLINIC}" visit-type="{VISIT_TYPE}"></clinic-calendar>'


class Scripted:
    """One clinic behind GraphQL. `cursor` counts what was sent; `subscribed` is what clients asked for."""

    def __init__(self, *, zone: str, now: datetime, first: str | None, phone: str | None = "+12125550100") -> None:
        self.zone = ZoneInfo(zone)
        self.now = now
        self.first = first
        self.later: str | None = None
        self.phone = phone
        self.slots: dict[str, dict[str, Any]] = {}
        self.cursor = 0
        self.subscribed: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.open_sockets: list[WebSocketRoute] = []
        self.streams: list[tuple[WebSocketRoute, str]] = []
        self.socket_works = True
        self.events_work = False
        self.answers = True
        self.resumes = True

    async def attach(self, page: Page, url: str) -> None:
        await page.route(f"{url}/graphql", self._answer)
        await page.route_web_socket(f"{url.replace('http', 'ws')}/graphql", self._socket)

    def slot(
        self, name: str, at: str, provider: str = "provider-1", *, minutes: int = 30, **fields: Any
    ) -> dict[str, Any]:
        """Opens a time before any frame is sent. `at` is the clinic's clock, or an instant where it names an offset."""
        given = datetime.fromisoformat(at)
        start = given.replace(tzinfo=self.zone) if given.tzinfo is None else given
        self.slots[name] = {
            "id": name,
            "providerId": provider,
            "startsAt": start.isoformat(),
            "endsAt": (start + timedelta(minutes=minutes)).isoformat(),
            "localDate": start.date().isoformat(),
            "left": 1,
            "bookableUntil": start.isoformat(),
            **fields,
        }
        return self.slots[name]

    async def send(
        self, *, opened: Iterable[dict[str, Any]] = (), removed: Iterable[str] = (), lost: bool = False
    ) -> None:
        """A delta to all that listen; `lost`: one frame before it never arrived."""
        self.cursor += 1 if not lost else 2
        for slot in opened:
            self.slots[slot["id"]] = slot
        for name in removed:
            self.slots.pop(name, None)
        before = f"c{self.cursor - 1}"
        frame = {"previousCursor": before, "opened": list(opened), "removed": list(removed)}
        self._all("AvailabilityDelta", frame)

    async def beat(self) -> None:
        self.cursor += 1
        self._all("AvailabilityHeartbeat", {"previousCursor": f"c{self.cursor - 1}"})

    async def cut(self, code: int = 1012) -> None:
        sockets, self.open_sockets, self.streams = self.open_sockets, [], []
        for socket in sockets:
            await socket.close(code=code, reason="restart")

    def _frame(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"__typename": kind, "cursor": f"c{self.cursor}", "serverTime": self.now.isoformat(), **fields}

    def _snapshot(self, filter: dict[str, Any], reason: str = "INITIAL") -> dict[str, Any]:
        slots = [one for one in self.slots.values() if filter["from"] <= one["localDate"] <= filter["to"]]
        fields = {"reason": reason, "timeZone": self.zone.key, "through": filter["to"], "slots": slots}
        return self._frame("AvailabilitySnapshot", fields)

    def _all(self, kind: str, fields: dict[str, Any]) -> None:
        for socket, name in self.streams:
            self._next(socket, name, self._frame(kind, fields))

    @staticmethod
    def _next(socket: WebSocketRoute, name: str, frame: dict[str, Any]) -> None:
        socket.send(json.dumps({"id": name, "type": "next", "payload": {"data": {"availability": frame}}}))

    async def _socket(self, socket: WebSocketRoute) -> None:
        if not self.socket_works:
            await socket.close(code=1011, reason="no sockets here")
            return
        self.open_sockets.append(socket)
        socket.on_message(lambda text: self._heard(socket, json.loads(text)))

    def _heard(self, socket: WebSocketRoute, message: dict[str, Any]) -> None:
        if message["type"] == "connection_init":
            socket.send('{"type":"connection_ack"}')
        elif message["type"] == "ping":
            socket.send('{"type":"pong"}')
        elif message["type"] == "complete":
            self.streams = [one for one in self.streams if one[1] != message["id"]]
        elif message["type"] == "subscribe":
            variables = message["payload"]["variables"]
            self.subscribed.append(variables)
            self.streams.append((socket, message["id"]))
            after = variables.get("after")
            if after is not None and self.resumes:
                beat = self._frame("AvailabilityHeartbeat", {"previousCursor": after})
                self._next(socket, message["id"], beat)
            else:
                self._next(socket, message["id"], self._snapshot(variables["filter"]))

    async def _answer(self, route: Route) -> None:
        allow = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "content-type"}
        if route.request.method == "OPTIONS":
            await route.fulfill(status=204, headers=allow)
            return
        if not self.answers:
            await route.abort()
            return
        body = json.loads(route.request.post_data or "{}")
        operation = body["query"].split("(")[0].split()[-1]
        self.asked.append(operation)
        if "event-stream" in route.request.headers.get("accept", ""):
            await self._events(route, body["variables"], allow)
            return
        data = self._data(operation, body["variables"])
        await route.fulfill(headers=allow, json={"data": data} if data is not None else self._refusal())

    async def _events(self, route: Route, variables: dict[str, Any], allow: dict[str, str]) -> None:
        """One frame, then the stream ends."""
        if not self.events_work:
            await route.fulfill(status=406, headers=allow, json=self._refusal())
            return
        self.subscribed.append(variables)
        after = variables.get("after")
        if after is not None and self.resumes:
            frame = self._frame("AvailabilityHeartbeat", {"previousCursor": after})
        else:
            frame = self._snapshot(variables["filter"])
        body = f"event: next\ndata: {json.dumps({'data': {'availability': frame}})}\n\nevent: complete\ndata: \n\n"
        await route.fulfill(headers=allow, content_type="text/event-stream", body=body)

    @staticmethod
    def _refusal() -> dict[str, Any]:
        return {"errors": [{"message": "There is no such thing.", "extensions": {"code": "BAD_USER_INPUT"}}]}

    def _data(self, operation: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        visit_type = {"name": "Check-up", "durationMinutes": 30, "bookableDaysAhead": 60}
        clinic: dict[str, Any] = {"name": "Harbour Clinic", "phone": self.phone, "timeZone": self.zone.key}
        found = {"localDate": self.first} if self.first else None
        people = [
            {"id": key, "name": name, "acceptingNewPatients": True, "nextSlot": found} for key, name in PEOPLE.items()
        ]
        page = {"hasNextPage": False, "endCursor": None}
        match operation:
            case "Clinic" if variables["clinic"] != CLINIC:
                return {"clinic": None, "visitType": visit_type}
            case "Clinic":
                clinic["providers"] = {"pageInfo": page, "edges": [{"node": one} for one in people]}
                return {"clinic": clinic, "visitType": visit_type}
            case "Provider":
                mine = next((one for one in people if one["id"] == variables["provider"]), None)
                return {"clinic": clinic, "visitType": visit_type, "provider": mine}
            case "Later":
                slots = [{"localDate": self.later}] if self.later and self.later >= variables["from"] else []
                return {"clinic": {"providers": {"pageInfo": page, "edges": [{"node": {"slots": slots}}]}}}
            case "OpenTimesNow":
                return {"availability": self._snapshot(variables["filter"])}
        return None
