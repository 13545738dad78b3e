"""Where a place is and what time it keeps, from what files say (rule 43)."""

import pytest

from domain import phones, places


@pytest.mark.parametrize(
    ("country", "text", "code"),
    [
        ("US", "8332-3762", "08332-3762"),
        ("US", "4468", "04468"),
        ("US", "601", "00601"),
        ("US", "97201", "97201"),
        ("US", "083323762", "08332-3762"),
        ("US", "8015-385", "08015-0385"),
        ("US", "12", None),
        ("US", "9720X", None),
        ("AU", "800", "0800"),
        ("AU", "6007", "6007"),
        ("AU", "60070", None),
        ("GB", "SW1A 1AA", "SW1A 1AA"),
    ],
)
def test_lost_zeros_of_postal_codes_come_back(country: str, text: str, code: str | None) -> None:
    assert places.postal_code(country, text) == code


@pytest.mark.parametrize(
    ("country", "state", "found"),
    [
        ("", "WA", "US"),
        ("", "Washington", "US"),
        ("", "Western Australia", "AU"),
        ("", "NSW", "AU"),
        ("", "SA", "AU"),
        ("", "", "US"),
        ("au", "WA", "AU"),
        ("USA", "", "US"),
        ("", "Ontario", None),
        ("Canada", "", None),
    ],
)
def test_the_country_comes_from_the_file_or_the_state(country: str, state: str, found: str | None) -> None:
    assert places.country_of(country, state) == found


@pytest.mark.parametrize(
    ("state", "postal", "zone"),
    [
        ("NJ", None, "America/New_York"),
        ("New Jersey", None, "America/New_York"),
        ("TN", "37203", "America/Chicago"),
        ("TN", "37902", "America/New_York"),
        ("TN", "37399", None),
        ("TX", "79901", "America/Denver"),
        ("TX", "75201", "America/Chicago"),
        ("AZ", "85001", "America/Phoenix"),
        ("AZ", "86515", "America/Denver"),
        ("AZ", "86502", None),
        ("KY", None, None),
        ("HI", None, "Pacific/Honolulu"),
        ("AE", "09012", None),
    ],
)
def test_a_state_tells_its_zone_and_a_split_one_by_zip(state: str, postal: str | None, zone: str | None) -> None:
    assert places.zone_of_state("US", state, postal) == zone


def test_every_zone_of_the_table_exists() -> None:
    from domain import states

    tables = [*states.BY_ZIP.values(), states.ONE_ZONE, states.AUSTRALIA, states.AUSTRALIA_CODES]
    named = {zone for table in tables for zone in table.values()} - {states.UNKNOWN}
    assert all(places.is_zone(zone) for zone in named)
    assert len(states.US) == 56
    assert set(states.US_NAMES.values()) == states.US


def test_coordinates_tell_the_zone_of_the_land() -> None:
    assert places.zone_at(39.4056, -75.0392) == "America/New_York"
    assert places.zone_at(-34.90658, 138.613167) == "Australia/Adelaide"
    assert places.zone_at(0.0, 0.0) is None


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("39.4", ""), ("", "-75"), ("91", "0"), ("0", "181"), ("north", "0"), ("nan", "0"), ("inf", "0")],
)
def test_half_or_absurd_coordinates_are_none(latitude: str, longitude: str) -> None:
    assert places.coordinates(latitude, longitude) is None


def test_coordinates_outside_their_state_are_noticed() -> None:
    assert not places.in_state("America/Chicago", "US", "NM")
    assert places.in_state("America/Denver", "US", "AZ")
    assert places.in_state("America/Indiana/Marengo", "US", "IN")
    assert places.in_state("Europe/Paris", "FR", None)


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("605-964-8917", "US", "+16059648917"),
        ("(856) 825-7742", "US", "+18568257742"),
        ("580-371-2361 or 877-240-2720", "US", "+15803712361"),
        ("406-268-1587 Ext 16", "US", "+14062681587"),
        ("892006282", "AU", "+61892006282"),
        ("1300342255", "AU", "+611300342255"),
        ("+13028369387", "AU", "+13028369387"),
        ("(609) 877-700", "US", None),
        ("000-000-0000", "US", None),
        ("none", "US", None),
    ],
)
def test_phones_become_e164(text: str, country: str, number: str | None) -> None:
    assert phones.e164(text, country) == number
