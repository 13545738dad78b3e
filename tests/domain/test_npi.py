"""The check digit, against the number CMS prints in its standard and every one-digit slip from it."""

import pytest

from domain import npi

PRINTED = "1234567893"


def test_the_printed_example_is_valid() -> None:
    assert npi.is_valid(PRINTED)


def test_every_single_wrong_digit_is_noticed() -> None:
    for at in range(10):
        for digit in "0123456789":
            slip = PRINTED[:at] + digit + PRINTED[at + 1 :]
            assert npi.is_valid(slip) is (slip == PRINTED)


@pytest.mark.parametrize(
    "text", ["", "123456789", "12345678930", "3234567893", "123456789x", "１２３４５６７８９３", " 1234567893"]
)
def test_what_is_not_ten_digits_is_no_npi(text: str) -> None:
    assert not npi.is_valid(text)
