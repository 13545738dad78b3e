"""What comes from outside about messages: the stop link of an e-mail, and the SMS provider's callbacks."""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import jinja2
import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from adapters.notifications.sms import is_signed
from app import pages
from app.wiring import Product
from domain.messages import DELIVERY
from domain.recipients import Channel

BODY_MAX: Final = 16_384
FIELDS_MAX: Final = 100
SIGNATURE: Final = "X-Twilio-Signature"
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)
Fields = list[tuple[str, str]]
log = structlog.get_logger()


class Hooks:
    def __init__(self, product: Product) -> None:
        self._stopping = product.stopping
        self._token = product.settings.sms_token
        self._public_url = product.post.public_url.rstrip("/")

    async def unsubscribe(self, request: Request) -> Response:
        """GET only shows: programs that look at links stop nothing. POST stops, also without a page (RFC 8058)."""
        found = await self._stopping.linked(request.path_params["token"])
        if found is None:
            return _page(404, channel=None, stopped=False)
        channel, address, stopped = found
        if request.method == "POST":
            fields = await _fields(request)
            if fields is None:
                return Response(status_code=413)
            stopped = ("wish", "resume") not in fields
            await (self._stopping.stop if stopped else self._stopping.go_on)(channel, address, "a stop link")
        return _page(200, channel=channel, stopped=stopped)

    async def status(self, request: Request) -> Response:
        """How far an SMS came. Those that are not ours are taken too: the provider would try again for hours."""
        fields = await self._signed(request)
        if isinstance(fields, Response):
            return fields
        said = dict(fields)
        sid, delivery = said.get("MessageSid"), said.get("MessageStatus", "")
        if not sid or delivery not in DELIVERY:
            return Response(status_code=400)
        if not await self._stopping.delivered(sid, request.query_params.get("message"), delivery):
            log.info("a callback names no message of ours")
        return Response(status_code=204)

    async def inbound(self, request: Request) -> Response:
        """STOP and START. The provider answers them itself: nothing from us beside it."""
        fields = await self._signed(request)
        if isinstance(fields, Response):
            return fields
        said = dict(fields)
        if not said.get("From"):
            return Response(status_code=400)
        await self._stopping.answered(said["From"], said.get("Body", ""))
        return Response("<Response/>", media_type="text/xml")

    async def _signed(self, request: Request) -> Fields | Response:
        """The form, if the provider signed it with our token; else what is answered instead."""
        fields = await _fields(request)
        if fields is None:
            return Response(status_code=413)
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{self._public_url}{request.url.path}{query}"
        given = request.headers.get(SIGNATURE)
        if self._token is None or not is_signed(self._token.get_secret_value(), url, fields, given):
            log.warning("a callback was not signed with SMS_TOKEN")
            return Response(status_code=403)
        return fields


def routes(product: Product) -> list[Route]:
    hooks = Hooks(product)
    return [
        Route("/unsubscribe/{token}", hooks.unsubscribe, methods=["GET", "POST"]),
        Route("/hooks/sms/status", hooks.status, methods=["POST"]),
        Route("/hooks/sms/inbound", hooks.inbound, methods=["POST"]),
    ]


async def _fields(request: Request) -> Fields | None:
    """A small form; None for a big one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            return None
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return None


def _page(code: int, *, channel: Channel | None, stopped: bool) -> Response:
    html = TEMPLATES.get_template("unsubscribe.html").render(
        found=channel is not None, email=channel is Channel.EMAIL, stopped=stopped
    )
    return HTMLResponse(html, code, headers={**pages.SECURITY, "Content-Security-Policy": POLICY})
