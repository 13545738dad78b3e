"""What a client asks of search, checked (rule 56)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Final

from domain.clinics import GeoPoint, Modality
from domain.faults import BadInput
from domain.search import TEXT_MAX, Sort

VALUES_MAX: Final = 100
OPEN_DAYS_MAX: Final = 31
EARTH_HALF_KM: Final = 20_100.0


@dataclass(frozen=True, slots=True)
class Filter:
    """As a client asked. Keys are 0 for ids that can't be one."""

    text: str | None = None
    visit_type_key: int | None = None
    specialties: Sequence[str] = ()
    languages: Sequence[str] = ()
    clinic_keys: Sequence[int] = ()
    near: GeoPoint | None = None
    within_km: float | None = None
    accepting: bool = False
    modality: Modality | None = None
    open_from: date | None = None
    open_to: date | None = None


def check(asked: Filter, sort: Sort) -> None:
    """Raises BadInput with the field's name."""
    text(asked.text)
    for field, named in (
        ("specialties", asked.specialties),
        ("languages", asked.languages),
        ("clinicIds", asked.clinic_keys),
    ):
        if len(named) > VALUES_MAX:
            raise BadInput(field, f"At most {VALUES_MAX} values.")
    _place(asked, sort)
    opens(asked)


def text(asked: str | None, field: str = "text") -> None:
    if asked is not None and len(asked) > TEXT_MAX:
        raise BadInput(field, f"At most {TEXT_MAX} characters.")


def _place(asked: Filter, sort: Sort) -> None:
    if asked.near is None:
        if asked.within_km is not None:
            raise BadInput("withinKm", "A distance needs a place: give `near` too.")
        if sort is Sort.DISTANCE:
            raise BadInput("sort", "By distance from where? Give `near` too.")
        return
    on_globe(asked.near)
    if asked.within_km is not None and not (isfinite(asked.within_km) and 0 <= asked.within_km <= EARTH_HALF_KM):
        raise BadInput("withinKm", "From 0 to 20,100 km.")


def on_globe(point: GeoPoint) -> None:
    if not (-90 <= point.latitude <= 90 and -180 <= point.longitude <= 180):
        raise BadInput("near", "Latitude from -90 to 90, longitude from -180 to 180.")


def opens(asked: Filter) -> tuple[date, date] | None:
    """The dates between which there must be an open time."""
    if asked.open_from is None and asked.open_to is None:
        return None
    if asked.open_from is None:
        raise BadInput("openFrom", "`openTo` needs `openFrom`.")
    if asked.open_to is None:
        raise BadInput("openTo", "`openFrom` needs `openTo`.")
    if asked.open_to < asked.open_from:
        raise BadInput("openTo", "`openTo` is before `openFrom`.")
    if (asked.open_to - asked.open_from).days > OPEN_DAYS_MAX - 1:
        raise BadInput("openTo", f"At most {OPEN_DAYS_MAX} days.")
    return asked.open_from, asked.open_to
