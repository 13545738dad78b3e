"""Waiting for a time on /wait and answering an offer on /offer, as patients do it, against the real server."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from app.auth import development_token
from domain import ids
from tests.app.browsing import Watched, assert_accessible
from tests.app.test_calendar_pages import API, Place, api, tab_to

__all__ = ["api"]  # The fixture is the other pages' too.

BOOK = """
mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) {
    __typename ... on AppointmentBooked { appointment { id version } }
} }
"""
CANCEL = """
mutation($input: CancelAppointmentInput!) { cancelAppointment(input: $input) { __typename } }
"""
WAITLIST = """
query($clinic: ID!) { waitlist(clinicId: $clinic, first: 100) { edges { node { id } } } }
"""
LEAVE = """
mutation($input: LeaveWaitlistInput!) { leaveWaitlist(input: $input) { __typename } }
"""
ENTRIES = """
query { viewer { patient { waitlistEntries { id status windows { weekday opens closes } autoBook from to providers { id }
    clinic { id } visitType { id } offer { id } appointment { id } } } } }
"""


OWN = """
query { viewer { patient { appointments(when: UPCOMING, status: [BOOKED], first: 100) { edges { node {
    id version visitType { id } } } } } } }
"""
BUFFERS_MAX = 30  # minutes before and after a visit of the demo, taken together, are fewer
APPOINTMENT = "query($id: ID!) { appointment(id: $id) { version status startsAt } }"


class Desk:
    """The clinic's staff, through the API: they book somebody and cancel it again."""

    def __init__(self, api: API, settings: Any, place: Place) -> None:
        self._api, self._settings, self.place = api, settings, place
        self.admin = development_token(settings, role="admin")

    def token(self, patient: str) -> str:
        return development_token(self._settings, role="patient", patient=patient)

    async def booked(self, slot: str, patient: str) -> dict[str, Any]:
        asked = {"slotId": slot, "patientId": patient, "idempotencyKey": uuid4().hex}
        made = (await self._api.ask(BOOK, self.admin, input=asked))["bookAppointment"]
        assert made["__typename"] == "AppointmentBooked", made
        return {"appointmentId": made["appointment"]["id"], "version": made["appointment"]["version"]}

    async def cancel(self, booked: dict[str, Any]) -> None:
        asked = booked | {"idempotencyKey": uuid4().hex}
        done = (await self._api.ask(CANCEL, self.admin, input=asked))["cancelAppointment"]
        assert done["__typename"] == "AppointmentCancelled", done

    async def appointment(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._api.ask(APPOINTMENT, self.admin, id=node))["appointment"]
        return found

    async def entries(self, patient: str) -> list[dict[str, Any]]:
        """Those of this kind of visit, the newest first."""
        found = (await self._api.ask(ENTRIES, self.token(patient)))["viewer"]["patient"]["waitlistEntries"]
        here = self.place.clinic["id"], self.place.visit_type
        return [one for one in found if (one["clinic"]["id"], one["visitType"]["id"]) == here]


@pytest.fixture
async def desk(live_server: Any, api: API) -> Desk:
    """At a place whose next time suits all demo patients and is far enough ahead to be offered; the last leaves it free."""
    soonest = (datetime.now(UTC) + timedelta(hours=4)).timestamp() / 60
    async for place in api.places(slots=4):
        minutes = {one["id"]: one["durationMinutes"] for one in place.clinic["visitTypes"]}[place.visit_type]
        first, last = (ids.slot(one).start or 0 for one in (place.slots[0], place.slots[-1]))  # type: ignore[union-attr]
        if first > soonest and last >= first + minutes + BUFFERS_MAX:
            return Desk(api, live_server.settings, place)
    raise AssertionError("the demo has no such times")


