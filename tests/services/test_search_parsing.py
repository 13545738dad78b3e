"""What a text asks for: phrases that stand for something, words, and words that say nothing."""

import pytest

from app.demo.providers import SPECIALTIES
from domain.clinics import Modality
from domain.search import Part
from services.imports.providers import specialty_names
from services.searching import languages, parsing, synonyms


def shown(text: str) -> list[tuple[str, set[str]]]:
    """The words of each part, and what it stands for."""
    return [
        (" ".join(part.words), {*part.specialties, *part.languages, *(one.name for one in part.modalities)})
        for part in parsing.parts(text)
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" .,;", []),
        ("skin doctor", [("skin doctor", {"Dermatology"})]),
        ("Skin  Doctors near me", [("skin doctors", {"Dermatology"})]),
        ("dr osei", [("osei", set())]),
        ("doctor", [("doctor", set())]),
        ("near me", [("near", set()), ("me", set())]),
        ("speaks Polish", [("polish", {"pl"})]),
        ("polski", [("polski", {"pl"})]),
        ("español", [("espanol", {"es"})]),
        ("American Sign Language", [("american sign language", {"ase"})]),
        ("video visit", [("video visit", {"VIDEO"})]),
        ("telehealth with a psychiatrist", [("telehealth", {"VIDEO"}), ("psychiatrist", {"Psychiatry"})]),
        ("foot doctor in Boise", [("foot doctor", {"Podiatrist"}), ("boise", set())]),
        ("ear nose and throat", [("ear nose and throat", {"Otolaryngology"})]),
        ("osei osei OSEI", [("osei", set())]),
    ],
)
def test_phrases_stand_for_something_the_longest_first(text: str, parts: list[tuple[str, set[str]]]) -> None:
    assert shown(text) == parts


def test_a_word_may_stand_for_several_specialties() -> None:
    (part,) = parsing.parts("eye doctor")
    assert part.specialties == {"Ophthalmology", "Optometrist"}


def test_our_list_knows_every_specialty_that_we_import_and_show() -> None:
    known = {*specialty_names().values(), *(name for name, _, _ in SPECIALTIES)}
    assert known - synonyms.of_specialties().keys() == set()
    for name in known:
        (part,) = parsing.parts(name) if len(parsing.parts(name)) == 1 else [Part(("?",))]
        assert name in part.specialties, name


def test_languages_have_their_names() -> None:
    assert languages.english("pl") == "Polish"
    assert languages.english("pt-BR") == "Brazilian Portuguese"
    assert languages.english("zh-Hant-TW") == "Chinese"
    assert languages.english("xx-YY") == "xx-YY"
    assert languages.names()["de"] == ("German", "Deutsch")


def test_modalities_have_words() -> None:
    assert parsing.parts("phone")[0].modalities == {Modality.PHONE}
    assert parsing.parts("in person")[0].modalities == {Modality.IN_PERSON}
