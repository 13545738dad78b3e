"""Zero-gap allocation: time that is given up becomes offers in the transaction that gives it up, and only what is left opens.

Whoever calls holds the clinic's waitlist lock and the resource's (rule 17), and has released the time already.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from adapters.postgres import allocations, calendars, candidates, changes, decisions, holds, offers, waitlist
from adapters.postgres.allocations import Claim
from adapters.postgres.appointments import Locked
from adapters.postgres.calendars import KnownSchedules, Times
from adapters.postgres.changes import By, Change, Request, Told
from adapters.postgres.database import Connection
from adapters.postgres.decisions import Made
from adapters.postgres.offers import StoredOffer
from domain import availability, ids, ranking, zones
from domain.access import Viewer
from domain.calendars import CHUNK_TICKS, chunks
from domain.faults import Unavailable
from domain.ranking import Candidate, Freed, Place, Situation
from domain.schedules import TICK_MINUTES, Schedule
from domain.streams import Closed
from domain.waitlist import EntryStatus, OfferStatus, after_end, offered_until
from services import claims, replays
from services.desk import Desk

REACH_TICKS: Final = availability.TICKS_BEFORE + availability.TICKS_AFTER


@dataclass(frozen=True, slots=True)
class Gift:
    """Time that was given up, as the database has it. `cascade_key`: it was offered before, and by which cascade. `kinds`: it has
    come up for these kinds of visit; the others had it before."""

    freed: Freed
    resource_key: int
    from_at: datetime
    to_at: datetime
    cascade_key: int | None = None
    kinds: frozenset[int] | None = None


def gift(
    clinic_key: int,
    slot: ids.SlotKey,
    allocation: tuple[datetime, datetime],
    visit: tuple[datetime, datetime] | None,
    giver: int | None,
    cascade_key: int | None = None,
    kinds: frozenset[int] | None = None,
) -> Gift:
    """`slot` names what was given up, `allocation` what it took, `visit` the visit itself, where it was one."""
    from_at, to_at = allocation
    seen = None if visit is None else (slot.visit_type_id, _minute(visit[0]), _minute(visit[1]))
    freed = Freed(
        clinic_key, slot.provider_id, _minute(from_at), -int(-to_at.timestamp() // 60), giver, slot.opening_id, seen
    )
    return Gift(freed, slot.opening_id or slot.provider_id, from_at, to_at, cascade_key, kinds)


async def offer(tx: Connection, desk: Desk, given: Gift, now: datetime, by: By) -> list[Closed]:
    """Gives the time to whom it should go, or to nobody; answers what is taken by offers, for the stream's event."""
    if given.to_at <= now:
        return []
    reach = 0 if given.freed.opening_key else REACH_TICKS * TICK_MINUTES
    around = _instant(given.freed.start - reach), _instant(given.freed.end + reach)
    waiting = await candidates.waiting(tx, desk.wishes, given.freed, given.cascade_key, around)
    if not waiting.candidates:
        return []
    zone, places = await _places(tx, desk.known, given, waiting.candidates)
    some = waiting.candidates
    if places:
        some = waiting.between(min(one.start for one in places), max(one.end for one in places))
    situation = Situation(now, zone, given.freed, tuple(places), tuple(some))
    plan = ranking.plan(situation)
    got = [(some[number], place) for number in plan.offered if (place := plan.places[number])]
    made, closed = await _claim(tx, desk, given, now, got) if got else ([], [])
    await decisions.record(tx, situation, plan, given.cascade_key, made, by)
    return closed


async def offer_given_up(tx: Connection, desk: Desk, locked: Locked, by: By) -> list[Closed]:
    """The same for the time that an appointment has given up just now; `locked` is the appointment as it had it."""
    before = locked.appointment
    assert locked.allocation is not None
    _, _, starts, ends = locked.allocation
    slot = ids.SlotKey(before.provider_key, before.clinic_key, before.visit_type_key, None, before.opening_key)
    took = datetime.fromtimestamp(starts, UTC), datetime.fromtimestamp(ends, UTC)
    given = gift(before.clinic_key, slot, took, (before.starts_at, before.ends_at), before.patient_key)
    return await offer(tx, desk, given, locked.now, by)


async def _claim(
    tx: Connection, desk: Desk, given: Gift, now: datetime, chosen: Sequence[tuple[Candidate, Place]]
) -> tuple[list[Made], list[Closed]]:
    """Takes the times of the offers; what is taken is for the stream's event."""
    opening, lane = given.freed.opening_key, 0
    if opening is not None:
        lane = await decisions.free_lane(tx, opening)
        spans = [(given.from_at, given.to_at)]
        visits = spans
    else:
        spans = [(_instant(place.from_minute), _instant(place.to_minute)) for _, place in chosen]
        visits = [(_instant(place.start), _instant(place.end)) for _, place in chosen]
    wanted = [Claim(given.resource_key, *span, lane, offered=True) for span in spans]
    owners = await allocations.occupy(tx, claim=wanted)
    made = []
    for (one, place), owner, (starts_at, ends_at) in zip(chosen, owners, visits, strict=True):
        if owner is None:
            raise Unavailable("a time that was given up is not free")
        until = offered_until(now, starts_at, one.wish.notice_minutes, desk.offer_max)
        made.append(Made(one.key, one.patient_key, owner, place.visit_type_key, starts_at, ends_at, until))
    return made, [claims.until(claims.span(*span)) for span in spans]


