"""Which open times somebody looks at: a clinic, a visit type, dates and perhaps some providers, within bounds (rule 1)."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from domain.faults import BadInput

TIMES_MAX: Final = 5000
DAYS_MAX: Final = 31
DAYS_MAX_UNNAMED: Final = 7
NAMED_MAX: Final = 5
PROVIDERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """As a client asked: None for an id that can't be one."""

    clinic_key: int | None
    visit_type_key: int | None
    provider_keys: list[int | None] | None
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Shape:
    """Equal ones share everything. Without `provider_keys` all providers of the clinic who offer the visit type, later ones too."""

    clinic_key: int
    visit_type_key: int
    provider_keys: tuple[int, ...] | None
    first: date
    last: date


def shape(asked: Asked) -> Shape:
    """Raises BadInput for what can't be an id, and for spans that are too long or end before they begin."""
    named = len(asked.provider_keys or [])
    if named > PROVIDERS_MAX:
        raise BadInput("filter.providerIds", f"At most {PROVIDERS_MAX} providers.")
    if asked.clinic_key is None:
        raise BadInput("filter.clinicId", "There is no such clinic.")
    if asked.visit_type_key is None:
        raise BadInput("filter.visitTypeId", "There is no such visit type.")
    span(asked.first, asked.last, DAYS_MAX if 1 <= named <= NAMED_MAX else DAYS_MAX_UNNAMED, "filter.")
    keys = [key for key in asked.provider_keys or () if key is not None]
    if len(keys) < named:
        raise BadInput("filter.providerIds", "There is no such provider.")
    return Shape(asked.clinic_key, asked.visit_type_key, tuple(sorted(set(keys))) or None, asked.first, asked.last)


def span(first: date, last: date, days: int = DAYS_MAX, prefix: str = "") -> None:
    """Raises BadInput where `last` is before `first` or they span more than `days` dates (rule 1)."""
    if last < first:
        raise BadInput(f"{prefix}to", "`to` is before `from`.")
    if (last - first).days > days - 1:
        raise BadInput(f"{prefix}to", f"At most {days} days.")