@pytest.fixture
async def people(desk: Desk, api: API) -> list[dict[str, str]]:
    """Demo patients, at a clinic where nobody waits, whatever the demo and other tests left; the first waits nowhere."""
    clinic = desk.place.clinic["id"]
    for edge in (await api.ask(WAITLIST, desk.admin, clinic=clinic))["waitlist"]["edges"]:
        asked = {"entryId": edge["node"]["id"], "idempotencyKey": uuid4().hex}
        await api.ask(LEAVE, desk.admin, input=asked)
    found = await api.patients()
    for entry in (await api.ask(ENTRIES, found[0]["token"]))["viewer"]["patient"]["waitlistEntries"]:
        await api.ask(LEAVE, found[0]["token"], input={"entryId": entry["id"], "idempotencyKey": uuid4().hex})
    return found


@pytest.fixture
async def free(desk: Desk, api: API, people: list[dict[str, str]]) -> None:
    """The first of them has no visit of this kind ahead, whatever the demo and other tests left."""
    found = (await api.ask(OWN, people[0]["token"]))["viewer"]["patient"]["appointments"]["edges"]
    for node in (edge["node"] for edge in found if edge["node"]["visitType"]["id"] == desk.place.visit_type):
        await desk.cancel({"appointmentId": node["id"], "version": node["version"]})


def wait_path(place: Place, provider: str | None = None) -> str:
    more = f"&provider={provider}" if provider else ""
    return f"/wait?clinic={place.clinic['id']}&visitType={place.visit_type}{more}"


async def join(page: Page, person: str, **boxes: str) -> None:
    await page.get_by_label("Demo patient").select_option(label=person)
    await page.get_by_role("button", name="Sign in and choose").click()
    for label, value in boxes.items():
        await page.get_by_label(label.replace("_", " ")).select_option(value)
    await page.get_by_role("button", name="Join the waitlist").click()
    await expect(heading(page)).to_have_text("You are on the waitlist")


def heading(page: Page) -> Any:
    return page.get_by_role("heading", level=1)


async def offered(page: Page, desk: Desk, people: list[dict[str, str]], path: str) -> str:
    """Joins as the first of them; the second's appointment is cancelled. The path of the offer that comes of it."""
    booked = await desk.booked(desk.place.slots[0], people[1]["id"])
    await page.goto(path)
    await join(page, people[0]["name"], Provider=desk.place.provider)
    await desk.cancel(booked)
    link = page.get_by_role("link", name="See the offer")
    await expect(link).to_be_visible()
    return str(await link.get_attribute("href"))


async def test_one_cancels_and_the_other_who_waits_sees_the_offer_and_takes_it(
    watched: Watched, desk: Desk, people: list[dict[str, str]], browser: Browser, live_server: Any
) -> None:
    page = watched.page
    path = await offered(page, desk, people, live_server.url + wait_path(desk.place))
    await expect(heading(page)).to_have_text("A time has opened for you")
    await assert_accessible(page)
    await page.get_by_role("link", name="See the offer").click()
    await expect(page.get_by_role("timer")).to_be_visible()
    await expect(page.locator(".facts")).to_contain_text("UTC")
    assert page.url == live_server.url + path
    assert people[0]["id"] not in page.url
    await assert_accessible(page)
    elsewhere = await browser.new_context()
    stranger = await elsewhere.new_page()
    await stranger.goto(live_server.url + f"/book?slot={desk.place.slots[0]}")
    await stranger.get_by_label("Demo patient").select_option(label=people[2]["name"])
    await stranger.get_by_role("button", name="Sign in and hold this time").click()
    await expect(heading(stranger)).to_have_text("Somebody was faster")
    await expect(stranger.get_by_role("link", name="Tell me when a time opens")).to_have_attribute(
        "href", wait_path(desk.place)
    )
    await elsewhere.close()
    await tab_to(page, "BUTTON")
    await page.keyboard.press("Enter")
    await expect(heading(page)).to_have_text("You are booked")
    await expect(heading(page)).to_be_focused()
    await assert_accessible(page)
    await page.reload()
    await expect(heading(page)).to_have_text("You are booked")
    assert (await desk.entries(people[0]["id"]))[0]["status"] == "FULFILLED"


