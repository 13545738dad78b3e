"""The pages as a browser gets them: whole, from our own host alone, readable and usable by keyboard."""

import gzip
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest
from graphql import (
    FragmentDefinitionNode,
    NoUnusedFragmentsRule,
    OperationDefinitionNode,
    build_schema,
    parse,
    specified_rules,
    validate,
)
from playwright.async_api import Browser, BrowserContext, Page, expect
from starlette.applications import Starlette

from app import pages
from domain import ids
from tests.api.scripted import staged, until
from tests.app.browsing import Watched

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "app" / "web" / "src"
EXAMPLES = sorted((SOURCES / "explorer" / "examples").glob("*.graphql"))
TABS = ["FindClinics", "OpenTimes", "ClinicWeek", "HoldAndBook", "MoveAndCancel", "DaySheet", "WatchTimes", "Search"]
KINDS = (ids.PATIENT, ids.PROVIDER, ids.CLINIC, ids.VISIT_TYPE)
ELSEWHERE = """
INSERT INTO appointments (status, patient_id, provider_id, clinic_id, visit_type_id, starts_at, ends_at)
VALUES ('booked', $1, $2, $3, $4, $5::text::timestamptz, $6::text::timestamptz) RETURNING id
"""

# ---------------------------------------------------------------- without a browser


def documents() -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(SOURCES.rglob("*.graphql"))]


@pytest.mark.parametrize("path", documents())
def test_document_is_valid(path: Path) -> None:
    printed = ROOT / "schema" / "schema.graphql"
    if not printed.exists():
        pytest.skip("schema/schema.graphql is not there")
    fragments = re.findall(r'^#import "(.+)"$', path.read_text("utf-8"), re.MULTILINE)
    text = "\n".join((path.parent / name).read_text("utf-8") for name in (path.name, *fragments))
    alone = all(isinstance(one, FragmentDefinitionNode) for one in parse(text).definitions)
    rules = [one for one in specified_rules if not (alone and one is NoUnusedFragmentsRule)]
    assert validate(build_schema(printed.read_text("utf-8")), parse(text), rules) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_says_whose_token_it_needs_and_gives_every_variable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.search(r"^# Token: \w", text, re.MULTILINE)
    [operation] = [node for node in parse(text).definitions if isinstance(node, OperationDefinitionNode)]
    declared = {variable.variable.name.value for variable in operation.variable_definitions or ()}
    assert declared == set(json.loads(path.with_suffix(".json").read_text("utf-8")))


