"""Words as they are compared, what they are worth, and the order of hits."""

from datetime import date
from math import isclose
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import folding, search, search_documents, search_matched, search_order, search_terms
from domain.clinics import Address, Clinic, GeoPoint, Modality, Provider, ProviderKind, VisitType
from domain.search import Candidate, Document, FacetField, Part, Sort, Wanted
from domain.search_documents import terms
from tests import search_oracle


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ångström-ÅNGSTRÖM", ("angstrom", "angstrom")),
        ("Łódź Øre Straße Æsop Đặng İstanbul", ("lodz", "ore", "strasse", "aesop", "dang", "istanbul")),
        ("O'Brien O’Brien Oʻahu", ("obrien", "obrien", "oahu")),
        ("Jane Doe, M.D., Ph.D.", ("jane", "doe", "md", "ph", "d")),
        ("obstetrics & gynecology (ob/gyn)", ("obstetrics", "gynecology", "ob", "gyn")),
        ("ﬁne ①²", ("fine", "12")),
        ("हिन्दी 皮膚科 العربية", ("हिन्दी", "皮膚科", "العربية")),
        ("_under_score_", ("under", "score")),
        ("!?\x00\u200b", ()),
    ],
)
def test_words_are_letters_and_digits_without_accents_and_case(text: str, words: tuple[str, ...]) -> None:
    assert folding.words(text) == words


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = folding.fold(text)
    assert folding.fold(folded) == folded
    assert all(len(word) <= folding.WORD_MAX for word in folding.words(text))


LETTERS = st.text("abc", max_size=6)


@given(LETTERS, LETTERS)
def test_a_distance_is_the_same_both_ways_and_never_above_the_most(one: str, other: str) -> None:
    exact = _distance(one, other)
    for most in (0, 1, 2, 3):
        assert folding.distance(one, other, most) == folding.distance(other, one, most) == min(exact, most + 1)


def _distance(one: str, other: str) -> int:
    """By its definition, letter by letter."""
    if not one or not other:
        return len(one) + len(other)
    ways = [
        _distance(one[1:], other) + 1,
        _distance(one, other[1:]) + 1,
        _distance(one[1:], other[1:]) + (one[0] != other[0]),
    ]
    if len(one) > 1 and len(other) > 1 and one[:2] == other[1::-1]:
        ways.append(_distance(one[2:], other[2:]) + 1)
    return min(ways)


@given(st.text("abcdef", min_size=4, max_size=9), st.integers(0, 2**32))
def test_one_mistake_always_shares_a_deletion(word: str, seed: int) -> None:
    wrong = search_oracle.misspelled(Random(seed), word)
    assert not set(folding.deletions(word)).isdisjoint(folding.deletions(wrong))


@pytest.mark.parametrize(
    ("asked", "term", "points"),
    [
        ("osei", "n:osei", search.NAME_WORD),
        ("ose", "n:osei", search.NAME_BEGINNING),
        ("osie", "n:osei", search.NAME_NEAR),
        ("oser", "s:osei", search.OTHER_NEAR),
        ("derm", "s:dermatology", search.OTHER_BEGINNING),
        ("dermatolojist", "s:dermatologist", search.OTHER_NEAR),
        ("dermatolojits", "s:dermatologist", search.FAR),
        ("boise", "p:boise", search.PLACE_WORD),
        ("video", "v:video", search.VISIT_WORD),
        ("83702", "p:83703", 0),
        ("lee", "n:lea", 0),
        ("o", "n:osei", 0),
        ("osei", "l:osei", 0),
        ("osei", "S:osei", 0),
    ],
)
def test_a_word_is_worth_its_best_way(asked: str, term: str, points: int) -> None:
    assert search_terms.worth(asked, term) == points


def test_ways_give_the_points_that_looking_at_each_document_gives() -> None:
    random = Random(3)
    documents = [search_oracle.document(random, number, number) for number in range(60)]
    known = sorted({term for one in documents for term in terms(one)})
    for _ in range(300):
        part = search_oracle.part(random)
        ways = search_terms.ways([part], known)
        for one in documents:
            expected = search_oracle.points(part, one)
            if expected or len(part.words[0]) < search.FAR_MIN:
                assert _met(ways, one) == expected, (part, one)


def _met(ways: list[search_terms.Way], one: Document) -> int:
    had = set(terms(one))
    met = [way.points for way in ways if (set(way.terms) <= had if way.phrase else had & set(way.terms))]
    return max(met, default=0)


def test_distances_are_the_great_circles() -> None:
    boise, london, sydney = GeoPoint(43.615, -116.2023), GeoPoint(51.5072, -0.1276), GeoPoint(-33.8688, 151.2093)
    assert isclose(search_order.distance_km(london, sydney), 16993.9, abs_tol=1)
    assert isclose(search_order.distance_km(boise, london), search_order.distance_km(london, boise))
    assert search_order.distance_km(boise, boise) == 0
    assert isclose(search_order.distance_km(GeoPoint(0, 179.9), GeoPoint(0, -179.9)), 22.239, abs_tol=0.01)
    assert isclose(search_order.distance_km(GeoPoint(90, 0), GeoPoint(-90, 50)), 20015.1, abs_tol=0.1)


