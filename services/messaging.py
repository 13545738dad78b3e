"""Messages to patients: planned once for each version of an appointment, looked at again before they go, each sent once.

Any number of workers may run. The truth is in the tables; nothing is kept here between two calls.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Final

import structlog

from adapters.notifications.carriers import Carrier
from adapters.postgres import messages, offer_messages, sending
from adapters.postgres.database import Connection, Database, answering
from adapters.postgres.sending import Claimed
from domain.letters import Accepted, AddressRefused, Letter, NotSent, OutcomeUnknown
from domain.messages import (
    NOT_DELIVERED,
    Judged,
    MessageRule,
    MessageStatus,
    Planned,
    Verdict,
    Version,
    Why,
    judge,
    pause_seconds,
    plan_again,
)
from domain.offer_messages import OfferTold, plan_offer
from domain.recipients import Channel
from services.stopping import Stopping

PLAN_BATCH: Final = 200
SEND_BATCH: Final = 25
LEASE: Final = timedelta(seconds=60)  # Three calls of 10 s and what lies between; then whoever had it counts as dead.
ENDED: Final = {
    Verdict.SKIP: MessageStatus.SKIPPED,
    Verdict.FAIL: MessageStatus.FAILED,
    Verdict.PASS: MessageStatus.SKIPPED,
}
Observe = Callable[[MessageRule, Channel, str], None]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Behind:
    """How many messages of a channel should have gone by now, and for how long the oldest."""

    channel: Channel
    waiting: int
    seconds: float


class Messaging:
    """`observe` is told the outcome of every try and of every message that will not go. `public_url`: where links lead."""

    def __init__(
        self,
        database: Database,
        carriers: Mapping[Channel, Carrier],
        stopping: Stopping,
        observe: Observe = lambda rule, channel, outcome: None,
        public_url: str = "",
    ) -> None:
        self._database = database
        self._carriers = carriers
        self._stopping = stopping
        self._observe = observe
        self._public_url = public_url.rstrip("/")

    @property
    def channels(self) -> Sequence[Channel]:
        return list(self._carriers)

    async def plan(self) -> int:
        """A batch of versions and offers that nobody has thought about yet; how many."""
        return await self._plan_versions() + await self._plan_offers()

    async def _plan_offers(self) -> int:
        async with answering():
            if not await offer_messages.is_asked(self._database.primary):
                return 0
        async with self._database.transaction() as tx:
            asked = await offer_messages.take(tx, PLAN_BATCH)
            kept = await offer_messages.of_offers(tx, [offer.key for offer, _ in asked])
            await offer_messages.void(tx, [offer.key for offer, _ in asked if not offer.live])
            todo: list[tuple[OfferTold, Planned]] = []
            for offer, recipient in asked:
                todo += [(offer, planned) for planned in plan_offer(offer, recipient, kept.get(offer.key, []))]
            await offer_messages.plan(tx, todo)
        return len(asked)

    async def _plan_versions(self) -> int:
        async with answering():
            if not await messages.is_asked(self._database.primary):
                return 0
        async with self._database.transaction() as tx:
            asked = await messages.take(tx, PLAN_BATCH)
            if not asked:
                return 0
            kept = await messages.of_appointments(tx, sorted({one.version.appointment_key for one in asked}))
            present = [one for one in asked if one.version.version == one.version.present_version]
            await messages.void_older(tx, [one.version for one in present])
            todo: list[tuple[Version, Planned]] = []
            for one in asked:
                todo += [
                    (one.version, planned)
                    for planned in plan_again(one.version, one.recipient, kept.get(one.version.appointment_key, []))
                ]
            await messages.plan(tx, todo)
        return len(asked)

    async def send(self, channel: Channel) -> int:
        """A batch of what is due on a channel: claimed, looked at, sent all at once. How many were looked at."""
        async with answering():
            if not await sending.is_due(self._database.primary, channel):
                return 0
        async with self._database.transaction() as tx:
            claimed = await sending.due(tx, channel, SEND_BATCH)
            judged = [(one, judge(one.due, one.recipient, one.now)) for one in claimed]
            await self._put_aside(tx, [pair for pair in judged if pair[1].verdict is not Verdict.SEND])
            going = [one for one, what in judged if what.verdict is Verdict.SEND]
            if going:
                keys = [(one.letter.message_key, one.unknown) for one in going]
                await sending.begin_tries(tx, keys, datetime.now(UTC), LEASE)
            links = await self._links(tx, going) if channel is Channel.EMAIL else {}
        for one, what in judged:
            if what.why is not None and what.verdict in ENDED:
                self._observe(one.due.rule, channel, ENDED[what.verdict].value)
        tried = await asyncio.gather(
            *(self._try(one, self._linked(one.letter, links)) for one in going), return_exceptions=True
        )
        for fault in tried:
            if isinstance(fault, BaseException):
                raise fault
        return len(claimed)

    async def behind(self) -> list[Behind]:
        async with answering():
            return [
                Behind(channel, *await messages.behind(self._database.primary, channel)) for channel in self._carriers
            ]

    async def close(self) -> None:
        for carrier in self._carriers.values():
            await carrier.close()

    async def _put_aside(self, tx: Connection, some: Sequence[tuple[Claimed, Judged]]) -> None:
        waits = [
            (one.letter.message_key, what.why, what.at)
            for one, what in some
            if what.verdict is Verdict.WAIT and what.why and what.at
        ]
        ends = [
            (one.letter.message_key, ENDED[what.verdict], what.why, what.verdict in (Verdict.PASS, Verdict.FAIL))
            for one, what in some
            if what.verdict in ENDED and what.why
        ]
        if waits:
            await sending.put_off(tx, waits)
        if ends:
            await sending.give_up(tx, ends)

    async def _links(self, tx: Connection, going: Sequence[Claimed]) -> dict[str, str]:
        new = {one.letter.to.lower(): token_urlsafe(24) for one in going if one.letter.stop_token is None}
        return await sending.make_links(tx, new) if new else {}

    async def _try(self, one: Claimed, letter: Letter) -> None:
        """One call, and what came of it. Whatever is not written down is found by the lease and asked about."""
        tries, key, carrier = one.due.tries + 1, letter.message_key, self._carriers[letter.channel]
        pool = self._database.primary
        pause = timedelta(seconds=pause_seconds(tries))
        try:
            accepted = await self._arrived(one, letter) if one.unknown and carrier.asks_first else None
            if accepted is None:
                accepted = await carrier.send(letter)
        except NotSent as fault:
            self._note(letter, "retried", str(fault))
            async with answering():
                await sending.try_again(pool, key, tries, Why.RETRYING, pause, unknown=False)
        except OutcomeUnknown as fault:
            self._note(letter, "unknown", str(fault))
            async with answering():
                await sending.try_again(pool, key, tries, Why.UNKNOWN, pause, unknown=True)
        except AddressRefused as fault:
            self._note(letter, "failed", str(fault))
            if fault.stopped:
                await self._stopping.stop(letter.channel, letter.to, "the provider")
            async with answering():
                await sending.failed(pool, key, tries, Why.SMS_STOPPED if fault.stopped else Why.REFUSED)
        else:
            await self._accepted(letter, tries, accepted)

    async def _arrived(self, one: Claimed, letter: Letter) -> Accepted | None:
        """What an earlier try left at the provider, unless that is another message's. Raises OutcomeUnknown."""
        assert one.tried_at is not None
        found = await self._carriers[letter.channel].find(letter, one.tried_at)
        async with answering():
            taken = await sending.known_to_us(
                self._database.primary, [each.provider_id or "" for each in found], letter.message_key
            )
        return next((each for each in found if each.provider_id not in taken), None)

    async def _accepted(self, letter: Letter, tries: int, accepted: Accepted) -> None:
        async with answering():
            if accepted.delivery in NOT_DELIVERED:
                await sending.failed(self._database.primary, letter.message_key, tries, Why.UNDELIVERED)
            else:
                await sending.sent(self._database.primary, letter.message_key, tries, accepted)
        self._observe(letter.rule, letter.channel, "failed" if accepted.delivery in NOT_DELIVERED else "sent")

    def _note(self, letter: Letter, outcome: str, reason: str) -> None:
        """Neither the text nor the address: whose it was stands in the table."""
        log.warning(
            "message not sent", message=letter.key_id, channel=letter.channel.value, outcome=outcome, reason=reason
        )
        self._observe(letter.rule, letter.channel, outcome)

    def _linked(self, letter: Letter, links: Mapping[str, str]) -> Letter:
        if letter.offer_key is not None:
            letter = replace(letter, link=f"{self._public_url}/offer/{letter.offer_id}")
        return letter if letter.stop_token else replace(letter, stop_token=links.get(letter.to.lower()))
