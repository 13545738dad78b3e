"""What lines become, and what a second look at them changes."""

from dataclasses import replace

import pytest

from domain import imports
from domain.imports import Addresses, ClinicRow, Place
from domain.tables import RefusedLine

GOOD = {
    "name": "Minni-Tohe Health Center",
    "address": "1 Minne-Tohe Drive",
    "city": "New Town",
    "state": "ND",
    "postal_code": "58763",
    "latitude": "47.981652",
    "longitude": "-102.57674",
    "phone": "701-627-4701",
}


def clinic(**changed: str) -> tuple[ClinicRow, list[str]]:
    warnings: list[str] = []
    return imports.clinic_row("key", GOOD | changed, warnings.append), warnings


def test_a_clinic_without_a_zone_has_that_of_its_coordinates() -> None:
    row, warnings = clinic()
    assert (row.time_zone, row.zone_named, row.phone) == ("America/Chicago", False, "+17016274701")
    assert warnings == []


def test_the_zone_that_the_file_names_counts_most() -> None:
    row, _ = clinic(time_zone="America/North_Dakota/New_Salem")
    assert (row.time_zone, row.zone_named) == ("America/North_Dakota/New_Salem", True)


def test_half_a_coordinate_is_left_out_and_the_state_tells_the_zone() -> None:
    row, warnings = clinic(longitude="", state="WI")
    assert (row.latitude, row.longitude, row.time_zone) == (None, None, "America/Chicago")
    assert warnings == ["coordinates '47.981652', '' are not valid: left out"]


def test_coordinates_in_another_time_than_their_state_are_left_out() -> None:
    row, warnings = clinic(state="NM")
    assert (row.latitude, row.time_zone) == (None, "America/Denver")
    assert warnings == ["coordinates in America/Chicago cannot be in NM: left out"]


NOWHERE = {"latitude": "", "longitude": ""}
UNTOLD = "no time zone: none named, no coordinates, and {} does not tell it"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"name": ""}, "the name is empty"),
        ({"city": ""}, "the city is empty"),
        ({"time_zone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ({"time_zone": "../../etc/passwd"}, "unknown time zone '../../etc/passwd'"),
        ({"state": "Ontario"}, "no country, and 'Ontario' is no state of the US or Australia"),
        ({"state": "", "time_zone": "Europe/Paris"}, "neither country nor state, and Europe/Paris is not in the US"),
        (NOWHERE | {"state": "KY", "postal_code": ""}, UNTOLD.format("US KY")),
        (NOWHERE | {"country": "FR"}, UNTOLD.format("FR ND 58763")),
    ],
)
def test_what_is_needed_is_refused_when_it_is_missing(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(RefusedLine) as refusal:
        clinic(**changed)
    assert str(refusal.value) == reason


def test_what_a_file_leaves_out_stays_as_it_is_stored() -> None:
    stored, _ = clinic(time_zone="America/North_Dakota/New_Salem")
    row, _ = clinic(phone="", latitude="", longitude="", address="", name="New name")
    assert row.over(stored) == replace(stored, name="New name")


def test_one_id_for_two_clinics_is_noticed() -> None:
    stored, _ = clinic()
    assert not clinic(name="Renamed")[0].another_than(stored)
    assert not clinic(address="2 Other Street", postal_code="58764")[0].another_than(stored)
    assert clinic(name="Other", address="2 Other Street", postal_code="58764")[0].another_than(stored)


def test_specialties_go_through_the_crosswalk() -> None:
    names = {"OBSTETRICS GYNECOLOGY": "Obstetrics & Gynecology"}
    warnings: list[str] = []
    text = "OBSTETRICS   GYNECOLOGY; WIZARDRY OF THE SEA; Dermatology; Obstetrics/Gynecology"
    found = imports.specialties(text, names, warnings.append)
    assert found == ("Obstetrics & Gynecology", "Wizardry of the Sea", "Dermatology")
    assert len(warnings) == 1


def test_places_find_their_clinic_with_or_without_the_suite() -> None:
    known = Addresses(
        [
            (1, "97201-1234", ["10 Oak Street Suite 1"]),
            (2, "97201", ["10 Oak St", "Ste 2"]),
            (3, "97201", ["77 Elm Avenue Suite 9"]),
            (4, "97202", ["10 Oak St"]),
        ]
    )

    def find(address: str, zip5: str = "97201") -> list[int]:
        return known.find(Place(address, "Portland", "OR", zip5))

    assert find("10 OAK ST STE 2") == [2]
    assert find("10 OAK ST") == [1, 2]
    assert find("77 ELM AVE") == [3]
    assert find("10 OAK ST", "97202") == [4]
    assert find("11 OAK ST") == []


def test_batches_stay_under_the_limit() -> None:
    weights = [3] * 400 + [700] + [499, 1, 1]
    batches = list(imports.batches(weights, lambda weight: weight))
    assert [item for batch in batches for item in batch] == weights
    assert all(sum(batch) <= imports.BATCH_ROWS for batch in batches if len(batch) > 1)
