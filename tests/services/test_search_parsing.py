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
        ("eye doctor near me", [("eye doctor", {"Ophthalmology", "Optometrist"})]),
        ("Portland ME", [("portland", set()), ("me", set())]),
        ("kidney stones", [("kidney stones", {"Nephrology", "Urology"})]),
    ],
)
def test_phrases_stand_for_something_the_longest_first(text: str, parts: list[tuple[str, set[str]]]) -> None:
    assert shown(text) == parts


@pytest.mark.parametrize(
    ("text", "must", "may"),
    [
        ("Ana Q. Osei, MD", "ana osei", "q md"),
        ("Dr Osei Jr", "osei", "jr"),
        ("osei a", "osei", ""),
        ("ana o brien", "ana brien", "o"),
        ("eye doctor in Portland OR", "eye doctor portland", "or"),
        ("osei or", "osei", "or"),
        ("md", "md", ""),
        ("j", "j", ""),
    ],
)
def test_initials_and_titles_only_help(text: str, must: str, may: str) -> None:
    parts = parsing.parts(text)
    assert " ".join(word for part in parts if not part.optional for word in part.words) == must
    assert " ".join(word for part in parts if part.optional for word in part.words) == may


def test_neighbouring_words_may_be_one_name() -> None:
    assert [part.joined for part in parsing.parts("Ana O'Brien-Łoś")] == [
        ("anaobrien", "anaobrienlos"),
        ("anaobrien", "anaobrienlos", "obrienlos"),
        ("anaobrienlos", "obrienlos"),
    ]
    assert [part.joined for part in parsing.parts("osei skin doctor")] == [(), ()]


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