async def _places(
    tx: Connection, known: KnownSchedules, given: Gift, waiting: Sequence[Candidate]
) -> tuple[ZoneInfo, list[Place]]:
    """The clinic's zone, and every start that became possible, for the visit types that are waited for."""
    freed = given.freed
    kinds = sorted(
        key for key in {one.wish.visit_type_key for one in waiting} if given.kinds is None or key in given.kinds
    )
    pair = freed.provider_key, freed.clinic_key
    first, last = freed.start // TICK_MINUTES, -(-freed.end // TICK_MINUTES)
    numbers = chunks(first - REACH_TICKS, last + REACH_TICKS)
    between = numbers.start * CHUNK_TICKS, numbers.stop * CHUNK_TICKS
    latest = {pair: known.latest(pair)}
    read = await calendars.times(tx, [(*pair, kind) for kind in kinds], latest, {}, between, "", exact=False)
    found: list[Place] = []
    for times in read.values():
        if times.offering.open:
            found += await _places_of(tx, known, times, given)
    zone = next((times.offering.zone for times in read.values()), None)
    if zone is None:  # The provider has left the clinic meanwhile.
        return zones.named("UTC"), []
    return zone, found


async def _places_of(tx: Connection, known: KnownSchedules, times: Times, given: Gift) -> list[Place]:
    one, freed = times.offering, given.freed
    if freed.opening_key is not None:
        return await _opening(tx, times, freed)
    schedule = await _schedule(tx, known, times)
    if schedule is None or times.taken is None or one.visit_type.duration_minutes is None:
        return []
    starts, ends, _ = times.taken  # A hold that has run out counts until the sweeper has told it.
    bound = availability.limits(one.visit_type, one.zone, times.now, binding=True)
    taken = list(zip(starts, ends, strict=True))
    return ranking.places(freed, schedule, one.zone, one.visit_type, taken, bound, known.offers)


async def _opening(tx: Connection, times: Times, freed: Freed) -> list[Place]:
    one = times.offering
    if one.visit_type.duration_minutes is not None or freed.opening_key is None:
        return []
    opening = (await calendars.openings_by_key(tx, [freed.opening_key])).get(freed.opening_key)
    if opening is None or not opening.offered or opening.left <= 0 or opening.starts_at <= times.now:
        return []
    return [ranking.opening_place(freed, one.zone, one.visit_type.key)]


async def _schedule(tx: Connection, known: KnownSchedules, times: Times) -> Schedule | None:
    pair = times.offering.provider_key, times.offering.clinic_key
    if times.schedule is not None:
        known.learn(times.schedule)
        return times.schedule
    version = times.offering.schedule_version
    return known.version(pair, version) or (await known.at(tx, {pair: version})).get(pair)


async def end(
    tx: Connection, desk: Desk, stored: StoredOffer, status: OfferStatus, entry: tuple[EntryStatus, int], by: By
) -> list[Told]:
    """An offer that is not taken: its time goes to the next (never to the same entry again in this cascade), else to everybody.

    `entry`: the state and misses of who had it. Answers the one event that tells it.
    """
    await offers.end(tx, stored.offer.key, status)
    await waitlist.set_status(tx, stored.offer.entry_key, *entry)
    await allocations.occupy(tx, release=[stored.allocation_key])
    visit = stored.offer.starts_at, stored.offer.ends_at
    given = gift(
        stored.offer.clinic_key, stored.slot, (stored.from_at, stored.to_at), visit, stored.giver, stored.cascade_key
    )
    closed = await offer(tx, desk, given, stored.now, by)
    payload = claims.payload([claims.span(stored.from_at, stored.to_at)], closed)
    return changes.told_to(stored.resource_key, await told_clinics(tx, stored.slot), payload)


async def pass_on(
    tx: Connection, desk: Desk, stored: StoredOffer, status: OfferStatus, viewer: Viewer, request: Request
) -> None:
    """Ends an offer without an answer and writes that down; no key answers with it."""
    entry = EntryStatus.ACTIVE, stored.misses
    if status is OfferStatus.EXPIRED:
        entry = after_end(stored.misses, stored.offer.expires_at - stored.made_at, told=stored.told)
    told = await end(tx, desk, stored, status, entry, By(viewer, request.operation))
    change = Change(
        viewer, replace(request, key=""), stored.now, replays.waiting("OfferDeclined", stored.offer.entry_key),
        f"offer:{stored.offer.key}", stored.offer.clinic_key, stored.offer.patient_key, told=told,
    )  # fmt: skip
    await changes.record(tx, change)


async def told_clinics(tx: Connection, slot: ids.SlotKey) -> list[int]:
    """Clinics whose calendars show the slot's resource."""
    if slot.opening_id is not None:
        return [slot.clinic_id]
    return (await holds.told_clinics(tx, [slot.provider_id]))[slot.provider_id]


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _instant(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
