"""Notes which times come up for the first time, in the transaction that does it; the sweeper offers them to those who wait.

Hours are edited; a provider comes to a clinic, offers another kind of visit or is there again; a feed publishes openings.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from adapters.postgres import calendars, clinics, opened
from adapters.postgres.database import Connection
from adapters.postgres.opened import Span, Waited
from domain import booking, zones
from domain.clinics import VisitType
from domain.ranking import newly_open
from domain.schedules import Schedule

DAYS_MAX: Final = 120  # how far ahead times that come up are offered
Pair = tuple[int, int]


async def hours(
    tx: Connection, pair: Pair, waited: Waited, kinds: Sequence[VisitType], before: Schedule, now: datetime
) -> None:
    """What these kinds of visit may take now at a clinic that they could not with the hours of `before`."""
    after = (await calendars.schedules(tx, [pair])).get(pair, Schedule(*pair, 0))
    zone = zones.named(waited.time_zone)
    first = zones.today(now, zone)
    last = min(waited.last_date, first + timedelta(days=DAYS_MAX))
    if last < first:
        return
    spans = [
        Span(booking.instant(start), booking.instant(end), found)
        for start, end, found in newly_open(before, after, zone, kinds, first, last)
    ]
    if spans:
        await opened.add(tx, *pair, spans)


async def offers(tx: Connection, provider_keys: Sequence[int], before: Mapping[Pair, Waited], now: datetime) -> None:
    """What providers offer since `before`, by `opened.waited_for`: another kind of visit, or at another clinic."""
    after = await opened.waited_for(tx, provider_keys)
    fresh = {
        pair: waited.kinds - (before[pair].kinds if pair in before else frozenset()) for pair, waited in after.items()
    }
    fresh = {pair: kinds for pair, kinds in fresh.items() if kinds}
    if not fresh:
        return
    known = await clinics.visit_types(tx, sorted(frozenset[int]().union(*fresh.values())))
    for pair, kinds in sorted(fresh.items()):
        await hours(tx, pair, after[pair], [known[key] for key in sorted(kinds)], Schedule(*pair, 0), now)
    pools = [pair for pair, kinds in fresh.items() if any(known[key].duration_minutes is None for key in kinds)]
    if pools:
        ahead = await opened.openings_ahead(tx, [one[0] for one in pools], [one[1] for one in pools])
        await opened.add_openings(tx, ahead)
