"""Thousands of candidates in columns: what the calendar leaves of them is counted and cut without a look at each of them again."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import compress, islice
from operator import itemgetter
from typing import Final

from domain import search_order
from domain.clinics import Modality
from domain.search import FACET_VALUES_MAX, Candidate, FacetField, Match, Pair, Sort, Wanted
from domain.search_order import NOWHERE, Place

PORTION: Final = 2000  # Candidates that are looked at at once: what takes longer holds others up.
TOLD_MAX: Final = 8
Ask = tuple[Pair, tuple[int, ...]]  # The earliest time of a pair over these kinds of visit, in order.
_Alike = tuple[tuple[str, ...], tuple[str, ...], tuple[Modality, ...]]
_Facets = dict[FacetField, list[tuple[str, int]]]
_CODES: Final = {one: one.value for one in Modality}  # Asking an enum's member for its value is Python code.
_BITS: Final = {field: 1 << number for number, field in enumerate(FacetField)}
_MASKS: Final = 1 << len(FacetField)
_PLACE: Final = itemgetter(0)


class Crowd:
    """The candidates of one question, those that count in any facet: they fail at most one of the facets' filters.

    `asked` and `hits_asked` are what the calendar is asked about all of them and about the hits alone, who fail none; its answers
    are handed in beside them. Nothing in here changes with the clock, so that it serves as long as the candidates are the same.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._own = None if wanted.visit_type is None else (wanted.visit_type,)
        self._offered: dict[tuple[int, ...], tuple[int, ...]] = {}  # Kinds of visit in the order of their keys.
        self._filters = {field: search_order.asked(wanted, field) for field in FacetField}
        # By what facets count, clinics aside: a number, and which filters fail: a bit for each.
        self._kinds: dict[_Alike, tuple[int, int]] = {}
        self._alike: list[int] = []  # That number, and which filter fails.
        self._clinics: list[int] = []  # 0 for those that do not count there.
        self._hits: list[Candidate] = []
        self._hits_at: list[int] = []
        self._in_order: dict[Sort, list[tuple[Place, int, int]]] = {}
        self._told: dict[int, tuple[Sequence[object] | None, int, _Facets]] = {}
        self.asked: list[Ask] = []
        self.hits_asked: list[Ask] = []

    def adding(self, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Between its steps others may have their turn; then the crowd is whole."""
        for begin in range(0, len(candidates), PORTION):
            self._add(candidates[begin : begin + PORTION])
            yield

    def _add(self, candidates: Iterable[Candidate]) -> None:
        kinds, offered, clinics = self._kinds, self._offered, set(self._wanted.clinics)
        by_clinic = _BITS[FacetField.CLINIC]
        for one in candidates:
            alike = one.specialties, one.languages, one.modalities
            number, fails = kinds.get(alike) or self._kind(alike)
            elsewhere = clinics and one.pair[1] not in clinics
            if fails and (elsewhere or fails & (fails - 1)):
                continue
            ask = one.pair, self._own or offered.get(one.visit_types) or self._in_key_order(one.visit_types)
            if not fails and not elsewhere:
                self._hits.append(one)
                self._hits_at.append(len(self.asked))
                self.hits_asked.append(ask)
            self.asked.append(ask)
            self._alike.append(number * _MASKS + (by_clinic if elsewhere else fails))
            self._clinics.append(0 if fails else one.pair[1])

    def _in_key_order(self, visit_types: tuple[int, ...]) -> tuple[int, ...]:
        self._offered[visit_types] = found = tuple(sorted(visit_types))
        return found

    def _kind(self, alike: _Alike) -> tuple[int, int]:
        fails = sum(
            _BITS[field]
            for field, taken in self._filters.items()
            if field is not FacetField.CLINIC and taken and taken.isdisjoint(self._values(alike, field))
        )
        self._kinds[alike] = found = len(self._kinds), fails
        return found

    def _values(self, alike: _Alike, field: FacetField) -> Sequence[str]:
        specialties, languages, modalities = alike
        if field is FacetField.SPECIALTY:
            return specialties
        if field is FacetField.LANGUAGE:
            return languages
        kind = self._wanted.visit_modality
        return [_CODES[one] for one in ((kind,) if kind else modalities)]

    def facets(self, there: Sequence[object] | None = None) -> tuple[int, _Facets]:
        """How many hits, and each facet under all filters but its own. `there`: only those of `asked` beside which something is; it
        does not change any more."""
        told = self._told.get(id(there))
        if told is None or told[0] is not there:
            if len(self._told) >= TOLD_MAX:
                self._told.clear()
            told = self._told[id(there)] = there, *self._facets(there)
        return told[1:]

    def _facets(self, there: Sequence[object] | None) -> tuple[int, _Facets]:
        counted = Counter(self._alike if there is None else compress(self._alike, there))
        clinics = Counter(self._clinics if there is None else compress(self._clinics, there))
        kinds = list(self._kinds)
        alike = [(kinds[code // _MASKS], code % _MASKS, count) for code, count in counted.items()]
        found: _Facets = {}
        for field in FacetField:
            counts, others = Counter[str](), ~_BITS[field]
            for kind, fails, count in alike if field is not FacetField.CLINIC else ():
                if not fails & others:
                    for value in dict.fromkeys(self._values(kind, field)):
                        counts[value] += count
            found[field] = _clinic_values(clinics) if field is FacetField.CLINIC else _largest(counts)
        return sum(count for _, fails, count in alike if not fails), found

    def placing(self, sort: Sort) -> Iterator[None]:
        """Puts the hits in order by any sort but SOONEST; between its steps others may have their turn."""
        if sort in self._in_order:
            return
        placed: list[tuple[Place, int, int]] = []
        for begin in range(0, len(self._hits), PORTION):
            some = enumerate(self._hits[begin : begin + PORTION], begin)
            placed += sorted((self._place(sort, one), one.score, at) for at, one in some)
            yield
        self._in_order[sort] = sorted(placed)

    def page(self, sort: Sort, first: int, after: Place | None, there: Sequence[object] | None = None) -> list[Match]:
        """Of the hits that were put in that order, the `first` behind `after`; `there` as above."""
        ordered = self._in_order[sort]
        behind = islice(ordered, 0 if after is None else bisect_right(ordered, after, key=_PLACE), None)
        some = (one for one in behind if there is None or there[self._hits_at[one[2]]])
        return [_match(place, score) for place, score, _ in islice(some, first)]

    def soonest(
        self, starts: Sequence[float], first: int, after: Place | None, there: Sequence[object] | None = None
    ) -> list[tuple[Match, int]]:
        """By their first times in UTC minutes, beside `hits_asked`, NOWHERE for none; with each its number there."""
        begin = after[0] if after is not None else -1.0
        some: Sequence[int] = range(len(starts))
        if there is not None:
            some = [number for number, at in enumerate(self._hits_at) if there[at]]
        later = nsmallest(first, (at for at in map(starts.__getitem__, some) if at > begin))
        end = later[-1] if len(later) == first else NOWHERE  # Who can be on the page by the start alone.
        near = [(starts[number], self._hits[number], number) for number in some if begin <= starts[number] <= end]
        places = (
            (search_order.soonest(start, one.score, self._km(one), one.sort_name, one.pair), one.score, number)
            for start, one, number in near
        )
        best = nsmallest(first, (one for one in places if after is None or one[0] > after))
        return [(_match(place, score), number) for place, score, number in best]

    def _place(self, sort: Sort, one: Candidate) -> Place:
        return search_order.place(sort, one.score, self._km(one), one.next_day, one.sort_name, one.pair)

    def _km(self, one: Candidate) -> float | None:
        near = self._wanted.near
        return search_order.distance_km(near, one.location) if near and one.location else None


def _match(place: Place, score: int) -> Match:
    return Match((place[4], place[5]), score, place)


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The largest first; where equal by value."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:FACET_VALUES_MAX]


def _clinic_values(counts: Counter[int]) -> list[tuple[str, int]]:
    """The same of thousands of clinics: only those that may be among the largest are sorted."""
    del counts[0]
    some = sorted(counts.values(), reverse=True)[:FACET_VALUES_MAX]
    most = sorted((-count, key) for key, count in counts.items() if count >= some[-1])
    return [(str(key), -count) for count, key in most[:FACET_VALUES_MAX]]
