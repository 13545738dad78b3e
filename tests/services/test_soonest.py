"""The earliest times of many providers, beside `nextSlot` and `slots` read plainly, through random histories."""

import random
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from adapters.postgres import changes, locks
from adapters.postgres.calendars import KnownSchedules, Pair
from adapters.postgres.changes import Change, Request
from adapters.postgres.database import Database
from adapters.postgres.open_times import OpenTimes
from dataloaders.calendars import RecentWrites
from dataloaders.slots import Asked, SlotReader
from domain import ids
from domain.access import ANONYMOUS, Viewer
from domain.appointments import Slot
from domain.catalog import VisitTypeDraft
from domain.clinics import Modality
from domain.outcomes import AppointmentBooked, AppointmentCancelled, SlotHeld, VisitTypeSaved
from domain.soonest import Opens
from services import records
from services.catalog import Catalog
from services.searching import soonest
from services.searching.soonest import Soonest
from tests.proofs import proof
from tests.services.test_live_stored import Process
from tests.sizes import SOONEST_STEPS
from tests.world import MONDAY, World, admin, new_key

ZONES = ("America/New_York", "Europe/London", "Pacific/Auckland")
NAMES = ("Check-up", "check-up", "Consultation", "X-ray", "alpha", "Zoom", "Beta")


class Plain:
    """Read triple by triple with no cache at all, as a patient is told."""

    def __init__(self, database: Database) -> None:
        self.reader = SlotReader(database, OpenTimes(KnownSchedules()), RecentWrites(), ANONYMOUS)
        self.reader.primary = True

    async def slots(
        self, wanted: dict[Pair, tuple[int, ...]], opens: Opens | None, names: dict[int, str]
    ) -> dict[Pair, Slot]:
        triples = [(*pair, kind) for pair, kinds in wanted.items() for kind in kinds]
        if opens is None:
            found = await self.reader.next_slots(triples)
        else:
            asked = [Asked(*triple, *opens, 1) for triple in triples]
            found = [some[0] if some else None for some in await self.reader.slots(asked)]
        best: dict[Pair, Slot] = {}
        for slot in found:
            if slot is not None:
                before = best.get((slot.provider_key, slot.clinic_key), slot)
                best[slot.provider_key, slot.clinic_key] = min(
                    before, slot, key=lambda one: (one.starts_at, names[one.visit_type_key].lower(), one.visit_type_key)
                )
        return best


