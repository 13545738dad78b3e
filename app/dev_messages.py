"""The page that shows, in development, what was sent as people would see it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app import pages
from app.hooks import POLICY, TEMPLATES
from app.wiring import Product

SHOWN: Final = 50


def endpoint(product: Product) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        latest = await asyncio.to_thread(product.post.folder.latest, SHOWN)
        html = TEMPLATES.get_template("messages.html").render(messages=latest)
        return HTMLResponse(html, headers={**pages.SECURITY, "Content-Security-Policy": POLICY})

    return answer
