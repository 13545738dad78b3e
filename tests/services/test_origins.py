"""Web sites that a clinic lets embed its calendar: saved by admins, known to every process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import perf_counter

import pytest

from adapters.postgres import origins as stored
from adapters.postgres.database import Database
from domain import ids
from domain.access import ANONYMOUS, AccessDenied
from domain.outcomes import ClinicOriginsSet, IdempotencyMismatch, InvalidInput, NotFound
from domain.streams import CalendarEvent, Resumed
from services.origins import Origins
from tests import builders
from tests.builders import World, admin, key, patient_viewer

ONE, TWO, THREE = "https://one.example", "https://two.example", "http://localhost:3000"


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with builders.opened(database_url) as database:
        yield database


@pytest.fixture
async def world(database: Database) -> World:
    await database.primary.execute("DELETE FROM clinic_origins")
    return await builders.world(database.primary)


@pytest.fixture
def origins(database: Database) -> Origins:
    return Origins(database)


def event(clinic: int, *, provider: int | None = None, invalidated: bool = True) -> CalendarEvent:
    return CalendarEvent(
        "e", clinic, 1, datetime(2027, 1, 1, tzinfo=UTC), 1, 1, provider, None, 0, invalidated=invalidated
    )


async def until(allowed: Origins, origin: str, *, seconds: float = 1) -> float:
    """How long it took until the origin was let in."""
    began = perf_counter()
    while not allowed.allows(origin):
        assert perf_counter() - began < seconds
        await asyncio.sleep(0.005)
    return perf_counter() - began


async def test_the_whole_set_is_replaced_told_and_audited(database: Database, origins: Origins, world: World) -> None:
    before = await database.primary.fetchval("SELECT coalesce(max(id), 0) FROM outbox")
    done = await origins.set_of_clinic(admin(), world.clinic_id, [ONE, TWO, "https://ONE.example:443"], key())
    assert isinstance(done, ClinicOriginsSet)
    assert done.clinic.key == world.clinic
    assert await stored.origins(database.primary, [world.clinic]) == {world.clinic: [ONE, TWO]}
    assert isinstance(await origins.set_of_clinic(admin(), world.clinic_id, [THREE, TWO], key()), ClinicOriginsSet)
    assert await stored.origins(database.primary, [world.clinic]) == {world.clinic: [THREE, TWO]}
    assert isinstance(await origins.set_of_clinic(admin(), world.clinic_id, [], key()), ClinicOriginsSet)
    assert await stored.origins(database.primary, [world.clinic]) == {}
    told = await builders.rows(database.primary, "SELECT * FROM outbox WHERE id > $1", before)
    assert [(row["topic"], row["clinic_id"], row["resource_id"], row["payload"]) for row in told] == [
        ("availability", world.clinic, None, {"invalidated": True})
    ] * 3
    audited = await builders.rows(database.primary, "SELECT * FROM audit WHERE entity = $1", f"clinic:{world.clinic}")
    assert [(row["operation"], row["role"]) for row in audited] == [("setClinicOrigins", "admin")] * 3


async def test_an_own_change_counts_when_it_is_answered(origins: Origins, world: World) -> None:
    assert not origins.allows(ONE)
    await origins.set_of_clinic(admin(), world.clinic_id, [ONE], key())
    assert origins.allows(ONE)
    assert not any(map(origins.allows, ["", "null", "*", TWO, "HTTPS://one.example", ONE + "/", ONE + ":443"]))
    await origins.set_of_clinic(admin(), world.clinic_id, [TWO], key())
    assert (origins.allows(ONE), origins.allows(TWO)) == (False, True)


async def test_what_one_clinic_takes_away_another_may_still_allow(
    database: Database, origins: Origins, world: World
) -> None:
    other = ids.node(ids.CLINIC, await builders.clinic(database.primary))
    await origins.set_of_clinic(admin(), world.clinic_id, [ONE], key())
    await origins.set_of_clinic(admin(), other, [ONE, TWO], key())
    await origins.set_of_clinic(admin(), world.clinic_id, [], key())
    assert origins.allows(ONE)
    await origins.set_of_clinic(admin(), other, [], key())
    assert not origins.allows(ONE)


async def test_other_processes_hear_of_it(database: Database, origins: Origins, world: World) -> None:
    elsewhere = Origins(database)
    async with elsewhere.kept():
        await asyncio.sleep(0.1)
        await origins.set_of_clinic(admin(), world.clinic_id, [ONE], key())
        elsewhere.heard(event(world.clinic, provider=world.provider))
        elsewhere.heard(event(world.clinic, invalidated=False))
        await asyncio.sleep(0.1)
        assert not elsewhere.allows(ONE)
        for _ in range(200):
            elsewhere.heard(event(world.clinic))
        assert await until(elsewhere, ONE) < 1
        await origins.set_of_clinic(admin(), world.clinic_id, [TWO], key())
        elsewhere.heard(Resumed())
        await until(elsewhere, TWO)


async def test_a_process_that_starts_knows_the_set(database: Database, origins: Origins, world: World) -> None:
    await origins.set_of_clinic(admin(), world.clinic_id, [ONE], key())
    started = Origins(database)
    async with started.kept():
        await until(started, ONE)


async def test_what_was_missed_is_read_again_by_and_by(
    database: Database, origins: Origins, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.origins.REFRESH_SECONDS", 0.05)
    elsewhere = Origins(database)
    async with elsewhere.kept():
        await asyncio.sleep(0.1)
        await origins.set_of_clinic(admin(), world.clinic_id, [ONE], key())
        await until(elsewhere, ONE)


async def test_a_database_that_is_away_changes_nothing_and_is_asked_again(
    database: Database, origins: Origins, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await origins.set_of_clinic(admin(), world.clinic_id, [ONE], key())
    monkeypatch.setattr("services.origins.RETRY_SECONDS", 0.02)
    read = stored.every_origin
    with monkeypatch.context() as broken:

        async def away(_: object) -> frozenset[str]:
            raise OSError

        broken.setattr(stored, "every_origin", away)
        async with origins.kept():
            await asyncio.sleep(0.1)
            assert origins.allows(ONE)
            done = await origins.set_of_clinic(admin(), world.clinic_id, [TWO], key())
            assert isinstance(done, ClinicOriginsSet)
            broken.setattr(stored, "every_origin", read)
            await until(origins, TWO)


@pytest.mark.parametrize(
    ("some", "field"),
    [(["https://a.example", "http://a.example"], "origins.1"), (["*"], "origins.0"), ([ONE] * 51, "origins")],
)
async def test_what_is_no_origin_changes_nothing(
    database: Database, origins: Origins, world: World, some: list[str], field: str
) -> None:
    used = key()
    refused = await origins.set_of_clinic(admin(), world.clinic_id, some, used)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field
    assert await stored.origins(database.primary, [world.clinic]) == {}
    # The key of what changed nothing may be used again (rule 14).
    assert isinstance(await origins.set_of_clinic(admin(), world.clinic_id, [ONE], used), ClinicOriginsSet)


async def test_a_used_key_answers_the_same_once_more(database: Database, origins: Origins, world: World) -> None:
    used = key()
    first = await origins.set_of_clinic(admin(), world.clinic_id, [ONE], used)
    await origins.set_of_clinic(admin(), world.clinic_id, [TWO], key())
    assert await origins.set_of_clinic(admin(), world.clinic_id, [ONE], used) == first
    assert await stored.origins(database.primary, [world.clinic]) == {world.clinic: [TWO]}
    other = await origins.set_of_clinic(admin(), world.clinic_id, [ONE, TWO], used)
    assert isinstance(other, IdempotencyMismatch)


async def test_only_admins_set_them_and_only_for_clinics(origins: Origins, world: World) -> None:
    for viewer, code in ((ANONYMOUS, "UNAUTHENTICATED"), (patient_viewer(world.patient), "FORBIDDEN"),
                         (world.staff, "FORBIDDEN")):  # fmt: skip
        with pytest.raises(AccessDenied) as denied:
            await origins.set_of_clinic(viewer, "garbage", ["*"], key())
        assert denied.value.code == code
    for unknown in ("garbage", world.provider_id, ids.node(ids.CLINIC, 999_999)):
        assert isinstance(await origins.set_of_clinic(admin(), unknown, [ONE], key()), NotFound)
