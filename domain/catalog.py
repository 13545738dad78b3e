"""Clinics, providers and visit types as an admin writes them: `checked` answers the clean record or raises BadInput."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Final

from domain import countries, fields, npi, zones
from domain.clinics import Address, GeoPoint, Modality
from domain.faults import BadInput

NAME_MAX: Final = 200
LINES_MAX: Final = 5
LIST_MAX: Final = 20
PLACES_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class ClinicDraft:
    name: str
    time_zone: str
    address: Address
    location: GeoPoint | None = None
    phone: str | None = None
    active: bool = True

    def checked(self) -> "ClinicDraft":
        name = fields.line("name", self.name, NAME_MAX)
        if self.time_zone not in zones.NAMES:
            raise BadInput("timeZone", "That is not the name of a time zone (IANA).")
        address = _address(self.address)
        if self.location is not None:
            _on_the_globe(self.location)
        phone = fields.phone("phone", self.phone, address.country)
        return replace(self, name=name, address=address, phone=phone)


@dataclass(frozen=True, slots=True)
class ProviderDraft:
    """Ids are the schema's; who saves looks them up. `kind` is no part of it: pools come from feeds and stay pools."""

    name: str
    npi: str | None
    specialties: list[str]
    languages: list[str]
    clinic_ids: list[str]
    visit_type_ids: list[str]
    accepting_new_patients: bool = True
    active: bool = True

    def checked(self) -> "ProviderDraft":
        name = fields.line("name", self.name, NAME_MAX)
        if self.npi is not None and not npi.is_valid(self.npi):
            raise BadInput("npi", "That is not a National Provider Identifier: its check digit does not fit.")
        for field, some, most in (
            ("specialties", self.specialties, LIST_MAX),
            ("languages", self.languages, LIST_MAX),
            ("clinicIds", self.clinic_ids, PLACES_MAX),
            ("visitTypeIds", self.visit_type_ids, PLACES_MAX),
        ):
            if len(some) > most:
                raise BadInput(field, f"At most {most} are taken.")
        specialties = [fields.line(f"specialties.{at}", one, 100) for at, one in enumerate(self.specialties)]
        languages = [fields.language(f"languages.{at}", one) for at, one in enumerate(self.languages)]
        return replace(
            self, name=name, specialties=list(dict.fromkeys(specialties)), languages=list(dict.fromkeys(languages))
        )


@dataclass(frozen=True, slots=True)
class VisitTypeDraft:
    """Minutes throughout. Where no grid is given the duration is the grid."""

    name: str
    duration_minutes: int
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    start_every_minutes: int | None = None
    minimum_notice_minutes: int = 60
    bookable_days_ahead: int = 90
    cancel_until_minutes: int = 1440
    modality: Modality = Modality.IN_PERSON
    active: bool = True

    def checked(self) -> "VisitTypeDraft":
        name = fields.line("name", self.name, NAME_MAX)
        duration = fields.number("durationMinutes", self.duration_minutes, 5, 720, 5)
        fields.number("bufferBeforeMinutes", self.buffer_before_minutes, 0, 240, 5)
        fields.number("bufferAfterMinutes", self.buffer_after_minutes, 0, 240, 5)
        every = duration if self.start_every_minutes is None else self.start_every_minutes
        fields.number("startEveryMinutes", every, 5, 720, 5)
        fields.number("minimumNoticeMinutes", self.minimum_notice_minutes, 0, fields.MINUTES_A_YEAR)
        fields.number("bookableDaysAhead", self.bookable_days_ahead, 0, 730)
        fields.number("cancelUntilMinutes", self.cancel_until_minutes, 0, fields.MINUTES_A_YEAR)
        return replace(self, name=name, start_every_minutes=every)


def _address(address: Address) -> Address:
    if len(address.lines) > LINES_MAX:
        raise BadInput("address.lines", f"At most {LINES_MAX} lines are taken.")
    lines = [fields.line(f"address.lines.{at}", one, 200) for at, one in enumerate(address.lines)]
    city = fields.line("address.city", address.city, 100)
    region = fields.optional_line("address.region", address.region, 100)
    postal_code = fields.optional_line("address.postalCode", address.postal_code, 20)
    if address.country not in countries.CODES:
        raise BadInput("address.country", "A country is named by its two capital letters (ISO 3166-1).")
    return Address(lines, city, region, postal_code, address.country)


def _on_the_globe(point: GeoPoint) -> None:
    for field, value, most in (("latitude", point.latitude, 90.0), ("longitude", point.longitude, 180.0)):
        if not isfinite(value) or abs(value) > most:
            raise BadInput(f"location.{field}", f"It lies between -{most:.0f} and {most:.0f} degrees.")
