"""Fields answered for all objects of a list at once. Each stands beside its resolver for one, and answers the same."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from dataloaders import cursors
from dataloaders.slots import SLOTS_MAX, Asked
from domain import ids, shapes
from domain.appointments import Slot
from domain.clinics import Clinic, Provider
from resolvers import clinics as places
from resolvers import nodes, search
from resolvers.context import Context

Many = Callable[..., Awaitable[Sequence[Any]]]


class OneByOne(Exception):
    """What has to be told of single objects: the resolver for one tells it."""


async def slots_of(
    providers: Sequence[Provider],
    context: Context,
    *,
    clinic_id: str,
    visit_type_id: str,
    first_date: date,
    last_date: date,
    first: int = 50,
) -> Sequence[list[Slot]]:
    limit = cursors.bounded(first, SLOTS_MAX)
    shapes.span(first_date, last_date)
    clinic_key, kind_key = ids.key(clinic_id, ids.CLINIC), ids.key(visit_type_id, ids.VISIT_TYPE)
    if clinic_key is None or kind_key is None:
        raise OneByOne
    asked = [Asked(one.key, clinic_key, kind_key, first_date, last_date, limit) for one in providers]
    found = await context.loaders.slots_now(asked)
    if all(one is None for one in found):
        raise OneByOne  # Perhaps there is no such clinic or visit type.
    return [one or [] for one in found]


async def clinics_of(providers: Sequence[Provider], context: Context) -> Sequence[list[Clinic]]:
    found = await _by_key(context.loaders.clinic, {key for one in providers for key in one.clinic_keys})
    return [[found[key] for key in one.clinic_keys] for one in providers]


def _of_attribute(loader: str, attribute: str) -> Many:
    async def load(items: Sequence[Any], context: Context) -> Sequence[Any]:
        found = await _by_key(getattr(context.loaders, loader), {getattr(item, attribute) for item in items})
        return [found[getattr(item, attribute)] for item in items]

    return load


@dataclass(frozen=True, slots=True)
class Told:
    """All that a root field's resolver takes of an info."""

    context: Context


def _of_root(resolve: Callable[..., Awaitable[Any]]) -> Many:
    async def load(roots: Sequence[Any], context: Context, **arguments: Any) -> Sequence[Any]:
        return [await resolve(Told(context), **arguments) for _ in roots]

    return load


async def _by_key(loader: Any, keys: set[int]) -> dict[int, Any]:
    """Each thing once, however many objects name it."""
    ordered = sorted(keys)
    return dict(zip(ordered, await loader.load_many(ordered), strict=True))


MANY: Final[dict[tuple[str, str], Many]] = {
    ("Query", "clinics"): _of_root(places.clinics),
    ("Query", "providers"): _of_root(places.providers),
    ("Query", "visitTypes"): _of_root(places.visit_types),
    ("Query", "node"): _of_root(nodes.node),
    ("Query", "search"): _of_root(search.search),
    ("Provider", "slots"): slots_of,
    ("Provider", "clinics"): clinics_of,
    ("Slot", "provider"): _of_attribute("provider", "provider_key"),
    ("Slot", "clinic"): _of_attribute("clinic", "clinic_key"),
    ("Slot", "visitType"): _of_attribute("visit_type", "visit_type_key"),
    ("Appointment", "provider"): _of_attribute("provider", "provider_key"),
    ("Appointment", "clinic"): _of_attribute("clinic", "clinic_key"),
    ("Appointment", "visitType"): _of_attribute("visit_type", "visit_type_key"),
    ("ProviderDay", "provider"): _of_attribute("provider", "provider_key"),
    ("Schedule", "provider"): _of_attribute("provider", "provider_key"),
    ("Schedule", "clinic"): _of_attribute("clinic", "clinic_key"),
    ("Appointment", "patient"): _of_attribute("patient", "patient_key"),
}
