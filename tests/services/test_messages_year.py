"""A stretch of simulated time on a real database: visits booked, moved, cancelled over changes of the clock, carriers that answer
late, twice or never, workers killed. Nothing missed, nothing twice, nothing for a void version, nothing in quiet hours.

A seed decides the history, and what happens to each try of each message by itself: what fails fails again.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_hex
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from adapters.postgres.database import pool
from adapters.postgres.verify import RULES
from domain import zones
from domain.letters import Accepted, Letter, NotSent, OutcomeUnknown
from domain.messages import MessageRule
from domain.recipients import Channel
from services.messaging import Messaging
from services.stopping import Stopping
from services.verify import verify
from tests import sizes
from tests.conftest import MakeDatabase
from tests.proofs import proof
from tests.world import World

START = datetime(2027, 3, 11, 5, tzinfo=UTC)  # New York's clock changes on the 14th
STEP = timedelta(minutes=15)
ZONES = ("America/New_York", "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Tokyo", "UTC")
WRONG = (
    "missed", "twice", "void", "in quiet hours", "wrong channel", "past at booking", "at another time",
    "told but not sent", "sent but not told", "left over",
)  # fmt: skip
KILL_CHANCE = sizes.MESSAGE_KILLS / sizes.MESSAGE_VISITS / 4  # at each of two points of a call; a visit has about three
# Time stands still while the workers of a step run: what is due does not depend on how busy the machine is.
STANDING_CLOCK = """
CREATE OR REPLACE FUNCTION app_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT timestamptz '2000-01-01 00:00Z' + (SELECT shift FROM test_clock)
$$
"""
BOOK = """
WITH v AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[])
        AS v (id, channel, home, provider_id, clinic_id, kind, starts_at)
), who AS (
    INSERT INTO patients (id, name, email, phone) OVERRIDING SYSTEM VALUE
    SELECT id, 'Pat', 'p' || id || '@example.org', '+1202555' || lpad(id::text, 7, '0') FROM v
), wish AS (
    INSERT INTO notification_preferences (patient_id, channels, time_zone, quiet_from, quiet_to)
    SELECT id, ARRAY[channel], home, 1260, 480 FROM v
), visit AS (
    INSERT INTO appointments (id, status, patient_id, provider_id, clinic_id, visit_type_id, starts_at, ends_at)
    OVERRIDING SYSTEM VALUE
    SELECT id, 'booked', id, provider_id, clinic_id, kind, starts_at, starts_at + interval '30 minutes' FROM v
), told AS (
    INSERT INTO messages_to_plan (appointment_id, version) SELECT id, 1 FROM v
)
INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at)
SELECT id, 1, $8, 'patient', 'simulation', 'booked', 'booked', starts_at FROM v
"""
CHANGE = """
WITH v AS (
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[])
        AS v (id, version, change, status, starts_at)
), visit AS (
    UPDATE appointments AS a SET version = v.version, status = v.status, starts_at = v.starts_at,
        ends_at = v.starts_at + interval '30 minutes' FROM v WHERE a.id = v.id
), told AS (
    INSERT INTO messages_to_plan (appointment_id, version) SELECT id, version FROM v
)
INSERT INTO appointment_events (appointment_id, version, at, by_role, subject, change, status, starts_at)
SELECT id, version, $6, 'patient', 'simulation', change, status, starts_at FROM v
"""
MESSAGES = [rule for rule in RULES if "message" in rule]
SLACK = timedelta(hours=1)  # How long carriers that fail may hold a message up.


@dataclass
class Visit:
    """`versions`: from when on, start; None: cancelled."""

    key: int
    zone: ZoneInfo
    home: ZoneInfo
    channel: Channel
    versions: list[tuple[datetime, datetime | None]]


@dataclass
class Simulation:
    seed: int
    now: datetime = START
    arrived: dict[tuple[int, int, MessageRule], list[tuple[datetime, Channel]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    kills: int = 0
    done: Counter[tuple[int, str]] = field(default_factory=Counter)

    def draw(self, letter: Letter, what: str) -> tuple[int, Random]:
        """Which time this is for the message, and chances that depend on that alone."""
        self.done[letter.message_key, what] += 1
        number = self.done[letter.message_key, what]
        return number, Random(f"{self.seed} {letter.id} {letter.channel} {what} {number}")

    def kill(self, chances: Random) -> None:
        """Here and there whoever is at work dies."""
        if chances.random() < KILL_CHANCE:
            self.kills += 1
            raise asyncio.CancelledError


@dataclass
class Erring:
    """A carrier of which a third of the first tries goes wrong in some way. What has arrived is looked at afterwards: an e-mail
    counts once by its id, an SMS each time."""

    simulation: Simulation
    asks_first: bool
    taken: dict[str, list[tuple[str, datetime]]] = field(default_factory=lambda: defaultdict(list))

    async def send(self, letter: Letter) -> Accepted:
        simulation = self.simulation
        number, chances = simulation.draw(letter, "send")
        simulation.kill(chances)
        await asyncio.sleep(0)
        chance = chances.random() if number <= 2 else 1.0
        if chance < 0.1:
            raise NotSent("away") if chance < 0.05 else OutcomeUnknown("never")
        sid = f"SM{token_hex(16)}"
        key = letter.appointment_key, letter.version, letter.rule
        what = f"{letter.to} {letter.sms}" if self.asks_first else letter.id
        if self.asks_first or what not in self.taken:
            simulation.arrived[key].append((simulation.now, letter.channel))
        self.taken[what].append((sid, simulation.now))
        await asyncio.sleep(0)
        simulation.kill(chances)
        if chance < 0.25:
            raise OutcomeUnknown("late")
        return Accepted(sid if self.asks_first else None)

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        """The first time that it is asked about a message it often says nothing."""
        number, chances = self.simulation.draw(letter, "find")
        self.simulation.kill(chances)
        await asyncio.sleep(0)
        if number == 1 and chances.random() < 0.2:
            raise OutcomeUnknown("deaf")
        some = self.taken.get(f"{letter.to} {letter.sms}", [])
        return [Accepted(sid) for sid, at in reversed(some) if abs(at - called_at) <= timedelta(minutes=10)]

    async def close(self) -> None: ...


class Clinics:
    """Writes visits as a booking, a move and a cancellation leave them: row, event, and the version that is to be planned."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random = world, random
        self.places: dict[str, tuple[int, int, int]] = {}
        self.visits: list[Visit] = []

    async def build(self) -> None:
        for zone in ZONES:
            clinic = await self.world.clinic(zone)
            kind = await self.world.visit_type()
            self.places[zone] = (await self.world.provider([clinic], [kind]), clinic, kind)

    async def book(self, how_many: int, now: datetime) -> Sequence[Visit]:
        new = [self._visit(len(self.visits) + number, now) for number in range(1, how_many + 1)]
        self.visits += new
        if new:
            places = zip(*(self.places[one.zone.key] for one in new), strict=True)
            await self.world.run(
                BOOK, [one.key for one in new], [one.channel.value for one in new], [one.home.key for one in new],
                *map(list, places), [one.versions[0][1] for one in new], now,
            )  # fmt: skip
        return new

    def _visit(self, key: int, now: datetime) -> Visit:
        zone = self.random.choice(ZONES)
        # What is tried shortly before quiet hours and fails is the hardest: every other one, where it is that hour somewhere.
        evening = [one for one in ZONES if now.astimezone(zones.named(one)).hour == 20]
        home = self.random.choice(evening if evening and self.random.random() < 0.5 else ZONES)
        channel = self.random.choice((Channel.EMAIL, Channel.SMS))
        return Visit(key, zones.named(zone), zones.named(home), channel, [(now, self._start(now))])

    def _start(self, now: datetime) -> datetime:
        return now.replace(minute=0) + timedelta(hours=self.random.randint(1, 80), minutes=self.random.choice((0, 30)))

    async def change(self, some: Sequence[Visit], now: datetime) -> None:
        """Six in ten are moved, now and then back to a time that they had; the others cancelled."""
        rows = []
        for visit in some:
            old = visit.versions[-1][1]
            assert old is not None
            back = [at for _, at in visit.versions[:-1] if at is not None and at > now and at != old]
            starts = self.random.choice(back) if back and self.random.random() < 0.3 else self._start(now)
            moved = self.random.random() < 0.6
            visit.versions.append((now, starts if moved else None))
            what = ("moved", "booked", starts) if moved else ("cancelled", "cancelled", old)
            rows.append((visit.key, len(visit.versions), *what))
        if rows:
            await self.world.run(CHANGE, *map(list, zip(*rows, strict=True)), now)


