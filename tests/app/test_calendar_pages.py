"""Choosing a time on /calendar and booking it on /book, as patients do it, against the real server."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect
from starlette.applications import Starlette
from starlette.routing import Route as HTTPRoute

from app import calendar_pages, pages
from app.auth import development_token
from app.cors import AllowedOrigins
from tests.app.browsing import Watched, assert_accessible, until

PLACES = """
{ clinics(first: 8) { edges { node {
    id name phone visitTypes { id durationMinutes }
    providers(first: 10) { edges { node { id acceptingNewPatients } } }
} } } }
"""
SLOTS = """
query($provider: ID!, $clinic: ID!, $type: ID!) { node(id: $provider) { ... on Provider {
    nextSlot(clinicId: $clinic, visitTypeId: $type) { localDate }
} } }
"""
TIMES = """
query($filter: AvailabilityFilter!) { availability(filter: $filter) { slots { id providerId startsAt endsAt } } }
"""
BUSY = """
query { viewer { patient { appointments(when: UPCOMING, first: 100) { edges { node { startsAt endsAt } } } } } }
"""
HOLD = """
mutation($slot: ID!, $key: String!) { holdSlot(input: {slotId: $slot, idempotencyKey: $key}) {
    ... on SlotHeld { hold { id } }
} }
"""
RELEASE = """
mutation($hold: ID!, $key: String!) { releaseHold(input: {holdId: $hold, idempotencyKey: $key}) { __typename } }
"""
ORIGINS = """
mutation($clinic: ID!, $origins: [String!]!, $key: String!) {
  setClinicOrigins(input: {clinicId: $clinic, origins: $origins, idempotencyKey: $key}) { __typename }
}
"""
FREE = "query($slot: ID!) { node(id: $slot) { ... on Slot { status } } }"


class Place:
    """Where a patient may book now: a provider who takes new patients, and the provider's next times."""

    def __init__(self, clinic: dict[str, Any], visit_type: str, provider: str, day: str, slots: list[str]) -> None:
        self.clinic = clinic
        self.day = day
        self.visit_type = visit_type
        self.provider = provider
        self.slots = slots

    @property
    def path(self) -> str:
        return f"/calendar?clinic={self.clinic['id']}&visit-type={self.visit_type}&provider={self.provider}"