async def test_who_says_no_stays_on_the_waitlist_and_another_browser_hears_of_it(
    watched: Watched, desk: Desk, people: list[dict[str, str]], browser: Browser, live_server: Any
) -> None:
    path = await offered(watched.page, desk, people, live_server.url + wait_path(desk.place))
    context = await browser.new_context()
    other = await context.new_page()
    await other.goto(live_server.url + path)
    await expect(other.get_by_label("Demo patient").locator("option").first).to_have_text(people[0]["name"])
    await assert_accessible(other)
    await other.get_by_role("button", name="Sign in and see the offer").click()
    await expect(other.get_by_role("timer")).to_be_visible()
    await watched.page.get_by_role("link", name="See the offer").click()
    await watched.page.get_by_role("button", name="No, thank you").click()
    for page in (watched.page, other):
        await expect(heading(page)).to_have_text("You have passed this time on")
        await expect(page.get_by_text("You are still on the waitlist")).to_be_visible()
    await assert_accessible(other)
    await context.close()


async def test_an_offer_that_ran_out_says_so(
    watched: Watched, desk: Desk, people: list[dict[str, str]], live_server: Any
) -> None:
    page = watched.page
    path = await offered(page, desk, people, live_server.url + wait_path(desk.place))
    await page.goto(live_server.url + path)
    await expect(page.get_by_role("timer")).to_be_visible()
    connection = await asyncpg.connect(live_server.addresses.database_url)
    await connection.execute("UPDATE waitlist_offers SET expires_at = app_now() WHERE id = $1", _key(path))
    await connection.close()
    await expect(heading(page)).to_have_text("This offer has run out")
    await assert_accessible(page)


async def test_a_conflict_is_told_and_the_offer_stays(
    watched: Watched, desk: Desk, people: list[dict[str, str]], live_server: Any
) -> None:
    page = watched.page
    path = await offered(page, desk, people, live_server.url + wait_path(desk.place))
    await page.goto(live_server.url + path)
    answer = {"result": {"__typename": "PatientConflict", "message": "Busy.", "other": None}}

    async def conflict(route: Route) -> None:
        if "acceptOffer" in (route.request.post_data or ""):
            await route.fulfill(json={"data": answer})
        else:
            await route.continue_()

    await page.route("**/graphql", conflict)
    await page.get_by_role("button", name="Take this time").click()
    await expect(heading(page)).to_have_text("You have another appointment then")
    await assert_accessible(page)
    await page.get_by_role("button", name="Back to the offer").click()
    await expect(page.get_by_role("timer")).to_be_visible()


async def test_a_lost_answer_is_asked_again_with_the_same_key(
    watched: Watched, desk: Desk, people: list[dict[str, str]], live_server: Any
) -> None:
    page = watched.page
    path = await offered(page, desk, people, live_server.url + wait_path(desk.place))
    await page.goto(live_server.url + path)
    keys: list[str] = []
    lost = 0

    async def lose(route: Route) -> None:
        nonlocal lost
        sent = route.request.post_data_json
        if "acceptOffer" not in sent["query"]:
            await route.continue_()
            return
        keys.append(sent["variables"]["input"]["idempotencyKey"])
        if lost < 4:  # All tries of the first click, and the first of the second.
            lost += 1
            if lost == 1:
                await route.fetch()  # It is done, but nobody hears of it.
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/graphql", lose)
    await page.get_by_role("button", name="Take this time").click()
    await expect(heading(page)).to_have_text("No answer yet")
    await page.get_by_role("button", name="Try again").click()
    await expect(heading(page)).to_have_text("You are booked")
    assert len(set(keys)) == 1
    assert len(keys) >= 4


