"""Patients as they are registered, corrected and searched for."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from domain import fields
from domain.faults import BadInput

NAME_MAX: Final = 200
EARLIEST_BIRTH: Final = date(1900, 1, 1)
SEARCH_REGION: Final = "US"
# What a correction may name, and how clients spell it; the first two are the patient's own to change.
SPELLED: Final = {"email": "email", "phone": "phone", "name": "name", "birth_date": "birthDate"}
OWN: Final = frozenset({"email", "phone"})


@dataclass(frozen=True, slots=True)
class PatientFields:
    name: str
    birth_date: date | None
    email: str | None
    phone: str | None

    def checked(self, country: str, today: date) -> "PatientFields":
        """Clean, or raises BadInput. A telephone number without + is read as dialled within `country`."""
        name = fields.line("name", self.name, NAME_MAX)
        if self.birth_date is not None and not EARLIEST_BIRTH <= self.birth_date <= today:
            raise BadInput("birthDate", f"A date of birth lies between {EARLIEST_BIRTH} and today.")
        email = fields.email("email", self.email)
        return PatientFields(name, self.birth_date, email, fields.phone("phone", self.phone, country))


@dataclass(frozen=True, slots=True)
class PatientSearch:
    """One of the four; the name is the beginning of the whole or of any word."""

    name: str | None = None
    birth_date: date | None = None
    email: str | None = None
    phone: str | None = None


def search_for(text: str) -> PatientSearch:
    """What the text looks like: date of birth, e-mail, telephone number (E.164, or national of the US), else a name."""
    clean = fields.line("search", text, NAME_MAX)
    if "@" in clean:
        return PatientSearch(email=clean)
    if len(clean) == 10 and clean[4] == clean[7] == "-":
        try:
            return PatientSearch(birth_date=date.fromisoformat(clean))
        except ValueError:
            pass
    phone = fields.e164(clean, SEARCH_REGION)
    if phone is not None:
        return PatientSearch(phone=phone)
    return PatientSearch(name=clean)
