"""What is read costs as many statements for twenty rows as for two."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from domain import ids
from tests import builders
from tests.api.inside import CHART, CLINICS, DAY, SHEET, SLOT_PAGE, SNAPSHOT, Counted, inside
from tests.api.town import today


@pytest.fixture(scope="module")
async def demo(live_server: Any) -> AsyncIterator[Counted]:
    async with inside(live_server.settings, live_server.addresses) as counted:
        yield counted


async def _somewhere(demo: Counted) -> dict[str, str]:
    """The demo's busiest clinic, one of its providers and a visit type that most there offer."""
    document = """{ clinics(first: 8) { edges { node { id
        providers(first: 100) { edges { node { id visitTypes { id } } } } } } } }"""
    found = (await demo.client.ask(document, None, demo.client.admin())).data
    clinic = max((edge["node"] for edge in found["clinics"]["edges"]), key=lambda one: len(one["providers"]["edges"]))
    providers = [edge["node"] for edge in clinic["providers"]["edges"]]
    offered = [kind["id"] for one in providers for kind in one["visitTypes"]]
    kind = max(sorted(set(offered)), key=offered.count)
    provider = next(one["id"] for one in providers if kind in [visit["id"] for visit in one["visitTypes"]])
    return {
        "p": provider,
        "c": clinic["id"],
        "v": kind,
        "a": str(today() + timedelta(days=1)),
        "b": str(today() + timedelta(days=7)),
    }


async def test_a_providers_week_takes_four_statements_and_its_bare_times_two(demo: Counted) -> None:
    there = await _somewhere(demo)
    found, week = await demo.ask(DAY, there)
    assert len(found["node"]["slots"]) > 1
    bare = DAY.replace("provider { name } clinic { name } visitType { name }", "endsAt")
    _, of_bare = await demo.ask(bare, there)
    assert (week, of_bare) == (4, 2)


async def test_twenty_providers_with_their_times_take_as_many_statements_as_two(demo: Counted) -> None:
    there = await _somewhere(demo)
    del there["p"]
    page = SLOT_PAGE.replace("clinics { name visitTypes { id } } visitTypes { name }", "clinics { name }")
    few, of_few = await demo.ask(page, {**there, "first": 3})
    many, of_many = await demo.ask(page, {**there, "first": 20})
    assert len(few["providers"]["edges"]) == 3 < len(many["providers"]["edges"])
    assert (of_few, of_many) == (3, 3)


async def test_a_snapshot_takes_as_many_statements_for_a_week_as_for_a_day(demo: Counted) -> None:
    there = await _somewhere(demo)
    del there["p"]
    day, of_day = await demo.ask(SNAPSHOT, {**there, "b": there["a"]})
    week, of_week = await demo.ask(SNAPSHOT, there)
    assert len(week["availability"]["slots"]) > len(day["availability"]["slots"])
    assert of_day == of_week <= 6


async def test_a_patients_appointments_take_as_many_statements_for_twenty_as_for_one(
    demo: Counted, live_server: Any
) -> None:
    async with builders.opened(live_server.addresses.database_url) as database:
        key = await database.primary.fetchval(
            "SELECT patient_id FROM appointments GROUP BY patient_id ORDER BY count(*) DESC LIMIT 1"
        )
    asked = {"t": ids.node(ids.PATIENT, key)}
    _, of_one = await demo.ask(CHART, {**asked, "first": 1}, demo.client.patient(key))
    found, of_many = await demo.ask(CHART, {**asked, "first": 20}, demo.client.patient(key))
    assert len(found["patient"]["appointments"]["edges"]) > 3
    assert (of_one, of_many) == (7, 7)


async def test_a_day_sheet_takes_as_many_statements_full_as_empty(demo: Counted) -> None:
    there = await _somewhere(demo)
    sheets = []
    for days in (*range(1, 8), 500):
        asked = {"c": there["c"], "d": str(today() + timedelta(days=days))}
        found, took = await demo.ask(SHEET, asked, demo.client.staff([ids.key(there["c"], ids.CLINIC) or 0]))
        booked = sum(len(one["appointments"]) for one in found["clinicDay"]["providers"])
        sheets.append((booked, took))
    assert max(sheets)[0] > 10
    # Nothing booked: no patients to read, no row of audit.
    assert max(took for _, took in sheets) <= 10


async def test_clinics_with_their_providers_take_as_many_statements_for_eight_as_for_two(demo: Counted) -> None:
    _, of_two = await demo.ask(CLINICS, {"first": 2})
    _, of_eight = await demo.ask(CLINICS, {"first": 8})
    assert (of_two, of_eight) == (4, 4)
