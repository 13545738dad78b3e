"""Candidates in columns: what the calendar leaves of them is as if the others had never been there."""

from random import Random

import pytest

from domain.search import Candidate, Document, Sort, Wanted
from tests import search_oracle

SORTS = (Sort.BEST, Sort.DISTANCE, Sort.NAME, Sort.SOONEST)


def light(random: Random, one: Document) -> Candidate:
    return Candidate(
        one.pair, random.randrange(3), one.sort_name, one.specialties, one.languages, one.visit_types, one.modalities,
        one.location, min(one.next_days.values(), default=None),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_who_has_no_time_counts_nowhere(seed: int) -> None:
    random = Random(seed)
    documents = [search_oracle.document(random, 1 + number % 70, 1 + number % 13) for number in range(400)]
    crowd = [light(random, one) for one in {one.pair: one for one in documents}.values()]
    cut = 0
    for _ in range(60):
        asked = search_oracle.wanted(random)
        sort = random.choice(SORTS if asked.near else (Sort.BEST, Sort.NAME, Sort.SOONEST))
        there = {one.pair for one in crowd if random.random() < 0.6}
        starts = {pair: random.randrange(50) for pair in there if random.random() < 0.9}
        left = [one for one in crowd if one.pair in there]
        after = None
        for _ in range(3):
            found = search_oracle.decided(crowd, starts, asked, sort, 5, after, there)
            assert found == search_oracle.decided(left, starts, asked, sort, 5, after), (asked, sort)
            if not found.matches:
                break
            after, cut = found.matches[-1].place, cut + 1
    assert cut > 30


def test_nobody_is_a_crowd_too() -> None:
    for sort in SORTS:
        found = search_oracle.decided([], {}, Wanted(), sort, 5, None)
        assert (found.matches, found.total, set(map(len, found.facets.values()))) == ([], 0, {0})
