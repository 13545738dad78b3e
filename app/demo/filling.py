"""Fills an empty database with the demo, in commits of at most 500 rows (rule 17)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from adapters.postgres import bulk, changes, clinics, locks
from adapters.postgres.bulk import History, Providers
from adapters.postgres.changes import Told, told_to
from adapters.postgres.database import Database
from app.demo import clinics as demo_clinics
from app.demo.histories import histories
from app.demo.messages import Letters
from app.demo.providers import DemoProvider, staff
from app.demo.visit_types import VISIT_TYPES
from app.demo.visits import DAYS_AFTER, DAYS_BEFORE, DemoPatient, Diary, Visit, booked_kinds
from app.demo.waiting import entries
from app.refusal import Refused
from domain import zones
from domain.clinics import VisitType
from domain.recipients import Recipient
from domain.schedules import Schedule

SEED: Final = 2027
CLINICS: Final = 210
ROWS_MAX: Final = 500
WORKERS: Final = 3
SUBJECT: Final = "demo"
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Summary:
    clinics: int = 0
    providers: int = 0
    visit_types: int = 0
    patients: int = 0
    appointments: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """A provider with the keys that the database gave, and hours by the clinic's key."""

    key: int
    zone: str
    visit_type_keys: list[int]
    schedules: list[Schedule]


async def fill(
    database: Database,
    *,
    clinics: int = CLINICS,
    seed: int = SEED,
    now: datetime | None = None,
    progress: Progress = lambda done, of: None,
) -> Summary:
    """The same from the same seed and date; the time of day decides only which visits are over.

    Refused where the database has clinics, patients or visit types already. Nobody else should write meanwhile.
    """
    filling = Filling(database, clinics, seed, now or await changes.now(database.primary), progress)
    return await filling.run()


