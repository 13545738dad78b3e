"""What messages are handed to, on free ports: an SMTP server, and an SMS provider that behaves as Twilio documents."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
from aiosmtpd.smtp import SMTP

ACCOUNT, TOKEN, NUMBER = "AC123", "the token", "+12025550199"


@dataclass
class Mailbox:
    """Takes mail. `answers` are given to the next letters instead of taking them: a line, "hang" or "lost" (taken, not said)."""

    url: str = ""
    got: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    tried: int = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.tried += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is None or answer == "lost":
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.got.append(message)
        if answer in ("hang", "lost"):
            await asyncio.sleep(60)
        return answer or "250 OK"

    def ids(self) -> list[str]:
        return [str(one["Message-ID"]) for one in self.got]

    def subjects(self) -> list[str]:
        return [str(one["Subject"]) for one in self.got]


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
    box.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield box
    finally:
        server.close()


@dataclass
class Provider:
    """`answers` are given to the next posts: a status and body, "lost" (taken, the answer cut off) or "hang"."""

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    posted: int = 0
    hang_seconds: float = 60.0

    def bodies(self, to: str | None = None) -> list[str]:
        return [one["body"] for one in self.messages if to in (None, one["to"])]

    def _take(self, form: dict[str, str]) -> dict[str, Any]:
        found = {
            "sid": f"SM{token_hex(16)}",
            "status": "queued",
            "to": form["To"],
            "from": form.get("From"),
            "body": form["Body"],
            "date_created": format_datetime(datetime.now(UTC)),
            "callback": form.get("StatusCallback"),
        }
        self.messages.insert(0, found)
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._once(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        wanted = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if headers.get("authorization") != wanted:
            return self._say(writer, 401, {"code": 20003})
        if urlsplit(target).path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
            return self._say(writer, 404, {"code": 20404})
        if method == "GET":
            self.asked.append(target)
            to = parse_qs(urlsplit(target).query)["To"][0]
            return self._say(writer, 200, {"messages": [one for one in self.messages if one["to"] == to]})
        self.posted += 1
        answer = self.answers.pop(0) if self.answers else None
        form = dict(parse_qsl(body.decode()))
        if answer is None:
            return self._say(writer, 201, self._take(form))
        if answer == "hang":
            await asyncio.sleep(self.hang_seconds)
        elif answer == "lost":
            self._take(form)
        elif isinstance(answer, tuple):
            return self._say(writer, *answer)
        return False

    def _say(self, writer: asyncio.StreamWriter, status: int, body: Any) -> bool:
        raw = orjson.dumps(body)
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
        )
        writer.write(raw)
        return True


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    peer = Provider()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
