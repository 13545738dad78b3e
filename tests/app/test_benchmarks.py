"""The benchmarks measure what they say: both sides hold the same times, answers are right. No test asserts speed."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.embedded import Addresses
from benchmarks import product, report
from benchmarks.contests import Match, Results, Sizes, agree, book, burst, day, page, with_patients
from benchmarks.cpu import postmaster, redis_process, resident_mb
from benchmarks.load import Client
from benchmarks.population import STARTS_A_DAY, Population, tomorrow
from benchmarks.rivals import Bookable, Reference, instant, new_database

SMALL = Sizes(clinics=4, providers=40, rounds=1, days=20, pages=4, warm_up=5, bookings=20, contested=2)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(tomorrow(), clinics=SMALL.clinics, providers=SMALL.providers, patients=200)


@pytest.fixture(scope="module")
async def reference(
    population: Population, embedded: Addresses, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reference]:
    folder: Path = tmp_path_factory.mktemp("benchmarks")
    await new_database(embedded.database_url, "bench_reference")
    rival = Reference(population, embedded.database_url, redis_url, folder)
    await rival.fill()
    try:
        await rival.start()
        yield rival
    finally:
        await rival.stop()


async def test_reference_gives_the_open_times_of_a_day(reference: Reference, population: Population) -> None:
    date = population.day(1)
    answer = await reference.ask(reference.day_document, **reference.day_variables(7, date))

    connection = await asyncpg.connect(reference.database_url)
    starts = await connection.fetch(
        "select starts_at from slots where provider_id = 7 and local_date = $1 and status = 'FREE' order by 1", date
    )
    await connection.close()
    assert answer["provider"]["name"] == "Provider 00007"
    assert 0 < len(starts) < STARTS_A_DAY
    assert [instant(slot["startsAt"]) for slot in answer["provider"]["slots"]] == [row[0] for row in starts]


async def test_reference_gives_a_page_of_a_clinics_providers(reference: Reference, population: Population) -> None:
    variables = reference.page_variables(2, population.day(0), population.day(2))
    edges = (await reference.ask(reference.page_document, **variables))["providers"]["edges"]

    assert [edge["node"]["id"] for edge in edges] == [
        str(n) for n in range(1, population.providers + 1) if 2 in population.places(n)
    ]
    assert all(len(edge["node"]["slots"]) == 10 for edge in edges)
    assert all({"id": "2", "name": "Clinic 0002"} in edge["node"]["clinics"] for edge in edges)


async def test_contests_run_and_count(
    reference: Reference, population: Population, embedded: Addresses, redis_url: str
) -> None:
    client = Client()
    pids = await postmaster(embedded.database_url), await redis_process(redis_url)
    match = Match(population, [reference], client, redis_url, *pids, SMALL, Results(), lambda what: None)
    try:
        for contest in (day, page, book, burst):
            await contest(match)
    finally:
        client.close()

    measures = {name: found[0].load for (name, _), found in match.results.measures.items()}
    assert {name: load.requests for name, load in measures.items()} == {"day": 20, "page": 4, "book": 20, "burst": 200}
    assert measures["burst"].outcomes == {"AppointmentBooked": 2, "SlotTaken": 198}
    assert await reference.booked() == (27, 27)
    assert "bookings of distinct times" in report.page(match.results, ["a fact"])
    assert reference.process
    assert resident_mb(reference.process.pid) > 10


async def test_both_sides_hold_the_same_taken_times(
    reference: Reference, database_url: str, population: Population
) -> None:
    await product.fill(database_url, population)
    there, here = await asyncpg.connect(reference.database_url), await asyncpg.connect(database_url)
    taken = await there.fetch(
        "select provider_id, starts_at, ends_at from slots s where status = 'BUSY'"
        " and not exists (select from appointments where slot_id = s.id) order by 1, 2"
    )
    occupied = await here.fetch("select resource_id, starts_at, ends_at from allocations order by 1, 2")
    await there.close()
    await here.close()
    assert [tuple(row) for row in occupied] == [tuple(row) for row in taken]


def test_a_patient_returns_only_at_a_later_time() -> None:
    slots = [Bookable(str(n), instant(f"2031-01-06T{9 + n // 3:02}:00:00Z")) for n in range(9)]
    pairs = with_patients(slots[::-1], patients=3)
    assert len({(slot.starts_at, patient) for slot, patient in pairs}) == len(slots)


def test_sides_that_disagree_are_not_compared(reference: Reference) -> None:
    with pytest.raises(SystemExit, match="disagree about a day"):
        agree([reference, reference], "a day", [["09:00"], ["09:15"]])