async def test_what_is_wished_for_is_what_is_joined_for_and_is_left_again(
    watched: Watched, desk: Desk, people: list[dict[str, str]]
) -> None:
    page = await watched.open(wait_path(desk.place, desk.place.provider))
    await page.get_by_label("Demo patient").select_option(label=people[0]["name"])
    await assert_accessible(page)
    await page.get_by_role("button", name="Sign in and choose").click()
    await expect(page.get_by_label("Provider")).to_have_value(desk.place.provider)
    await assert_accessible(page)
    last = str(datetime.now(UTC).date() + timedelta(days=9))
    await page.get_by_label("Last day").fill(last)
    await page.get_by_label("Time of day").select_option("afternoons")
    await page.get_by_label("Weekdays only").check()
    await page.get_by_label("Book it for me without asking").check()
    await page.get_by_label("Book it for me without asking").focus()
    await tab_to(page, "BUTTON")
    await page.keyboard.press("Enter")
    await expect(heading(page)).to_have_text("You are on the waitlist")
    await expect(heading(page)).to_be_focused()
    await expect(page.locator(".facts")).to_contain_text("Weekdays, afternoons")
    await assert_accessible(page)
    entry = (await desk.entries(people[0]["id"]))[0]
    assert (entry["autoBook"], entry["to"], [one["id"] for one in entry["providers"]]) == (
        True, last, [desk.place.provider],
    )  # fmt: skip
    assert [one["weekday"] for one in entry["windows"]] == ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
    assert {(one["opens"], one["closes"]) for one in entry["windows"]} == {("12:00", "24:00")}
    await page.reload()
    await expect(heading(page)).to_have_text("You are on the waitlist")
    await page.get_by_role("button", name="Leave the waitlist").click()
    await expect(heading(page)).to_have_text("You are no longer waiting")
    assert (await desk.entries(people[0]["id"]))[0]["status"] == "WITHDRAWN"


async def test_who_waits_already_is_shown_what_for(
    watched: Watched, context: BrowserContext, desk: Desk, people: list[dict[str, str]], live_server: Any
) -> None:
    page, other = await watched.open(wait_path(desk.place)), await context.new_page()
    await page.get_by_label("Demo patient").select_option(label=people[0]["name"])
    await page.get_by_role("button", name="Sign in and choose").click()
    await expect(page.get_by_label("First day")).to_be_visible()
    await other.goto(live_server.url + wait_path(desk.place))
    await join(other, people[0]["name"], Time_of_day="mornings")
    await page.get_by_role("button", name="Join the waitlist").click()
    await expect(heading(page)).to_have_text("You are on the waitlist")
    await expect(page.locator(".facts")).to_contain_text("mornings")
    await expect(page.locator("[role=status]")).to_have_text("You were on the waitlist for this already.")


async def test_dates_that_break_a_rule_are_told_at_their_box(
    watched: Watched, desk: Desk, people: list[dict[str, str]]
) -> None:
    page = await watched.open(wait_path(desk.place))
    await page.get_by_label("Demo patient").select_option(label=people[0]["name"])
    await page.get_by_role("button", name="Sign in and choose").click()
    await page.get_by_label("First day").fill(str(datetime.now(UTC).date() + timedelta(days=9)))
    await page.get_by_label("Last day").fill(str(datetime.now(UTC).date() + timedelta(days=3)))
    await page.get_by_role("button", name="Join the waitlist").click()
    await expect(page.locator("#to-fault")).to_have_text("It ends before it begins.")
    await expect(page.get_by_label("Last day")).to_be_focused()
    await assert_accessible(page)


async def test_links_that_name_nothing_say_so(watched: Watched) -> None:
    page = await watched.open("/wait?clinic=x&visitType=y")
    await expect(heading(page)).to_have_text("There is nothing to wait for here")
    await assert_accessible(page)
    await page.evaluate("sessionStorage.removeItem('appointments:patient')")
    page = await watched.open("/offer/nonsense")
    await expect(page.get_by_text("choose whom to be").or_(page.get_by_text("no patients"))).to_be_visible()
    await assert_accessible(page)