def candidate(number: int, **facts: object) -> Candidate:
    given: dict[str, object] = {
        "pair": (number, number % 3 + 1),
        "score": 0,
        "sort_name": f"name {number}",
        "specialties": ("Dermatology",),
        "languages": (),
        "visit_types": (1,),
        "modalities": (Modality.IN_PERSON,),
        "location": None,
    }
    return Candidate(**(given | facts))  # type: ignore[arg-type]


def test_soonest_is_by_start_then_points_then_distance_then_name_and_those_without_a_time_are_last() -> None:
    near = GeoPoint(43, -116)
    ones = [
        candidate(1),
        candidate(2, score=5),
        candidate(3, score=5, location=GeoPoint(43, -116)),
        candidate(4, score=5, location=GeoPoint(43.1, -116)),
        candidate(5, score=90),
        candidate(6, sort_name="a name"),
    ]
    starts = {one.pair: 100 for one in ones if one.pair[0] != 5} | {ones[3].pair: 99}
    found = search_oracle.decided(ones, starts, Wanted(near=near), Sort.SOONEST, 10, None)
    assert [one.pair[0] for one in found.matches] == [4, 3, 2, 6, 1, 5]
    for place in (0, 3, 4):
        rest = search_oracle.decided(ones, starts, Wanted(near=near), Sort.SOONEST, 10, found.matches[place].place)
        assert rest.matches == found.matches[place + 1 :]
        assert (rest.total, rest.facets) == (found.total, found.facets)


def test_a_facet_has_fifty_values_at_most_the_largest_first() -> None:
    ones = [candidate(number, specialties=(f"S{number % 60:02}",)) for number in range(1, 100)]
    values = search_oracle.decided(ones, {}, Wanted(), Sort.NAME, 1, None).facets[FacetField.SPECIALTY]
    assert len(values) == search.FACET_VALUES_MAX
    assert values == sorted(values, key=lambda value: (-value[1], value[0]))
    assert values[0] == ("S01", 2)


CLINIC = Clinic(
    7, 1, True, "Foothills Clinic", "America/Boise", Address(["1 Elm"], "Boise", "ID", "83702", "US"), GeoPoint(43, -116), None
)  # fmt: skip


def kind(key: int, name: str, modality: Modality = Modality.IN_PERSON, active: bool = True) -> VisitType:
    return VisitType(key, 1, active, name, 30, 0, 0, None, 0, 90, 0, modality)


def provider(**facts: object) -> Provider:
    given: dict[str, object] = {
        "key": 3,
        "version": 1,
        "active": True,
        "kind": ProviderKind.PERSON,
        "npi": None,
        "name": "Dr Łucja Osei",
        "specialties": ["Dermatology", "Dermatology"],
        "languages": ["pt-BR", "pt", "zh-Hant"],
        "accepting_new_patients": True,
        "clinic_keys": (7,),
        "visit_type_keys": (1, 2, 3),
    }
    return Provider(**(given | facts))  # type: ignore[arg-type]


KINDS = [kind(1, "Video call", Modality.VIDEO), kind(2, "check-up"), kind(3, "Old", Modality.PHONE, active=False)]


def test_a_document_has_what_is_searched() -> None:
    day = date(2026, 5, 4)
    made = search_documents.document(provider(), CLINIC, KINDS, {"Dermatology": ["skin doctor"]}, {1: day, 3: day}, 12)
    assert made.listed
    assert made.pair == (3, 7)
    assert made.sort_name == "dr lucja osei"
    assert made.specialties == ("Dermatology",)
    assert made.specialty_words == ("dermatology", "skin", "doctor")
    assert (made.languages, made.spoken) == (("pt-BR", "pt", "zh-Hant"), ("pt", "zh"))
    assert made.place_words == ("foothills", "clinic", "boise", "id", "idaho", "83702")
    assert made.visit_words == ("check", "up", "video", "call")
    assert made.visit_types == (2, 1)
    assert made.modalities == (Modality.IN_PERSON, Modality.VIDEO)
    assert made.next_days == {1: day}


@pytest.mark.parametrize("gone", ["provider", "clinic", "link"])
def test_who_does_not_work_there_any_more_is_not_listed(gone: str) -> None:
    one = provider(active=gone != "provider", clinic_keys=() if gone == "link" else (7,))
    place = Clinic(7, 2, gone != "clinic", "F", "UTC", Address([], "B", None, None, "US"), None, None)
    assert not search_documents.document(one, place, KINDS, {}, {}, 1).listed


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part(("osei",)), "name"),
        (Part(("lucjs",)), "name"),
        (Part(("o",), optional=True), "name"),
        (Part(("se",), joined=("osei",)), "name"),
        (Part(("skin", "doctor"), frozenset({"Dermatology"})), "specialty: Dermatology"),
        (Part(("skin",)), "specialty: Dermatology"),
        (Part(("brazilian",), languages=frozenset({"pt"})), "language: <pt-BR>"),
        (Part(("boise",)), "place: Boise"),
        (Part(("foot",)), "place: Foothills Clinic"),
        (Part(("idaho",)), "place: Idaho"),
        (Part(("telehealth",), modalities=frozenset({Modality.VIDEO})), "visit type: Video call"),
        (Part(("check",)), "visit type: check-up"),
    ],
)
def test_what_matched_is_said(part: Part, said: str) -> None:
    hit = search_matched.Hit(provider(), CLINIC, [KINDS[1], KINDS[0]])
    synonyms = {"Dermatology": ["skin doctor"]}
    assert search_matched.matched([part, part], hit, synonyms, lambda tag: f"<{tag}>") == [said]