async def get(path: str, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Starlette(routes=pages.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://pages") as client:
        return await client.get(path, headers=headers)


async def test_pages_allow_no_foreign_script_and_no_frame() -> None:
    policy = (await get("/")).headers["content-security-policy"]
    assert "unsafe" not in policy
    for text in [policy, pages.EXPLORER_POLICY]:
        directives = dict(part.strip().split(" ", 1) for part in text.split(";"))
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == "'self'"
        assert directives["connect-src"] == "'self'"
        assert directives["frame-ancestors"] == "'none'"


async def test_built_files_are_kept_for_ever_and_packed_once_asked() -> None:
    [name] = re.findall(r'src="/static/(home\.\w+\.js)"', (await get("/")).text)
    plain = await get(f"/static/{name}", **{"accept-encoding": "identity"})
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript")
    assert plain.headers["x-content-type-options"] == "nosniff"
    packed = await get(f"/static/{name}", **{"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content == gzip.decompress(pages.packed(name))


@pytest.mark.parametrize("name", ["manifest.json", "home.html", "nothing.js", "%2e%2e%2fpackage.json", "..%5Cx"])
async def test_only_built_files_are_served(name: str) -> None:
    assert (await get(f"/static/{name}")).status_code == 404


# ---------------------------------------------------------------- the start page


async def first_open_times(page: Page) -> None:
    """Chooses until there is something open: a demo's clinic may be full for one kind of visit."""
    demo = page.locator("#demo")
    for clinic in range(3):
        await page.get_by_label("Clinic").select_option(index=clinic)
        for visit in range(await page.get_by_label("Kind of visit").locator("option").count()):
            await page.get_by_label("Kind of visit").select_option(index=visit)
            await expect(demo).to_have_attribute("data-state", re.compile("ready|empty"))
            if await demo.get_attribute("data-state") == "ready":
                return
    raise AssertionError("nothing is open at the first three clinics")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_home_lists_open_times_on_the_clinics_clock(watched: Watched, scheme: Any) -> None:
    await watched.page.emulate_media(color_scheme=scheme)
    page = await watched.open("/")
    await expect(page.locator("#demo")).to_have_attribute("data-state", re.compile("ready|empty"))
    await first_open_times(page)
    times = page.locator("#demo .times time")
    assert 1 <= await times.count() <= 12
    instants = [str(await time.get_attribute("datetime")) for time in await times.all()]
    assert all(re.search(r"(Z|[+-]\d\d:\d\d)$", instant) for instant in instants)
    await expect(page.get_by_role("status")).to_contain_text("on the clinic's clock")
    watched.assert_clean()


async def test_home_fits_a_narrow_screen(watched: Watched) -> None:
    await watched.page.set_viewport_size({"width": 320, "height": 640})
    page = await watched.open("/")
    await expect(page.locator("#demo")).to_have_attribute("data-state", re.compile("ready|empty"))
    assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_home_is_reached_by_keyboard(watched: Watched) -> None:
    page = await watched.open("/")
    await expect(page.get_by_label("Kind of visit")).to_be_enabled()
    await expect(page.locator("#demo")).to_have_attribute("data-state", re.compile("ready|empty"))
    reached = []
    for _ in range(18):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            """() => {
              const {outlineStyle} = getComputedStyle(document.activeElement);
              return [document.activeElement.name || document.activeElement.textContent.trim(), outlineStyle];
            }"""
        )
        assert focused[1] != "none", f"{focused[0]} shows no focus"
        reached.append(focused[0])
    assert {"GraphiQL", "clinic", "visitType", "Look again", "/schema.graphql", "/metrics"} <= set(reached)


async def test_home_says_when_times_cannot_be_read(watched: Watched, context: BrowserContext) -> None:
    page = await watched.open("/")
    await expect(page.locator("#demo")).to_have_attribute("data-state", re.compile("ready|empty"))
    await context.set_offline(True)
    await page.get_by_role("button", name="Look again").click()
    await expect(page.get_by_role("status")).to_contain_text("could not be read")
    await context.set_offline(False)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator("#demo")).to_have_attribute("data-state", re.compile("ready|empty"))


async def test_pages_are_readable_without_scripts(live_server: Any, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(live_server.url + "/")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_role("link", name="/readyz")).to_be_visible()
    await expect(page.locator("#demo")).to_be_hidden()
    await page.goto(live_server.url + "/graphql")
    await expect(page.get_by_role("link", name="/schema.graphql")).to_be_visible()
    await context.close()


# ---------------------------------------------------------------- GraphiQL


async def explorer(watched: Watched) -> Page:
    page = await watched.open("/graphql")
    await expect(page.locator(".graphiql-query-editor .view-line").first).to_be_visible()
    await expect(page.locator(".graphiql-editor-tool .view-line").first).to_be_visible()
    return page


async def tab(page: Page, name: str) -> None:
    await page.locator("button.graphiql-tab-button", has_text=name).click()
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("of 8.")


async def expect_shown(page: Page, editor: str, text: str) -> None:
    """Waits for text in an editor, which may break it over lines."""
    seen = "([editor, text]) => document.querySelector(editor).textContent.replace(/\\s/g, '').includes(text)"
    await page.wait_for_function(seen, arg=[f"{editor} .view-lines", re.sub(r"\s", "", text)])


async def run(page: Page) -> Any:
    """What the server answered; shown in the page too."""
    async with page.expect_response(lambda response: urlsplit(response.url).path == "/graphql") as answered:
        await page.get_by_role("button", name="Execute query").click()
    answer = await (await answered.value).json()
    await expect_shown(page, ".graphiql-response", json.dumps(next(iter(answer))))
    return answer


async def test_explorer_has_eight_examples_and_runs_the_first(watched: Watched) -> None:
    page = await explorer(watched)
    assert await page.locator("button.graphiql-tab-button").all_text_contents() == TABS
    answer = await run(page)
    [first, *_] = answer["data"]["clinics"]["edges"]
    assert "errors" not in answer
    await expect_shown(page, ".graphiql-response", first["node"]["timeZone"])
    assert page.url == watched.url + "/graphql"
    watched.assert_clean()


async def test_explorer_documents_the_schema(watched: Watched) -> None:
    page = await explorer(watched)
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    await expect(page.get_by_role("link", name="Query", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Show GraphiQL Explorer").click()
    await expect(page.locator(".graphiql-plugin")).to_contain_text("clinics")
    watched.assert_clean()


async def test_public_examples_answer_as_they_stand(watched: Watched) -> None:
    page = await explorer(watched)
    for name, field in [("OpenTimes", "node"), ("ClinicWeek", "availability")]:
        await tab(page, name)
        answer = await run(page)
        assert "errors" not in answer
        assert answer["data"][field]["slots"]
    watched.assert_clean()


async def test_without_given_ids_they_come_from_the_tab_before(watched: Watched) -> None:
    await watched.page.route("**/dev/examples.json", lambda route: route.fulfill(status=404))
    page = await explorer(watched)
    await tab(page, "OpenTimes")
    await expect_shown(page, ".graphiql-editor-tool", "run tab 1 first")
    await tab(page, "FindClinics")
    clinics = (await run(page))["data"]["clinics"]["edges"]
    await tab(page, "OpenTimes")
    first = next(node for edge in clinics if (node := edge["node"])["providers"]["edges"])
    await expect_shown(page, ".graphiql-editor-tool", first["id"])


async def test_examples_are_of_times_at_which_their_patient_is_free(live_server: Any) -> None:
    async with httpx2.AsyncClient(base_url=live_server.url) as http:

        async def example() -> dict[str, Any]:
            return dict((await http.get("/dev/examples.json")).json())

        first = await example()
        question = "query($id: ID!) { node(id: $id) { ... on Slot { startsAt endsAt } } }"
        answer = await http.post("/graphql", json={"query": question, "variables": {"id": first["slotId"]}})
        slot = answer.json()["data"]["node"]
        names = ("patientId", "providerId", "clinicId", "visitTypeId")
        keys = [ids.key(first[name], kind) for name, kind in zip(names, KINDS, strict=True)]
        connection = await asyncpg.connect(live_server.addresses.database_url)
        elsewhere = await connection.fetchval(ELSEWHERE, *keys, slot["startsAt"], slot["endsAt"])
        try:
            assert (await example())["slotId"] != first["slotId"]
        finally:
            await connection.execute("DELETE FROM appointments WHERE id = $1", elsewhere)
            await connection.close()


async def test_patient_books_moves_and_cancels_by_pressing_play(watched: Watched) -> None:
    page = await explorer(watched)
    await page.get_by_label("Act as").select_option("patient")
    await expect(page.get_by_role("status").first).to_contain_text("patient")
    await tab(page, "HoldAndBook")
    booked = (await run(page))["data"]["bookAppointment"]
    assert booked["__typename"] == "AppointmentBooked", booked
    await tab(page, "MoveAndCancel")
    await expect_shown(page, ".graphiql-editor-tool", booked["appointment"]["id"])
    changed = (await run(page))["data"]
    assert changed["rescheduleAppointment"]["__typename"] == "AppointmentRescheduled", changed
    assert changed["cancelAppointment"]["__typename"] == "AppointmentCancelled", changed
    watched.assert_clean()


async def test_staff_see_the_day_sheet(watched: Watched) -> None:
    page = await explorer(watched)
    await page.get_by_label("Act as").select_option("staff")
    await tab(page, "DaySheet")
    answer = await run(page)
    assert "errors" not in answer
    assert answer["data"]["clinicDay"]["clinic"]["timeZone"]
    watched.assert_clean()


async def test_token_is_sent_and_kept_nowhere(watched: Watched) -> None:
    page = await explorer(watched)
    await page.get_by_label("Act as").select_option("patient")
    token = await page.get_by_label("Bearer token").input_value()
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Execute query").click()
    assert (await (await sent.value).all_headers())["authorization"] == f"Bearer {token}"
    await page.wait_for_timeout(800)  # GraphiQL writes its tabs half a second after the last change
    kept = await page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert token not in kept
    assert json.loads(kept)[0].keys() <= {"graphiql:theme", "graphiql:docExplorerFlex", "graphiql:editorFlex"}
    await page.get_by_role("button", name="Clear").click()
    assert await page.get_by_label("Bearer token").input_value() == ""
    await expect(page.get_by_role("status").first).to_contain_text("No token")


async def test_reload_keeps_what_was_typed_but_no_token(watched: Watched) -> None:
    page = await explorer(watched)
    await page.get_by_label("Act as").select_option("patient")
    await tab(page, "ClinicWeek")
    await page.locator(".graphiql-query-editor .view-lines").click()
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("# of 6. My own words\n")
    await page.wait_for_timeout(1000)
    await page.reload()
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("My own words")
    assert await page.locator("button.graphiql-tab-button").all_text_contents() == TABS
    assert await page.get_by_label("Bearer token").input_value() == ""


async def test_open_times_are_watched_by_pressing_play(live_server: Any, context: BrowserContext) -> None:
    async with staged(live_server.settings, live_server.addresses) as stage:
        watched = Watched(await context.new_page(), stage.url)
        page = await explorer(watched)
        await page.get_by_label("Act as").select_option("patient")
        await tab(page, "WatchTimes")
        await page.get_by_role("button", name="Execute query").click()
        await expect_shown(page, ".graphiql-response", "AvailabilitySnapshot")
        stage.live.change()
        await expect_shown(page, ".graphiql-response", "AvailabilityDelta")
        await page.get_by_role("button", name="Stop query").click()
        await expect(page.get_by_role("button", name="Execute query")).to_be_visible()
        await until(lambda: stage.live.watching == 0)
        watched.assert_clean()