async def test_somebody_elses_offer_is_as_one_that_is_not_there(
    watched: Watched, desk: Desk, people: list[dict[str, str]], browser: Browser, live_server: Any
) -> None:
    path = await offered(watched.page, desk, people, live_server.url + wait_path(desk.place))
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(live_server.url + "/book?slot=x")
    kept = f'{{"id": "{people[2]["id"]}", "name": "Other", "token": "{people[2]["token"]}"}}'
    await page.evaluate("kept => sessionStorage.setItem('appointments:patient', kept)", kept)
    await page.goto(live_server.url + path)
    await expect(heading(page)).to_have_text("There is no such offer for you")
    await expect(page.locator(".facts")).to_have_count(0)
    await context.close()


async def test_the_pages_have_a_strict_policy(live_server: Any) -> None:
    async with httpx2.AsyncClient(base_url=live_server.url) as client:
        for path in ["/wait", "/wait?clinic=%22%3E%3Cb", "/offer/x", "/offer/%22%3E%3Cb"]:
            answer = await client.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "script-src 'self'" in policy
            assert "<b" not in answer.text.replace("<body", "")
        assert (await client.get("/offer/")).status_code == 404


def _key(path: str) -> int:
    key = ids.key(path.rpartition("/")[2], ids.OFFER)
    assert key is not None
    return key


async def test_a_calendar_without_times_leads_to_the_waitlist(
    watched: Watched, context: BrowserContext, desk: Desk
) -> None:
    page = await watched.open(f"/calendar?clinic={desk.place.clinic['id']}&visit-type={desk.place.visit_type}")
    await expect(page.locator('clinic-calendar button[part="slot"]').first).to_be_visible()
    for _ in range(60):
        link = page.get_by_role("link", name="Tell me when a time opens")
        if await link.count():
            break
        following = page.get_by_role("button", name="Next week")
        if await following.get_attribute("aria-disabled") == "true":
            pytest.skip("every week of this demo has times")
        await following.click()
        await asyncio.sleep(0.1)
    async with context.expect_page() as opened:
        await link.click()
    wait = await opened.value
    assert wait.url.endswith(wait_path(desk.place))


async def test_who_has_an_appointment_asks_for_an_earlier_time_sees_it_in_the_list_and_leaves_it(
    watched: Watched, desk: Desk, people: list[dict[str, str]], free: None
) -> None:
    sooner = await desk.booked(desk.place.slots[0], people[0]["id"])
    own = await desk.booked(desk.place.slots[-1], people[0]["id"])
    page = await watched.open("/wait")
    await expect(heading(page)).to_have_text("What you wait for")
    await page.get_by_label("Demo patient").select_option(label=people[0]["name"])
    await assert_accessible(page)
    await page.get_by_role("button", name="Sign in and see").click()
    await expect(page.get_by_text("You are on no waitlist.")).to_be_visible()
    await assert_accessible(page)
    here = page.get_by_role("listitem").filter(has=page.locator(f'a[href="{wait_path(desk.place)}&earlier"]'))
    await expect(here).to_have_count(2)
    await here.nth(1).get_by_role("link", name="Ask for an earlier time").focus()
    await page.keyboard.press("Enter")
    await expect(heading(page)).to_have_text("Tell me when an earlier time opens")
    asked = page.get_by_role("group", name="What would you like?")
    chosen = asked.get_by_role("radio", checked=True)
    await expect(chosen).to_have_accessible_name(re.compile("^An earlier time than "))
    await assert_accessible(page)
    await chosen.focus()
    for _ in range(2):
        await page.keyboard.press("ArrowUp")
    await expect(asked.get_by_label("A new appointment")).to_be_checked()
    await expect(heading(page)).to_have_text("Tell me when a time opens")
    for _ in range(2):
        await page.keyboard.press("ArrowDown")
    await expect(chosen).to_be_focused()
    await page.get_by_label("Book it for me without asking").focus()
    await tab_to(page, "BUTTON")
    await page.keyboard.press("Enter")
    await expect(heading(page)).to_have_text("You are on the waitlist")
    await expect(heading(page)).to_be_focused()
    await expect(page.locator(".facts")).to_contain_text("This appointment stays yours until you take an earlier time.")
    await assert_accessible(page)
    entry = (await desk.entries(people[0]["id"]))[0]
    assert (entry["status"], entry["appointment"]["id"]) == ("ACTIVE", own["appointmentId"])
    assert own["appointmentId"] not in page.url
    await page.get_by_role("link", name="What I wait for").click()
    waiting = page.get_by_role("list", name="Waiting for")
    await expect(waiting.get_by_text("Earlier than ")).to_be_visible()
    await expect(page.get_by_text("You wait for an earlier time.")).to_be_visible()
    await expect(page.get_by_text("You wait for this kind of visit here already.")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name=f"at {desk.place.clinic['name']}").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("You are on no waitlist.")).to_be_visible()
    await expect(heading(page)).to_be_focused()
    await expect(page.locator("[role=status]")).to_contain_text("You are no longer waiting for ")
    await expect(page.get_by_text("You wait for an earlier time.")).to_have_count(0)
    assert (await desk.entries(people[0]["id"]))[0]["status"] == "WITHDRAWN"
    for one in (sooner, own):
        await desk.cancel(one)
    watched.assert_clean()


