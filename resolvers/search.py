"""How a search is answered, and what is suggested as one types."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import orjson
import strawberry

from dataloaders import cursors
from dataloaders.cursors import Edge, PageInfo
from domain import folding, ids
from domain.clinics import GeoPoint
from domain.faults import BadInput
from domain.search import FacetField, Sort
from domain.search_filters import Filter
from domain.search_order import FIRST, Place
from resolvers.context import Info
from resolvers.inputs import GeoPointInput, SearchFilter
from services.searching.searching import Hit
from services.searching.suggesting import Suggestion


@dataclass(frozen=True, slots=True)
class FacetValue:
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Facet:
    field: FacetField
    values: list[FacetValue]


@dataclass(frozen=True, slots=True)
class Found:
    edges: list[Edge[Hit]]
    page_info: PageInfo
    total_count: int
    facets: list[Facet]
    degraded: bool


async def search(
    info: Info, filter: SearchFilter, sort: Sort = Sort.BEST, first: int = 20, after: str | None = None
) -> Found:
    asked = _asked(filter)
    name = f"search:{sort.value}:{_fingerprint(asked)}"
    start = _place(after, name)
    found = await info.context.services.searching.search(asked, sort, cursors.bounded(first), start)
    info.context.loaders.provider.prime_many({hit.provider.key: hit.provider for hit in found.hits})
    info.context.loaders.clinic.prime_many({hit.clinic.key: hit.clinic for hit in found.hits})
    info.context.loaders.visit_type.prime_many(found.visit_types)
    edges = [Edge((name, *hit.place), hit) for hit in found.hits]
    ends = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
    return Found(
        edges,
        PageInfo(found.more, after is not None, *ends),
        found.total,
        [Facet(field, [FacetValue(*pair) for pair in values]) for field, values in found.facets.items()],
        found.degraded,
    )


async def suggest(info: Info, prefix: str, near: GeoPointInput | None = None, first: int = 8) -> Sequence[Suggestion]:
    point = GeoPoint(near.latitude, near.longitude) if near else None
    return await info.context.services.suggesting.suggest(prefix, point, cursors.bounded(first))


def _asked(filter: SearchFilter) -> Filter:
    near = filter.near
    return Filter(
        text=filter.text,
        visit_type_key=_key(filter.visit_type_id, ids.VISIT_TYPE),
        specialties=filter.specialties or (),
        languages=filter.languages or (),
        clinic_keys=[ids.key(one, ids.CLINIC) or 0 for one in filter.clinic_ids or ()],
        near=GeoPoint(near.latitude, near.longitude) if near else None,
        within_km=filter.within_km,
        accepting=bool(filter.accepting_new_patients),
        modality=filter.modality,
        open_from=filter.open_from,
        open_to=filter.open_to,
    )


def _key(node_id: strawberry.ID | None, kind: str) -> int | None:
    """0 for what can't be one: nothing is found."""
    return None if node_id is None else ids.key(node_id, kind) or 0


def _fingerprint(asked: Filter) -> str:
    """Equal where the same is asked: spaces, case and the order of lists do not count."""
    near = asked.near
    facts = [
        folding.words(asked.text[:1000]) if asked.text else (),
        asked.visit_type_key,
        sorted(set(asked.specialties)),
        sorted(set(asked.languages)),
        sorted(set(asked.clinic_keys)),
        [near.latitude, near.longitude] if near else None,
        asked.within_km,
        asked.accepting,
        asked.modality.value if asked.modality else None,
        asked.open_from,
        asked.open_to,
    ]
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()[:16]


def _place(after: str | None, name: str) -> Place | None:
    """Raises BadInput for a cursor of another filter or sort."""
    if after is None:
        return None
    one, two, text, sort_name, provider, clinic = cursors.read(after, name, FIRST)
    if name.split(":")[1] != Sort.SOONEST.value:
        try:
            date.fromisoformat(text)
        except ValueError:
            raise BadInput("after", "This is not a cursor of this list.") from None
    return one, two, text, sort_name, provider, clinic
