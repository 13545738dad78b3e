"""Whatever a file holds, a line is used or refused: nothing else is ever raised."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import feeds, imports, phones, places, tables, wording
from domain.tables import RefusedLine, UnusableFile

NAMES = ("id", "name", "address", "city", "state", "postalCode", "line", "position", "latitude", "telecom", "system", "value",
         "actor", "reference", "serviceType", "coding", "code", "display", "schedule", "status", "start", "end", "extension",
         "url", "valueInteger", "text", "country")  # fmt: skip
WORDS = ("free", "busy", "phone", feeds.CAPACITY, feeds.ZONE, "Location/1", "Schedule/1", "2026-03-08T02:30:00-05:00",
         "2026-03-08T03:30:00-05:00", "2026-11-01T01:30:00Z", "NJ", "US", "08332", "\x00", "\ud800")  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
LIGHT = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # the first example loads Unicode's tables
RESOURCES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=10)


@LIGHT
@given(RESOURCES, st.sampled_from([feeds.location, feeds.schedule]))
def test_any_resource(found: dict[str, Any], read: Callable[[dict[str, Any]], Any]) -> None:
    with suppress(RefusedLine):
        read(found)
    with suppress(RefusedLine):
        imports.clinic_row("key", feeds.location({"id": "1"} | found).values, lambda _: None)


@LIGHT
@given(RESOURCES, st.integers(-3000, 3000), st.booleans())
def test_any_slot(found: dict[str, Any], weeks: int, wall: bool) -> None:
    base = {"schedule": {"reference": "Schedule/1"}, "status": "free", "start": WORDS[7], "end": WORDS[8]}
    zone = ZoneInfo("America/New_York")
    with suppress(RefusedLine):
        slot = feeds.slot(base | found)
        feeds.reading([(slot, zone)])
        feeds.resolve(slot, zone, wall=wall, weeks=weeks)


@LIGHT
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_line_and_manifest(raw: bytes) -> None:
    with suppress(RefusedLine):
        feeds.line(raw, "Slot")
    with suppress(UnusableFile):
        feeds.manifest(raw, "address")


@LIGHT
@given(st.binary(max_size=200) | st.text('id,name"\r\nÃ©\x00 ', max_size=80).map(str.encode))
def test_any_table(raw: bytes) -> None:
    with suppress(UnusableFile):
        list(tables.records(raw, {"id": ("id",)}, ()))
    found = list(tables.records(b"id,name\n" + raw, {"id": ("id",), "name": ("name",)}, ("id",)))
    assert [one.line for one in found] == sorted({one.line for one in found})


@LIGHT
@given(st.text(max_size=30), st.sampled_from(["US", "AU", "GB", "ZZ"]))
def test_any_text(text: str, country: str) -> None:
    phones.e164(text, country)
    code = places.postal_code(country, text)
    places.zone_of_state(country, text, code)
    places.in_state("America/Denver", country, text)
    places.country_of(text, text)
    key = wording.address_key(text)
    assert wording.building_key(key) == wording.building_key(wording.building_key(key))
    wording.person(text)
    wording.phrase(text)
    assert wording.address_key(wording.place(text)) == wording.address_key(text)
