"""What may be meant by what was typed so far: specialties, providers and clinics."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from adapters.postgres import search_names, search_words
from adapters.postgres.database import Database, answering
from adapters.postgres.standing import Standing
from domain import folding, search_filters, search_order
from domain.clinics import Clinic, GeoPoint, Provider
from domain.search_documents import SPECIALTY
from domain.search_order import NOWHERE
from services.searching import synonyms

SPECIALTIES_MAX: Final = 20
NEAR_MAX: Final = 100  # Of each kind, by name, the nearest of which are suggested.


@dataclass(frozen=True, slots=True)
class SpecialtySuggestion:
    """`synonym`: what was typed begins it, and it stands for the specialty."""

    name: str
    synonym: str | None


Suggestion = SpecialtySuggestion | Provider | Clinic


class Suggesting:
    def __init__(self, database: Database, standing: Standing) -> None:
        self._database = database
        self._standing = standing

    async def suggest(self, prefix: str, near: GeoPoint | None, first: int) -> list[Suggestion]:
        """At most `first`; every kind that has some gets two places at least, where there are so many (rule 58). With `near` the
        nearest providers and clinics before others. Raises BadInput, Unavailable.
        """
        search_filters.text(prefix, "prefix")
        if near is not None:
            search_filters.on_globe(near)
        words = list(dict.fromkeys(folding.words(prefix)))
        if not words:
            return []
        limit = first if near is None else NEAR_MAX
        async with answering():
            kinds = await asyncio.gather(
                self._specialties(words), self._providers(words, near, limit), self._clinics(words, near, limit)
            )
        return _shared(kinds, first)

    async def _specialties(self, words: Sequence[str]) -> list[Suggestion]:
        """Those that somebody has whose own name fits before those of which a synonym does."""
        reader = self._database.replica
        known = [term.removeprefix(SPECIALTY) for term in await search_words.like(reader, [SPECIALTY], [])]
        fitting = sorted(
            (one for name in known if (one := _fits(name, words)) is not None),
            key=lambda one: (one.synonym is not None, folding.fold(one.name)),
        )[:SPECIALTIES_MAX]
        listed = await search_names.listed_specialties(reader, [one.name for one in fitting]) if fitting else set()
        return [one for one in fitting if one.name in listed]

    async def _providers(self, words: Sequence[str], near: GeoPoint | None, limit: int) -> list[Suggestion]:
        keys = await search_names.providers(self._database.replica, words, limit)
        found = await self._standing.providers(self._database.primary, keys)
        there: list[Provider] = [found[key] for key in keys if key in found and found[key].active]
        if near is None:
            return list(there)
        clinics = await self._standing.clinics(
            self._database.primary, sorted({key for one in there for key in one.clinic_keys})
        )
        away = {one.key: min((_away(near, clinics, key) for key in one.clinic_keys), default=NOWHERE) for one in there}
        there.sort(key=lambda one: away[one.key])
        return list(there)

    async def _clinics(self, words: Sequence[str], near: GeoPoint | None, limit: int) -> list[Suggestion]:
        keys = await search_names.clinics(self._database.replica, words, limit)
        found = await self._standing.clinics(self._database.primary, keys)
        there = [key for key in keys if key in found and found[key].active]
        if near is not None:
            there.sort(key=lambda key: _away(near, found, key))
        return [found[key] for key in there]


def _away(near: GeoPoint, clinics: Mapping[int, Clinic], key: int) -> float:
    location = clinics[key].location if key in clinics else None
    return NOWHERE if location is None else search_order.distance_km(near, location)


def _fits(name: str, words: Sequence[str]) -> SpecialtySuggestion | None:
    """Where every word begins one of the name's, or all of them words of one synonym."""
    written = _written(name)
    if not all(f" {word}" in written for word in words):
        return None
    if _begin(words, folding.words(name)):
        return SpecialtySuggestion(name, None)
    found = next((one for one in synonyms.of_specialties().get(name, ()) if _begin(words, folding.words(one))), None)
    return None if found is None else SpecialtySuggestion(name, found)


@lru_cache(maxsize=4096)
def _written(name: str) -> str:
    """All words of the name and its synonyms, a space before each: what begins none of them is told from that at once."""
    some = folding.distinct(name, *synonyms.of_specialties().get(name, ()))
    return "".join(f" {word}" for word in some)


def _begin(words: Sequence[str], whole: Sequence[str]) -> bool:
    return all(any(word.startswith(asked) for word in whole) for asked in words)


def _shared(kinds: Sequence[Sequence[Suggestion]], first: int) -> list[Suggestion]:
    """Two places for each kind that has so many, as far as there are places; the rest to the kinds in their order."""
    counts = [0] * len(kinds)
    for most in (1, 2, first):
        for number, some in enumerate(kinds):
            free = first - sum(counts)
            counts[number] += max(0, min(len(some), most, counts[number] + free) - counts[number])
    return [one for some, count in zip(kinds, counts, strict=True) for one in some[:count]]
