"""Watching pages: what they ask for, what they complain of, whether everybody can use them."""

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page

AXE = Path(__file__).parent / "assets" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Of what passes only how much: its nodes would be described and sent, hundreds a page.
AXE_RUN = """async (values) => {
  const found = await axe.run(document, {runOnly: {type: 'tag', values}, resultTypes: ['violations']});
  return [found.violations.map(({id, nodes}) => [id, nodes.map(({target}) => target)]), found.passes.length];
}"""


class Watched:
    """A page whose requests and complaints are written down."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        # A breach of the content security policy is a console error too.
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))

    async def open(self, path: str) -> Page:
        await self.page.goto(self.url + path)
        return self.page

    def assert_clean(self) -> None:
        hosts = {urlsplit(url).netloc for url in self.requests if not url.startswith(("data:", "blob:"))}
        assert hosts <= {urlsplit(self.url).netloc}
        assert [text for text in self.complaints if not text.startswith(("info", "log", "debug"))] == []


async def assert_accessible(page: Page) -> None:
    """No violation of WCAG 2.2 AA that axe can see, shadow roots included, in the state the page is in."""
    if not await page.evaluate("'axe' in window"):
        # Not as a script element: the page's own policy refuses those, and rightly.
        await page.evaluate(f"(() => {{ {AXE.read_text('utf-8')} }})()")
    told, passes = await page.evaluate(AXE_RUN, TAGS)
    assert told == []
    assert passes > 0


async def until(true: Callable[[], Any], seconds: float = 10) -> None:
    for _ in range(int(seconds * 20)):
        found = true()
        if await found if inspect.isawaitable(found) else found:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {seconds} seconds")
