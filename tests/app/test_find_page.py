"""Looking for somebody on /find, as patients do it, against the real server."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, Route, expect

from tests.app.browsing import Watched, assert_accessible, until
from tests.app.test_calendar_pages import API, HOLD, RELEASE, api

__all__ = ["api"]  # The fixture is the other pages' too.

SEARCH = """
query($filter: SearchFilter!, $sort: SearchSort! = BEST, $first: Int! = 100) {
  search(filter: $filter, sort: $sort, first: $first) {
    totalCount
    facets { field values { value count } }
    edges { node {
        provider { id name }
        clinic { id name timeZone location { latitude longitude } }
        nextSlot { id }
    } }
  }
}
"""


async def found(api: API, sort: str = "BEST", **filters: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.ask(SEARCH, filter=filters, sort=sort))["search"]
    return answer


def facet(answer: dict[str, Any], field: str) -> dict[str, int]:
    [values] = [one["values"] for one in answer["facets"] if one["field"] == field]
    return {one["value"]: one["count"] for one in values}


def box(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Who or what are you looking for?")


async def choose(page: Page, group: str, label: str) -> None:
    radio = page.get_by_role("group", name=group).get_by_role("radio", name=re.compile(f"^{label}( |$)"))
    await radio.check()


def hits(page: Page) -> Locator:
    return page.locator("[data-provider-id][data-clinic-id]")


def results(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile("result|Results|Searching", re.IGNORECASE))


async def total(page: Page, count: int) -> None:
    text = "No results" if count == 0 else f"{count} result"
    await expect(page.get_by_role("heading", level=2, name=re.compile(f"^{text}"))).to_be_visible()
    await expect(results(page)).to_have_attribute("aria-busy", "false")


async def opened(watched: Watched, path: str = "/find") -> Page:
    page = await watched.open(path)
    await expect(results(page)).to_have_attribute("aria-busy", "false")
    await expect(results(page)).to_have_attribute("data-state", "ready")
    return page


def searches(request: Request) -> bool:
    return "search(" in (request.post_data or "")


async def pairs(page: Page) -> list[tuple[str, str]]:
    told = await hits(page).evaluate_all("(all) => all.map(({dataset}) => [dataset.providerId, dataset.clinicId])")
    return [tuple(one) for one in told]


async def order_is(page: Page, expected: list[tuple[str, str]]) -> None:
    async def is_so() -> bool:
        return await pairs(page) == expected

    await until(is_so)


def pair(edge: dict[str, Any]) -> tuple[str, str]:
    return edge["node"]["provider"]["id"], edge["node"]["clinic"]["id"]


async def rare(api: API) -> tuple[str, int]:
    """A specialty that some have and most do not."""
    counts = facet(await found(api), "SPECIALTY")
    name = min(counts, key=lambda one: (counts[one], one))
    return name, counts[name]


@asynccontextmanager
async def held(api: API, slot: str, patient: int = 0) -> AsyncIterator[None]:
    """Somebody else holds that time meanwhile."""
    token = (await api.patients())[patient]["token"]
    hold = (await api.ask(HOLD, token, slot=slot, key=uuid4().hex))["holdSlot"]["hold"]["id"]
    try:
        yield
    finally:
        await api.ask(RELEASE, token, hold=hold, key=uuid4().hex)


# ---------------------------------------------------------------- words


async def test_the_page_has_a_strict_policy_and_says_what_it_needs_without_scripts(
    live_server: Any, browser: Browser
) -> None:
    async with httpx2.AsyncClient(base_url=live_server.url) as client:
        answer = await client.get("/find?q=%22%3E%3Cb")
    assert answer.status_code == 200
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "{{" not in answer.text
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(live_server.url + "/find")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Find a provider")
    await expect(page.locator("main").get_by_role("link", name="calendar")).to_be_visible()
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_an_address_with_words_searches_for_them(watched: Watched, api: API, scheme: Any) -> None:
    await watched.page.emulate_media(color_scheme=scheme)
    one = (await found(api))["edges"][0]["node"]
    page = await opened(watched, f"/find?q={one['provider']['name'].replace(' ', '+')}")
    await expect(box(page)).to_have_value(one["provider"]["name"])
    expected = await found(api, text=one["provider"]["name"])
    await total(page, expected["totalCount"])
    assert await pairs(page) == [pair(edge) for edge in expected["edges"]][:20]
    hit = hits(page).first
    await expect(hit.get_by_role("heading", level=3)).to_have_text(one["provider"]["name"])
    await expect(hit).to_contain_text(one["clinic"]["name"])
    await expect(hit).to_contain_text(one["clinic"]["timeZone"])
    await expect(hit).to_contain_text("Matches your words: name")
    await expect(hit).to_contain_text(re.compile("Takes new patients|Takes only patients who"))
    await assert_accessible(page)
    watched.assert_clean()


async def test_a_time_of_a_result_leads_to_booking_it(watched: Watched, api: API) -> None:
    page = await opened(watched)
    expected = next(edge["node"] for edge in (await found(api))["edges"] if edge["node"]["nextSlot"])
    link = page.locator(f'a[href="/book?slot={expected["nextSlot"]["id"]}"]')
    await expect(link).to_be_visible()
    # The next one stands there at once, more of them as soon as the calendar is followed.
    times = hits(page).first.locator('a[href^="/book?slot="]')
    await expect(times).to_have_count(3)
    await link.click()
    await page.wait_for_url("**/book?slot=*")
    await expect(page.get_by_role("heading", level=1)).not_to_have_text("There is no such time")
    watched.assert_clean()


async def test_suggestions_are_chosen_by_keyboard_and_a_specialty_filters(watched: Watched, api: API) -> None:
    name, count = await rare(api)
    page = await opened(watched)
    await expect(box(page)).to_have_attribute("aria-expanded", "false")
    await box(page).press_sequentially(name[:6], delay=20)
    options = page.get_by_role("option")
    await expect(options.first).to_be_visible()
    await expect(box(page)).to_have_attribute("aria-expanded", "true")
    await expect(page.get_by_role("status")).to_contain_text("suggestion")
    await assert_accessible(page)
    await expect(page.get_by_role("option", selected=True)).to_have_count(0)
    for _ in range(await options.count()):
        await page.keyboard.press("ArrowDown")
        active = page.get_by_role("option", selected=True)
        await expect(active).to_have_count(1)
        assert await box(page).get_attribute("aria-activedescendant") == await active.get_attribute("id")
        if "Specialty" in await active.inner_text() and name in await active.inner_text():
            break
    await expect(box(page)).to_be_focused()
    await page.keyboard.press("Enter")
    await total(page, count)
    await expect(options).to_have_count(0)
    await expect(box(page)).to_be_focused()
    await expect(page.get_by_role("checkbox", name=name)).to_be_checked()
    assert parse_qs(urlsplit(page.url).query) == {"specialty": [name]}
    expected = await found(api, specialties=[name])
    assert sorted(await pairs(page)) == sorted(pair(edge) for edge in expected["edges"])
    watched.assert_clean()


async def test_arrow_down_with_escape_and_enter_leave_what_was_typed(watched: Watched, api: API) -> None:
    name = (await found(api))["edges"][0]["node"]["provider"]["name"]
    page = await opened(watched)
    await box(page).press_sequentially(name[:3], delay=20)
    await expect(page.get_by_role("option").first).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("option", selected=True)).to_have_count(0)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("option")).to_have_count(0)
    await expect(box(page)).to_have_value(name[:3])
    await page.keyboard.press("Enter")
    await total(page, (await found(api, text=name[:3]))["totalCount"])
    assert parse_qs(urlsplit(page.url).query) == {"q": [name[:3]]}
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", selected=True)).to_have_count(1)


async def test_a_suggestion_is_taken_by_pressing_it(watched: Watched, api: API) -> None:
    clinic = (await found(api))["edges"][0]["node"]["clinic"]
    page = await opened(watched)
    await box(page).press_sequentially(clinic["name"], delay=5)
    option = page.get_by_role("option").filter(has_text="Clinic").filter(has_text=clinic["name"]).first
    await option.click()
    await total(page, (await found(api, clinicIds=[clinic["id"]]))["totalCount"])
    await expect(box(page)).to_have_value("")
    await expect(page.get_by_role("button", name=f"Remove filter: {clinic['name']}")).to_be_visible()


async def test_the_way_back_leads_to_the_search_before(watched: Watched, api: API) -> None:
    name, count = await rare(api)
    everybody = (await found(api))["totalCount"]
    page = await opened(watched)
    await box(page).fill(name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=2, name=f"“{name}”")).to_be_visible()
    await page.get_by_role("checkbox", name="Takes new patients").check()
    await page.wait_for_url("**new=1*")
    await page.go_back()
    await expect(page.get_by_role("checkbox", name="Takes new patients")).not_to_be_checked()
    await expect(box(page)).to_have_value(name)
    await page.go_back()
    await total(page, everybody)
    await expect(box(page)).to_have_value("")
    await page.go_forward()
    await expect(box(page)).to_have_value(name)
    await page.reload()
    await expect(box(page)).to_have_value(name)
    assert count > 0


# ---------------------------------------------------------------- filters and order


async def test_filters_narrow_as_their_counts_say(watched: Watched, api: API) -> None:
    page = await opened(watched)
    languages = facet(await found(api), "LANGUAGE")
    boxes = page.get_by_role("group", name="Language").get_by_role("checkbox")
    code = str(await boxes.nth(1).get_attribute("value"))
    await boxes.nth(1).focus()
    await page.keyboard.press("Space")
    await total(page, languages[code])
    await expect(boxes.nth(1)).to_be_focused()
    await choose(page, "Kind of visit", "By video")
    expected = await found(api, languages=[code], modality="VIDEO")
    await total(page, expected["totalCount"])
    await page.get_by_role("checkbox", name="Takes new patients").check()
    expected = await found(api, languages=[code], modality="VIDEO", acceptingNewPatients=True)
    await total(page, expected["totalCount"])
    shown = page.get_by_role("group", name="Clinic").get_by_role("checkbox")
    for one in await shown.all():
        value, count = str(await one.get_attribute("value")), await one.locator("xpath=../*[last()]").inner_text()
        assert facet(expected, "CLINIC")[value] == int(count)
    await expect(page.get_by_role("group", name="Clinic")).not_to_contain_text("…")
    await assert_accessible(page)
    await page.get_by_role("button", name="Remove all").click()
    await total(page, (await found(api))["totalCount"])
    await expect(page.get_by_role("heading", level=2, name="result")).to_be_focused()
    assert urlsplit(page.url).query == ""
    watched.assert_clean()


async def test_only_who_has_a_time_between_two_dates(watched: Watched, api: API) -> None:
    page = await opened(watched)
    await choose(page, "Has an open time", "Between two dates")
    day = datetime.now(UTC).date() + timedelta(days=2)
    await page.get_by_label("From", exact=True).fill(str(day))
    await page.get_by_label("To", exact=True).fill(str(day))
    await page.get_by_label("To", exact=True).press("Tab")
    await total(page, (await found(api, openFrom=str(day), openTo=str(day)))["totalCount"])
    if await hits(page).count():
        time = hits(page).first.locator('a[href^="/book?slot="]').first
        await expect(time).to_be_visible()
    await page.get_by_label("To", exact=True).fill(str(day - timedelta(days=9)))
    await page.get_by_label("To", exact=True).press("Tab")
    await expect(page.get_by_role("alert").filter(has_text="can't be searched")).to_contain_text("before")
    await assert_accessible(page)


async def test_sorts_by_the_soonest_time_and_by_name(watched: Watched, api: API) -> None:
    page = await opened(watched)
    for value, words, label in [("SOONEST", "soonest", "Soonest"), ("NAME", "name", "Name")]:
        await choose(page, "Order by", label)
        await page.wait_for_url(f"**sort={words}")
        await order_is(page, [pair(edge) for edge in (await found(api, sort=value))["edges"]][:20])


async def test_further_results_come_by_pressing_and_the_focus_goes_to_the_first(watched: Watched, api: API) -> None:
    page = await opened(watched, "/find?sort=name")
    expected = [pair(edge) for edge in (await found(api, sort="NAME"))["edges"]]
    assert len(expected) > 20
    await expect(hits(page)).to_have_count(20)
    more = page.get_by_role("button", name="Show more results")
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(hits(page)).to_have_count(min(40, len(expected)))
    await expect(hits(page).nth(20).get_by_role("heading")).to_be_focused()
    assert await pairs(page) == expected[:40]
    while await more.count():
        before = await hits(page).count()
        await more.click()
        await expect(hits(page).nth(before)).to_be_visible()
    assert await pairs(page) == expected
    await assert_accessible(page)


async def test_nobody_fits_and_the_page_says_what_to_try(watched: Watched) -> None:
    page = await opened(watched, "/find?q=xyzzyqq&new=1")
    await total(page, 0)
    await expect(results(page)).to_contain_text("Check the spelling")
    await assert_accessible(page)
    await page.get_by_role("button", name="Search without filters").click()
    await page.wait_for_url("**/find?q=xyzzyqq")
    await page.get_by_role("button", name="Show everybody").click()
    await expect(hits(page).first).to_be_visible()
    watched.assert_clean()


# ---------------------------------------------------------------- near me


async def test_near_me_shows_distances_and_is_turned_off_again(
    watched: Watched, context: BrowserContext, api: API
) -> None:
    place = (await found(api))["edges"][-1]["node"]["clinic"]["location"]
    await context.grant_permissions(["geolocation"], origin=watched.url)
    await context.set_geolocation(place)
    page = await opened(watched)
    near = page.get_by_role("button", name="Near me")
    await expect(near).to_have_attribute("aria-pressed", "false")
    await near.click()
    await expect(near).to_have_attribute("aria-pressed", "true")
    await choose(page, "Order by", "Nearest")
    await expect(hits(page).first).to_contain_text("km away")
    rounded = {name: round(value, 2) for name, value in place.items()}
    expected = [pair(edge) for edge in (await found(api, sort="DISTANCE", near=rounded))["edges"]][:20]
    assert await pairs(page) == expected
    await choose(page, "Distance", "Within 5 km")
    await total(page, (await found(api, near=rounded, withinKm=5))["totalCount"])
    assert parse_qs(urlsplit(page.url).query) == {"near": ["me"], "within": ["5"], "sort": ["distance"]}
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert kept == '[{},{},""]'
    await assert_accessible(page)
    # An address that was opened again finds near ones at once where the browser lets it.
    await page.reload()
    await expect(hits(page).first).to_contain_text("km away")
    await near.click()
    await expect(near).to_have_attribute("aria-pressed", "false")
    await expect(hits(page).first).not_to_contain_text("km away")
    assert urlsplit(page.url).query == ""
    watched.assert_clean()


async def test_who_does_not_say_where_they_are_is_told_what_else_helps(watched: Watched) -> None:
    page = await opened(watched)
    before = await pairs(page)
    await page.get_by_role("button", name="Near me").click()
    await expect(page.get_by_role("alert").filter(has_text="did not tell us where you are")).to_be_visible()
    await expect(page.get_by_role("button", name="Near me")).to_have_attribute("aria-pressed", "false")
    await page.get_by_role("radio", name="Nearest").click()
    await expect(page.get_by_role("radio", name="Best")).to_be_checked()
    assert await pairs(page) == before
    await assert_accessible(page)
    page = await opened(watched, "/find?near=me&sort=distance")
    assert await pairs(page) == before
    watched.assert_clean()


# ---------------------------------------------------------------- while one looks


async def test_a_time_taken_elsewhere_goes_by_itself_and_comes_back(watched: Watched, api: API) -> None:
    # Of days that no clock empties meanwhile: who has no time left is searched anew, perhaps for another visit type.
    day = datetime.now(UTC).date()
    page = await opened(watched, f"/find?when=dates&from={day + timedelta(days=2)}&to={day + timedelta(days=16)}")
    await expect(hits(page).first.locator("a.time")).to_have_count(3)
    before = await pairs(page)
    first = hits(page).first.locator("a.time").first
    slot = parse_qs(urlsplit(str(await first.get_attribute("href"))).query)["slot"][0]
    link = page.locator(f'a[href="/book?slot={slot}"]')
    async with held(api, slot):
        await expect(link).to_have_count(0, timeout=5_000)
        assert await pairs(page) == before
    await expect(link).to_have_count(1, timeout=5_000)
    watched.assert_clean()


async def test_a_time_that_is_taken_keeps_the_focus_until_it_leaves(watched: Watched, api: API) -> None:
    page = await opened(watched)
    time = hits(page).first.locator("a.time").first
    await expect(hits(page).first.locator("a.time")).to_have_count(3)
    slot = parse_qs(urlsplit(str(await time.get_attribute("href"))).query)["slot"][0]
    await time.focus()
    async with held(api, slot):
        await expect(time).to_contain_text("just taken", timeout=5_000)
        await expect(time).to_be_focused()
        await expect(time).not_to_have_attribute("href", re.compile("book"))
        await expect(page.get_by_role("status")).to_contain_text("just been taken")
        await assert_accessible(page)
        await page.keyboard.press("Tab")
        await expect(page.locator("a.time", has_text="just taken")).to_have_count(0)
        assert await page.evaluate("document.activeElement !== document.body")


async def test_another_order_is_told_and_shown_when_the_reader_says_so(watched: Watched, api: API) -> None:
    page = await opened(watched, "/find?sort=soonest")
    before = await pairs(page)
    async with AsyncExitStack() as stack:
        expected = before
        # Whose first time is taken may have another that is as early as the others'.
        for patient in range(len(await api.patients())):
            if expected != before:
                break
            first = (await found(api, sort="SOONEST"))["edges"][0]["node"]
            await stack.enter_async_context(held(api, first["nextSlot"]["id"], patient))
            expected = [pair(edge) for edge in (await found(api, sort="SOONEST"))["edges"]][:20]
        assert expected != before
        note = page.locator('[data-note="moved"]')
        await expect(note).to_be_visible(timeout=30_000)
        assert await pairs(page) == before
        await assert_accessible(page)
        await note.get_by_role("button").click()
        await expect(note).to_have_count(0)
        await order_is(page, expected)
        assert await page.evaluate("document.activeElement !== document.body")


async def test_counts_follow_what_changes(watched: Watched, api: API) -> None:
    """A later answer says more than the first did: shown without a press, in place, though one between them was lost."""
    page = await opened(watched)
    before = await pairs(page)
    lost = 0

    async def more(route: Route) -> None:
        nonlocal lost
        if not lost and searches(route.request):
            lost += 1
            await route.abort()
            return
        answer = await route.fetch()
        body = await answer.json()
        if "search" in (body.get("data") or {}):
            body["data"]["search"]["totalCount"] += 1000
        await route.fulfill(response=answer, json=body)

    await page.route("**/graphql", more)
    await page.evaluate("dispatchEvent(new Event('pageshow'))")
    first = hits(page).first.locator("a.time").first
    slot = parse_qs(urlsplit(str(await first.get_attribute("href"))).query)["slot"][0]
    async with held(api, slot):
        everybody = (await found(api))["totalCount"] + 1000
        await expect(page.get_by_role("heading", level=2, name=f"{everybody:,} results")).to_be_visible(timeout=25_000)
    assert lost
    assert await pairs(page) == before


async def test_a_list_that_the_calendar_contradicts_is_asked_for_again(watched: Watched) -> None:
    """Sooner than every half minute: what changed between the answer and the first snapshot is told by nobody."""
    answers = 0

    async def altered(route: Route) -> None:
        nonlocal answers
        answer = await route.fetch()
        body = await answer.json()
        if searches(route.request):
            answers += 1
            if answers == 1:
                for edge in body["data"]["search"]["edges"]:
                    if slot := edge["node"]["nextSlot"]:
                        starts = datetime.fromisoformat(slot["startsAt"])
                        slot["startsAt"] = (starts - timedelta(minutes=1)).isoformat()
        await route.fulfill(response=answer, json=body)

    await watched.page.route("**/graphql", altered)
    await opened(watched)
    await until(lambda: answers == 2, 20)


# ---------------------------------------------------------------- when something is amiss


async def test_an_answer_without_the_engine_says_so(watched: Watched) -> None:
    async def degraded(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        if "search" in (body.get("data") or {}):
            body["data"]["search"]["degraded"] = True
        await route.fulfill(response=answer, json=body)

    await watched.page.route("**/graphql", degraded)
    page = await opened(watched)
    await expect(page.locator('[data-note="degraded"]')).to_contain_text("Spelling mistakes are followed less exactly")
    await assert_accessible(page)


async def test_says_when_it_cannot_search_and_goes_on_by_itself(watched: Watched, context: BrowserContext) -> None:
    page = await opened(watched)
    await context.set_offline(True)
    await expect(page.locator('[data-note="old"]')).to_contain_text("You are offline")
    await box(page).fill("family")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="You are offline.")).to_be_visible()
    await assert_accessible(page)
    await context.set_offline(False)
    await expect(hits(page).first).to_be_visible()
    await expect(page.locator('[data-note="old"]')).to_have_count(0)


async def test_a_search_that_fails_is_tried_again_by_pressing(watched: Watched) -> None:
    await watched.page.route("**/graphql", lambda route: route.abort())
    page = await watched.open("/find?q=family")
    again = page.get_by_role("button", name="Try again")
    await expect(again).to_be_visible()
    await expect(box(page)).to_have_value("family")
    await page.unroute("**/graphql")
    await again.click()
    await expect(results(page)).to_have_attribute("data-state", "ready")


@pytest.mark.parametrize(
    "path",
    [
        "/find?q=" + "x" * 3000,
        "/find?q=%00&specialty=%00&clinic=nonsense&language=%22",
        "/find?when=dates&from=2026-99-99&to=yesterday&sort=sideways&within=5&modality=TELEPATHY&near=you",
        "/find?when=dates&from=2026-99-99",
    ],
)
async def test_an_address_with_nonsense_is_answered_in_words(watched: Watched, path: str) -> None:
    page = await watched.open(path)
    await expect(results(page)).to_have_attribute("aria-busy", "false")
    await expect(results(page)).to_have_attribute("data-state", re.compile("ready|refused"))
    await assert_accessible(page)
    assert [one for one in watched.complaints if one.startswith("error: Error")] == []


# ---------------------------------------------------------------- every screen


@pytest.mark.parametrize("width", [320, 768])
async def test_fits_a_narrow_screen_and_the_filters_unfold(watched: Watched, api: API, width: int) -> None:
    await watched.page.set_viewport_size({"width": width, "height": 640})
    page = await opened(watched)
    await expect(hits(page).first.locator("a.time")).to_have_count(3)
    fold = page.get_by_role("button", name="Filters")
    await expect(fold).to_have_attribute("aria-expanded", "false")
    await expect(page.get_by_role("checkbox", name="Takes new patients")).to_be_hidden()
    await fold.click()
    await page.get_by_role("checkbox", name="Takes new patients").check()
    await choose(page, "Has an open time", "Between two dates")
    unfold = page.get_by_role("button", name="Show all")
    while await unfold.count():
        await unfold.first.click()
    await expect(fold).to_contain_text("2 on")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await assert_accessible(page)
    await box(page).fill("d")
    await box(page).press_sequentially("r")
    await expect(page.get_by_role("listbox")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_is_used_by_keyboard_alone(watched: Watched) -> None:
    page = await opened(watched)
    await expect(hits(page).first.locator("a.time")).to_have_count(3)
    reached: list[str] = []
    for _ in range(80):
        await page.keyboard.press("Tab")
        name, outline = await page.evaluate(
            """() => {
              const one = document.activeElement;
              const label = one.labels?.[0]?.textContent ?? one.textContent;
              return [(one.className ? one.className + ': ' : '') + label.trim(), getComputedStyle(one).outlineStyle];
            }"""
        )
        assert outline != "none", f"{name} shows no focus"
        reached.append(name)
        if name.startswith("time:"):
            break
    order = ["Who or what are you looking for?", "button: Search", "near: Near me", "Takes new patients"]
    assert [one for one in reached if one in order] == order
    assert any(one.startswith("Best") for one in reached)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/book?slot=*")


async def test_nothing_moves_for_who_wants_that(watched: Watched) -> None:
    await watched.page.emulate_media(reduced_motion="reduce", forced_colors="active")
    page = await opened(watched)
    assert await page.evaluate("document.getAnimations().length") == 0
    await assert_accessible(page)


async def test_start_page_and_calendar_lead_here(watched: Watched) -> None:
    for path in ["/", "/calendar"]:
        page = await watched.open(path)
        await page.get_by_role("navigation").get_by_role("link", name="Find").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Find a provider")


async def test_asks_for_little_at_once(watched: Watched) -> None:
    """One question for the list, at most one for names of clinics; one socket for all that is followed."""
    sockets: list[str] = []
    subscribed = 0

    def noted(frame: str | bytes) -> None:
        nonlocal subscribed
        subscribed += json.loads(frame)["type"] == "subscribe"

    def opened_socket(socket: Any) -> None:
        sockets.append(socket.url)
        socket.on("framesent", noted)

    watched.page.on("websocket", opened_socket)
    asked: list[Request] = []
    watched.page.on("request", lambda one: asked.append(one) if urlsplit(one.url).path == "/graphql" else None)
    page = await opened(watched)
    await expect(hits(page).first.locator("a.time")).to_have_count(3)
    await page.wait_for_timeout(1200)  # by then it would have asked again
    assert [searches(one) for one in asked].count(True) == 1
    assert len(asked) <= 2
    assert len(sockets) == 1
    assert 1 <= subscribed <= 18
