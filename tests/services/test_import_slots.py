"""SMART Scheduling Links feeds: faults by line, capacity never below what is booked, and what is gone takes no booking."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from domain.outcomes import AppointmentBooked, PolicyRule, PolicyViolation, SlotTaken
from domain.tables import UnusableFile
from tests.conftest import MakeDatabase
from tests.services.imported import Feed, Imported, Store, location, schedule, slot, stored_at
from tests.world import HALF_WRITTEN, World, new_key, opening_id

MORNING = ("2030-03-25T09:00:00-04:00", "2030-03-25T12:00:00-04:00")
NOON = ("2030-03-25T12:00:00-04:00", "2030-03-25T12:09:00-04:00")
EVENING = ("2030-03-25T17:00:00-04:00", "2030-03-25T21:00:00-04:00")


@pytest.fixture
async def store(make_database: MakeDatabase) -> AsyncIterator[Store]:
    async with stored_at(await make_database()) as opened:
        yield opened


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path, slots=[slot(*MORNING, capacity=33), slot(*NOON), slot(*EVENING, of="2", capacity=2)])


@pytest.fixture
def recorded() -> Path:
    folder = os.environ.get("APPOINTMENTS_DATA")
    if not folder:
        pytest.skip("APPOINTMENTS_DATA does not say where the recorded feeds are")
    return Path(folder) / "smart_scheduling_links"


async def openings(store: Store) -> list[tuple[Any, ...]]:
    rows = await store.rows(
        "SELECT p.name, to_char(o.starts_at, 'MM-DD HH24:MI') AS starts, extract(epoch FROM o.ends_at - o.starts_at)::int / 60,"
        " o.capacity, o.offered, r.version FROM openings AS o JOIN providers AS p ON p.id = o.provider_id"
        " JOIN resources AS r ON r.id = o.id ORDER BY o.starts_at, o.id"
    )
    return [tuple(row) for row in rows]


async def book(store: Store, lanes: int) -> None:
    """Takes lanes of the first opening, as a booking does."""
    for lane in range(lanes):
        await store.rows(
            "WITH who AS (INSERT INTO patients (name) VALUES ('Patient') RETURNING id),"
            " visit AS (INSERT INTO appointments (status, patient_id, provider_id, clinic_id, visit_type_id, opening_id,"
            " starts_at, ends_at) SELECT 'booked', who.id, o.provider_id, o.clinic_id, (SELECT min(id) FROM visit_types),"
            " o.id, o.starts_at, o.ends_at FROM who, openings AS o WHERE o.id = (SELECT id FROM openings ORDER BY starts_at"
            " LIMIT 1) RETURNING id, opening_id, starts_at, ends_at)"
            " INSERT INTO allocations (resource_id, lane, starts_at, ends_at, state, appointment_id)"
            " SELECT opening_id, $1, starts_at, ends_at, 'booked', id FROM visit",
            lane,
        )


async def test_a_feed_goes_in_and_a_second_run_changes_nothing(store: Store, feed: Feed) -> None:
    first = await store.slots(feed.write())
    assert first.said == []
    assert (first["clinics added"], first["pools added"], first["visit types added"], first["openings added"]) == (
        2,
        2,
        1,
        3,
    )
    assert await openings(store) == [
        ("Place 1", "03-25 13:00", 180, 33, True, 1),
        ("Place 1", "03-25 16:00", 9, 1, True, 1),
        ("Place 2", "03-25 21:00", 240, 2, True, 1),
    ]
    kind = await store.rows(
        "SELECT p.kind, v.name, v.duration_minutes, v.minimum_notice_minutes, v.bookable_days_ahead, v.cancel_until_minutes,"
        " v.buffer_before_minutes + v.buffer_after_minutes FROM providers AS p"
        " JOIN provider_visit_types AS t ON t.provider_id = p.id JOIN visit_types AS v ON v.id = t.visit_type_id"
    )
    assert [tuple(row) for row in kind] == [("pool", "Flu shot", None, 0, 730, 0, 0)] * 2
    clinics = await store.rows("SELECT time_zone, postal_code, phone FROM clinics ORDER BY id")
    assert [tuple(row) for row in clinics] == [
        ("America/New_York", "08332-3762", "+18568257742"),
        ("America/New_York", "08046-1109", "+18568257742"),
    ]
    await store.sound()
    before = await store.dump()
    second = await store.slots(feed.write())
    assert (second.said, second["openings unchanged"]) == ([], 3)
    assert await store.dump() == before


async def test_broken_lines_are_reported_by_file_and_line_and_the_rest_goes_in(store: Store, feed: Feed) -> None:
    feed.locations += [
        location("2", "8046"),
        b"{",
        location("3", "8332", address={"city": "Paris", "country": "FR"}),
        location("4", "8332", telecom=[{"system": "phone", "value": "(609) 877-700"}]),
    ]
    feed.schedules += [schedule("3"), schedule("9"), b"\xff", schedule("1"), {"resourceType": "Schedule", "id": "5"}]
    feed.slots += [
        slot("2030-03-26T09:00:00", "2030-03-26T10:00:00"),
        slot(MORNING[1], MORNING[0]),
        slot("2030-03-26T09:00:00-04:00", "2030-03-27T09:00:01-04:00"),
        slot(*NOON, capacity=-1),
        slot(*NOON, of="9"),
        b'{"resourceType": "Slot"',
        b"\xff\xfe",
        b"",
        slot(*MORNING, status="perhaps"),
        slot("2030-03-26T09:00:00-04:00", "2030-03-26T09:20:00-04:00"),
    ]
    done = await store.slots(feed.write())
    places, schedules, slots = (feed.file(f"{kind}s.ndjson") for kind in ("location", "schedule", "slot"))
    expected = [
        f"{places}:3: Location/2 is already in {places}:2",
        f"{places}:4: not JSON",
        f"{places}:5: no time zone: none named, no coordinates, and FR does not tell it",
        f"{schedules}:3: unknown Location/3",
        f"{schedules}:4: unknown Location/9",
        f"{schedules}:5: not UTF-8",
        f"{schedules}:6: Schedule/1 is already in {schedules}:1",
        f"{schedules}:7: no actor that is a Location",
        f"{slots}:4: start '2030-03-26T09:00:00' has no UTC offset",
        f"{slots}:5: the end is not after the start",
        f"{slots}:6: longer than 24 hours",
        f"{slots}:7: capacity -1 is negative",
        f"{slots}:8: unknown Schedule/9",
        f"{slots}:9: not JSON",
        f"{slots}:10: not UTF-8",
        f"{slots}:12: status 'perhaps' is none of busy, busy-tentative, busy-unavailable, entered-in-error, free",
    ]
    said = sorted(done.refused)
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, sorted(expected), strict=True)), said
    assert done.warnings == [f"warning: {places}:6: phone '(609) 877-700' is not valid: left out"]
    assert done["openings added"] == 4
    await store.sound()


async def test_an_offset_that_is_wrong_on_every_line_is_wall_time_and_one_warning(store: Store, feed: Feed) -> None:
    feed.slots = [slot("2030-07-01T09:00:00-05:00", "2030-07-01T10:00:00-05:00", of=of) for of in "12"]
    done = await store.slots(feed.write())
    assert done.refused == []
    assert done.warnings == [
        f"warning: {feed.file('manifest.json')}: every time is off its clinic's zone by -01:00: read as the clinics' wall time"
    ]
    assert [row[1] for row in await openings(store)] == ["07-01 13:00"] * 2


async def test_a_single_odd_line_is_taken_as_written(store: Store, feed: Feed) -> None:
    feed.slots.append(slot("2030-03-26T09:00:00-05:00", "2030-03-26T10:00:00-05:00"))
    done = await store.slots(feed.write())
    assert done.warnings == [
        f"warning: {feed.file('manifest.json')}: 2 times have an offset that is not their clinic's: taken as written"
    ]
    assert (await openings(store))[-1][1] == "03-26 14:00"


async def test_busy_slots_and_slots_without_room_are_not_offered(store: Store, feed: Feed) -> None:
    feed.slots = [slot(*MORNING, status="busy"), slot(*NOON, capacity=0), slot(*EVENING)]
    await store.slots(feed.write())
    assert [row[3:5] for row in await openings(store)] == [(1, False), (0, False), (1, True)]


async def test_capacity_follows_the_feed_but_never_below_what_is_booked(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    await book(store, 5)
    feed.slots[0] = slot(*MORNING, capacity=40)
    assert (await store.slots(feed.write()))["openings changed"] == 1
    assert (await openings(store))[0][3:] == (40, True, 2)
    feed.slots[0] = slot(*MORNING, capacity=2)
    done = await store.slots(feed.write())
    assert done.refused == []
    assert done.warnings == [f"warning: {feed.file('slots.ndjson')}:1: capacity 2 is less than the 5 booked: kept at 5"]
    assert (await openings(store))[0][3:] == (5, True, 3)
    again = await store.slots(feed.write())
    assert (again["openings changed"], len(again.warnings)) == (0, 1)
    await store.rows("UPDATE allocations SET state = 'released' WHERE lane > 0")
    await store.slots(feed.write())
    assert (await openings(store))[0][3:] == (2, True, 4)
    await store.sound()


async def test_an_imported_opening_is_booked_until_it_is_full_or_gone(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    world = World.on(store.database.primary)
    await world.clock(datetime(2030, 3, 25, 12, tzinfo=UTC))
    found = await store.rows(
        "SELECT o.provider_id, o.clinic_id, t.visit_type_id, o.id FROM openings AS o"
        " JOIN provider_visit_types AS t USING (provider_id) ORDER BY o.starts_at DESC"
    )
    evening, _, morning = (opening_id(*row) for row in found)
    one, other, third = await world.patients(3)
    for viewer in (one, other):
        assert isinstance(await world.booking.book(viewer, evening, None, None, new_key()), AppointmentBooked)
    assert isinstance(await world.booking.book(third, evening, None, None, new_key()), SlotTaken)
    assert isinstance(await world.booking.book(one, morning, None, None, new_key()), AppointmentBooked)
    feed.slots = [slot(*EVENING, of="2", capacity=1)]
    done = await store.slots(feed.write())
    assert done["openings withdrawn"] == 2
    assert "capacity 1 is less than the 2 booked: kept at 2" in done.warnings[0]
    refused = await world.booking.book(third, morning, None, None, new_key())
    assert isinstance(refused, PolicyViolation)
    assert refused.rule is PolicyRule.NOT_OFFERED
    assert await world.fetch(HALF_WRITTEN) == []
    await store.sound()


async def test_what_is_gone_or_busy_takes_no_new_booking_and_keeps_its_own(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    await book(store, 2)
    feed.slots = [slot(*NOON, status="busy"), slot(*EVENING, of="2", capacity=2)]
    done = await store.slots(feed.write())
    assert (done["openings withdrawn"], done["openings changed"], done["openings unchanged"]) == (1, 1, 1)
    assert [row[3:] for row in await openings(store)] == [(33, False, 2), (1, False, 2), (2, True, 1)]
    assert await store.value("SELECT count(*) FROM allocations WHERE state = 'booked'") == 2
    before = await store.dump()
    again = await store.slots(feed.write())
    assert again["openings withdrawn"] == 0
    assert await store.dump() == before
    feed.slots = [slot(*MORNING, capacity=33), slot(*NOON), slot(*EVENING, of="2", capacity=2)]
    await store.slots(feed.write())
    assert [row[3:5] for row in await openings(store)] == [(33, True), (1, True), (2, True)]
    await store.sound()


async def test_a_slot_file_that_cannot_be_read_withdraws_nothing(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    feed.slots = feed.slots[:1]
    manifest = feed.write(output=[
        *({"type": kind, "url": f"{kind.lower()}s.ndjson"} for kind in ("Location", "Schedule", "Slot")),
        {"type": "Slot", "url": "slots-2.ndjson"},
    ])  # fmt: skip
    done = await store.slots(manifest)
    assert done.refused == [f"{feed.file('slots-2.ndjson')}: No such file or directory"]
    assert all(row[4] for row in await openings(store))


async def test_schedules_that_another_manifest_names_are_left_alone(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    feed.locations, feed.schedules, feed.slots = feed.locations[:1], feed.schedules[:1], []
    done = await store.slots(feed.write())
    assert done["openings withdrawn"] == 2
    assert [row[4] for row in await openings(store)] == [False, False, True]


async def test_a_repeated_opening_is_one_and_the_last_line_counts(store: Store, feed: Feed) -> None:
    feed.slots = [slot(*MORNING, capacity=1), slot(*MORNING, capacity=1), slot(*MORNING, capacity=3)]
    done = await store.slots(feed.write())
    assert done["openings repeated"] == 2
    assert done.warnings == [
        f"warning: {feed.file('slots.ndjson')}:3: differs from line 2 of the same opening: this one counts"
    ]
    assert [row[3] for row in await openings(store)] == [3]


async def test_a_new_name_or_service_is_told_to_the_clinic(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    feed.locations[0]["name"] = "New name"
    feed.schedules[1]["serviceType"].append({"text": "Travel advice"})
    done = await store.slots(feed.write())
    assert (done["clinics changed"], done["pools changed"], done["visit types added"]) == (1, 2, 1)
    rows = await store.rows(
        "SELECT p.name, p.version, r.version FROM providers AS p JOIN resources AS r USING (id) ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [("New name", 2, 2), ("Place 2", 1, 2)]
    await store.sound()


async def test_a_schedule_that_moved_is_refused(store: Store, feed: Feed) -> None:
    await store.slots(feed.write())
    feed.schedules[0]["actor"] = [{"reference": "Location/2"}]
    done = await store.slots(feed.write())
    assert done.refused[0] == (
        f"{feed.file('schedules.ndjson')}:1: the schedule has moved to another location: give it a new id"
    )
    assert len(done.refused) == 3


async def test_a_dry_run_writes_nothing_and_counts_the_same(store: Store, feed: Feed) -> None:
    empty = await store.dump()
    dry = await store.slots(feed.write(), dry_run=True)
    assert await store.dump() == empty
    wet = await store.slots(feed.write())
    assert dry.report.counts == wet.report.counts
    before = await store.dump()
    feed.slots = [slot(*MORNING, capacity=1)]
    dry = await store.slots(feed.write(), dry_run=True)
    assert await store.dump() == before
    assert dry.report.counts == (await store.slots(feed.write())).report.counts


async def test_an_interrupted_import_is_finished_by_the_next(store: Store, feed: Feed) -> None:
    feed.slots = [
        slot(f"2030-03-{day:02}T{hour:02}:00:00-04:00", f"2030-03-{day:02}T{hour:02}:20:00-04:00")
        for day in range(11, 31)
        for hour in range(20)
    ]

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await store.slots(feed.write(), progress=interrupt)
    half = await store.value("SELECT count(*) FROM openings")
    assert 0 < half < 400
    await store.sound()
    done = await store.slots(feed.write())
    assert (done["openings added"], done["openings unchanged"]) == (400 - half, half)
    await store.sound()


async def test_a_shift_keeps_the_wall_time_and_a_past_feed_says_by_how_much(store: Store, feed: Feed) -> None:
    feed.slots = [slot("2023-07-01T09:00:00-04:00", "2023-07-01T10:00:00-04:00")]
    done = await store.slots(feed.write(), dry_run=True)
    assert "every opening is past; with --shift-weeks" in done.warnings[0]
    await store.slots(feed.write(), shift_weeks=52 * 8 + 22)
    assert [row[1] for row in await openings(store)] == ["11-22 14:00"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "<html>", '{"output": [{"type": "Slot", "url": "none.ndjson"}]}'])
async def test_without_a_manifest_or_any_file_nothing_can_be_read(store: Store, tmp_path: Path, text: str) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(text)
    with pytest.raises(UnusableFile, match=str(manifest)):
        await store.slots(manifest)
    with pytest.raises(UnusableFile, match="No such file"):
        await store.slots(tmp_path / "absent.json")
    with pytest.raises(UnusableFile, match="Is a directory"):
        await store.slots(tmp_path)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_manifest_is_read_over_http_and_its_copy_is_the_same_feed(store: Store, feed: Feed) -> None:
    feed.write()
    with served(feed.folder) as base:
        first = await store.slots(f"{base}/manifest.json?since=1")
        assert (first.said, first["openings added"]) == ([], 3)
        output = [
            {"type": kind, "url": f"{base}/{kind.lower()}s.ndjson?locale=en"}
            for kind in ("Location", "Schedule", "Slot")
        ]
        absolute = feed.write(output=output)
        assert (await store.slots(absolute))["openings unchanged"] == 3
        gone = feed.write(
            output=[*output, {"type": "Slot", "url": f"{base}/none"}, {"type": "Slot", "url": "file:///etc/passwd"}]
        )
        done = await store.slots(gone)
        absolute = feed.write(output=output)
        assert done.refused == [
            f"{base}/none: the server answered 404",
            "file:///etc/passwd: only paths, http: and https: are read",
        ]
    offline = await store.slots(absolute, offline=True)
    assert (offline.said, offline["openings unchanged"]) == ([], 3)
    with pytest.raises(UnusableFile, match="--offline"):
        await store.slots(f"{base}/manifest.json", offline=True)
    with pytest.raises(UnusableFile, match="ConnectError"):
        await store.slots(f"{base}/manifest.json")


async def test_the_recorded_feeds_go_in_with_their_real_faults(store: Store, recorded: Path) -> None:
    async def run(folder: str, **how: Any) -> Imported:
        return await store.slots(recorded / folder / "manifest.local.json", **how)

    rite_aid = await run("riteaid_nj_2023-03-24", shift_weeks=192)
    assert (rite_aid["clinics added"], rite_aid["pools added"], rite_aid["openings added"]) == (112, 112, 1542)
    assert rite_aid.refused == []
    assert sum("every time is off" in line for line in rite_aid.warnings) == 1
    assert await store.value("SELECT count(*) FROM openings WHERE offered") == 1430
    assert await store.value("SELECT count(*) FROM clinics WHERE postal_code LIKE '0%' AND region = 'NJ'") == 112
    prepmod = await run("prepmod_wa_2021-09-01", offline=True)
    assert (prepmod["openings added"], prepmod["visit types added"]) == (49, 0)
    lengths = await store.rows(
        "SELECT DISTINCT extract(epoch FROM ends_at - starts_at)::int / 60 FROM openings AS o"
        " JOIN clinics AS c ON c.id = o.clinic_id WHERE c.region = 'WA' ORDER BY 1"
    )
    assert [row[0] for row in lengths] == [9, 20]
    examples = await run("spec_examples_2021")
    assert (examples["openings added"], examples.refused) == (70, [])
    await store.sound()
    before = await store.dump()
    assert (await run("riteaid_nj_2023-03-24", shift_weeks=192))["openings unchanged"] == 1542
    await run("prepmod_wa_2021-09-01")
    await run("spec_examples_2021")
    assert await store.dump() == before