async def test_an_earlier_time_that_is_taken_moves_the_appointment_and_ends_the_waiting_at_once(
    watched: Watched, context: BrowserContext, desk: Desk, people: list[dict[str, str]], free: None, live_server: Any
) -> None:
    page, late = watched.page, desk.place.slots[-1]
    own = await desk.booked(late, people[0]["id"])
    other = await desk.booked(desk.place.slots[0], people[1]["id"])
    await page.goto(live_server.url + wait_path(desk.place) + "&earlier")
    await join(page, people[0]["name"])
    kept = await page.evaluate("sessionStorage.getItem('appointments:patient')")
    listed = await context.new_page()
    await listed.goto(live_server.url + "/book?slot=x")
    await listed.evaluate("kept => sessionStorage.setItem('appointments:patient', kept)", kept)
    await listed.goto(live_server.url + "/wait")
    await expect(listed.get_by_role("list", name="Waiting for")).to_be_visible()
    before = await listed.get_by_text("You wait for an earlier time.").locator("..").locator("b").inner_text()
    same = await listed.locator("li b", has_text=before).count()  # There may be one at that hour in another zone.
    await desk.cancel(other)
    await expect(listed.get_by_text("is kept for you until")).to_be_visible()
    await assert_accessible(listed)
    await page.get_by_role("link", name="See the offer").click()
    await expect(page.get_by_text("It takes the place of your appointment on")).to_be_visible()
    assert (await desk.appointment(own["appointmentId"]))["version"] == own["version"]
    await page.get_by_role("button", name="Move my appointment to this time").click()
    await expect(heading(page)).to_have_text("You are booked")
    await expect(listed.get_by_text("You are on no waitlist.")).to_be_visible()
    await expect(listed.locator("li b", has_text=before)).to_have_count(same - 1)
    await assert_accessible(listed)
    moved = await desk.appointment(own["appointmentId"])
    assert (moved["version"], moved["status"]) == (own["version"] + 1, "BOOKED")
    assert datetime.fromisoformat(moved["startsAt"]).timestamp() == (ids.slot(desk.place.slots[0]).start or 0) * 60  # type: ignore[union-attr]
    entry = (await desk.entries(people[0]["id"]))[0]
    assert (entry["status"], entry["appointment"]["id"]) == ("FULFILLED", own["appointmentId"])
