"""Who, where, how far and when next: an engine finds whom the text and the filters mean, the calendar says when."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.postgres.database import Database, answering
from adapters.postgres.standing import Standing
from domain import folding, ids, search_filters, search_matched, search_order
from domain.appointments import Slot
from domain.clinics import Clinic, Modality, Provider, VisitType
from domain.search import FacetField, Found, Match, Pair, Sort, Wanted
from domain.search_filters import Filter
from domain.search_order import Place
from services.searching import languages, parsing, synonyms
from services.searching.crowds import Crowds
from services.searching.engines import Calendar, Engine, Engines, Start

_MODALITIES: Final = {one.value: one.name for one in Modality}


@dataclass(frozen=True, slots=True)
class Hit:
    """One provider at one clinic. `next_slot` was read from the calendar just now."""

    provider: Provider
    clinic: Clinic
    distance_km: float | None
    next_slot: Slot | None
    matched: list[str]
    place: Place


@dataclass(frozen=True, slots=True)
class Results:
    """`more`: there are hits after these. `visit_types`: those that the hits offer. Facets' values are what the filters take."""

    hits: list[Hit]
    visit_types: Mapping[int, VisitType]
    more: bool
    total: int
    facets: Mapping[FacetField, Sequence[tuple[str, int]]]
    degraded: bool


class Searching:
    """`engines` in the order in which they are asked; an answer of another than the first is degraded."""

    def __init__(self, database: Database, standing: Standing, calendar: Calendar, engines: Sequence[Engine]) -> None:
        self._database = database
        self._standing = standing
        self._calendar = calendar
        self._engines = Engines(engines)
        self._crowds = Crowds(self._engines)

    async def search(self, asked: Filter, sort: Sort, first: int, after: Place | None) -> Results:
        """The same for every viewer. Raises BadInput, Unavailable."""
        search_filters.check(asked, sort)
        wanted = await self._wanted(asked)
        if sort is Sort.SOONEST or wanted.opens is not None:
            found, degraded, starts = await self._by_calendar(wanted, sort, first, after)
        else:
            found, degraded = await self._engines.page(wanted, sort, first + 1, after)
            starts = None
        hits, kinds = await self._hits(wanted, found.matches[:first], starts)
        return Results(hits, kinds, len(found.matches) > first, found.total, _shown(found), degraded)

    async def _wanted(self, asked: Filter) -> Wanted:
        kind = None
        if asked.visit_type_key is not None:
            async with answering():
                known = await self._standing.visit_types(self._database.primary, [asked.visit_type_key])
            kind = known.get(asked.visit_type_key)
        return Wanted(
            parts=parsing.parts(asked.text or ""),
            visit_type=asked.visit_type_key,
            visit_modality=kind.modality if kind else None,
            specialties=_named(asked.specialties),
            languages=_named(asked.languages),
            clinics=tuple(sorted(set(asked.clinic_keys))),
            near=asked.near,
            within_km=asked.within_km,
            accepting=asked.accepting,
            modality=asked.modality,
            opens=search_filters.opens(asked),
        )

    async def _by_calendar(
        self, wanted: Wanted, sort: Sort, first: int, after: Place | None
    ) -> tuple[Found, bool, Mapping[Pair, Start] | None]:
        """Who has a time between the dates, and who has the first: of thousands of candidates, asked at once.

        Without dates facets do not hang on the calendar: where one is filtered by, the engine counts, and only hits are looked at.
        """
        engine_counts = wanted.opens is None and any(search_order.asked(wanted, field) for field in FacetField)
        known = await self._crowds.crowd(wanted, hits_only=engine_counts)
        crowd = known.crowd
        there = None if wanted.opens is None else await self._calendar.starts(crowd.asked, wanted.opens)
        if sort is Sort.SOONEST:
            starts = await self._calendar.starts(crowd.hits_asked)
            times = [search_order.NOWHERE if one is None else one.at for one in starts]
            page = crowd.soonest(times, first + 1, after, there)
            matches = [match for match, _ in page]
            shown = {match.pair: start for match, number in page if (start := starts[number]) is not None}
        else:
            for _ in crowd.placing(sort):
                await asyncio.sleep(0)
            matches, shown = crowd.page(sort, first + 1, after, there), None
        total, facets = crowd.facets(there) if known.counted is None else (known.counted.total, known.counted.facets)
        return Found(matches, total, facets), known.degraded, shown

    async def _hits(
        self, wanted: Wanted, matches: Sequence[Match], starts: Mapping[Pair, Start] | None
    ) -> tuple[list[Hit], Mapping[int, VisitType]]:
        """What stands there now, whatever an index says; what does not stand there at all falls away."""
        async with answering():
            reader = self._database.primary
            providers = await self._standing.providers(reader, sorted({one.pair[0] for one in matches}))
            clinics = await self._standing.clinics(reader, sorted({one.pair[1] for one in matches}))
            offered = {key for one in providers.values() for key in one.visit_type_keys}
            kinds = await self._standing.visit_types(reader, sorted(offered))
        known = [one for one in matches if one.pair[0] in providers and one.pair[1] in clinics]
        if starts is None:
            own = None if wanted.visit_type is None else (wanted.visit_type,)
            starts = await self._calendar.earliest(
                (one.pair, providers[one.pair[0]].visit_type_keys if own is None else own) for one in known
            )
        active = sorted(
            (kind for kind in kinds.values() if kind.active), key=lambda kind: (folding.fold(kind.name), kind.key)
        )
        hits = [_hit(wanted, one, providers[one.pair[0]], clinics[one.pair[1]], active, starts) for one in known]
        return hits, kinds


def _hit(
    wanted: Wanted,
    match: Match,
    provider: Provider,
    clinic: Clinic,
    kinds: Sequence[VisitType],
    starts: Mapping[Pair, Start],
) -> Hit:
    near, start = wanted.near, starts.get(match.pair)
    said: list[str] = []
    if wanted.parts:
        keys = set(provider.visit_type_keys)
        shown = search_matched.Hit(provider, clinic, [kind for kind in kinds if kind.key in keys])
        said = search_matched.matched(wanted.parts, shown, synonyms.of_specialties(), languages.english)
    return Hit(
        provider,
        clinic,
        search_order.distance_km(near, clinic.location) if near and clinic.location else None,
        start.slot(*match.pair) if start else None,
        said,
        match.place,
    )


def _named(values: Sequence[str]) -> tuple[str, ...]:
    """No text of ours has a NUL in it, and PostgreSQL takes none."""
    return tuple(sorted({value.replace("\x00", "\ufffd") for value in values}))


def _shown(found: Found) -> dict[FacetField, list[tuple[str, int]]]:
    """With the values that clients use."""
    return {
        **{field: list(values) for field, values in found.facets.items()},
        FacetField.CLINIC: [(ids.node(ids.CLINIC, int(key)), count) for key, count in found.facets[FacetField.CLINIC]],
        FacetField.MODALITY: [(_MODALITIES[code], count) for code, count in found.facets[FacetField.MODALITY]],
    }
