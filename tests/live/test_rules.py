"""Rules 23 to 38 with nothing made up: bookings over HTTP, the relay, the log, the hub, and clients on real sockets."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import pairwise
from time import time
from typing import Any, Final

import asyncpg
import httpx2
import pytest
from joserfc import jwt

from app.auth import ALGORITHMS, development_key, development_token
from app.settings import Settings
from domain import ids, streams
from domain.streams import Cursor
from services.live.pace import HubPace
from tests import builders, sizes
from tests.api.talker import Talker, opened, talking
from tests.api.town import today
from tests.live.conftest import Here, serving
from tests.live.place import Booker, Place, place
from tests.live.processes import ROOT, environment
from tests.live.watcher import SNAPSHOT, WATCH, Watcher

PACE: Final = HubPace() if sizes.FULL else HubPace(heartbeat_seconds=1.0, patience_seconds=1.0)
FLOOD: Final = 11  # More whole calendars than a mailbox of 3, a socket and a client that does not read can hold.
HOURS: Final = """mutation H($i: SetWeeklyHoursInput!) { setWeeklyHours(input: $i) { __typename } }"""
MINE: Final = """subscription { myAppointments { __typename ... on StreamReset { reason }
    ... on AppointmentChanged { appointment { id status } } ... on StreamHeartbeat { serverTime } } }"""
DAY: Final = """subscription ($c: ID!, $d: Date!) { clinicDay(clinicId: $c, date: $d) { __typename
    ... on StreamReset { reason } ... on AppointmentChanged { appointment { id patient { name } } } } }"""


@pytest.fixture(scope="module")
async def running(settings: Settings, embedded: Any, connections: asyncpg.Pool) -> AsyncIterator[Here]:
    there = await place(connections, settings)
    async with (
        serving(settings, embedded.redis_url, hub=PACE) as (url, built),
        httpx2.AsyncClient(timeout=15) as http,
    ):
        yield Here(url, built, there, http, connections)


def shown(there: Place, watcher: Watcher, how_many: int) -> list[int]:
    """Numbers of times that are in the view."""
    found = [number for number in range(400) if there.slot_id(number) in watcher.view.slots]
    assert len(found) >= how_many
    return found[:how_many]


def booker(here: Here) -> Booker:
    return Booker(here.place, [here.url])


async def test_rule_23_a_snapshot_first_and_then_only_what_is_later(here: Here) -> None:
    async with here.watching() as watcher:
        await watcher.until(lambda view: view.frames)
        assert watcher.view.kinds() == ["INITIAL"]
        assert watcher.view.slots == await here.place.truth(watcher.asked)
        assert len(watcher.view.slots) == 7 * 16 * 3
        [number] = shown(here.place, watcher, 1)
        await booker(here).book(here.http, number)
        await watcher.until(lambda view: len(view.frames) == 2)
        assert watcher.view.frames[1]["removed"] == [here.place.slot_id(number)]
        assert watcher.view.slots == await here.place.truth(watcher.asked)


async def test_rule_24_each_frame_names_the_one_before(here: Here) -> None:
    async with here.watching() as watcher:
        await watcher.until(lambda view: view.frames)
        for number in shown(here.place, watcher, 5):
            before = len(watcher.view.frames)
            booked = await booker(here).book(here.http, number)
            await watcher.until(lambda view, before=before: len(view.frames) > before)
        await booker(here).cancel(here.http, booked)
        await watcher.until(lambda view: here.place.slot_id(number) in view.slots)
    assert watcher.view.broken == 0
    changes = watcher.view.kinds()[1:]
    assert set(changes) <= {"Delta", "Heartbeat"}
    assert changes.count("Delta") == 6
    assert all(later["previousCursor"] == frame["cursor"] for frame, later in pairwise(watcher.view.frames))


async def test_rule_25_what_lies_between_comes_as_one_delta_or_a_heartbeat(here: Here) -> None:
    async with here.watching() as watcher:
        await watcher.until(lambda view: view.frames)
        numbers = shown(here.place, watcher, 3)
    kept = watcher.view
    async with here.watching(after=kept.cursor) as quiet:
        await quiet.until(lambda view: view.frames)
        assert (quiet.view.kinds(), quiet.view.broken) == (["Heartbeat"], 0)
    async with here.watching() as other:
        await other.until(lambda view: view.frames)
        booked = [await booker(here).book(here.http, number) for number in numbers]
        await booker(here).cancel(here.http, booked[0])
        wanted = {here.place.slot_id(number) for number in numbers[1:]}
        truth = await here.place.truth(other.asked)
        await other.until(lambda view: view.slots == truth)
        back = Watcher([here.url], watcher.asked)
        back.view = kept
        before = len(kept.frames)
        async with back:
            await back.until(lambda view: len(view.frames) > before)
            assert back.view.kinds()[before:] == ["Delta"]
            assert set(back.view.frames[-1]["removed"]) == wanted
            assert back.view.slots == truth
            await booker(here).cancel(here.http, booked[1])
            await back.until(lambda view: here.place.slot_id(numbers[1]) in view.slots)
            assert back.view.broken == 0


async def test_rule_26_what_can_not_be_resumed_begins_with_a_snapshot(here: Here) -> None:
    async with here.watching() as watcher:
        await watcher.until(lambda view: view.frames)
        [number] = shown(here.place, watcher, 1)
        await booker(here).book(here.http, number)
        await watcher.until(lambda view: len(view.frames) > 1)
        assert watcher.view.cursor is not None
        now = streams.read(watcher.view.cursor)
        assert isinstance(now, Cursor)
    later = Cursor(now.epoch, now.clinic_key, now.seq + 50, now.covers)
    foreign = Cursor(now.epoch, now.clinic_key + 1, now.seq, now.covers)
    afters = ["garbage", "", "€" * 100, str(foreign), str(later)]
    watchers = [here.watching(after=after) for after in afters]
    for one in watchers:
        async with one:
            await one.until(lambda view: view.frames)
            assert one.view.kinds()[0] == "GAP"
            assert one.view.slots == await here.place.truth(one.asked)
    other_epoch = Cursor("another", now.clinic_key, now.seq, now.covers)
    async with here.watching(after=str(other_epoch)) as one:
        await one.until(lambda view: view.frames)
        assert one.view.kinds() == ["EPOCH_CHANGED"]


async def test_rule_26_a_new_epoch_is_a_snapshot_for_all(here: Here, settings: Settings) -> None:
    async with here.watching() as watcher:
        await watcher.until(lambda view: view.frames)
        before = watcher.view.cursor
        given = environment(DATABASE_URL=str(settings.database_url), DATA_DIR=str(settings.data_dir))
        command = [sys.executable, "-c", "from app.cli import main; main()", "new-epoch"]
        await asyncio.to_thread(
            subprocess.run, command, check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd=ROOT, env=given
        )
        await watcher.until(lambda view: "EPOCH_CHANGED" in view.kinds())
        [number] = shown(here.place, watcher, 1)
        await booker(here).book(here.http, number)
        await watcher.until(lambda view: here.place.slot_id(number) not in view.slots)
        assert watcher.view.broken == 0
        async with here.watching(after=before) as late:
            await late.until(lambda view: view.frames)
            assert late.view.kinds()[0] == "EPOCH_CHANGED"
            assert late.view.slots == watcher.view.slots == await here.place.truth(late.asked)


async def test_rule_27_after_a_mutation_its_change_is_in_the_snapshot(here: Here) -> None:
    for watched in (False, True):
        watchers = [here.watching()] if watched else []
        for one in watchers:
            await one.__aenter__()
            await one.until(lambda view: view.frames)
        for number in range(100 * watched, 100 * watched + 3):
            booked = await booker(here).book(here.http, number)
            taken = here.place.slot_id(number)
            asked = here.place.asked(1, 31, here.place.providers)
            found = await here.ask(SNAPSHOT, {"f": asked, "l": booked["cursor"]})
            assert taken not in [slot["id"] for slot in found["availability"]["slots"]]
            async with here.watching(asked, after=booked["cursor"]) as watcher:
                await watcher.until(lambda view: view.frames)
                assert watcher.view.kinds()[0] == "INITIAL"
                assert taken not in watcher.view.slots
        for one in watchers:
            await one.__aexit__(None, None, None)


async def test_rules_28_and_29_a_burst_is_few_frames_on_one_chain(here: Here) -> None:
    """Who joins in the middle continues from the same cursors as everybody."""
    async with here.watching() as first:
        await first.until(lambda view: view.frames)
        numbers = shown(here.place, first, 40)
        desk = booker(here)
        booking = asyncio.gather(*(desk.book(here.http, number) for number in numbers))
        joiners = []
        for _ in range(6):
            joiner = here.watching()
            await joiner.__aenter__()
            joiners.append(joiner)
            await asyncio.sleep(0.02)
        await booking
        truth = await here.place.truth(first.asked)
        for one in (first, *joiners):
            await one.until(lambda view: view.slots == truth)
        for one in joiners:
            await one.__aexit__(None, None, None)
    changes = zip(first.view.kinds(), first.view.heard_at, strict=True)
    heard = [at for what, at in changes if what == "Delta"]
    assert len(heard) < 40
    assert (len(heard) - 2) * 0.05 <= heard[-1] - heard[0]
    chain = [frame["cursor"] for frame in first.view.frames]
    for one in joiners:
        assert one.view.broken == 0
        cursors = [frame["cursor"] for frame in one.view.frames]
        at = chain.index(cursors[0])
        assert chain[at : at + len(cursors)] == cursors


async def test_rule_30_who_falls_behind_gets_one_snapshot_and_then_has_to_go(
    settings: Settings, embedded: Any, connections: asyncpg.Pool
) -> None:
    there = await place(connections, settings, providers=5)
    asked = there.asked(1, 31, there.providers)
    async with (
        serving(settings, embedded.redis_url, hub=HubPace(mailbox=3)) as (url, built),
        httpx2.AsyncClient(timeout=15) as http,
    ):
        here = Here(url, built, there, http, connections)
        talker = await opened(url, max_queue=1, close_timeout=0.5, sock=_narrow(url))
        async with talker.connection, here.watching(asked) as other:
            await talker.begin()
            await talker.subscribe(WATCH, {"f": asked})
            await other.until(lambda view: view.frames)
            version = await _flooded(here, other, 1, lambda: any(one._overflowed_at > 0 for one in built.hub._seats))
            reasons: list[str | None] = []
            while "SLOW_CONSUMER" not in reasons:
                reasons.append((await talker.next())["availability"].get("reason"))
            assert len(reasons) < FLOOD
            await _flooded(here, other, version, lambda: len(built.hub._seats) == 1)
            async with asyncio.timeout(5):
                assert await talker.closed() == 4430
            assert set(other.view.kinds()) == {"INITIAL", "INVALIDATED"}
            assert other.closes == []


def _narrow(url: str) -> socket.socket:
    """A peer with little room."""
    host, port = url.removeprefix("http://").split(":")
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    peer.connect((host, int(port)))
    peer.setblocking(False)
    return peer


async def _flooded(here: Here, other: Watcher, version: int, enough: Callable[[], bool]) -> int:
    """Whole calendars, one after the other: the kernel's buffers hold a fraction of one. Answers the schedule's version."""
    while not enough():
        assert version < 2 * FLOOD
        before = len(other.view.frames)
        await _edited(here, version, 540 + 5 * (version % 2))
        await other.until(lambda view, before=before: len(view.frames) > before)
        version += 1
    return version


async def _edited(here: Here, version: int, opens: int) -> None:
    hours = [{"weekday": day, "opens": _clock(opens), "closes": "17:00"} for day in WEEKDAYS]
    given = {
        "providerId": ids.node(ids.PROVIDER, here.place.providers[0]), "clinicId": here.place.clinic_id,
        "version": version, "hours": hours, "idempotencyKey": builders.key(),
    }  # fmt: skip
    found = (await here.ask(HOURS, {"i": given}))["setWeeklyHours"]
    assert found == {"__typename": "ScheduleSaved"}


WEEKDAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


async def test_changed_hours_are_a_snapshot_for_everybody(here: Here) -> None:
    async with here.watching() as watcher, here.watching(here.place.asked(2, 3)) as other:
        for one in (watcher, other):
            await one.until(lambda view: view.frames)
        await _edited(here, 1, 600)
        for one in (watcher, other):
            await one.until(lambda view: "INVALIDATED" in view.kinds())
            assert one.view.slots == await here.place.truth(one.asked)
        assert len(watcher.view.slots) == 7 * 16 * 2 + 7 * 14


async def test_rules_32_and_38_what_touches_nothing_is_told_by_the_next_heartbeat(here: Here) -> None:
    async with here.watching(here.place.asked(3, 4)) as one, here.watching(here.place.asked(3, 4)) as other:
        await one.until(lambda view: view.frames)
        await other.until(lambda view: view.frames)
        near = await here.place.truth(here.place.asked(1, 5))
        far = next(number for number in range(400) if here.place.slot_id(number) not in near)
        before = _place(one)
        await booker(here).book(here.http, far)
        await one.until(lambda view: view.frames[-1]["__typename"] == "AvailabilityHeartbeat", 20)
        while _place(one).seq == before.seq:  # The first one may have come before the booking had.
            heard = len(one.view.frames)
            await one.until(lambda view, heard=heard: len(view.frames) > heard, 20)
        await other.until(lambda view: view.cursor == one.view.cursor)
        assert _place(one).seq == before.seq + 1
        assert set(one.view.kinds()) == set(other.view.kinds()) == {"INITIAL", "Heartbeat"}
        assert one.view.broken == other.view.broken == 0


def _place(watcher: Watcher) -> Cursor:
    assert watcher.view.cursor is not None
    found = streams.read(watcher.view.cursor)
    assert isinstance(found, Cursor)
    return found


async def test_rule_33_a_tokens_end_closes_and_a_new_one_resumes(here: Here, settings: Settings) -> None:
    claims = {"sub": "someone", "role": "admin", "exp": time() + 0.7}
    token = jwt.encode({"alg": "Ed25519"}, claims, development_key(settings), algorithms=ALGORITHMS)
    async with talking(here.url) as talker:
        await talker.begin(token)
        await talker.subscribe(WATCH, {"f": here.place.asked()})
        cursor = (await talker.next())["availability"]["cursor"]
        assert await talker.closed() == 4403
    booked = await booker(here).book(here.http, 0)
    await here.ask(SNAPSHOT, {"f": here.place.asked(), "l": booked["cursor"]})
    async with talking(here.url) as talker:
        await talker.begin(development_token(settings, role="admin"))
        await talker.subscribe(WATCH, {"f": here.place.asked(), "after": cursor})
        frames = [(await talker.next())["availability"]]
        while frames[-1]["__typename"] == "AvailabilityHeartbeat":
            frames.append((await talker.next())["availability"])
        assert frames[0]["previousCursor"] == cursor
        assert frames[-1]["removed"] == [here.place.slot_id(0)]


async def test_rule_35_appointments_begin_with_a_reset_and_come_as_they_change(here: Here, settings: Settings) -> None:
    slot = here.place.slot_id(0)
    patient = ids.node(ids.PATIENT, here.place.patient_of(slot))
    async with talking(here.url) as mine, talking(here.url) as stranger, talking(here.url) as desk:
        await mine.begin(development_token(settings, role="patient", patient=patient))
        other = next(one for one in here.place.patients if ids.node(ids.PATIENT, one) != patient)
        await stranger.begin(development_token(settings, role="patient", patient=ids.node(ids.PATIENT, other)))
        await desk.begin(development_token(settings, role="staff", clinics=[here.place.clinic_id]))
        for talker in (mine, stranger):
            await talker.subscribe(MINE)
            assert (await talker.next())["myAppointments"] == {"__typename": "StreamReset", "reason": "INITIAL"}
        await desk.subscribe(DAY, {"c": here.place.clinic_id, "d": str(today() + timedelta(days=1))})
        assert (await desk.next())["clinicDay"] == {"__typename": "StreamReset", "reason": "INITIAL"}
        booked = await booker(here).book(here.http, 0)
        changed = await _changed(mine, "myAppointments")
        assert changed["appointment"] == {"id": booked["appointment"]["id"], "status": "BOOKED"}
        assert (await _changed(desk, "clinicDay"))["appointment"]["patient"]["name"].startswith("Pat ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await _changed(stranger, "myAppointments")


async def _changed(talker: Talker, name: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = (await talker.next())[name]
        if found["__typename"] == "AppointmentChanged":
            return found


async def test_rule_37_what_is_left_of_an_opening_falls_and_rises(here: Here) -> None:
    kind = await builders.visit_type(here.pool, duration=None)
    pool = await builders.provider(here.pool, [here.place.clinic], [kind], kind="pool")
    at = builders.wall(today() + timedelta(days=2), 600)
    opening = await builders.opening(here.pool, pool, here.place.clinic, at, capacity=2)
    asked = here.place.asked() | {"visitTypeId": ids.node(ids.VISIT_TYPE, kind)}
    slot = str(ids.SlotKey(pool, here.place.clinic, kind, None, opening))
    desk = booker(here)
    async with here.watching(asked) as watcher:
        await watcher.until(lambda view: view.slots == {slot: 2})
        booked = []
        for patient, left in zip(here.place.patients[:2], ({slot: 1}, {}), strict=True):
            given = {"slotId": slot, "patientId": ids.node(ids.PATIENT, patient), "idempotencyKey": builders.key()}
            booked.append(await desk.surely(here.http, "bookAppointment", given))
            await watcher.until(lambda view, left=left: view.slots == left)
        for one, left in zip(booked, ({slot: 1}, {slot: 2}), strict=True):
            await desk.cancel(here.http, one)
            await watcher.until(lambda view, left=left: view.slots == left)
        assert set(watcher.view.kinds()) <= {"INITIAL", "Delta", "Heartbeat"}