@dataclass
class Town:
    """Clinics in three zones, kinds of visit of every reach, providers who begin today, next year or never, and two pools."""

    world: World
    chance: random.Random
    process: Process
    catalog: Catalog = field(init=False)
    clinics: list[int] = field(default_factory=list)
    kinds: dict[int, VisitTypeDraft] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    wanted: dict[Pair, tuple[int, ...]] = field(default_factory=dict)
    openings: list[int] = field(default_factory=list)
    people: list[Viewer] = field(default_factory=list)
    booked: list[Any] = field(default_factory=list)
    held: list[tuple[Viewer, str]] = field(default_factory=list)

    async def begin(self) -> None:
        world, chance = self.world, self.chance
        world.desk = replace(world.desk, own=self.process.kept)
        world.booking, world.changing = type(world.booking)(world.desk), type(world.changing)(world.desk)
        self.catalog = Catalog(world.database, self.process.kept)
        self.clinics = [await world.clinic(zone) for zone in ZONES]
        for name in NAMES:
            draft = VisitTypeDraft(
                name, chance.choice([15, 30, 45]), chance.choice([0, 5]), 0, chance.choice([None, 15]),
                chance.choice([0, 60, 1500]), chance.choice([2, 14, 90, 365, 700]), 0, chance.choice(list(Modality)),
            )  # fmt: skip
            await self.save_kind(None, draft)
        for _ in range(9):
            await self.provider()
        for _ in range(2):
            await self.pool()
        self.people = [await world.patient(*self.clinics) for _ in range(40)]

    async def provider(self) -> None:
        world, chance = self.world, self.chance
        opens = chance.randrange(0, 1200, 15)
        clinics = chance.sample(self.clinics, chance.randrange(1, 4))
        kinds = chance.sample(list(self.kinds), chance.randrange(1, 5))
        key = await world.provider(clinics, kinds, opens=opens, closes=min(1440, opens + 120))
        begins = chance.choice([None, None, None, None, date(2027, 3, 20), date(2027, 4, 25), date(2027, 11, 3)])
        if begins is not None:
            await world.run("UPDATE weekly_hours SET valid_from = $2 WHERE provider_id = $1", key, begins)
        elif chance.random() < 0.15:
            await world.run("DELETE FROM weekly_hours WHERE provider_id = $1", key)
        if chance.random() < 0.3:  # some hours are for one kind of visit alone
            await world.run(
                "UPDATE weekly_hours SET visit_type_ids = $2 WHERE provider_id = $1 AND weekday < 4", key, kinds[:1]
            )
        for clinic in clinics:
            asked = [*kinds, *chance.sample(list(self.kinds), 1)]  # one perhaps that is not offered
            self.wanted[key, clinic] = tuple(dict.fromkeys(asked))

    async def pool(self) -> None:
        world, clinic = self.world, self.chance.choice(self.clinics)
        kinds = [await world.visit_type(None, notice=0, days=700) for _ in range(2)]
        self.names.update({kind: f"Pooled {kind}" for kind in kinds})
        key = await world.provider([clinic], kinds, pool=True)
        for _ in range(12):
            at = MONDAY + timedelta(minutes=self.chance.randrange(-600, 60_000))
            self.openings.append(await world.opening(key, clinic, at, 9, self.chance.choice([0, 1, 1, 2])))
        self.wanted[key, clinic] = tuple(kinds)

    async def save_kind(self, key: int | None, draft: VisitTypeDraft) -> None:
        id_, version = (None, None) if key is None else (ids.node(ids.VISIT_TYPE, key), self.versions[key])
        saved = await self.catalog.save_visit_type(admin(), id_, version, draft, new_key())
        assert isinstance(saved, VisitTypeSaved)
        kind = saved.visit_type
        self.kinds[kind.key], self.versions[kind.key], self.names[kind.key] = draft, kind.version, kind.name

    # What may happen.

    async def act(self, shown: list[Slot]) -> None:
        """Mostly to the very times that were just shown."""
        luck, world, chance = self.chance.random(), self.world, self.chance
        who = chance.choice(self.people)
        if luck < 0.45 and shown:
            got = await world.booking.book(who, chance.choice(shown).id, None, None, new_key())
            if isinstance(got, AppointmentBooked):
                self.booked.append((who, got.appointment))
        elif luck < 0.6 and shown:
            held = await world.booking.hold(who, chance.choice(shown).id, new_key())
            if isinstance(held, SlotHeld):
                self.held.append((who, held.hold.id))
        elif luck < 0.75 and self.booked:
            who, one = self.booked.pop(chance.randrange(len(self.booked)))
            got = await world.changing.cancel(who, one.id, one.version, None, new_key())
            assert isinstance(got, AppointmentCancelled) or self.passed
        elif luck < 0.8 and self.held:
            who, hold = self.held.pop()
            await world.booking.release(who, hold, new_key())
        elif luck < 0.85:
            await self.fill_up()
        elif luck < 0.9:
            key = chance.choice(list(self.kinds))
            changed = replace(
                self.kinds[key], minimum_notice_minutes=chance.choice([0, 60, 300]), active=chance.random() < 0.9,
                name=chance.choice(NAMES) + str(key), modality=chance.choice(list(Modality)),
            )  # fmt: skip
            await self.save_kind(key, changed)
        elif luck < 0.92:
            provider, clinic = chance.choice(
                [one for one in self.wanted if self.names[self.wanted[one][0]][:6] != "Pooled"]
            )
            opens = chance.randrange(0, 1200, 15)
            await world.set_hours(provider, clinic, [(opens, opens + 90)])
            await self.process.hear()  # made beside the services, so this process is told by the stream alone
        else:
            await world.wait(seconds=chance.choice([40, 400, 4_000, 40_000]) * chance.random())
            await self.process.hear()

    passed = True  # A time may have come before its patient calls it off.

    async def fill_up(self) -> None:
        """A provider's days are taken for weeks, as by one long visit after the other."""
        provider, _ = self.chance.choice(list(self.wanted))
        days = self.chance.choice([3, 20, 60])
        async with self.world.database.locked(None, [locks.resource(provider)]) as tx:
            at = await changes.now(tx)
            await tx.execute(
                """INSERT INTO allocations (resource_id, starts_at, ends_at, state)
                SELECT $1, day, day + interval '23 hours', 'blocked'
                FROM generate_series($2::timestamptz, $2 + make_interval(days => $3), interval '1 day') AS day
                ON CONFLICT DO NOTHING""",
                provider, at, days,
            )  # fmt: skip
            told = changes.told_to(provider, [one for who, one in self.wanted if who == provider], records.INVALIDATED)
            request = Request(new_key(), "block", b"")
            await changes.record(tx, Change(admin(), request, at, {"type": "Blocked"}, "schedule", provider, told=told))
        await self.process.hear()


