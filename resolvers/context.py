"""What a resolver may reach: the viewer, the batched reads, and the services. Nothing else, and nothing by name."""

from dataclasses import dataclass

import strawberry

from dataloaders.loaders import Loaders
from dataloaders.pages import Pages
from dataloaders.staff import StaffPages
from domain.access import Viewer
from services.booking import Booking
from services.catalog import Catalog
from services.changing import Changing
from services.live.live import Live
from services.origins import Origins
from services.patients import Patients
from services.preferences import Preferences
from services.schedules import Schedules
from services.searching.searching import Searching
from services.searching.suggesting import Suggesting
from services.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Services:
    booking: Booking
    changing: Changing
    patients: Patients
    catalog: Catalog
    schedules: Schedules
    origins: Origins
    live: Live
    waiting: Waiting
    preferences: Preferences
    searching: Searching
    suggesting: Suggesting


@dataclass(frozen=True, slots=True)
class Context:
    """Built for each operation."""

    viewer: Viewer
    loaders: Loaders
    pages: Pages
    staff: StaffPages
    services: Services


Info = strawberry.Info[Context, None]
