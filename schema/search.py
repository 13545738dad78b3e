"""Search: who, where, how far, and when next."""

from typing import Annotated

import strawberry

from domain.search import FacetField
from resolvers import search as resolvers
from schema.clinics import Clinic, Provider, Slot
from schema.pages import PageInfo
from schema.presenting import presents
from services.searching import searching, suggesting


@strawberry.type(description="One provider at one clinic.")
@presents(searching.Hit)
class SearchHit:
    provider: Provider
    clinic: Clinic
    distance_km: float | None = strawberry.field(
        description="Great circle from `near`; null without it, and for a clinic without a place."
    )
    next_slot: Slot | None = strawberry.field(
        description="The earliest free time within the patients' limits, of the visit type asked for, else of all that are "
        "offered there: read from the calendar, never from the index."
    )
    matched: list[str] = strawberry.field(
        description='What of the hit the words of the text matched: "name", "specialty: Dermatology", "language: Polish", '
        '"place: Boise", "visit type: Video visit".'
    )


@strawberry.type
class SearchEdge:
    cursor: str
    node: SearchHit


@strawberry.type(description="How many hits have this value; `value` is what the filter takes.")
@presents(resolvers.FacetValue)
class SearchFacetValue:
    value: str
    count: int


@strawberry.type(description="Counted under all filters but its own; the 50 largest, the largest first.")
@presents(resolvers.Facet)
class SearchFacet:
    field: FacetField
    values: list[SearchFacetValue]


@strawberry.type
@presents(resolvers.Found)
class SearchConnection:
    edges: list[SearchEdge]
    page_info: PageInfo
    total_count: int
    facets: list[SearchFacet]
    degraded: bool = strawberry.field(description="Answered without the search engine, which is slow or away.")


@strawberry.type(description="A specialty that somebody has.")
@presents(suggesting.SpecialtySuggestion)
class SpecialtySuggestion:
    name: str = strawberry.field(description="As NUCC writes it: what the filter takes.")
    synonym: str | None = strawberry.field(description='What was typed stands for it: "skin doctor" for Dermatology.')


Suggestion = Annotated[SpecialtySuggestion | Provider | Clinic, strawberry.union("Suggestion")]
