"""A clinic with people who wait, for the tests of the waitlist."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from adapters.postgres import decisions, offers, waitlist
from adapters.postgres.candidates import KnownWishes
from adapters.postgres.decisions import Decision
from adapters.postgres.offers import StoredOffer
from domain import ids
from domain.access import Viewer
from domain.appointments import Appointment
from domain.outcomes import AppointmentBooked, AppointmentCancelled, OfferAccepted, WaitlistJoined
from domain.ranking import recomputes
from domain.waitlist import Entry, Receipt
from services.booking import Booking
from services.changing import Changing
from services.sweeping import Sweeping
from services.waiting import Joining, Waiting
from tests.world import MONDAY, World, new_key, patient_id, slot_id, staff

SOON = MONDAY + timedelta(days=2)  # Wednesday, 09:00 in New York
TODAY = date(2027, 3, 1)


class Place:
    """A clinic with one provider, open 08:00 to 18:00 every day, and one visit type."""

    def __init__(self, world: World, clinic: int, kind: int, provider: int) -> None:
        self.world, self.clinic, self.kind, self.provider = world, clinic, kind, provider
        self.clerk = staff(clinic)
        self.kinds: list[int] = []

    @property
    def clinic_id(self) -> str:
        return ids.node(ids.CLINIC, self.clinic)

    def kind_id(self, kind: int | None = None) -> str:
        return ids.node(ids.VISIT_TYPE, kind or self.kind)

    def slot(self, kind: int | None = None, **later: float) -> str:
        return slot_id(self.provider, self.clinic, kind or self.kind, SOON + timedelta(**later))

    def asked(self, **wishes: Any) -> Joining:
        given = {"first_date": TODAY, "last_date": TODAY + timedelta(days=30), "minimum_notice_minutes": 0, **wishes}
        return Joining(self.clinic_id, self.kind_id(given.pop("kind", None)), **given)

    async def join(self, who: Viewer | None = None, by: Viewer | None = None, **wishes: Any) -> Entry:
        who = who or await self.world.patient(self.clinic)
        by = by or (self.clerk if "urgency" in wishes else who)
        if by is not who:
            wishes["patient_id"] = patient_id(who)
        joined = await self.world.waiting.join(by, self.asked(**wishes), new_key())
        assert isinstance(joined, WaitlistJoined), joined
        return joined.entry

    async def wait(self, *, how_many: int = 1, **wishes: Any) -> list[Entry]:
        """Entries in the order in which they joined."""
        found = []
        for _ in range(how_many):
            found.append(await self.join(**wishes))
            await self.world.wait(seconds=1)
        return found

    async def booked(self, who: Viewer | None = None, kind: int | None = None, **later: float) -> Appointment:
        who = who or await self.world.patient(self.clinic)
        made = await self.world.booking.book(who, self.slot(kind, **later), None, None, new_key())
        assert isinstance(made, AppointmentBooked), made
        return made.appointment

    async def cancel(self, made: Appointment, by: Viewer | None = None) -> str:
        """The cursor of the cancellation."""
        done = await self.world.changing.cancel(by or self.clerk, made.id, made.version, None, new_key())
        assert isinstance(done, AppointmentCancelled), done
        return done.cursor

    async def entry(self, of: Entry) -> Entry:
        return (await waitlist.entries(self.world.database.primary, [of.key]))[of.key]

    async def live(self) -> list[StoredOffer]:
        """Live offers at the clinic, by their start."""
        rows = await self.world.fetch(
            "SELECT id FROM waitlist_offers WHERE clinic_id = $1 AND status = 'live' ORDER BY starts_at", self.clinic
        )
        found = await offers.offers(self.world.database.primary, [row["id"] for row in rows])
        return [found[row["id"]] for row in rows]

    async def only(self) -> StoredOffer:
        (one,) = await self.live()
        return one

    async def accept(self, stored: StoredOffer, who: Viewer | None = None) -> Any:
        return await self.world.waiting.accept(who or self.who(stored.offer.patient_key), stored.offer.id, new_key())

    async def decline(self, stored: StoredOffer, who: Viewer | None = None) -> Any:
        return await self.world.waiting.decline(who or self.who(stored.offer.patient_key), stored.offer.id, new_key())

    async def told_of(self, stored: StoredOffer) -> None:
        """As if a message about the offer had gone."""
        await self.world.run(
            """INSERT INTO messages (offer_id, version, rule, channel, starts_at, rule_at, due_at, next_at, status, tries, sent_at)
               SELECT id, 1, 'offer', 'email', starts_at, made_at, made_at, made_at, 'sent', 1, made_at FROM waitlist_offers
               WHERE id = $1""",
            stored.offer.key,
        )

    async def accepted(self, stored: StoredOffer) -> OfferAccepted:
        done = await self.accept(stored)
        assert isinstance(done, OfferAccepted), done
        return done

    def who(self, patient_key: int) -> Viewer:
        return Viewer(
            self.clerk.role.__class__("patient"), f"patient-{patient_key}", patient_key, frozenset(), "request"
        )

    async def receipts(self, *entries: Entry) -> list[Receipt]:
        """The newest receipt of each."""
        found = await decisions.receipts(self.world.database.primary, [one.key for one in entries], 1)
        return [found[one.key][0] for one in entries]

    async def told(self, version: int) -> dict[str, Any]:
        """What the stream was told of the provider's calendar at that version."""
        found = await self.world.fetch(
            "SELECT payload FROM outbox WHERE resource_id = $1 AND resource_version = $2", self.provider, version
        )
        assert len(found) == 1
        payload: dict[str, Any] = found[0]["payload"]
        return payload

    async def version(self) -> int:
        found: int = await self.world.value("SELECT version FROM resources WHERE id = $1", self.provider)
        return found


async def place(world: World, minutes: int = 30, kinds: Sequence[dict[str, Any]] = (), **kind: Any) -> Place:
    """More `kinds` are offered by the same provider; their keys stand in `place.kinds`."""
    clinic = await world.clinic()
    keys = [await world.visit_type(minutes, **{"every": 15, "notice": 0, **kind})]
    keys += [await world.visit_type(**{"every": 15, "notice": 0, **one}) for one in kinds]
    found = Place(world, clinic, keys[0], await world.provider([clinic], keys))
    found.kinds = keys[1:]
    return found


async def all_decisions(world: World) -> list[Decision]:
    return await decisions.decisions(world.database.primary, KnownWishes(), 0, 1_000_000)


async def unexplained(world: World) -> list[int]:
    """Decisions that the rules do not decide again as they were written down."""
    return [one.key for one in await all_decisions(world) if not recomputes(one.situation, one.plan)]


def at(**later: float) -> datetime:
    return (SOON + timedelta(**later)).astimezone(UTC)


def hasty(connections: asyncpg.Pool, seconds: float) -> World:
    """A process whose offers last so many seconds at most (OFFER_SECONDS_MAX)."""
    world = World.on(connections)
    desk = replace(world.desk, offer_max=timedelta(seconds=seconds))
    return World(world.database, desk, Booking(desk), Changing(desk), Waiting(desk), Sweeping(desk))
