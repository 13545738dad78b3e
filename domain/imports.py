"""What a line of a file becomes: a clinic, a provider, a place where one practises; and how it changes what is stored."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from domain import npi, phones, places, wording
from domain.clinics import ProviderKind
from domain.tables import Columns, RefusedLine

BATCH_ROWS: Final = 500  # rule 17: no commit writes more rows

Warn = Callable[[str], None]
Item = TypeVar("Item")

CLINIC_COLUMNS: Final[Columns] = {
    "id": ("id", "store_id", "clinic_id", "site_id"),
    "name": ("name", "clinic_name"),
    "address": ("address", "street", "address_line", "practice_address"),
    "city": ("city", "suburb", "town"),
    "state": ("state", "region", "province"),
    "postal_code": ("postal_code", "zip", "zip5", "postcode", "zip_code"),
    "country": ("country", "country_code"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng"),
    "time_zone": ("time_zone", "timezone", "tz"),
    "phone": ("phone", "phone_e164", "telephone"),
}
CLINIC_REQUIRED: Final = ("id", "name", "city")

PROVIDER_COLUMNS: Final[Columns] = {
    "npi": ("npi",),
    "name": ("name", "provider_name"),
    "first_name": ("first_name", "given_name"),
    "last_name": ("last_name", "family_name"),
    "specialty": ("specialty", "specialties"),
    "languages": ("languages", "language"),
    "address": ("practice_address", "address", "street"),
    "city": ("city",),
    "state": ("state",),
    "postal_code": ("zip5", "zip", "postal_code", "zip_code"),
}
PROVIDER_REQUIRED: Final = ("npi", "specialty")

PLACE_COLUMNS: Final[Columns] = {
    name: PROVIDER_COLUMNS[name] for name in ("npi", "specialty", "address", "city", "state", "postal_code")
}
PLACE_REQUIRED: Final = ("npi", "address", "postal_code")


@dataclass(frozen=True, slots=True)
class ClinicRow:
    """A clinic as a file describes it. None: the file does not say, so what is stored stays."""

    source_key: str
    name: str
    time_zone: str
    zone_named: bool  # by the file; a derived zone never replaces a stored one
    address_lines: tuple[str, ...]
    city: str
    region: str | None
    postal_code: str | None
    country: str
    latitude: float | None
    longitude: float | None
    phone: str | None

    def over(self, stored: "ClinicRow") -> "ClinicRow":
        """What is stored, with all that this row says laid over it."""
        located = self if self.latitude is not None else stored
        return replace(
            self,
            time_zone=self.time_zone if self.zone_named else stored.time_zone,
            zone_named=stored.zone_named,
            address_lines=self.address_lines or stored.address_lines,
            region=self.region or stored.region,
            postal_code=self.postal_code or stored.postal_code,
            latitude=located.latitude,
            longitude=located.longitude,
            phone=self.phone or stored.phone,
        )

    def another_than(self, stored: "ClinicRow") -> bool:
        """Name, street and postal code all differ: two files use one id for two clinics."""
        return (
            self.name != stored.name
            and self.postal_code != stored.postal_code
            and self.address_lines != stored.address_lines
        )


@dataclass(frozen=True, slots=True)
class ProviderRow:
    npi: str
    name: str
    specialties: tuple[str, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedProvider:
    """What is to be stored: a person, identified by NPI, or a pool, by its source key. None: a clinic not yet stored."""

    identity: str
    kind: ProviderKind
    name: str
    specialties: tuple[str, ...]
    languages: tuple[str, ...]
    clinics: frozenset[int | None]
    visit_types: frozenset[int | None] = frozenset()

    @property
    def rows(self) -> int:
        """To write at most, with the outbox row of each clinic."""
        return 2 + 2 * len(self.clinics) + len(self.visit_types)


@dataclass(frozen=True, slots=True)
class Place:
    """A street address where somebody practises. Two spellings of one address have the same key."""

    address: str
    city: str
    state: str
    zip5: str

    @property
    def key(self) -> tuple[str, str]:
        return self.zip5, wording.address_key(self.address)


@dataclass(slots=True)
class Report:
    """Takes every refused line and warning as it comes (`say`), and counts."""

    say: Callable[[str], None]
    refused: int = 0
    warned: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def refuse(self, file: str, line: int | None, reason: str) -> None:
        self.refused += 1
        self.say(f"{file}:{line}: {reason}" if line is not None else f"{file}: {reason}")

    def refuse_file(self, reason: str) -> None:
        """A whole file; `reason` names it."""
        self.refused += 1
        self.say(reason)

    def warn(self, file: str, line: int | None, text: str) -> None:
        self.warned += 1
        self.say(f"warning: {file}:{line}: {text}" if line is not None else f"warning: {file}: {text}")

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number


def batches(items: Iterable[Item], rows: Callable[[Item], int]) -> Iterator[list[Item]]:
    """In order, with at most BATCH_ROWS rows to write together (an item that alone has more stands alone)."""
    batch: list[Item] = []
    weight = 0
    for item in items:
        more = rows(item)
        if batch and weight + more > BATCH_ROWS:
            yield batch
            batch, weight = [], 0
        batch.append(item)
        weight += more
    if batch:
        yield batch


def clinic_row(
    source_key: str, values: Mapping[str, str], warn: Warn, address_lines: Sequence[str] | None = None
) -> ClinicRow:
    """Raises RefusedLine; a broken optional value is told to `warn` and left out."""
    name, city, state = values.get("name", ""), values.get("city", ""), values.get("state", "")
    if not name:
        raise RefusedLine("the name is empty")
    if not city:
        raise RefusedLine("the city is empty")
    country = places.country_of(values.get("country", ""), state)
    if country is None:
        raise RefusedLine(f"no country, and {state!r} is no state of the US or Australia")
    postal = _postal_code(country, values.get("postal_code", ""), warn)
    region = places.region_of(country, state)
    located = _coordinates(values.get("latitude", ""), values.get("longitude", ""), warn)
    there = places.zone_at(*located) if located else None
    if there and not places.in_state(there, country, region):
        warn(f"coordinates in {there} cannot be in {region}: left out")
        located = there = None
    named = values.get("time_zone", "")
    time_zone = _zone(named, there, country, region, postal)
    if not values.get("country") and not state and time_zone.partition("/")[0] not in {"America", "Pacific", "US"}:
        raise RefusedLine(f"neither country nor state, and {time_zone} is not in the US")
    lines = address_lines if address_lines is not None else [values.get("address", "")]
    return ClinicRow(
        source_key=source_key,
        name=name,
        time_zone=time_zone,
        zone_named=bool(named),
        address_lines=tuple(line for line in lines if line),
        city=city,
        region=region,
        postal_code=postal,
        country=country,
        latitude=located[0] if located else None,
        longitude=located[1] if located else None,
        phone=_phone(country, values.get("phone", ""), warn),
    )


def provider_row(values: Mapping[str, str], specialty_names: Mapping[str, str], warn: Warn) -> ProviderRow:
    """`specialty_names` is the crosswalk from CMS to NUCC names, by specialty_key. Raises RefusedLine."""
    number = values.get("npi", "")
    if not npi.is_valid(number):
        raise RefusedLine(f"NPI {number!r} is not valid (ten digits with a check digit)")
    name = values.get("name") or f"{values.get('first_name', '')} {values.get('last_name', '')}".strip()
    if not name:
        raise RefusedLine("the name is empty")
    languages = _list(values.get("languages", ""))
    return ProviderRow(
        npi=number,
        name=wording.person(name),
        specialties=specialties(values.get("specialty", ""), specialty_names, warn),
        languages=tuple(languages),
    )


def specialties(text: str, names: Mapping[str, str], warn: Warn) -> tuple[str, ...]:
    """NUCC names of what a file writes, several parted by ``;``. What the crosswalk lacks is kept in normal case."""
    found = []
    for one in _list(text):
        name = names.get(specialty_key(one))
        if name is None:
            name = wording.phrase(one)[:100]
            if one.isupper():
                warn(f"specialty {one!r} is not in the crosswalk: kept as {name!r}")
        found.append(name)
    return tuple(dict.fromkeys(found))


def specialty_key(text: str) -> str:
    """CMS writes ``OBSTETRICS/GYNECOLOGY`` and ``OBSTETRICS   GYNECOLOGY``: letters count, nothing else."""
    return " ".join("".join(letter if letter.isalpha() else " " for letter in text.upper()).split())


def place_row(values: Mapping[str, str]) -> Place | None:
    """None where the line names no street."""
    zip5 = (places.postal_code("US", values.get("postal_code", "")) or "")[:5]
    address = values.get("address", "")
    return Place(address, values.get("city", ""), values.get("state", ""), zip5) if address and zip5 else None


def clinic_of_place(place: Place) -> ClinicRow:
    """The clinic that `--create-places` makes of an address. Raises RefusedLine where its zone is not certain."""
    street, city = wording.place(place.address), wording.place(place.city)
    values = {
        "name": f"{street}, {city}",
        "address": street,
        "city": city,
        "state": place.state,
        "country": "US",
        "postal_code": place.zip5,
    }
    zip5, address = place.key
    return clinic_row(f"place:{zip5}:{address}", values, lambda _: None)


class Addresses:
    """Clinics by ZIP and address. Suites and floors count, unless only one clinic stands in the building."""

    def __init__(self, clinics: Iterable[tuple[int, str, Sequence[str]]]) -> None:
        """From (key, postal code, address lines)."""
        self._exact: dict[tuple[str, str], list[int]] = {}
        self._building: dict[tuple[str, str], list[int]] = {}
        for key, postal, lines in clinics:
            address = wording.address_key(" ".join(lines))
            self._exact.setdefault((postal[:5], address), []).append(key)
            self._building.setdefault((postal[:5], wording.building_key(address)), []).append(key)

    def find(self, place: Place) -> list[int]:
        """One: it is this clinic. None or several: it is not known which."""
        zip5, address = place.key
        return self._exact.get((zip5, address)) or self._building.get((zip5, wording.building_key(address)), [])


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(";") if one.strip()]


def _postal_code(country: str, text: str, warn: Warn) -> str | None:
    if not text:
        return None
    code = places.postal_code(country, text)
    if code is None:
        warn(f"postal code {text!r} is not valid: left out")
    return code


def _coordinates(latitude: str, longitude: str, warn: Warn) -> tuple[float, float] | None:
    if not latitude and not longitude:
        return None
    found = places.coordinates(latitude, longitude)
    if found is None:
        warn(f"coordinates {latitude!r}, {longitude!r} are not valid: left out")
    return found


def _zone(named: str, there: str | None, country: str, region: str | None, postal: str | None) -> str:
    """Rule 43: as named, else where the coordinates lie, else the state's (in a split state: the ZIP's)."""
    if named:
        if not places.is_zone(named):
            raise RefusedLine(f"unknown time zone {named!r}")
        return named
    zone = there or places.zone_of_state(country, region, postal)
    if zone is None:
        where = " ".join(filter(None, (country, region, postal)))
        raise RefusedLine(f"no time zone: none named, no coordinates, and {where} does not tell it")
    return zone


def _phone(country: str, text: str, warn: Warn) -> str | None:
    if not text:
        return None
    number = phones.e164(text, country)
    if number is None:
        warn(f"phone {text!r} is not valid: left out")
    return number
