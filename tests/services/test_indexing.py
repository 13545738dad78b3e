"""Search's indexes are kept true: whatever changes is indexed soon, and replays, disorder and deaths change nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from adapters.kafka import topics
from adapters.kafka.connection import Broker
from adapters.kafka.group import KafkaGroup
from adapters.kafka.publisher import Publisher
from adapters.postgres import clinics as clinic_records
from adapters.postgres import search_documents
from adapters.postgres.database import connect
from adapters.postgres.epoch import renew_epoch
from adapters.postgres.search_sources import Read
from domain import ids
from domain.catalog import ClinicDraft, ProviderDraft, VisitTypeDraft
from domain.clinics import GeoPoint, Modality
from domain.indexing import Batch, Kept, outdated
from domain.outcomes import AppointmentBooked, ClinicSaved, ProviderSaved, ScheduleSaved, VisitTypeSaved
from domain.streams import CalendarEvent
from services.background import beside
from services.catalog import Catalog
from services.relaying import Relay
from services.schedules import HoursInput, Schedules
from services.searching import indexing
from services.searching.indexing import Indexer
from tests.conftest import MakeDatabase
from tests.kafka import Kafka
from tests.proofs import proof
from tests.services.imported import Feed, Store, slot
from tests.services.indexed import Indexed, Memory, Row, indexed, listening, until
from tests.world import MONDAY, admin, new_key, relayed, slot_id

TUESDAY = MONDAY + timedelta(days=1)
NPI = "1234567893"
CSV_CLINIC = "id,name,address1,city,state,zip,country\n1,{},1 Low Street,Millville,NJ,08332,US\n"


@pytest.fixture
async def here(make_database: MakeDatabase) -> AsyncIterator[Indexed]:
    async with indexed(await make_database()) as found:
        await found.world.clock(MONDAY)
        yield found


@dataclass
class Town:
    """Two clinics, a provider at both and one at each, two kinds of visit; and who changes all that."""

    here: Indexed
    one: int
    other: int
    kind: int
    rare: int
    both: int
    first: int
    second: int

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.here.database)

    async def clinic(self, key: int, **changed: Any) -> None:
        now = (await clinic_records.clinics(self.here.database.primary, [key]))[key]
        draft = ClinicDraft(now.name, now.time_zone, now.address, now.location, now.phone, now.active)
        saved = await self.catalog.save_clinic(admin(), now.id, now.version, replace(draft, **changed), new_key())
        assert isinstance(saved, ClinicSaved), saved

    async def provider(self, key: int, **changed: Any) -> None:
        now = (await clinic_records.providers(self.here.database.primary, [key]))[key]
        draft = ProviderDraft(
            now.name, now.npi, now.specialties, now.languages,
            [ids.node(ids.CLINIC, one) for one in now.clinic_keys],
            [ids.node(ids.VISIT_TYPE, one) for one in now.visit_type_keys],
            now.accepting_new_patients, now.active,
        )  # fmt: skip
        saved = await self.catalog.save_provider(admin(), now.id, now.version, replace(draft, **changed), new_key())
        assert isinstance(saved, ProviderSaved), saved

    async def visit_type(self, key: int, **changed: Any) -> None:
        now = (await clinic_records.visit_types(self.here.database.primary, [key]))[key]
        draft = VisitTypeDraft(now.name, now.duration_minutes or 0, modality=now.modality, active=now.active)
        saved = await self.catalog.save_visit_type(admin(), now.id, now.version, replace(draft, **changed), new_key())
        assert isinstance(saved, VisitTypeSaved), saved

    async def hours(self, provider: int, clinic: int, weekdays: list[int]) -> None:
        version = await self.here.world.value(
            "SELECT version FROM schedules WHERE provider_id = $1 AND clinic_id = $2", provider, clinic
        )
        saved = await Schedules(self.here.database).set_weekly_hours(
            admin(), ids.node(ids.PROVIDER, provider), ids.node(ids.CLINIC, clinic), version,
            [HoursInput(day, 16 * 60, 17 * 60) for day in weekdays], new_key(),
        )  # fmt: skip
        assert isinstance(saved, ScheduleSaved), saved

    async def book(self, provider: int, clinic: int, kind: int, at: datetime) -> str | None:
        world = self.here.world
        made = await world.booking.book(
            await world.patient(clinic), slot_id(provider, clinic, kind, at), None, None, new_key()
        )
        return made.appointment.id if isinstance(made, AppointmentBooked) else None

    async def cancel(self, appointment: str) -> None:
        await self.here.world.changing.cancel(admin(), appointment, None, None, new_key())


@pytest.fixture
async def town(here: Indexed) -> Town:
    world = here.world
    one, other = await world.clinic(name="Elm Street Clinic"), await world.clinic(name="Oak Lane Clinic")
    kind, rare = await world.visit_type(30), await world.visit_type(60, days=3)
    both = await world.provider([one, other], [kind, rare])
    first, second = await world.provider([one], [kind]), await world.provider([other], [kind, rare])
    await world.run("UPDATE providers SET specialties = '{Dermatology}', languages = '{en-US}'")
    return Town(here, one, other, kind, rare, both, first, second)


# ------------------------------------------------------------------ freshness

Change = Callable[[Town, Path], Awaitable[Callable[[dict[tuple[int, int], Row]], bool]]]
CHANGES: dict[str, Change] = {}


def change(made: Change) -> Change:
    """What is done, and how it shows in the documents."""
    CHANGES[made.__name__] = made
    return made


@change
async def a_clinic_renamed(town: Town, _: Path) -> Any:
    await town.clinic(town.one, name="Birch Row Clinic")
    return lambda rows: all("p:birch" in rows[who, town.one]["terms"] for who in (town.both, town.first))


@change
async def a_clinic_moved(town: Town, _: Path) -> Any:
    await town.clinic(town.one, location=GeoPoint(40.5, -74.5))
    return lambda rows: (
        rows[town.both, town.one]["latitude"] == 40.5 and rows[town.both, town.other]["latitude"] is None
    )


@change
async def a_clinic_of_another_zone(town: Town, _: Path) -> Any:
    await town.clinic(town.one, time_zone="Pacific/Auckland")
    return lambda rows: rows[town.first, town.one]["next_day"] != rows[town.second, town.other]["next_day"]


@change
async def a_clinic_closed(town: Town, _: Path) -> Any:
    await town.clinic(town.one, active=False)
    return lambda rows: not rows[town.first, town.one]["listed"] and rows[town.both, town.other]["listed"]


@change
async def a_provider_renamed(town: Town, _: Path) -> Any:
    await town.provider(town.both, name="Dr Ængström")
    return lambda rows: all("n:aengstrom" in rows[town.both, one]["terms"] for one in (town.one, town.other))


@change
async def a_provider_of_another_specialty_and_language(town: Town, _: Path) -> Any:
    await town.provider(town.both, specialties=["Podiatrist"], languages=["pl"], accepting_new_patients=False)
    return lambda rows: (
        {"S:Podiatrist", "l:pl"} <= set(rows[town.both, town.other]["terms"])
        and not (rows[town.both, town.one]["accepting"])
    )


@change
async def a_provider_who_leaves_a_clinic(town: Town, _: Path) -> Any:
    await town.provider(town.both, clinic_ids=[ids.node(ids.CLINIC, town.other)])
    return lambda rows: not rows[town.both, town.one]["listed"] and rows[town.both, town.other]["listed"]


@change
async def a_provider_who_comes_to_a_clinic(town: Town, _: Path) -> Any:
    await town.provider(town.first, clinic_ids=[ids.node(ids.CLINIC, key) for key in (town.one, town.other)])
    return lambda rows: (town.first, town.other) in rows and rows[town.first, town.other]["listed"]


@change
async def a_provider_who_is_gone(town: Town, _: Path) -> Any:
    await town.provider(town.both, active=False)
    return lambda rows: not any(rows[town.both, key]["listed"] for key in (town.one, town.other))


@change
async def a_new_provider(town: Town, _: Path) -> Any:
    draft = ProviderDraft("Dr Newcomer", None, [], [], [ids.node(ids.CLINIC, town.one)], [])
    saved = await town.catalog.save_provider(admin(), None, None, draft, new_key())
    assert isinstance(saved, ProviderSaved)
    return lambda rows: (saved.provider.key, town.one) in rows


@change
async def a_visit_type_renamed(town: Town, _: Path) -> Any:
    await town.visit_type(town.rare, name="Skin check", modality=Modality.VIDEO)
    return lambda rows: (
        {"v:skin", "m:video"} <= set(rows[town.second, town.other]["terms"])
        and ("v:skin" not in rows[town.first, town.one]["terms"])
    )


@change
async def a_visit_type_no_longer_offered(town: Town, _: Path) -> Any:
    await town.visit_type(town.rare, active=False)
    return lambda rows: rows[town.both, town.one]["visit_type_ids"] == [town.kind]


@change
async def a_visit_type_that_somebody_offers_now(town: Town, _: Path) -> Any:
    both = [ids.node(ids.VISIT_TYPE, key) for key in (town.kind, town.rare)]
    await town.provider(town.first, visit_type_ids=both)
    return lambda rows: town.rare in rows[town.first, town.one]["visit_type_ids"]


@change
async def other_hours(town: Town, _: Path) -> Any:
    await town.hours(town.first, town.one, [3])
    return lambda rows: rows[town.first, town.one]["next_day"] == (MONDAY + timedelta(days=3)).date()


@change
async def a_day_that_is_booked_out(town: Town, _: Path) -> Any:
    await town.here.world.set_hours(town.first, town.one, [(16 * 60, 17 * 60)])
    for hour in (21, 21.5):
        assert await town.book(town.first, town.one, town.kind, MONDAY + timedelta(hours=hour - 14))
    return lambda rows: rows[town.first, town.one]["next_day"] == TUESDAY.date()


@change
async def a_clinics_file(town: Town, _: Path) -> Any:
    store = Store(town.here.database)
    await store.clinics(CSV_CLINIC.format("Low Street"))
    clinic = await town.here.world.value("SELECT id FROM clinics WHERE source_key IS NOT NULL")
    await town.provider(town.first, clinic_ids=[ids.node(ids.CLINIC, clinic)])
    await store.clinics(CSV_CLINIC.format("Renamed Place"))
    return lambda rows: "p:renamed" in rows.get((town.first, clinic), {"terms": []})["terms"]


@change
async def a_feed_of_openings(town: Town, folder: Path) -> Any:
    day = "2027-03-04T{}:00-05:00"
    feed = Feed(folder, slots=[slot(day.format("09:00"), day.format("12:00"), capacity=3)])
    await Store(town.here.database).slots(feed.write())
    pool = await town.here.world.value("SELECT provider_id FROM openings")
    clinic = await town.here.world.value("SELECT clinic_id FROM openings")
    feed.slots[0] = slot(day.format("09:00"), day.format("12:00"), capacity=3, status="busy")
    feed.slots.append(
        slot(day.format("09:00").replace("04T", "05T"), day.format("12:00").replace("04T", "05T"), capacity=2)
    )
    await Store(town.here.database).slots(feed.write())
    return lambda rows: str(rows.get((pool, clinic), {"next_day": ""})["next_day"]) == "2027-03-05"


@pytest.mark.parametrize("name", list(CHANGES))
async def test_what_changes_is_indexed_soon_after_its_commit(town: Town, name: str, tmp_path: Path) -> None:
    here, loop = town.here, asyncio.get_running_loop()
    async with here.running():
        assert await here.is_true()
        shows = await CHANGES[name](town, tmp_path)
        began = loop.time()

        async def shown() -> bool:
            return shows(await here.rows())

        await until(shown)
        proof(f"indexed after its commit: {name.replace('_', ' ')}", seconds=round(loop.time() - began, 2))
        await here.until_true()


# --------------------------------------------------------- replays and disorder


async def _something(town: Town, dice: random.Random, booked: list[str]) -> None:
    """One change, of any kind; most are visits, on days that are soon booked out."""
    providers = {town.both: (town.one, town.other), town.first: (town.one,), town.second: (town.other,)}
    who = dice.choice(list(providers))
    where = dice.choice(providers[who])
    what = dice.randrange(24)
    if what < 13:
        at = MONDAY + timedelta(hours=7, minutes=30 * dice.randrange(2), days=dice.randrange(4))
        made = await town.book(who, where, town.kind, at)
        booked += [made] if made else []
    elif what < 20:
        if booked:
            await town.cancel(booked.pop(dice.randrange(len(booked))))
    elif what == 20:
        await town.provider(who, name=f"Dr {dice.choice(['Ash', 'Birch', 'Cedar'])}", active=dice.random() < 0.8)
    elif what == 21:
        await town.clinic(where, name=dice.choice(["Elm", "Oak", "Fir"]), active=dice.random() < 0.9)
    elif what == 22:
        await town.visit_type(town.rare, name=dice.choice(["Long", "Longer"]), active=dice.random() < 0.8)
    else:
        await town.hours(who, where, [*dice.sample(range(7), 5)])


async def _narrow(town: Town) -> None:
    """From 16:00 to 17:00 everywhere: two visits and a day is full."""
    for who, where in (
        (town.both, town.one),
        (town.both, town.other),
        (town.first, town.one),
        (town.second, town.other),
    ):
        await town.here.world.set_hours(who, where, [(16 * 60, 17 * 60)])


@pytest.mark.parametrize("seed", range(6))
async def test_events_in_any_order_and_twice_end_in_documents_as_made_anew(
    town: Town, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late writers too: what a member read before it was held up is written at any time after, even last of all."""
    here, dice = town.here, random.Random(seed)
    monkeypatch.setattr(indexing, "SOON", 0 if seed % 2 else 200)
    indexers = [here.indexer(), here.indexer()]
    await _narrow(town)
    await relayed(here.database)
    await indexers[0].handle(Batch(lost="new"))
    waiting: list[CalendarEvent] = []
    late: list[Read] = []
    booked: list[str] = []
    heard = len(await here.events())
    for _ in range(60):
        if dice.random() < 0.3:
            late += [read async for read in here.sources.everything()]
        for _ in range(dice.randint(1, 2)):
            await _something(town, dice, booked)
        await relayed(here.database)
        events = await here.events()
        waiting += [event for event in events[heard:] for _ in range(dice.choice((1, 1, 2)))]
        heard = len(events)
        dice.shuffle(waiting)
        if dice.random() < 0.6:
            some = [waiting.pop() for _ in range(dice.randint(1, len(waiting)))] if waiting else []
            await dice.choice(indexers).handle(Batch(some, some[0].epoch) if some else Batch())
        if late and dice.random() < 0.3:
            read = dice.choice(late)
            await here.target.write(read.epoch, read.documents)
    while waiting:
        some = [waiting.pop() for _ in range(dice.randint(1, min(3, len(waiting))))]
        await dice.choice(indexers).handle(Batch(some, some[0].epoch))
    dice.shuffle(late)
    for read in late:
        await here.target.write(read.epoch, read.documents)
    assert await here.rows() == await here.anew()
    assert not any(one.figures.failed for one in indexers)


