"""What a resolver may reach: the viewer, the batched reads, and the services. Nothing else, and nothing by name."""

from dataclasses import dataclass

import strawberry

from dataloaders.availability import Snapshots
from dataloaders.loaders import Loaders
from dataloaders.pages import Pages
from domain.access import Viewer
from services.booking import Booking
from services.changing import Changing


@dataclass(frozen=True, slots=True)
class Services:
    booking: Booking
    changing: Changing


@dataclass(frozen=True, slots=True)
class Context:
    """Built for each operation."""

    viewer: Viewer
    loaders: Loaders
    pages: Pages
    snapshots: Snapshots
    services: Services


Info = strawberry.Info[Context, None]