def random_opens(chance: random.Random, now: datetime) -> Opens | None:
    if chance.random() < 0.5:
        return None
    first = now.date() + timedelta(days=chance.choice([-3, 0, 0, 1, 5, 40, 250]))
    return first, first + timedelta(days=chance.randrange(0, 30))


def without_left(found: dict[Pair, Slot]) -> dict[Pair, tuple[Any, ...]]:
    return {pair: (slot.id, slot.starts_at, slot.ends_at, slot.local_date, slot.left) for pair, slot in found.items()}


async def at_once(served: Soonest, some: dict[Pair, list[int]], opens: Opens | None) -> dict[Pair, Slot]:
    """Two looks: the second finds what the first has left behind."""
    asked = [(pair, tuple(sorted(kinds))) for pair, kinds in some.items()]
    await served.starts(asked, opens)
    starts = await served.starts(asked, opens)
    return {pair: start.slot(*pair) for (pair, _), start in zip(asked, starts, strict=True) if start is not None}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
async def test_it_agrees_with_the_plain_calendar_through_a_random_history(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soonest, "BATCH", 4)
    chance = random.Random(seed)
    process = Process(world)
    town = Town(world, chance, process)
    await town.begin()
    await process.believing()
    recent = RecentWrites()
    served = Soonest(world.database, OpenTimes(KnownSchedules(), None, process.kept), process.kept, recent.include)
    off = Soonest(world.database, OpenTimes(KnownSchedules()))
    plain = Plain(world.database)
    compared = answers = 0
    for _ in range(SOONEST_STEPS):
        now = await changes.now(world.database.primary)
        opens = random_opens(chance, now)
        some = dict(chance.sample(list(town.wanted.items()), chance.randrange(1, len(town.wanted) + 1)))
        if chance.random() < 0.3:
            some = {pair: kinds[:1] for pair, kinds in some.items()}
        for _ in range(3):  # A moment may pass between one look and the other.
            wanted = without_left(await plain.slots(some, opens, town.names))
            found = await served.slots(some.items(), opens)
            switched_off = await off.slots(some.items(), opens)
            beside = await at_once(served, some, opens)
            if without_left(found) == wanted == without_left(switched_off) == without_left(beside):
                break
        assert without_left(found) == wanted
        assert without_left(beside) == wanted
        assert without_left(switched_off) == wanted
        assert process.kept.now() is not None
        compared, answers = compared + 1, answers + len(found)
        await town.act(list(found.values()))
        if chance.random() < 0.3:
            await process.hear()
    assert answers > compared
    proof("earliest times beside the plain calendar", seed=seed, comparisons=compared, times=answers, different=0)
