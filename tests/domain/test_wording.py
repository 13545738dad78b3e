"""Capitals to normal case, and two spellings of one address to one key."""

import pytest

from domain import wording


@pytest.mark.parametrize(
    ("shouted", "name"),
    [
        ("JASON ATKINSON", "Jason Atkinson"),
        ("LAURA MCCULLY", "Laura McCully"),
        ("PAT O'BRIEN", "Pat O'Brien"),
        ("ANA SMITH-JONES", "Ana Smith-Jones"),
        ("JOHN DOE III", "John Doe III"),
        ("MARIA VANBEBBER", "Maria Vanbebber"),
        ("José de la Cruz", "José de la Cruz"),
        ("ÅSA ÖBERG", "Åsa Öberg"),
    ],
)
def test_names(shouted: str, name: str) -> None:
    assert wording.person(shouted) == name


@pytest.mark.parametrize(
    ("shouted", "place"),
    [
        ("73 E 200 N", "73 E 200 N"),
        ("33 VARDEN DR SW", "33 Varden Dr SW"),
        ("100 1ST AVE", "100 1st Ave"),
        ("MCALLEN", "McAllen"),
        ("Palm Beach Gardens", "Palm Beach Gardens"),
    ],
)
def test_addresses(shouted: str, place: str) -> None:
    assert wording.place(shouted) == place


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4510 Medical Center Drive, Suite 206", "4510 MEDICAL CTR DR STE 206"),
        ("123 North Main Street #4", "123 N MAIN ST # 4"),
        ("1 St. Mary's Road", "1 SAINT MARYS RD"),
        ("500 W. Parkway, Apt. 2-B", "500 West PKWY unit 2 B"),
    ],
)
def test_two_spellings_have_one_key(one: str, other: str) -> None:
    assert wording.address_key(one) == wording.address_key(other)


def test_normal_case_keeps_the_key() -> None:
    for text in ("4510 MEDICAL CENTER DR SUITE 206", "1ST FLOOR 20 O'HARA LN NW", "US HWY 160 S MP 394"):
        assert wording.address_key(wording.place(text)) == wording.address_key(text)


def test_a_building_has_no_suite() -> None:
    assert wording.building_key(wording.address_key("20 Oak St Suite 5")) == wording.address_key("20 Oak Street")
    assert wording.building_key(wording.address_key("20 Oak St 2nd Floor")) == wording.address_key("20 Oak Street")
    assert wording.address_key("20 Oak St Suite 5") != wording.address_key("20 Oak St Suite 6")