class API:
    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def ask(self, query: str, token: str | None = None, **variables: Any) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = (
            await self._client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def patients(self) -> list[dict[str, str]]:
        return list((await self._client.get("/dev/patients.json")).json())

    async def place(self) -> Place:
        async for place in self.places():
            return place
        raise AssertionError("the demo has no such times")

    async def contested(self) -> str:
        """A time near which others are free that a new patient may book too."""
        async for place in self.places():
            taking = {
                edge["node"]["id"]
                for edge in place.clinic["providers"]["edges"]
                if edge["node"]["acceptingNewPatients"]
            }
            window = {
                "clinicId": place.clinic["id"],
                "visitTypeId": place.visit_type,
                "from": place.day,
                "to": place.day,
            }
            slots = (await self.ask(TIMES, filter=window))["availability"]["slots"]
            for wanted in (slot for slot in slots if slot["id"] in place.slots):
                start, end = _at(wanted["startsAt"]), _at(wanted["endsAt"])
                others = [
                    slot
                    for slot in slots
                    if slot["providerId"] != place.provider
                    or _at(slot["endsAt"]) <= start
                    or _at(slot["startsAt"]) >= end
                ]
                others.sort(key=lambda slot, start=start: abs(_at(slot["startsAt"]) - start))
                # Where several are equally near, any may be among the three.
                if len(others) >= 3 and all(slot["providerId"] in taking for slot in others[:6]):
                    return str(wanted["id"])
        raise AssertionError("the demo has no such times")

    async def places(self, *, slots: int = 4) -> AsyncIterator[Place]:
        """Places whose next times suit every demo patient who can be chosen."""
        busy = []
        for patient in await self.patients():
            found = (await self.ask(BUSY, patient["token"]))["viewer"]["patient"]["appointments"]["edges"]
            busy += [(_at(one["node"]["startsAt"]), _at(one["node"]["endsAt"])) for one in found]
        for edge in (await self.ask(PLACES))["clinics"]["edges"]:
            clinic = edge["node"]
            for one in clinic["providers"]["edges"]:
                for kind in clinic["visitTypes"]:
                    place = await self._place(clinic, kind["id"], one["node"], busy, slots) if clinic["phone"] else None
                    if place is not None:
                        yield place

    async def _place(self, clinic: Any, kind: str, provider: Any, busy: list[Any], count: int) -> Place | None:
        if not provider["acceptingNewPatients"]:
            return None
        named = {"provider": provider["id"], "clinic": clinic["id"], "type": kind}
        soonest = (await self.ask(SLOTS, **named))["node"]["nextSlot"]
        if soonest is None:
            return None
        day = soonest["localDate"]
        window = {
            "clinicId": clinic["id"],
            "visitTypeId": kind,
            "providerIds": [provider["id"]],
            "from": day,
            "to": day,
        }
        slots = (await self.ask(TIMES, filter=window))["availability"]["slots"]
        for slot in slots:
            start, end = _at(slot["startsAt"]), _at(slot["endsAt"])
            if any(start < ends and starts < end for starts, ends in busy):
                return None
        return Place(clinic, kind, provider["id"], day, [slot["id"] for slot in slots]) if len(slots) >= count else None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
async def api(live_server: Any) -> AsyncIterator[API]:
    async with httpx2.AsyncClient(base_url=live_server.url, timeout=20) as client:
        yield API(client)


@pytest.fixture
async def place(api: API) -> Place:
    return await api.place()


async def sign_in(page: Page, patient: int = 0) -> None:
    await page.get_by_label("Demo patient").select_option(index=patient)
    await page.get_by_role("button", name="Sign in and hold this time").click()


async def held(page: Page) -> None:
    await expect(page.locator(".hold")).to_contain_text("Held for you for")


# ---------------------------------------------------------------- the script for other web sites


async def embedded(name: str, **headers: str) -> httpx2.Response:
    app = Starlette(routes=[HTTPRoute("/embed/v1/{name}", calendar_pages.embed)])
    app.add_middleware(AllowedOrigins, allows="https://harbour.example".__eq__)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pages") as client:
        return await client.get(f"/embed/v1/{name}", headers=headers)


async def test_the_script_has_a_lasting_name_and_is_asked_for_again() -> None:
    answer = await embedded("widget.js")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["content-type"].startswith("text/javascript")
    again = await embedded("widget.js", **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in pages.embedded_names() - {pages.entries()["widget.js"]}:
        assert "immutable" in (await embedded(name)).headers["cache-control"]


async def test_only_allowed_origins_may_run_the_script() -> None:
    ours = await embedded("widget.js", origin="https://harbour.example")
    assert ours.headers["access-control-allow-origin"] == "https://harbour.example"
    assert "Origin" in ours.headers["vary"]
    for origin in ["https://evil.example", "null", "https://harbour.example.evil.example"]:
        assert "access-control-allow-origin" not in (await embedded("widget.js", origin=origin)).headers


@pytest.mark.parametrize("name", ["manifest.json", "home.html", "x.js", "%2e%2e%2fwidget.js"])
async def test_nothing_else_is_embedded(name: str) -> None:
    assert (await embedded(name)).status_code == 404


async def test_our_pages_have_a_strict_policy(live_server: Any, api: API) -> None:
    async with httpx2.AsyncClient(base_url=live_server.url) as client:
        for path in ["/calendar", "/book?slot=x", "/calendar?clinic=%00&visit-type=%22%3E%3Cb"]:
            answer = await client.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "script-src 'self'" in policy
            assert "<b" not in answer.text.replace("<body", "").replace("<button", "")


async def test_runs_on_a_site_that_the_clinic_has_allowed_and_on_no_other(
    live_server: Any, context: BrowserContext, api: API, place: Place
) -> None:
    element = f'<clinic-calendar clinic="{place.clinic["id"]}" visit-type="{place.visit_type}"></clinic-calendar>'
    html = f'<script type="module" src="{live_server.url}/embed/v1/widget.js"></script>{element}'
    await context.route("https://*.example/", lambda route: route.fulfill(content_type="text/html", body=html))
    admin = development_token(live_server.settings, role="admin")
    await api.ask(ORIGINS, admin, clinic=place.clinic["id"], origins=["https://harbour.example"], key="harbour")
    ours, theirs = await context.new_page(), await context.new_page()
    await ours.goto("https://harbour.example/")
    await theirs.goto("https://elsewhere.example/")
    await expect(ours.locator("clinic-calendar button[part=slot]").first).to_be_visible()
    assert await theirs.evaluate("customElements.get('clinic-calendar') === undefined")
    await api.ask(ORIGINS, admin, clinic=place.clinic["id"], origins=[], key="nobody")


# ---------------------------------------------------------------- /calendar


async def test_calendar_names_clinic_and_phone_without_scripts(
    live_server: Any, browser: Browser, place: Place
) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(live_server.url + place.path)
    await expect(page.get_by_role("heading", level=1)).to_have_text(place.clinic["name"])
    await expect(page.get_by_role("link", name=place.clinic["phone"])).to_be_visible()
    await page.get_by_label("Clinic").select_option(index=1)
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("heading", level=1)).not_to_have_text(place.clinic["name"])
    await page.goto(f"{live_server.url}/book?slot={place.slots[0]}")
    await expect(page.get_by_role("link", name=place.clinic["phone"])).to_be_visible()
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_calendar_shows_a_clinics_times(watched: Watched, place: Place, scheme: Any) -> None:
    await watched.page.emulate_media(color_scheme=scheme)
    page = await watched.open(place.path)
    times = page.locator('clinic-calendar button[part="slot"]')
    await expect(page.locator(f'[data-slot-id="{place.slots[0]}"]')).to_be_visible()
    await assert_accessible(page)
    await page.get_by_label("Provider").select_option(value="")
    await expect(times.first).to_be_visible()
    assert "provider=" not in page.url
    hosts = {url.split("/")[2] for url in watched.requests}
    assert hosts == {watched.url.split("/")[2]}


async def test_another_clinic_is_shown_after_choosing_it(watched: Watched, place: Place) -> None:
    page = await watched.open(place.path)
    before = await page.get_by_role("heading", level=1).text_content()
    options = await page.get_by_label("Clinic").locator("option").evaluate_all("all => all.map(one => one.value)")
    other = next(one for one in options if one != place.clinic["id"])
    await page.get_by_label("Clinic").select_option(value=other)
    await expect(page.get_by_role("heading", level=1)).not_to_have_text(str(before))
    await expect(page.locator("clinic-calendar")).to_have_attribute("clinic", other)


async def test_a_time_that_one_holds_goes_for_who_looks_and_comes_back(
    watched: Watched, api: API, place: Place
) -> None:
    page = await watched.open(place.path)
    time = page.locator(f'[data-slot-id="{place.slots[0]}"]')
    await expect(time).to_be_visible()
    token = (await api.patients())[0]["token"]
    held = (await api.ask(HOLD, token, slot=place.slots[0], key="watched"))["holdSlot"]
    await expect(time).to_have_count(0)
    await api.ask(RELEASE, token, hold=held["hold"]["id"], key="watched-release")
    await expect(time).to_be_visible()


# ---------------------------------------------------------------- /book


async def test_books_by_keyboard_alone(watched: Watched, context: BrowserContext, place: Place) -> None:
    page = await watched.open(place.path)
    first = page.locator('clinic-calendar button[part="slot"]').first
    await expect(first).to_be_visible()
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await first.evaluate("one => one.getRootNode().activeElement === one"):
            break
    async with context.expect_page() as opened:
        await page.keyboard.press("Enter")
    book = await opened.value
    await expect(book.get_by_label("Demo patient")).to_be_visible()
    await assert_accessible(book)
    await tab_to(book, "SELECT")
    await tab_to(book, "BUTTON")
    await book.keyboard.press("Enter")
    await held(book)
    await assert_accessible(book)
    await tab_to(book, "TEXTAREA")
    await book.keyboard.type("My knee")
    await tab_to(book, "BUTTON")
    await book.keyboard.press("Enter")
    heading = book.get_by_role("heading", level=1)
    await expect(heading).to_have_text("You are booked")
    await expect(heading).to_be_focused()
    await expect(book.locator(".facts")).to_contain_text("UTC")
    await assert_accessible(book)
    await book.reload()
    await expect(heading).to_have_text("You are booked")


async def tab_to(page: Page, name: str) -> None:
    for _ in range(12):
        await page.keyboard.press("Tab")
        if (
            await page.evaluate(
                "document.activeElement.closest('main')?.contains(document.activeElement) && document.activeElement.tagName"
            )
            == name
        ):
            return
    raise AssertionError(f"no {name} was reached")


async def test_two_race_for_one_time(live_server: Any, browser: Browser, api: API) -> None:
    slot = await api.contested()
    contexts = [await browser.new_context() for _ in range(2)]
    both = [await context.new_page() for context in contexts]
    for page in both:
        await page.goto(f"{live_server.url}/book?slot={slot}")
    await asyncio.gather(*(sign_in(page, number) for number, page in enumerate(both)))
    for page in both:
        await expect(page.locator('[data-step="held"], [data-step="refused"]')).to_be_visible()
    [winner] = [page for page in both if await page.locator('[data-step="held"]').count()]
    [loser] = [page for page in both if page is not winner]
    await loser.evaluate("window.here = true")
    await expect(loser.get_by_role("heading", level=1)).to_have_text("Somebody was faster")
    await expect(loser.get_by_role("heading", level=1)).to_be_focused()
    await assert_accessible(loser)
    await winner.get_by_role("button", name="Book this time").click()
    await expect(winner.get_by_role("heading", level=1)).to_have_text("You are booked")
    others = loser.locator(".alternatives button")
    assert 1 <= await others.count() <= 3
    chosen = str(await others.first.get_attribute("data-slot-id"))
    await others.first.click()
    await held(loser)
    await loser.get_by_role("button", name="Book this time").click()
    await expect(loser.get_by_role("heading", level=1)).to_have_text("You are booked")
    assert await loser.evaluate("window.here") is True
    assert loser.url == f"{live_server.url}/book?slot={chosen}"
    for context in contexts:
        await context.close()


async def test_a_lost_answer_is_asked_again_with_the_same_key(watched: Watched, place: Place) -> None:
    keys: list[str] = []

    async def lossy(route: Route) -> None:
        body = route.request.post_data_json
        if body["query"].startswith("mutation"):
            keys.append(body["variables"]["input"]["idempotencyKey"])
            if len(keys) in (1, 3):  # the server has done it; only its answer is lost
                await route.fetch()
                await route.abort()
                return
        await route.continue_()

    await watched.page.route("**/graphql", lossy)
    page = await watched.open(f"/book?slot={place.slots[0]}")
    await sign_in(page)
    await held(page)
    await page.get_by_role("button", name="Book this time").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")
    assert keys[0] == keys[1] != keys[2] == keys[3]
    assert len(keys) == 4


async def test_no_answer_at_all_is_said_and_may_be_tried_again(watched: Watched, place: Place) -> None:
    page = await watched.open(f"/book?slot={place.slots[0]}")
    await sign_in(page)
    await held(page)
    await page.route("**/graphql", lambda route: route.abort())
    await page.get_by_role("button", name="Book this time").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("No answer yet")
    await assert_accessible(page)
    await page.unroute("**/graphql")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are booked")


async def test_hold_counts_down_warns_and_is_extended_once(watched: Watched, place: Place) -> None:
    page = watched.page
    await page.clock.install()
    await watched.open(f"/book?slot={place.slots[0]}")
    await sign_in(page)
    await held(page)
    status, longer = page.get_by_role("status"), page.get_by_role("button", name="Hold it 5 minutes more")
    await expect(status).to_contain_text("is held for you for 5 minutes")
    assert await longer.count() == 0
    await page.clock.fast_forward(242_000)
    await expect(status).to_contain_text("One minute left")
    await assert_accessible(page)

    async def extended(route: Route) -> None:
        # As the server answers in the last minute, which only this page's clock has reached.
        answer = await (await route.fetch()).json()
        hold = answer["data"]["result"]["hold"]
        hold["expiresAt"] = await page.evaluate("new Date(Date.now() + 300_000).toISOString()")
        await route.fulfill(json=answer)

    await page.route("**/graphql", extended)
    await longer.click()
    await expect(status).to_contain_text("5 more minutes")
    await expect(longer).to_have_count(0)
    await page.clock.fast_forward(250_000)
    await expect(page.locator('[data-state="ending"]')).to_be_visible()
    await expect(longer).to_have_count(0)
    await page.clock.fast_forward(60_000)
    await expect(page.locator('[data-state="over"]')).to_contain_text("no longer held")
    await expect(page.get_by_role("button", name="Hold it again")).to_be_visible()
    await assert_accessible(page)


async def test_reloading_keeps_the_time_and_leaving_gives_it_back(watched: Watched, api: API, place: Place) -> None:
    slot = place.slots[0]
    page = await watched.open(f"/book?slot={slot}")
    await sign_in(page)
    await held(page)
    await page.reload()
    await held(page)
    assert (await api.ask(FREE, slot=slot))["node"]["status"] != "FREE"
    await page.goto("about:blank")

    async def free() -> bool:
        return bool((await api.ask(FREE, slot=slot))["node"]["status"] == "FREE")

    await until(free)


async def test_nothing_of_the_patient_is_in_any_address(watched: Watched, api: API, place: Place) -> None:
    page = await watched.open(f"/book?slot={place.slots[0]}")
    await sign_in(page)
    await held(page)
    patient = (await api.patients())[0]
    addresses = " ".join([*watched.requests, page.url])
    for secret in [patient["token"], patient["id"], patient["name"].split()[1]]:
        assert secret not in addresses
    assert await page.evaluate("JSON.stringify([{...localStorage}, document.cookie])") == '[{},""]'
    watched.assert_clean()


@pytest.mark.parametrize(
    ("refusal", "title"),
    [
        ({"__typename": "PolicyViolation", "rule": rule, "message": "no"}, title)
        for rule, title in [
            ("PAST", "is over"),
            ("NOT_OFFERED", "not offered"),
            ("MINIMUM_NOTICE", "too soon"),
            ("BOOKING_WINDOW", "too far ahead"),
            ("HOLD_LIMIT", "too many times"),
            ("NOT_ACCEPTING_NEW_PATIENTS", "No new patients"),
        ]
    ]
    + [
        ({"__typename": "SlotTaken", "message": "no", "alternatives": []}, "Somebody was faster"),
        ({"__typename": "PatientConflict", "message": "no", "other": None}, "another appointment"),
        ({"__typename": "IdempotencyMismatch", "message": "no"}, "mixed up"),
        ({"__typename": "NotFound", "message": "no"}, "no such time"),
    ],
)
async def test_every_refusal_has_its_words(watched: Watched, place: Place, refusal: Any, title: str) -> None:
    page = await watched.open(f"/book?slot={place.slots[0]}")
    await expect(page.get_by_label("Demo patient")).to_be_visible()
    await page.route("**/graphql", lambda route: route.fulfill(json={"data": {"result": refusal}}))
    await sign_in(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(title))
    await assert_accessible(page)


async def test_an_unknown_time_is_said(watched: Watched) -> None:
    page = await watched.open("/book?slot=nothing")
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such time")
    await assert_accessible(page)


async def test_in_production_it_says_that_sign_in_is_to_come(watched: Watched, place: Place) -> None:
    async def production(route: Route) -> None:
        response = await route.fetch()
        html = (await response.text()).replace('data-mode="development"', 'data-mode="production"')
        await route.fulfill(response=response, body=html)

    await watched.page.route("**/book?*", production)
    page = await watched.open(f"/book?slot={place.slots[0]}")
    await expect(page.locator(".step")).to_contain_text("comes with the patient portal")
    await expect(page.get_by_role("link", name=place.clinic["phone"])).to_be_visible()
    assert not [url for url in watched.requests if "/dev/" in url]
    await assert_accessible(page)


@pytest.mark.parametrize("width", [320, 1280])
async def test_our_pages_fit(watched: Watched, place: Place, width: int) -> None:
    await watched.page.set_viewport_size({"width": width, "height": 700})
    for path in [place.path, f"/book?slot={place.slots[0]}"]:
        page = await watched.open(path)
        await expect(page.locator('[data-slot-id], [data-step="sign-in"]').first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") == width
