"""Times that come up for the first time are offered to those who wait, by a job: hours, providers, kinds of visit, openings."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from domain import ids
from domain.catalog import ClinicDraft, ProviderDraft, VisitTypeDraft
from domain.outcomes import ClinicSaved, ProviderSaved, ScheduleSaved, VisitTypeSaved
from domain.waitlist import EntryStatus
from services.catalog import Catalog
from services.schedules import HoursInput, Schedules
from tests.services.imported import Feed, Store, location, schedule, slot
from tests.services.waiters import SOON, TODAY, Place, place, unexplained
from tests.world import World, admin, faults, new_key

DAY = SOON.date()


async def offered(world: World) -> int:
    """How many offers a worker makes of what came up."""
    before = await world.value("SELECT count(*) FROM waitlist_offers")
    while await world.sweeping.offer_opened():
        pass
    assert await world.value("SELECT count(*) FROM waitlist_opened") == 0
    found: int = await world.value("SELECT count(*) FROM waitlist_offers") - before
    return found


async def save(here: Place, **change: Any) -> ProviderSaved:
    world = here.world
    row = (await world.fetch("SELECT * FROM providers WHERE id = $1", here.provider))[0]
    places = await world.fetch("SELECT clinic_id FROM provider_clinics WHERE provider_id = $1", here.provider)
    kinds = await world.fetch("SELECT visit_type_id FROM provider_visit_types WHERE provider_id = $1", here.provider)
    given = {
        "clinic_ids": [ids.node(ids.CLINIC, one["clinic_id"]) for one in places],
        "visit_type_ids": [ids.node(ids.VISIT_TYPE, one["visit_type_id"]) for one in kinds],
        **change,
    }
    draft = ProviderDraft(row["name"], None, [], [], **given)
    saved = await Catalog(world.database).save_provider(
        admin(), ids.node(ids.PROVIDER, here.provider), row["version"], draft, new_key()
    )
    assert isinstance(saved, ProviderSaved), saved
    return saved


async def test_a_provider_who_comes_to_a_clinic_serves_those_who_wait_there(world: World) -> None:
    here = await place(world)
    await save(here, clinic_ids=[])
    other = await world.provider([here.clinic], [here.kind], opens=0, closes=60)
    (entry,) = await here.wait(windows=[(None, 9 * 60, 12 * 60)])
    await save(here, clinic_ids=[here.clinic_id])
    assert await here.live() == []
    assert await offered(world) == 1
    offer = (await here.only()).offer
    assert offer.entry_key == entry.key
    assert ids.slot(offer.slot_id).provider_id == here.provider != other  # type: ignore[union-attr]
    assert await faults(world) == []
    assert await unexplained(world) == []


async def test_another_kind_of_visit_serves_only_who_waits_for_that_kind(world: World) -> None:
    here = await place(world, 30, [{"minutes": 60}])
    new = here.kinds[0]
    await save(here, visit_type_ids=[here.kind_id()])
    helper = await world.provider([here.clinic], [new], opens=0, closes=60)
    old_entry = await here.join()
    new_entry = await here.join(kind=new)
    await save(here, visit_type_ids=[here.kind_id(), here.kind_id(new)])
    assert await offered(world) == 1
    assert (await here.only()).offer.entry_key == new_entry.key
    assert (await here.entry(old_entry)).status is EntryStatus.ACTIVE, "its times were open to all before"
    assert helper != here.provider
    assert await unexplained(world) == []


async def test_what_was_there_before_is_not_offered_again(world: World) -> None:
    here = await place(world)
    await here.wait()
    await save(here)
    assert await world.value("SELECT count(*) FROM waitlist_opened") == 0
    await save(here, active=False)
    assert await offered(world) == 0
    await save(here)
    assert await offered(world) == 1


async def test_a_clinic_that_opens_again_serves_those_who_wait(world: World) -> None:
    here = await place(world)
    await here.wait()
    catalog = Catalog(world.database)
    for active, offers in ((False, 0), (True, 1)):
        row = (await world.fetch("SELECT * FROM clinics WHERE id = $1", here.clinic))[0]
        from domain.clinics import Address

        draft = ClinicDraft(row["name"], row["time_zone"], Address([], "Town", None, None, "US"), None, None, active)
        saved = await catalog.save_clinic(admin(), here.clinic_id, row["version"], draft, new_key())
        assert isinstance(saved, ClinicSaved), saved
        assert await offered(world) == offers


async def test_a_kind_of_visit_that_is_there_again_serves_those_who_wait(world: World) -> None:
    here = await place(world)
    await here.wait()
    catalog = Catalog(world.database)
    for active, offers in ((False, 0), (True, 1)):
        row = (await world.fetch("SELECT * FROM visit_types WHERE id = $1", here.kind))[0]
        draft = VisitTypeDraft(row["name"], row["duration_minutes"], active=active)
        saved = await catalog.save_visit_type(admin(), here.kind_id(), row["version"], draft, new_key())
        assert isinstance(saved, VisitTypeSaved), saved
        assert await offered(world) == offers
    assert await unexplained(world) == []


async def test_hours_for_one_kind_of_visit_serve_only_who_waits_for_that_kind(world: World) -> None:
    here = await place(world, 30, [{"minutes": 30}])
    rare = here.kinds[0]
    provider_id, edits = ids.node(ids.PROVIDER, here.provider), Schedules(world.database)

    async def hours(version: int, *rows: tuple[int, int, int]) -> None:
        given = [
            HoursInput(weekday, opens, closes, visit_type_ids=(here.kind_id(kind),))
            for opens, closes, kind in rows
            for weekday in range(7)
        ]
        done = await edits.set_weekly_hours(here.clerk, provider_id, here.clinic_id, version, given, new_key())
        assert isinstance(done, ScheduleSaved), done

    first = await world.value("SELECT version FROM schedules WHERE provider_id = $1", here.provider)
    await hours(first, (480, 1080, here.kind))
    common, special = await here.join(), await here.join(kind=rare)
    await hours(first + 1, (480, 1080, here.kind), (600, 660, rare))
    assert await offered(world) == 1
    assert (await here.only()).offer.entry_key == special.key
    assert (await here.entry(common)).status is EntryStatus.ACTIVE


MORNING = DAY + timedelta(days=1)


def opening(hour: int, capacity: int = 1, of: str = "1") -> dict[str, Any]:
    """In Eastern time."""
    return slot(f"{MORNING}T{hour:02}:00:00-05:00", f"{MORNING}T{hour:02}:09:00-05:00", of=of, capacity=capacity)


async def test_an_imported_opening_serves_as_many_as_it_has_places(world: World, tmp_path: Path) -> None:
    store, feed = Store(world.database), Feed(tmp_path, slots=[opening(9)])
    assert (await store.slots(feed.write())).said == []
    line = (await world.fetch("SELECT * FROM openings ORDER BY id DESC LIMIT 1"))[0]
    kind = await world.value(
        "SELECT visit_type_id FROM provider_visit_types WHERE provider_id = $1", line["provider_id"]
    )
    here = Place(world, line["clinic_id"], kind, line["provider_id"])
    waiting = await here.wait(how_many=4)
    late = await here.join(first_date=TODAY + timedelta(days=20), last_date=TODAY + timedelta(days=25))
    assert await offered(world) == 0, "joining does not look at times that are open"
    feed.slots += [opening(10, capacity=2)]
    assert (await store.slots(feed.write()))["openings added"] == 1
    assert await offered(world) == 2
    feed.slots[1] = opening(10, capacity=3)
    assert (await store.slots(feed.write()))["openings changed"] == 1
    assert await offered(world) == 1
    assert [one.offer.entry_key for one in await here.live()] == [one.key for one in waiting[:3]]
    assert (await here.entry(late)).status is EntryStatus.ACTIVE
    assert (await store.slots(feed.write()))["openings unchanged"] == 2
    assert await world.value("SELECT count(*) FROM waitlist_opened") == 0
    # What is declined goes to the next, and none of its places to a stranger.
    await here.decline((await here.live())[0])
    assert {one.offer.entry_key for one in await here.live()} == {one.key for one in waiting[1:]}
    assert await faults(world) == []
    assert await unexplained(world) == []


async def test_an_import_notes_nothing_where_nobody_waits(world: World, tmp_path: Path) -> None:
    store, feed = Store(world.database), Feed(tmp_path)
    feed.locations.append(location("7", "8046-1109"))
    feed.schedules.append(schedule("7"))
    feed.slots.append(opening(9, of="7"))
    assert (await store.slots(feed.write()))["openings added"] == 1
    assert await world.value("SELECT count(*) FROM waitlist_opened") == 0


async def test_receipts_are_shown_though_the_provider_no_longer_offers_that_kind_of_visit(world: World) -> None:
    here = await place(world)
    entries = await here.wait(how_many=2)
    await here.cancel(await here.booked())
    before = await here.receipts(*entries)
    assert [one.rank for one in before] == [1, 2]
    await save(here, visit_type_ids=[])
    assert await here.receipts(*entries) == before
