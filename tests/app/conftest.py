"""A browser for the tests of pages: Chromium from the machine."""

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.app.browsing import Watched

UNUSED = (
    # Pages of other sites stand for public ones here, and so does our server on this machine.
    "LocalNetworkAccessChecks",
    # The browser's own address bar is a page too, and another process waits to be used: twenty times a test's page.
    "AimEnabled",
    "WebUIOmniboxPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxAimPopup",
    "SpareRendererForSitePerProcess",
)
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--disable-features={','.join(UNUSED)}",
]

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium on PATH: pages are not tried in a browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found[0], args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def context(live_server: Any, browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    yield context
    for page in context.pages:  # Whoever rewrites answers may be at one.
        await page.unroute_all(behavior="ignoreErrors")
    await context.close()


@pytest.fixture
async def watched(live_server: Any, context: BrowserContext) -> Watched:
    return Watched(await context.new_page(), live_server.url)