async def test_words_of_many_are_written_before_their_hints(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    here, memory = town.here, Memory()
    indexer = Indexer(here.sources, memory, here.member("search-memory"))
    await relayed(here.database)
    await indexer.handle(Batch(lost="new"))
    heard = len(await here.events())
    await town.visit_type(town.kind, name="Long talk", minimum_notice_minutes=3 * 24 * 60)
    await relayed(here.database)
    monkeypatch.setattr(indexing, "SOON", 3)
    before, memory.written = dict(memory.documents), []
    events = (await here.events())[heard:]
    await indexer.handle(Batch(events, events[0].epoch))
    soon, then = memory.written[: len(before)], memory.written[len(before) :]
    assert len(soon) == len(then) == 4
    for one in (*soon, *then):
        assert "talk" in one.visit_words
    assert all((one.seq, one.next_days) == (before[one.pair].seq, before[one.pair].next_days) for one in soon)
    assert all(one.seq > before[one.pair].seq and one.next_days != before[one.pair].next_days for one in then)
    assert memory.rows() == await here.anew()


async def test_most_bookings_change_no_document(town: Town) -> None:
    here = town.here
    await relayed(here.database)
    indexer = here.indexer()
    await indexer.handle(Batch(lost="new"))
    written = indexer.figures.documents
    heard = len(await here.events())
    for day in range(10, 16):
        assert await town.book(town.first, town.one, town.kind, MONDAY + timedelta(days=day, hours=2))
    await relayed(here.database)
    events = (await here.events())[heard:]
    assert len(events) == 6
    await indexer.handle(Batch(events, events[0].epoch))
    assert indexer.figures.documents == written
    assert await here.rows() == await here.anew()
    assert await town.book(town.first, town.one, town.kind, MONDAY + timedelta(hours=4))
    await relayed(here.database)
    await indexer.handle(Batch((await here.events())[heard + 6 :], events[0].epoch))
    assert indexer.figures.documents == written + 1, "on the first open day it is looked at"


def test_a_time_matters_up_to_the_last_of_the_first_open_days() -> None:
    noon = int(MONDAY.timestamp())
    event = CalendarEvent("e", 1, 5, MONDAY, 1, 1, 2, None, 1, (), ((noon, noon + 1800, 0),))
    day = MONDAY.date()
    assert outdated(Kept(4, {1: day}), "e", [event])
    assert not outdated(Kept(5, {1: day}), "e", [event]), "it was read with that event"
    assert outdated(Kept(5, {1: day}), "another", [event])
    assert not outdated(Kept(4, {1: day - timedelta(days=3), 2: None}), "e", [event])
    assert outdated(Kept(4, {1: day - timedelta(days=3), 2: day + timedelta(days=9)}), "e", [event])
    assert not outdated(Kept(4, {}), "e", [event])
    opened = replace(event, opened=event.closed and ((noon, noon + 1800),), closed=())
    assert outdated(Kept(4, {1: day - timedelta(days=3), 2: None}), "e", [opened])
    assert not outdated(Kept(4, {1: day - timedelta(days=3)}), "e", [opened])
    assert outdated(Kept(4, {}), "e", [replace(event, invalidated=True)])


async def test_what_is_older_changes_nothing(town: Town) -> None:
    here = town.here
    await here.indexer().handle(Batch(lost="new"))
    await relayed(here.database)
    epoch = await here.sources.epoch()
    [old] = (await here.sources.read([(town.first, town.one)])).documents
    await town.provider(town.first, name="Dr New")
    await relayed(here.database)
    [new] = (await here.sources.read([(town.first, town.one)])).documents
    assert new.seq > old.seq
    assert await here.target.write(epoch, [new]) == 1
    assert await here.target.write(epoch, [old]) == 0
    assert await here.target.write(epoch, [new]) == 1
    assert await here.target.write("00000000-0000-0000-0000-000000000000", [new]) == 0
    assert (await here.row(town.first, town.one) or {})["name"] == "Dr New"
    names = await here.world.fetch(
        "SELECT word FROM search_names WHERE kind = 'provider' AND key = $1 ORDER BY 1", town.first
    )
    assert [row["word"] for row in names] == ["dr", "new"]


# ------------------------------------------------------------- what goes wrong


async def test_an_engine_that_is_away_holds_up_nobody_and_misses_nothing(town: Town) -> None:
    here, memory = town.here, Memory()
    other = Indexer(here.sources, memory, here.member("search-memory"), pace=0.05)

    async def renewed() -> bool:
        return other.figures.renewals == 1

    async with here.running(), beside(other.run()):
        await until(renewed)
        memory.away = True
        for name in ("Dr Ash", "Dr Birch", "Dr Cedar"):
            await town.provider(town.both, name=name)
            await here.until_true()

        async def refused() -> bool:
            return memory.refused > 0

        await until(refused)
        assert memory.documents[town.both, town.one].name not in ("Dr Ash", "Dr Birch", "Dr Cedar")
        assert other.figures.behind > 0
        memory.away = False

        async def caught_up() -> bool:
            return memory.rows() == await here.anew()

        await until(caught_up)
        assert other.figures.renewals == 1


async def test_what_changes_while_an_index_is_made_beside_the_old_one_is_in_it(town: Town) -> None:
    here, memory = town.here, Memory()
    indexer = Indexer(here.sources, memory, here.member("search-memory"))
    await relayed(here.database)
    everything = here.sources.everything

    async def while_read() -> AsyncIterator[Read]:
        async for read in everything():
            yield read
        await town.provider(town.first, name="Dr Meanwhile")
        await relayed(here.database)

    here.sources.everything = while_read  # type: ignore[method-assign, assignment]
    await indexer.renew("tried")
    here.sources.everything = everything  # type: ignore[method-assign]
    assert memory.documents[town.first, town.one].name == "Dr Meanwhile"
    assert memory.rows() == await here.anew()


async def test_an_event_that_cannot_be_handled_is_passed_over(town: Town) -> None:
    here, memory = town.here, Memory()
    indexer = Indexer(here.sources, memory, here.member("search-memory"))
    await relayed(here.database)
    await indexer.handle(Batch(lost="new"))
    heard = len(await here.events())
    memory.breaks_on = {(town.first, town.one)}
    await town.provider(town.first, name="Dr Broken")
    await town.provider(town.second, name="Dr Whole")
    await relayed(here.database)
    events = (await here.events())[heard:]
    nonsense = replace(events[0], clinic_key=2**70, seq=10**9)
    await indexer.handle(Batch([*events, nonsense], events[0].epoch, unreadable=3))
    assert memory.documents[town.second, town.other].name == "Dr Whole"
    assert memory.documents[town.first, town.one].name != "Dr Broken"
    assert (indexer.figures.failed, indexer.figures.unreadable) == (2, 3)


async def test_a_new_epoch_makes_everything_anew(town: Town) -> None:
    here = town.here
    async with listening(here.url) as connection, here.running() as indexer:
        for name in ("Dr Ash", "Dr Birch"):
            await town.provider(town.both, name=name)
        await here.until_true()
        before = await here.target.epoch()
        async with here.database.transaction() as tx:  # As after a restore: numbers begin again, changes are undone.
            await tx.execute("UPDATE stream_heads SET seq = 1")
            await tx.execute("UPDATE providers SET name = 'Dr Restored' WHERE id = $1", town.both)
            await tx.execute("DELETE FROM provider_clinics WHERE provider_id = $1", town.second)
        epoch = str(await renew_epoch(connection))
        assert before != epoch
        await until(indexer.is_filled)
        assert await here.rows() == await here.anew(), "what is not there any more is gone"
        assert {row["epoch"] for row in await here.world.fetch("SELECT epoch::text FROM search_documents")} == {epoch}
        await until(partial(_level, indexer))
        assert indexer.figures.renewals == 2
        await town.provider(town.both, name="Dr Later")
        await here.until_true()


async def test_another_format_makes_everything_anew(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    here = town.here
    for number, renewals in ((98, 1), (98, 0), (99, 1)):
        monkeypatch.setattr(search_documents, "FORMAT", number)
        async with here.running() as indexer:
            await town.provider(town.both, name=f"Dr {token_hex(4)}")
            await until(partial(_level, indexer))
            await here.until_true()
            assert indexer.figures.renewals == renewals


async def _level(indexer: Indexer) -> bool:
    return indexer.figures.behind == 0


async def test_a_log_that_was_trimmed_makes_everything_anew(town: Town) -> None:
    here = town.here
    async with here.running():
        await here.until_true()
    await town.provider(town.both, name="Dr Unheard")
    await relayed(here.database)
    await here.world.run("DELETE FROM stream")
    await here.world.run("DELETE FROM outbox")
    async with here.running() as indexer:
        await here.until_true()
        await until(partial(_level, indexer))
        assert indexer.figures.renewals == 1
    async with here.running() as again:
        await town.provider(town.both, name="Dr Heard")
        await here.until_true()
        assert again.figures.renewals == 0


async def test_hints_are_made_anew_once_their_day_has_passed(town: Town) -> None:
    here = town.here
    indexer = here.indexer()
    await indexer.handle(Batch(lost="new"))
    assert await indexer.refresh() == 0
    await here.world.wait(days=2, hours=12)
    assert not await here.is_true()
    assert await indexer.refresh() == 4
    assert await here.is_true()
    assert await indexer.refresh() == 0
    assert indexer.figures.refreshed == 4


async def test_a_fill_commits_at_most_500_rows_at_once(here: Indexed) -> None:
    world = here.world
    places = [await world.clinic(name=f"Clinic of the {n} {token_hex(2)} trees") for n in range(20)]
    kind = await world.visit_type()
    for n in range(150):
        key = await world.provider([places[n % 20], places[(n + 7) % 20]], [kind])
        await world.run(
            "UPDATE providers SET name = $2 WHERE id = $1", key, f"Dr {token_hex(3)} {token_hex(4)} {token_hex(5)}"
        )
    indexer = here.indexer()
    began = asyncio.get_running_loop().time()
    await indexer.handle(Batch(lost="new"))
    proof("an index made anew", documents=300, seconds=round(asyncio.get_running_loop().time() - began, 2))
    assert indexer.figures.documents == 300
    assert await here.is_true()
    largest = await world.value(
        """SELECT max(rows) FROM (SELECT xmin::text, count(*) AS rows FROM (
            SELECT xmin FROM search_documents UNION ALL SELECT xmin FROM search_words UNION ALL SELECT xmin FROM search_names
        ) AS written GROUP BY 1) AS commits"""
    )
    assert 100 < largest <= 500


# ------------------------------------------------------------------ with Kafka


async def test_two_members_of_a_kafka_group_keep_an_index_true_while_one_ends(town: Town, kafka: Kafka) -> None:
    here, broker = town.here, Broker(kafka.address)
    await topics.create(broker, partitions=8, replication=1)
    group = token_hex(6)
    one, other = (Indexer(here.sources, here.target, KafkaGroup(broker, group), pace=0.1) for _ in range(2))
    async with (
        Publisher(broker) as publisher,
        beside(Relay(partial(connect, here.url), publisher).run()),
        beside(other.run()),
    ):
        async with beside(one.run()):
            await until(other.is_filled, 60)
            dice, booked = random.Random(7), list[str]()
            for _ in range(15):
                await _something(town, dice, booked)
            await here.until_true()
            for _ in range(5):
                await _something(town, dice, booked)
        for _ in range(5):
            await _something(town, dice, booked)
        await here.until_true()
    assert one.figures.failed == other.figures.failed == 0