def quiet(at: datetime, home: ZoneInfo) -> bool:
    hour = at.astimezone(home).hour
    return hour >= 21 or hour < 8


def reminders(visit: Visit, starts: datetime) -> Iterator[tuple[MessageRule, datetime]]:
    """When each should go, found step by step."""
    wall = starts.astimezone(visit.zone)
    day = (wall.replace(tzinfo=None, fold=0) - timedelta(days=1)).replace(tzinfo=visit.zone).astimezone(UTC)
    shown = day.astimezone(visit.zone).replace(tzinfo=None)
    if shown != wall.replace(tzinfo=None) - timedelta(days=1):  # that wall time is missing: the first after the gap
        while (day - timedelta(minutes=5)).astimezone(visit.zone).utcoffset() == day.astimezone(visit.zone).utcoffset():
            day -= timedelta(minutes=5)
    for rule, at in ((MessageRule.DAY_BEFORE, day), (MessageRule.TWO_HOURS_BEFORE, starts - timedelta(hours=2))):
        due = at
        if visit.channel is Channel.SMS and quiet(due, visit.home):
            while quiet(due - timedelta(minutes=5), visit.home):
                due -= timedelta(minutes=5)
            due -= timedelta(minutes=60)
        yield rule, due


def check(visit: Visit, simulation: Simulation, found: Counter[str]) -> None:
    for number, (since, starts) in enumerate(visit.versions, start=1):
        until = visit.versions[number][0] if number < len(visit.versions) else simulation.now
        if starts is None:
            continue
        for rule, due in reminders(visit, starts):
            times = simulation.arrived.get((visit.key, number, rule), [])
            wanted = since <= due and due + SLACK < min(until, simulation.now)
            # A gateway that fails until the quiet hours begin has had its time: that is told as FAILED.
            wanted = wanted and not (visit.channel is Channel.SMS and quiet(due + SLACK, visit.home))
            found["wanted"] += wanted
            if wanted and not times:
                found["missed"] += 1
            if times and due < since:
                found["past at booking"] += 1
            if times and not due <= times[0][0] <= due + SLACK:
                found["at another time"] += 1


