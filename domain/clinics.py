"""Who offers care, where, and in which kinds of visit."""

from dataclasses import dataclass, field
from enum import Enum
from zoneinfo import ZoneInfo

from domain import ids, zones


class ProviderKind(Enum):
    PERSON = "person"
    POOL = "pool"


class Modality(Enum):
    IN_PERSON = "in-person"
    VIDEO = "video"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Address:
    lines: list[str]
    city: str
    region: str | None
    postal_code: str | None
    country: str


@dataclass(frozen=True, slots=True)
class GeoPoint:
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Clinic:
    key: int
    version: int
    active: bool
    name: str
    time_zone: str
    address: Address
    location: GeoPoint | None
    phone: str | None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", ids.node(ids.CLINIC, self.key))

    @property
    def zone(self) -> ZoneInfo:
        return zones.named(self.time_zone)


@dataclass(frozen=True, slots=True)
class Provider:
    key: int
    version: int
    active: bool
    kind: ProviderKind
    npi: str | None
    name: str
    specialties: list[str]
    languages: list[str]
    accepting_new_patients: bool
    clinic_keys: tuple[int, ...]
    visit_type_keys: tuple[int, ...]
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", ids.node(ids.PROVIDER, self.key))


@dataclass(frozen=True, slots=True)
class VisitType:
    """Minutes throughout; `duration_minutes` None means published openings, each with its own length."""

    key: int
    version: int
    active: bool
    name: str
    duration_minutes: int | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    start_every_minutes: int | None
    minimum_notice_minutes: int
    bookable_days_ahead: int
    cancel_until_minutes: int
    modality: Modality
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", ids.node(ids.VISIT_TYPE, self.key))
