"""Search the slow way: every document looked at, word by word; and documents and questions made at random."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from random import Random

from domain import folding, search, search_documents, search_order
from domain.clinics import GeoPoint, Modality
from domain.search import Candidate, Document, FacetField, Found, Match, Pair, Part, Sort, Wanted
from domain.search_crowd import Crowd
from domain.search_order import NOWHERE, Place

FIRST_NAMES = (
    "Maria",
    "Marie",
    "José",
    "John",
    "Jon",
    "Ana",
    "Łucja",
    "Bjørn",
    "Margaret",
    "Christopher",
    "Cristopher",
)
LAST_NAMES = ("Osei", "Smith", "Smyth", "O'Brien", "Nguyễn", "Müller", "García", "Garza", "Johansson", "Jackson", "Lee")
SPECIALTIES = ("Dermatology", "Cardiovascular Disease", "Family Medicine", "Podiatrist", "Own & Other")
SYNONYMS = {"Dermatology": ["skin doctor", "dermatologist"], "Cardiovascular Disease": ["heart doctor", "cardiologist"]}
LANGUAGES = ("en", "es", "pl", "pt-BR", "ase")
CITIES = ("Boise", "Nampa", "New York", "Yorkville", "São Paulo, MA")
VISITS = ("Check-up", "Video visit", "Physical exam", "Lab 2")
BY = (Modality.IN_PERSON, Modality.VIDEO, Modality.IN_PERSON, Modality.PHONE)
TODAY = date(2026, 5, 4)


def document(random: Random, provider: int, clinic: int) -> Document:
    name = f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"
    specialties = tuple(random.sample(SPECIALTIES, random.choice((1, 1, 1, 2))))
    languages = tuple(random.sample(LANGUAGES, random.choice((0, 1, 2))))
    city = CITIES[clinic % len(CITIES)]
    kinds = tuple(sorted(random.sample(range(1, 5), random.choice((0, 1, 2, 3)))))
    texts = [text for one in specialties for text in (one, *SYNONYMS.get(one, ()))]
    return Document(
        provider_key=provider,
        clinic_key=clinic,
        seq=provider % 7,
        listed=random.random() < 0.95,
        name=name,
        sort_name=folding.fold(name),
        name_words=folding.distinct(name),
        specialties=specialties,
        specialty_words=folding.distinct(*texts),
        languages=languages,
        spoken=search_documents.spoken(languages),
        clinic_name=f"{city} Clinic",
        place_words=folding.distinct(f"{city} Clinic", city, "8370" + str(clinic % 3)),
        visit_words=folding.distinct(*(VISITS[key - 1] for key in kinds)),
        visit_types=kinds,
        modalities=tuple(one for one in Modality if any(BY[key - 1] is one for key in kinds)),
        accepting=random.random() < 0.7,
        location=None if clinic % 6 == 5 else GeoPoint(43 + clinic % 4 / 10, -116 + clinic % 5 / 10),
        next_days={key: TODAY + timedelta(days=random.randrange(3)) for key in kinds if random.random() < 0.7},
    )


def wanted(random: Random) -> Wanted:
    """A question; most have few filters."""
    near = GeoPoint(43.05, -115.9) if random.random() < 0.4 else None
    kind = random.choice((None, None, 1, 2, 9))
    return Wanted(
        parts=parts(random),
        visit_type=kind,
        visit_modality=BY[kind - 1] if kind in (1, 2) else None,
        specialties=_some(random, (*SPECIALTIES, "Nobody's")),
        languages=_some(random, (*LANGUAGES, "pt")),
        clinics=tuple(random.sample(range(30), 6)) if random.random() < 0.2 else (),
        near=near,
        within_km=random.choice((None, 0.0, 12.5, 30.0)) if near else None,
        accepting=random.random() < 0.2,
        modality=random.choice(list(Modality)) if random.random() < 0.2 else None,
    )


def parts(random: Random) -> tuple[Part, ...]:
    found = tuple(dict.fromkeys(part(random) for _ in range(random.choice((0, 1, 1, 2, 3)))))
    return found if any(not one.optional for one in found) else ()


def _some(random: Random, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(random.sample(values, random.choice((1, 2)))) if random.random() < 0.25 else ()


def part(random: Random) -> Part:
    lists = random.random()
    if lists < 0.15:
        return Part(("skin", "doctor"), frozenset({"Dermatology"}))
    if lists < 0.25:
        return Part((random.choice(("portuguese", "polish")),), languages=frozenset({random.choice(("pt", "pl"))}))
    if lists < 0.3:
        return Part(("video",), modalities=frozenset({Modality.VIDEO}))
    if lists < 0.35:
        return Part((random.choice(("j", "m", "ma", "phd", "2")),), optional=True)
    if lists < 0.4:
        return Part(("o",), joined=("obrien",), optional=random.random() < 0.5)
    if lists < 0.45:
        return Part(("brien",), joined=("obrien", "anao"))
    pool = [
        *FIRST_NAMES,
        *LAST_NAMES,
        *CITIES,
        *SPECIALTIES,
        "skin",
        "dermatologist",
        "83701",
        "lab",
        "2",
        "doctor",
        "exam",
    ]
    word = random.choice(folding.words(random.choice(pool)))
    change = random.random()
    if change < 0.25:
        word = word[: random.randrange(1, len(word) + 1)]
    elif change < 0.6:
        word = misspelled(random, word)
    return Part((word,))


def misspelled(random: Random, word: str) -> str:
    """With one mistake: a letter gone, one too many, another one, or two exchanged."""
    at = random.randrange(len(word))
    return random.choice(
        (
            word[:at] + word[at + 1 :] or word,
            word[:at] + random.choice("aeiost") + word[at:],
            word[:at] + random.choice("aeiost") + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
        )
    )


def points(asked: Part, one: Document, visit_modality: Modality | None = None) -> int:
    """The best way, without those of two mistakes: which of them are found depends on the engine."""
    fields = (
        (one.name_words, 12, 9, 4),
        (one.specialty_words, 7, 5, 3),
        (one.place_words, 6, 5, 3),
        (one.visit_words, 6, 5, 3),
    )
    ways = [0]
    ways += [search.SPECIALTY] * (not asked.specialties.isdisjoint(one.specialties))
    ways += [search.LANGUAGE] * (not asked.languages.isdisjoint(one.spoken))
    ways += [search.MODALITY] * (
        not asked.modalities.isdisjoint([visit_modality] if visit_modality else one.modalities)
    )
    ways += [search.NAME_WORD] * (not set(asked.joined).isdisjoint(one.name_words))
    if asked.optional and len(asked.words[0]) == 1:
        ways += [search.NAME_BEGINNING] * any(other.startswith(asked.words[0]) for other in one.name_words)
    for words, exact, beginning, near in fields:
        if set(asked.words) <= set(words):
            short = words is one.place_words and len(asked.words) == 1 and len(asked.words[0]) == 2
            ways.append(search.PLACE_CODE if short else exact)
        if len(asked.words) > 1 or asked.optional:
            continue
        word = asked.words[0]
        if len(word) >= 2 and any(other.startswith(word) for other in words):
            ways.append(beginning)
        if len(word) >= 4 and word.isalpha():
            ways += [near for other in words if other.isalpha() and folding.distance(word, other, 1) <= 1]
    return max(ways)


def found(documents: Sequence[Document], asked: Wanted, sort: Sort, first: int, after: Place | None) -> Found:
    """What an engine answers."""
    base = [(one, score) for one in documents if (score := _score(asked, one)) is not None and _fits(asked, one)]
    hits = [(one, score) for one, score in base if all(_passes(asked, one, field) for field in FacetField)]
    placed = sorted((_place(asked, sort, one, score), score) for one, score in hits)
    page = [(where, score) for where, score in placed if after is None or where > after][:first]
    facets = {}
    for field in FacetField:
        counts: Counter[str] = Counter()
        for one, _ in base:
            if all(_passes(asked, one, other) for other in FacetField if other is not field):
                counts.update(_values(asked, one, field))
        facets[field] = sorted(
            counts.items(), key=lambda pair: (-pair[1], int(pair[0]) if field is FacetField.CLINIC else pair[0])
        )[:50]
    return Found([Match((where[4], where[5]), score, where) for where, score in page], len(hits), facets)


def decided(
    candidates: Sequence[Candidate],
    starts: Mapping[Pair, int],
    asked: Wanted,
    sort: Sort,
    first: int,
    after: Place | None,
    there: set[Pair] | None = None,
) -> Found:
    """A page of candidates as the product makes it. `starts`: UTC minutes, for SOONEST; `there`: who has a time between dates."""
    crowd = Crowd(asked)
    for _ in crowd.adding(candidates):
        pass
    beside = None if there is None else [pair if pair in there else None for pair, _ in crowd.asked]
    if sort is Sort.SOONEST:
        times = [starts.get(pair, NOWHERE) for pair, _ in crowd.hits_asked]
        matches = [match for match, _ in crowd.soonest(times, first, after, beside)]
    else:
        for _ in crowd.placing(sort):
            pass
        matches = crowd.page(sort, first, after, beside)
    return Found(matches, *crowd.facets(beside))


def _score(asked: Wanted, one: Document) -> int | None:
    each = [(points(part, one, asked.visit_modality), part.optional) for part in asked.parts]
    return sum(score for score, _ in each) if all(score or optional for score, optional in each) else None


def _km(asked: Wanted, one: Document) -> float | None:
    return search_order.distance_km(asked.near, one.location) if asked.near and one.location else None


def _fits(asked: Wanted, one: Document) -> bool:
    km = _km(asked, one)
    return (
        one.listed
        and (asked.visit_type is None or asked.visit_type in one.visit_types)
        and (not asked.accepting or one.accepting)
        and (asked.within_km is None or (km is not None and km <= asked.within_km))
    )


def _values(asked: Wanted, one: Document, field: FacetField) -> set[str]:
    if field is FacetField.SPECIALTY:
        return set(one.specialties)
    if field is FacetField.LANGUAGE:
        return set(one.languages)
    if field is FacetField.CLINIC:
        return {str(one.clinic_key)}
    return {kind.value for kind in ([asked.visit_modality] if asked.visit_modality else one.modalities)}


def _passes(asked: Wanted, one: Document, field: FacetField) -> bool:
    named = {
        FacetField.SPECIALTY: set(asked.specialties),
        FacetField.LANGUAGE: set(asked.languages),
        FacetField.CLINIC: {str(key) for key in asked.clinics},
        FacetField.MODALITY: {asked.modality.value} if asked.modality else set(),
    }[field]
    return not named or bool(named & _values(asked, one, field))


def _place(asked: Wanted, sort: Sort, one: Document, score: int) -> Place:
    days = one.next_days
    day = min(days.values(), default=None) if asked.visit_type is None else days.get(asked.visit_type)
    return search_order.place(sort, score, _km(asked, one), day, one.sort_name, one.pair)