def judge(visits: list[Visit], simulation: Simulation) -> Counter[str]:
    found: Counter[str] = Counter()
    by_key = {visit.key: visit for visit in visits}
    for (key, version, _), times in simulation.arrived.items():
        visit = by_key[key]
        found["arrived"] += 1
        found["twice"] += len(times) > 1
        for at, channel in times:
            present = sum(since <= at for since, _ in visit.versions)
            found["void"] += version != present
            found["in quiet hours"] += channel is Channel.SMS and quiet(at, visit.home)
            found["wrong channel"] += channel is not visit.channel
    for visit in visits:
        check(visit, simulation, found)
    return found


async def told(world: World, visits: list[Visit], simulation: Simulation, found: Counter[str]) -> None:
    """Whether the timeline says what happened: what is shown as sent arrived, and the other way round."""
    channels = {visit.key: visit.channel for visit in visits}
    sent = set()
    for row in await world.fetch("SELECT appointment_id, version, rule, status, unknown, next_at FROM messages"):
        key = row["appointment_id"], row["version"], MessageRule(row["rule"])
        if row["status"] == "sent":
            sent.add(key)
        found["told but not sent"] += row["status"] == "sent" and key not in simulation.arrived
        found["left over"] += row["status"] == "sending" and row["next_at"] < simulation.now - timedelta(minutes=15)
        if (
            row["unknown"] or row["status"] == "sending"
        ):  # Nobody could be asked, or not yet: e-mail, or the end of the stretch.
            sent.add(key)
    found["sent but not told"] += sum(key not in sent and channels[key[0]] is Channel.SMS for key in simulation.arrived)


async def _worked(messaging: Messaging) -> None:
    """Where one is killed another begins; what the first was at stays as it was."""
    while True:
        try:
            while await messaging.plan():
                pass
            while await messaging.send(Channel.EMAIL):
                pass
            while await messaging.send(Channel.SMS):
                pass
            return
        except asyncio.CancelledError:
            continue


async def _lived(clinics: Clinics, simulation: Simulation, workers: Sequence[Messaging]) -> None:
    steps = sizes.MESSAGE_DAYS * 96
    booking_steps = steps - 5 * 96 if steps > 10 * 96 else steps - 2 * 96
    live: list[Visit] = []
    for step in range(steps):
        simulation.now = now = START + step * STEP
        await clinics.world.run("UPDATE test_clock SET shift = $1 - timestamptz '2000-01-01 00:00Z'", now)
        wanted = min(sizes.MESSAGE_VISITS, sizes.MESSAGE_VISITS * (step + 1) // booking_steps)
        live += await clinics.book(wanted - len(clinics.visits), now)
        live = [one for one in live if one.versions[-1][1] is not None and one.versions[-1][1] > now]
        changes = sizes.MESSAGE_CHANGES * (step + 1) // steps - sizes.MESSAGE_CHANGES * step // steps
        await clinics.change(clinics.random.sample(live, min(len(live), changes)), now)
        await asyncio.gather(*map(_worked, workers))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", sizes.MESSAGE_SEEDS)
async def test_a_stretch_of_time(make_database: MakeDatabase, seed: int) -> None:
    opened: asyncpg.Pool = await pool(await make_database(), size=8)
    world, simulation = World.on(opened), Simulation(seed)
    await world.run(STANDING_CLOCK)
    clinics = Clinics(world, Random(seed))
    await clinics.build()
    carriers: dict[Channel, Any] = {
        Channel.EMAIL: Erring(simulation, asks_first=False),
        Channel.SMS: Erring(simulation, asks_first=True),
    }
    stopping = Stopping(world.database)
    workers = [Messaging(world.database, carriers, stopping, clock=lambda: simulation.now) for _ in range(2)]
    await _lived(clinics, simulation, workers)
    visits = clinics.visits
    found = judge(visits, simulation)
    await told(world, visits, simulation, found)
    counted = {name.replace(" ", "_"): found[name] for name in ("wanted", "arrived", *WRONG)}
    proof(
        "messages over simulated time", visits=len(visits), days=sizes.MESSAGE_DAYS, kills=simulation.kills, **counted
    )
    broken = [finding async for finding in verify(world.database) if finding.broken and finding.rule in MESSAGES]
    await opened.close()
    assert broken == []
    assert {name: found[name] for name in WRONG if found[name]} == {}
    assert found["arrived"] > len(visits)
    assert found["wanted"] > len(visits) // 2
    assert simulation.kills > sizes.MESSAGE_KILLS // 2
