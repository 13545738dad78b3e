"""Who works in the demo's clinics: specialties as NUCC writes them (rule 52), languages, weekly hours and exceptions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from app.demo import names
from app.demo.visit_types import FOLLOW_UP, LAB, NEW, PHONE, PHYSICAL, PROCEDURE, VACCINATION, VIDEO
from domain.schedules import ExceptionKind, Schedule, ScheduleException, WeeklyHours

PRIMARY: Final = (NEW, FOLLOW_UP, PHYSICAL, VIDEO, PHONE, VACCINATION)
SPECIAL: Final = (NEW, FOLLOW_UP, VIDEO, PROCEDURE)
TALKING: Final = (NEW, FOLLOW_UP, VIDEO, PHONE)
NURSING: Final = (VACCINATION, LAB, PHONE, FOLLOW_UP)

# Specialty, what is offered, and how many of a hundred have it.
PRIMARY_CARE: Final = (
    ("Family Medicine", PRIMARY, 40),
    ("Internal Medicine", PRIMARY, 25),
    ("Pediatrics", PRIMARY, 20),
    ("Nurse Practitioner", PRIMARY, 15),
)
SPECIALTIES: Final = (
    *PRIMARY_CARE,
    ("Physician Assistant", (FOLLOW_UP, PHYSICAL, VIDEO, VACCINATION), 6),
    ("Registered Nurse", NURSING, 10),
    ("Obstetrics & Gynecology", SPECIAL, 6),
    ("Cardiovascular Disease", SPECIAL, 5),
    ("Dermatology", SPECIAL, 6),
    ("Endocrinology, Diabetes & Metabolism", TALKING, 3),
    ("Gastroenterology", SPECIAL, 3),
    ("Neurology", TALKING, 3),
    ("Ophthalmology", SPECIAL, 3),
    ("Otolaryngology", SPECIAL, 3),
    ("Orthopaedic Surgery", SPECIAL, 4),
    ("Sports Medicine", SPECIAL, 2),
    ("Psychiatry", TALKING, 5),
    ("Pulmonary Disease", SPECIAL, 2),
    ("Rheumatology", TALKING, 2),
    ("Allergy & Immunology", SPECIAL, 3),
    ("Urology", SPECIAL, 2),
    ("Geriatric Medicine", PRIMARY, 3),
    ("Podiatrist", SPECIAL, 3),
    ("Optometrist", (NEW, FOLLOW_UP), 3),
    ("Physical Therapist", (NEW, FOLLOW_UP), 5),
    ("Audiologist", (NEW, FOLLOW_UP), 2),
)
LANGUAGES: Final = ("es", "zh", "vi", "tl", "ar", "fr", "ko", "pt-BR", "hi", "ru", "haw", "de", "ja", "ht", "ase")
SPOKEN: Final = {"IN": ("hi", "mr", "en"), "NP": ("ne", "en"), "MA": ("ar", "fr")}

# Sessions of a day in minutes of the wall clock, lunch between them, and how many of a hundred keep each.
DAYS: Final = (
    (((480, 720), (780, 960)), 25),
    (((510, 720), (765, 930)), 20),
    (((480, 740),), 25),
    (((780, 1020),), 18),
    (((900, 1200),), 7),
    (((420, 660), (690, 840)), 5),
)
ABSENCES: Final = ("Vacation", "Vacation", "Conference", "Parental leave")


@dataclass(slots=True)
class DemoProvider:
    """`schedules` by place in `clinics` (numbers of the demo's clinics, from 0); visit types by their number too."""

    name: str
    npi: str | None
    specialties: list[str]
    languages: list[str]
    accepting_new_patients: bool
    clinics: list[int]
    visit_types: tuple[int, ...]
    schedules: list[Schedule]

    def row(self, key: int, clinic_keys: list[int], visit_type_keys: list[int]) -> dict[str, Any]:
        return {
            "id": key,
            "npi": self.npi,
            "name": self.name,
            "specialties": self.specialties,
            "languages": self.languages,
            "accepting_new_patients": self.accepting_new_patients,
            "clinics": [clinic_keys[number] for number in self.clinics],
            "visit_types": [visit_type_keys[number] for number in self.visit_types],
        }


def staff(
    random: Random, clinic: int, sister: int | None, first_number: int, today: date, country: str
) -> list[DemoProvider]:
    """Those of one clinic. The first is in primary care; one in eight also works at the `sister`, on other weekdays."""
    closed = today + timedelta(days=random.randrange(4, 60)) if random.random() < 0.3 else None
    found = []
    for place in range(random.choice((5, 6, 6, 6, 7))):
        specialty, offered, _ = _weighted(random, PRIMARY_CARE if place == 0 else SPECIALTIES)
        clinics = [clinic] if sister is None or random.random() > 0.125 else [clinic, sister]
        weekdays = _weekdays(random, 4 if place == 0 else random.choice((2, 2, 2, 3)) + len(clinics) - 1)
        shares = [weekdays] if len(clinics) == 1 else [weekdays[:-2] or weekdays[:1], weekdays[-2:]]
        found.append(
            DemoProvider(
                names.person(random),
                names.npi(first_number + place),
                [specialty, "Geriatric Medicine"]
                if specialty == "Internal Medicine" and random.random() < 0.2
                else [specialty],
                _languages(random, country),
                random.random() > 0.15,
                clinics,
                offered,
                [_schedule(random, share, offered, today, closed) for share in shares],
            )
        )
    return found


def _languages(random: Random, country: str) -> list[str]:
    spoken = [*SPOKEN.get(country, ("en",)), *random.sample(LANGUAGES, random.choice((0, 0, 0, 1, 1, 2)))]
    return list(dict.fromkeys(spoken))


def _weekdays(random: Random, count: int) -> list[int]:
    return sorted(random.sample(range(5), min(count, 5)))


def _weighted(random: Random, rows: tuple[Any, ...]) -> Any:
    return random.choices(rows, [row[-1] for row in rows])[0]


def _schedule(
    random: Random, weekdays: list[int], offered: tuple[int, ...], today: date, closed: date | None
) -> Schedule:
    """Its keys, and those of the visit types in it, are numbers of the demo until it is written."""
    sessions, _ = _weighted(random, DAYS)
    hours = [row for weekday in weekdays for row in _day(random, weekday, sessions, offered)]
    if random.random() < 0.05:
        hours = list(_with_a_change(hours, today + timedelta(days=random.randrange(20, 60))))
    exceptions = list(_exceptions(random, weekdays, today))
    if closed is not None:
        exceptions.append((ExceptionKind.CLOSED, closed, 0, 1440, "Clinic closed for training"))
    made = tuple(
        ScheduleException(0, 0, 0, kind, day, opens, closes, why) for kind, day, opens, closes, why in exceptions
    )
    return Schedule(0, 0, 1, tuple(hours), made)


def _day(
    random: Random, weekday: int, sessions: tuple[tuple[int, int], ...], offered: tuple[int, ...]
) -> Iterator[WeeklyHours]:
    quick = tuple(kind for kind in offered if kind in (VACCINATION, LAB))
    remote = tuple(kind for kind in offered if kind in (VIDEO, PHONE))
    for opens, closes in sessions:
        first, last = opens, closes
        if quick and opens < 600 and random.random() < 0.3:
            first = opens + 60
            yield WeeklyHours(weekday, opens, first, visit_type_keys=quick)
        if remote and closes >= 900 and random.random() < 0.3:
            last = closes - 60
            yield WeeklyHours(weekday, last, closes, visit_type_keys=remote)
        yield WeeklyHours(weekday, first, last)


def _with_a_change(hours: list[WeeklyHours], day: date) -> Iterator[WeeklyHours]:
    """The same hours until `day`; from then on everything half an hour later."""
    for row in hours:
        yield WeeklyHours(
            row.weekday, row.opens, row.closes, valid_to=day - timedelta(days=1), visit_type_keys=row.visit_type_keys
        )
        yield WeeklyHours(
            row.weekday, row.opens + 30, row.closes + 30, valid_from=day, visit_type_keys=row.visit_type_keys
        )


Exception_ = tuple[ExceptionKind, date, int, int, str | None]


def _exceptions(random: Random, weekdays: list[int], today: date) -> Iterator[Exception_]:
    if random.random() < 0.25:
        first, why = today + timedelta(days=random.randrange(5, 60)), random.choice(ABSENCES)
        for after in range(random.choice((3, 5, 7, 10))):
            yield ExceptionKind.CLOSED, first + timedelta(days=after), 0, 1440, why
    if random.random() < 0.15:
        saturday = today + timedelta(days=(5 - today.weekday()) % 7 + 7 * random.randrange(3))
        yield ExceptionKind.OPEN, saturday, 540, 780, "Extra Saturday hours"
    working = [
        today + timedelta(days=ahead) for ahead in range(30) if (today + timedelta(days=ahead)).weekday() in weekdays
    ]
    if random.random() < 0.1:
        yield ExceptionKind.REPLACED, random.choice(working), 600, 840, "Short day"
    if random.random() < 0.15:
        yield ExceptionKind.CLOSED, random.choice(working), 540, 630, "Team meeting"
