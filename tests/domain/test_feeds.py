"""What the lines of a SMART Scheduling Links publication mean (rules 42, 43)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain import feeds
from domain.feeds import FeedSlot
from domain.tables import RefusedLine, UnusableFile

NEW_JERSEY = ZoneInfo("America/New_York")
PHOENIX = ZoneInfo("America/Phoenix")


def slot(start: str = "2023-03-25T09:00:00-04:00", end: str = "2023-03-25T18:00:00-04:00", **changed: Any) -> FeedSlot:
    found = {
        "resourceType": "Slot",
        "schedule": {"reference": "Schedule/116"},
        "status": "free",
        "start": start,
        "end": end,
    }
    return feeds.slot(feeds.line(json.dumps(found | changed).encode(), "Slot"))


def capacity(value: Any) -> dict[str, Any]:
    return {"extension": [{"url": feeds.CAPACITY, "valueInteger": value}]}


def test_a_slot_has_capacity_one_unless_it_says() -> None:
    assert slot().capacity == 1
    assert slot(**capacity(33)).capacity == 33


def test_only_free_slots_with_room_are_offered() -> None:
    assert slot().offered
    assert not slot(**capacity(0)).offered
    assert not slot(status="busy").offered
    assert not slot(status="entered-in-error").offered


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"start": "2023-03-25T09:00:00"}, "start '2023-03-25T09:00:00' has no UTC offset"),
        ({"end": "2023-03-25"}, "end '2023-03-25' has no UTC offset"),
        ({"start": "tomorrow"}, "start 'tomorrow' is no instant"),
        ({"start": None}, "start None is no instant"),
        ({"start": "0001-01-01T00:00:00-04:00"}, "start '0001-01-01T00:00:00-04:00' is not between 2000 and 2100"),
        ({"start": "9999-12-31T23:00:00-04:00"}, "start '9999-12-31T23:00:00-04:00' is not between 2000 and 2100"),
        ({"end": "2023-03-25T08:00:00-04:00"}, "the end is not after the start"),
        ({"end": "2023-03-25T09:00:00-04:00"}, "the end is not after the start"),
        ({"end": "2023-03-26T09:00:01-04:00"}, "longer than 24 hours"),
        ({"status": "open"}, "status 'open' is none of busy, busy-tentative, busy-unavailable, entered-in-error, free"),
        (
            {"status": ["free"]},
            "status \"['free']\" is none of busy, busy-tentative, busy-unavailable, entered-in-error, free",
        ),
        ({"schedule": {"reference": "116"}}, "no schedule"),
        ({"schedule": None}, "no schedule"),
        (capacity(-1), "capacity -1 is negative"),
        (capacity("many"), "capacity 'many' is no whole number"),
        (capacity(1.5), "capacity 1.5 is no whole number"),
        (capacity(True), "capacity True is no whole number"),
        (capacity(10_001), "capacity is more than 10000"),
    ],
)
def test_broken_slots_are_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedLine) as refusal:
        slot(**changed)
    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[]", "not a Slot"),
        (b'{"resourceType": "Schedule"}', "not a Slot"),
        (b" " * (1 << 20) + b"{}", "longer than 1048576 bytes"),
    ],
)
def test_lines_that_are_no_resource_are_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(RefusedLine, match=reason):
        feeds.line(raw, "Slot")


def read(*pairs: tuple[FeedSlot, ZoneInfo]) -> feeds.Reading:
    return feeds.reading(pairs)


def test_a_feed_that_is_off_everywhere_in_the_same_way_is_read_as_wall_time() -> None:
    off = slot("2023-03-25T09:00:00-05:00", "2023-03-25T18:00:00-05:00")
    assert read((off, NEW_JERSEY)).off == timedelta(hours=-1)
    start, end = feeds.resolve(off, NEW_JERSEY, wall=True, weeks=0)
    assert (start, end) == (datetime(2023, 3, 25, 13, tzinfo=UTC), datetime(2023, 3, 25, 22, tzinfo=UTC))


def test_one_right_line_makes_the_others_mean_what_they_say() -> None:
    off = slot("2023-03-25T09:00:00-05:00", "2023-03-25T18:00:00-05:00")
    assert read((off, NEW_JERSEY), (slot(), NEW_JERSEY)) == feeds.Reading(None, 2)
    assert feeds.resolve(off, NEW_JERSEY, wall=False, weeks=0)[0] == datetime(2023, 3, 25, 14, tzinfo=UTC)


def test_lines_off_in_different_ways_mean_what_they_say() -> None:
    off = slot("2023-03-25T09:00:00-05:00", "2023-03-25T18:00:00-05:00")
    further = slot("2023-03-25T09:00:00-06:00", "2023-03-25T18:00:00-06:00")
    assert read((off, NEW_JERSEY), (further, NEW_JERSEY)) == feeds.Reading(None, 4)
    assert read((off, NEW_JERSEY), (off, PHOENIX)) == feeds.Reading(None, 4)


def test_utc_names_an_instant_and_is_never_off() -> None:
    for zulu in ("Z", "+00:00"):
        one = slot(f"2021-03-01T14:00:00.000{zulu}", f"2021-03-01T23:00:00.000{zulu}")
        assert read((one, NEW_JERSEY)) == feeds.Reading(None, 0)
        assert feeds.resolve(one, NEW_JERSEY, wall=False, weeks=0)[0] == datetime(2021, 3, 1, 14, tzinfo=UTC)


def test_both_readings_of_a_fold_are_right() -> None:
    first = slot("2026-11-01T01:10:00-04:00", "2026-11-01T01:20:00-04:00")
    second = slot("2026-11-01T01:10:00-05:00", "2026-11-01T01:20:00-05:00")
    assert read((first, NEW_JERSEY), (second, NEW_JERSEY)) == feeds.Reading(None, 0)


def test_nothing_is_off_in_an_empty_feed() -> None:
    assert read() == feeds.Reading(None, 0)


def test_a_shift_keeps_the_wall_time_across_a_clock_change() -> None:
    one = slot()
    start, end = feeds.resolve(one, NEW_JERSEY, wall=False, weeks=36)
    assert start.astimezone(NEW_JERSEY).isoformat() == "2023-12-02T09:00:00-05:00"
    assert end - start == timedelta(hours=9)


def test_a_shift_into_a_gap_is_clipped_and_nothing_left_is_refused() -> None:
    night = slot("2026-03-01T02:30:00-05:00", "2026-03-01T03:30:00-05:00")
    start, end = feeds.resolve(night, NEW_JERSEY, wall=False, weeks=1)
    assert (start, end) == (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 3, 8, 7, 30, tzinfo=UTC))
    with pytest.raises(RefusedLine):
        feeds.resolve(slot("2026-03-01T02:10:00-05:00", "2026-03-01T02:20:00-05:00"), NEW_JERSEY, wall=False, weeks=1)


@pytest.mark.parametrize("weeks", [5000, -2000, 10**6, -(10**6)])
def test_a_shift_out_of_all_calendars_is_refused(weeks: int) -> None:
    with pytest.raises(RefusedLine):
        feeds.resolve(slot(), NEW_JERSEY, wall=False, weeks=weeks)


def test_nine_minutes_stay_nine_minutes() -> None:
    one = slot("2021-09-13T09:09:00.000-08:00", "2021-09-13T09:18:00.000-08:00")
    start, end = feeds.resolve(one, ZoneInfo("America/Los_Angeles"), wall=True, weeks=0)
    assert (end - start, start.minute) == (timedelta(minutes=9), 9)


def test_a_service_type_is_named_by_its_most_exact_coding() -> None:
    found = {
        "id": "116",
        "actor": [{"reference": "https://feed.test/fhir/Location/116"}],
        "serviceType": [
            {"coding": [
                {"system": feeds.BROAD_TYPES, "code": "57", "display": "Immunization"},
                {"system": "urn:x", "code": "covid19-immunization", "display": "COVID-19 Immunization Appointment"},
            ]},
            {"text": "Travel advice"},
        ],
    }  # fmt: skip
    schedule = feeds.schedule(found)
    assert schedule.location == "116"
    assert schedule.services == (
        ("service-type:urn:x|covid19-immunization", "COVID-19 Immunization Appointment"),
        ("service-type:|travel advice", "Travel advice"),
    )


def test_a_schedule_without_a_service_type_is_an_appointment() -> None:
    assert feeds.schedule({"id": "1", "actor": [{"reference": "Location/1"}]}).services == (feeds.NO_SERVICE,)


@pytest.mark.parametrize("actor", [None, [], [{"reference": "Practitioner/1"}], [{"reference": 7}], "Location/1"])
def test_a_schedule_without_a_place_is_refused(actor: Any) -> None:
    with pytest.raises(RefusedLine, match="no actor that is a Location"):
        feeds.schedule({"id": "1", "actor": actor})


def test_a_location_of_the_wrong_shape_is_read_as_far_as_it_goes() -> None:
    found = feeds.location({"id": 116, "name": "Here", "address": [], "position": "x", "telecom": {"system": "phone"}})
    assert found.id == "116"
    assert found.values["name"] == "Here"
    assert found.values["phone"] == found.values["city"] == ""


def test_a_manifest_names_its_feed_wherever_it_lies() -> None:
    output = [{"type": "Slot", "url": "a.ndjson"}, {"type": "Practitioner", "url": "b"}, {"type": "Slot"}, 7]
    named = {"request": "https://feed.test/$bulk-publish/", "output": output}
    found = feeds.manifest(json.dumps(named).encode(), "/tmp/manifest.json")
    assert found == feeds.Manifest("https://feed.test/$bulk-publish", (("Slot", "a.ndjson"),))
    del named["request"]
    assert feeds.manifest(json.dumps(named).encode(), "/tmp/manifest.json").feed == "/tmp/manifest.json"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"output": []}', b'{"output": {}}', b"\xff", b"[" * 100_000])
def test_what_is_no_manifest_cannot_be_used(data: bytes) -> None:
    with pytest.raises(UnusableFile):
        feeds.manifest(data, "x")


def test_past_openings_say_how_far_to_shift() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert feeds.past_only([now - timedelta(weeks=3, days=1)], now) == 4
    assert feeds.past_only([now - timedelta(weeks=3), now + timedelta(1)], now) is None
    assert feeds.past_only([], now) is None
