"""Invented names. Surnames are put together from words of the landscape, so that they are nobody's."""

from random import Random
from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN: Final = _words(
    """Ada Aiko Alma Amara Amir Anders Anika Anton Arlo Asha Aurelia Beatriz Bela Bodhi Bruno Camila Casper Celia Chiara
    Cyrus Dahlia Dalia Dario Delia Dima Edda Eitan Elio Elise Emeka Enzo Esme Farid Fatou Felix Fiona Freya Gael Greta
    Hana Hugo Ida Ilya Imani Ines Ingrid Isla Iván Jamal Jin Jonas Josefa Kai Kamal Kenji Kiran Laila Lars Leila Lena
    Leo Linh Lior Luca Lucía Magnus Mai Malik Marisol Mateo Maya Mei Mila Milo Nadia Naoko Niko Nils Noor Nora Odette
    Olga Omar Oona Oskar Paloma Petra Priya Quinn Rafael Ravi Renata Rosa Ruth Salma Samir Sana Selma Sanjay Soren
    Sunita Tala Tariq Thea Theo Tomás Uma Valeria Vera Viktor Wanda Wren Xenia Yara Yusuf Zahra Zora"""
)
FIRST: Final = _words(
    """Alder Amber Apple Ash Barley Beech Birch Bramble Briar Cedar Cherry Clover Copper Cotton Elder Fern Finch Flint
    Fox Heather Hazel Heron Juniper Larch Laurel Lark Linden Maple Marsh Meadow Mill Moss Oak Otter Pebble Plum Quarry
    Raven River Rowan Sage Silver Sorrel Stone Swallow Thistle Willow Winter Wren Yarrow"""
)
LAST: Final = _words(
    """bank beck bourne bridge brook combe crest croft dale fell field ford garth gate glen haven heath hollow holme
    hurst lake lea meadow mere moor mount ridge shaw shore stead stone thorpe vale wade wick wood worth"""
)
STREETS: Final = _words(
    """Maple Cedar Orchard Harbor Juniper Canal Prairie Summit Willow Lakeview Chestnut Garden Mill Station Sycamore
    Meadow Riverside Clover Hillside Poplar Market Laurel Park Quarry Sunset Bridge Elm Fairview Heron Linden"""
)
KINDS: Final = ("Street", "Street", "Avenue", "Avenue", "Road", "Lane", "Way", "Drive")
PRACTICES: Final = (
    "Family Health",
    "Medical Center",
    "Community Clinic",
    "Health Partners",
    "Primary Care",
    "Family Medicine",
    "Wellness Clinic",
    "Health Center",
    "Internal Medicine",
    "Women's Health",
    "Children's Clinic",
    "Specialty Care",
)


def person(random: Random) -> str:
    first, last = random.choice(FIRST), random.choice(LAST)
    while first.lower() == last:
        last = random.choice(LAST)
    return f"{random.choice(GIVEN)} {first}{last}"


def street(random: Random) -> str:
    return f"{random.choice(STREETS)} {random.choice(KINDS)}"


def practice(random: Random, on_street: str, city: str) -> str:
    """The name of a clinic, after its street or its town."""
    after = on_street if random.random() < 0.7 else city
    return f"{after} {random.choice(PRACTICES)}"


def npi(number: int) -> str | None:
    """A valid NPI of the range 1999, which is far beyond those given out; None where the range is used up."""
    if not 0 <= number < 100_000:
        return None
    payload = f"1999{number:05d}"
    digits = [int(digit) for digit in f"80840{payload}"]
    doubled = [sum(divmod(digit * 2, 10)) for digit in reversed(digits)][::2]
    plain = list(reversed(digits))[1::2]
    return f"{payload}{-(sum(doubled) + sum(plain)) % 10}"