class Filling:
    def __init__(self, database: Database, count: int, seed: int, now: datetime, progress: Progress) -> None:
        self._database = database
        self._count = count
        self._seed = seed
        self._now = now
        self._today = now.date()
        self._progress = progress
        self._summary = Summary()
        self._clinics: list[dict[str, Any]] = demo_clinics.clinics(seed, count)
        self._clinic_keys: list[int] = []
        self._visit_types: dict[int, VisitType] = {}
        self._visit_type_keys: list[int] = []
        self._patients: dict[int, list[DemoPatient]] = {}
        self._places: dict[int, list[int]] = {}
        self._zones: dict[int, ZoneInfo] = {}
        self._recipients: dict[int, Recipient] = {}
        self._letters = Letters(self._now)

    async def run(self) -> Summary:
        await self._add_clinics()
        await self._add_patients()
        posts = await self._add_providers()
        await self._add_visits(posts)
        await self._add_waiting(posts)
        await bulk.analyze(self._database.primary)
        return self._summary

    async def _add_clinics(self) -> None:
        """The first commit decides who fills: a second filler finds a database that is not empty."""
        for first in range(0, max(1, len(self._clinics)), ROWS_MAX - len(VISIT_TYPES) - 2):
            rows = self._clinics[first : first + ROWS_MAX - len(VISIT_TYPES) - 2]
            async with self._database.locked(None, [locks.record(SUBJECT, 0)]) as tx:
                if not first:
                    if not await bulk.is_empty(tx):
                        raise Refused("the database has data already: the demo only fills an empty one")
                    self._visit_type_keys = await bulk.add_visit_types(tx, VISIT_TYPES)
                self._clinic_keys += await bulk.add_clinics(tx, rows)
                await bulk.tell(tx, [], SUBJECT, "demo", "clinics")
        self._visit_types = await clinics.visit_types(self._database.primary, self._visit_type_keys)
        zone_of = zip(self._clinic_keys, self._clinics, strict=True)
        self._zones = {key: zones.named(row["time_zone"]) for key, row in zone_of}
        self._summary.clinics, self._summary.visit_types = len(self._clinic_keys), len(self._visit_type_keys)

    async def _add_patients(self) -> None:
        count = -(-2000 * self._count // CLINICS)
        rows = demo_clinics.patients(self._seed, count, self._clinic_keys, self._today)
        self._patients = {key: [] for key in self._clinic_keys}
        for first in range(0, count, ROWS_MAX // 2 - 1):
            some = rows[first : first + ROWS_MAX // 2 - 1]
            async with self._database.transaction() as tx:
                keys = await bulk.add_patients(tx, some)
                await bulk.tell(tx, [], SUBJECT, "demo", "patients")
            for key, row in zip(keys, some, strict=True):
                self._patients[row["clinic"]].append(DemoPatient(key))
                self._recipients[key] = Recipient(key, row["email"], row["phone"], None, self._zones[row["clinic"]])
        self._summary.patients = count

    async def _add_providers(self) -> list[list[Post]]:
        """By clinic."""
        posts: list[list[Post]] = []
        for number in range(self._count):
            random = Random(f"{self._seed}:staff:{number}")
            made = staff(
                random,
                number,
                self._sister(number),
                self._summary.providers,
                self._today,
                self._clinics[number]["country"],
            )
            self._summary.providers += len(made)
            posts.append(await self._employ(made, self._clinics[number]["time_zone"]))
        return posts

    def _sister(self, number: int) -> int | None:
        """The next clinic of the same zone."""
        zone = self._clinics[number]["time_zone"]
        later = (other for other in range(number + 1, self._count) if self._clinics[other]["time_zone"] == zone)
        return next(later, None)

    async def _employ(self, made: list[DemoProvider], zone: str) -> list[Post]:
        async with self._database.transaction() as tx:
            keys = await bulk.add_resources(tx, len(made))
            rows, told, posts = Providers(), [], []
            for key, one in zip(keys, made, strict=True):
                row = one.row(key, self._clinic_keys, self._visit_type_keys)
                schedules = [
                    self._keyed(schedule, key, clinic_key)
                    for clinic_key, schedule in zip(row["clinics"], one.schedules, strict=True)
                ]
                self._places[key] = row["clinics"]
                rows.providers.append(row)
                for schedule in schedules:
                    rows.hours.extend(_hours(schedule))
                    rows.exceptions.extend(_exceptions(schedule))
                told += told_to(key, row["clinics"], {"invalidated": True})
                posts.append(Post(key, zone, row["visit_types"], schedules))
            await bulk.add_providers(tx, rows)
            await bulk.tell(tx, told, SUBJECT, "demo", "providers")
        return posts

    def _keyed(self, schedule: Schedule, provider_key: int, clinic_key: int) -> Schedule:
        """The schedule with keys in place of the demo's numbers."""
        hours = tuple(
            replace(row, visit_type_keys=tuple(self._visit_type_keys[number] for number in row.visit_type_keys))
            for row in schedule.hours
        )
        return replace(schedule, provider_key=provider_key, clinic_key=clinic_key, hours=hours)

    async def _add_visits(self, posts: list[list[Post]]) -> None:
        """Planned one after the other, written by several connections: the database works while the next are planned."""
        queue: asyncio.Queue[list[History] | None] = asyncio.Queue(WORKERS)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._write(queue))
            async for batch in self._batches(posts):
                await queue.put(batch)
            for _ in range(WORKERS):
                await queue.put(None)

    async def _batches(self, posts: list[list[Post]]) -> AsyncIterator[list[History]]:
        for number, at_clinic in enumerate(posts):
            random = Random(f"{self._seed}:visits:{number}")
            visits = [visit for post in at_clinic for visit in self._visits(random, post)]
            keys = await bulk.appointment_keys(self._database.primary, len(visits))
            made = histories(random, visits, keys, self._now)
            for one in made:
                who, zone = one.appointment.patient_key, self._zones[one.appointment.clinic_key]
                one.messages.extend(self._letters.told(one, self._recipients[who], zone))
            self._summary.appointments += len(made)
            for batch in _in_batches(made):
                yield batch
            self._progress(number + 1, self._count)

    def _visits(self, random: Random, post: Post) -> Iterator[Visit]:
        first, last = self._today - timedelta(days=DAYS_BEFORE), self._today + timedelta(days=DAYS_AFTER)
        diary = Diary(post.key, zones.named(post.zone), first, last)
        numbers = [self._visit_type_keys.index(key) for key in post.visit_type_keys]
        kinds = {number: self._visit_types[self._visit_type_keys[number]] for number in booked_kinds(random, numbers)}
        for schedule in post.schedules:
            patients = self._patients[schedule.clinic_key]
            yield from diary.fill(random, schedule.clinic_key, schedule, kinds, patients, self._today)

    async def _add_waiting(self, posts: list[list[Post]]) -> None:
        """Some at each clinic who would rather come sooner: whatever is cancelled there is mostly wanted by one of them."""
        rows: list[dict[str, Any]] = []
        for number, at_clinic in enumerate(posts):
            clinic_key = self._clinic_keys[number]
            offered: dict[int, list[int]] = {}
            for post in at_clinic:
                if any(schedule.clinic_key == clinic_key for schedule in post.schedules):
                    for key in post.visit_type_keys:
                        offered.setdefault(key, []).append(post.key)
            patients = [one.key for one in self._patients[clinic_key]]
            random = Random(f"{self._seed}:waitlist:{number}")
            kinds = [self._visit_types[key] for key in offered]
            rows += entries(random, clinic_key, kinds, offered, patients, self._today)
        for first in range(0, len(rows), ROWS_MAX // 2 - 1):
            async with self._database.transaction() as tx:
                await bulk.add_waiting(tx, rows[first : first + ROWS_MAX // 2 - 1])
                await bulk.tell(tx, [], SUBJECT, "demo", "waitlist")
        self._summary.waiting = len(rows)

    async def _write(self, queue: asyncio.Queue[list[History] | None]) -> None:
        while (batch := await queue.get()) is not None:
            made = [one.appointment for one in batch]
            keys = {locks.patient(one.patient_key) for one in made} | {locks.resource(one.provider_key) for one in made}
            async with self._database.locked(None, keys) as tx:
                await bulk.add_appointments(tx, batch)
                await bulk.tell(tx, self._told(batch), SUBJECT, "demo", "appointments")

    def _told(self, batch: list[History]) -> list[Told]:
        """For each provider one event at each of the clinics, with all the time that is taken in this batch."""
        closed: dict[int, list[list[int]]] = {}
        for one in batch:
            spans = closed.setdefault(one.appointment.provider_key, [])
            if one.appointment.status.live:
                spans.append([int(one.from_at.timestamp()), int(one.to_at.timestamp()), 0])
        return [
            told
            for key, spans in closed.items()
            for told in told_to(key, self._places[key], {"opened": [], "closed": spans})
        ]


def _hours(schedule: Schedule) -> Iterator[dict[str, Any]]:
    for row in schedule.hours:
        yield {
            "provider_id": schedule.provider_key,
            "clinic_id": schedule.clinic_key,
            "weekday": row.weekday,
            "opens": row.opens,
            "closes": row.closes,
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
            "visit_type_ids": row.visit_type_keys,
        }


def _exceptions(schedule: Schedule) -> Iterator[dict[str, Any]]:
    for one in schedule.exceptions:
        yield {
            "provider_id": schedule.provider_key,
            "clinic_id": schedule.clinic_key,
            "kind": one.kind.value,
            "date": one.date,
            "opens": one.opens,
            "closes": one.closes,
            "reason": one.reason,
        }


def _in_batches(made: list[History]) -> Iterator[list[History]]:
    """As many as make at most 500 rows: the visit, its time, what calendars are told, its messages, and three for each event."""
    batch: list[History] = []
    rows = 1
    for one in made:
        more = 5 + 3 * len(one.events) + len(one.messages)
        if rows + more > ROWS_MAX:
            yield batch
            batch, rows = [], 1
        batch.append(one)
        rows += more
    if batch:
        yield batch
