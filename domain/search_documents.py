"""What is searched, made of what stands in the database: words folded, synonyms added."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from domain import folding, states
from domain.clinics import Clinic, Modality, Provider, VisitType
from domain.search import Document

# Marks of terms: which field a word stands in. Whole specialties, languages and modalities are terms too.
NAME: Final = "n:"
SPECIALTY_WORD: Final = "s:"
PLACE: Final = "p:"
VISIT: Final = "v:"
SPECIALTY: Final = "S:"
SPOKEN: Final = "l:"
MODALITY: Final = "m:"
WORD_FIELDS: Final = (NAME, SPECIALTY_WORD, PLACE, VISIT)

_REGIONS: Final = {code: name.title() for name, code in states.US_NAMES.items()}


def document(
    provider: Provider,
    clinic: Clinic,
    visit_types: Sequence[VisitType],
    synonyms: Mapping[str, Sequence[str]],
    next_days: Mapping[int, date],
    seq: int,
) -> Document:
    """`visit_types` are the provider's, inactive ones too; `synonyms` by specialty. `next_days` by visit type's key."""
    offered = sorted(
        (kind for kind in visit_types if kind.active), key=lambda kind: (folding.fold(kind.name), kind.key)
    )
    listed = provider.active and clinic.active and clinic.key in provider.clinic_keys
    return Document(
        provider_key=provider.key,
        clinic_key=clinic.key,
        seq=seq,
        listed=listed,
        name=provider.name,
        sort_name=folding.fold(provider.name),
        name_words=folding.distinct(provider.name),
        specialties=tuple(dict.fromkeys(provider.specialties)),
        specialty_words=folding.distinct(
            *(text for one in provider.specialties for text in (one, *synonyms.get(one, ())))
        ),
        languages=tuple(dict.fromkeys(provider.languages)),
        spoken=spoken(provider.languages),
        clinic_name=clinic.name,
        place_words=folding.distinct(*place(clinic)),
        visit_words=folding.distinct(*(kind.name for kind in offered)),
        visit_types=tuple(kind.key for kind in offered),
        modalities=tuple(one for one in Modality if any(kind.modality is one for kind in offered)),
        accepting=provider.accepting_new_patients,
        location=clinic.location,
        next_days={kind.key: next_days[kind.key] for kind in offered if kind.key in next_days},
    )


def spoken(languages: Iterable[str]) -> tuple[str, ...]:
    """Languages without region and script, each once: pt-BR is pt."""
    return tuple(dict.fromkeys(tag.split("-")[0].lower() for tag in languages))


def place(clinic: Clinic) -> list[str]:
    """The texts by which a clinic's place is found: its name, city, region (by code and name) and postal code."""
    address = clinic.address
    region = address.region or ""
    named = _REGIONS.get(region, "") if address.country == "US" else ""
    return [text for text in (clinic.name, address.city, region, named, address.postal_code or "") if text]


def terms(document: Document) -> list[str]:
    """Everything that a text may match, each with the mark of its field."""
    return [
        *(NAME + word for word in document.name_words),
        *(SPECIALTY_WORD + word for word in document.specialty_words),
        *(PLACE + word for word in document.place_words),
        *(VISIT + word for word in document.visit_words),
        *(SPECIALTY + name for name in document.specialties),
        *(SPOKEN + language for language in document.spoken),
        *(MODALITY + one.value for one in document.modalities),
    ]
