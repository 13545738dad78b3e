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
from adapters.postgres import locks, messages, offer_messages, sending
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
COUNTED_MAX: Final = 10_000
SEND_BATCH: Final = 25
LEASE: Final = timedelta(seconds=60)  # Two calls of 10 s and what lies between; then whoever had it counts as dead.
LAST_CALL: Final = timedelta(
    seconds=45
)  # After the claim; a call that begins later could still be on its way at the lease's end.
# How long a message that may have gone, but is not to go any more, waits for a provider that can't be asked.
ASKED_FOR: Final = timedelta(minutes=15)
ENDED: Final = {
    Verdict.SKIP: MessageStatus.SKIPPED,
    Verdict.FAIL: MessageStatus.FAILED,
    Verdict.PASS: MessageStatus.SKIPPED,
}
Observe = Callable[[MessageRule, Channel, str], None]
Aside = tuple[int, int, Judged]  # message, its tries, what becomes of it
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Behind:
    """How many messages of a channel should have gone by now, and for how long the oldest."""

    channel: Channel
    waiting: int
    seconds: float


def _now() -> datetime:
    return datetime.now(UTC)


class Messaging:
    """`observe` is told the outcome of every try and of every message that will not go. `public_url`: where links lead.

    `clock` is this machine's: it is compared with the provider's.
    """

    def __init__(
        self,
        database: Database,
        carriers: Mapping[Channel, Carrier],
        stopping: Stopping,
        observe: Observe = lambda rule, channel, outcome: None,
        public_url: str = "",
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._database = database
        self._carriers = carriers
        self._stopping = stopping
        self._observe = observe
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    @property
    def channels(self) -> Sequence[Channel]:
        return list(self._carriers)

    async def plan(self) -> int:
        """A batch of versions and offers that nobody has thought about yet; how many. 0 also while another worker plans."""
        return await self._look_up() + await self._plan_versions() + await self._plan_offers()

    async def _look_up(self) -> int:
        async with answering():
            if not await messages.is_changed(self._database.primary):
                return 0
        async with self._database.transaction() as tx:
            return await messages.look_up(tx, PLAN_BATCH) if await messages.plans_alone(tx) else 0

    async def _plan_offers(self) -> int:
        async with answering():
            if not await offer_messages.is_asked(self._database.primary):
                return 0
        async with self._database.transaction() as tx:
            if not await messages.plans_alone(tx):
                return 0
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
            if not await messages.plans_alone(tx):
                return 0
            asked = await messages.take(tx, PLAN_BATCH)
            if not asked:
                return 0
            keys = sorted({one.version.appointment_key for one in asked})
            await offer_messages.ask_again(tx, keys)
            kept = await messages.of_appointments(tx, keys)
            todo: list[tuple[Version, Planned]] = []
            for one in asked:
                todo += [
                    (one.version, planned)
                    for planned in plan_again(one.version, one.recipient, kept.get(one.version.appointment_key, []))
                ]
            await messages.plan(tx, todo)
            await messages.void_older(tx, keys)  # Last: a visit may have moved since it was read.
        return len(asked)

    async def send(self, channel: Channel) -> int:
        """A batch of what is due on a channel: claimed, looked at, sent all at once. How many were looked at.

        What is not to go, but may have gone, is asked about before it is put aside.
        """
        async with answering():
            if not await sending.is_due(self._database.primary, channel):
                return 0
        last_call = asyncio.get_running_loop().time() + LAST_CALL.total_seconds()
        asks = self._carriers[channel].asks_first
        async with self._database.transaction() as tx:
            claimed = await sending.due(tx, channel, SEND_BATCH)
            judged = [(one, judge(one.due, one.recipient, one.now)) for one in claimed]
            going = [(one, what) for one, what in judged if what.verdict is Verdict.SEND or (asks and one.unknown)]
            aside = [
                (one, what) for one, what in judged if what.verdict is not Verdict.SEND and not (asks and one.unknown)
            ]
            await _put_aside(tx, [(one.letter.message_key, one.due.tries, what) for one, what in aside])
            if going:
                keys = [(one.letter.message_key, one.unknown) for one, _ in going]
                await sending.begin_tries(tx, keys, self._clock(), LEASE)
            links = await self._links(tx, [one for one, _ in going]) if channel is Channel.EMAIL else {}
        for one, what in aside:
            self._note_end(one.letter, what)
        tries = (
            self._try(one, self._linked(one.letter, links), last_call)
            if what.verdict is Verdict.SEND
            else self._ask(one, self._linked(one.letter, links), what)
            for one, what in going
        )
        tried = await asyncio.gather(*tries, return_exceptions=True)
        for fault in tried:
            if isinstance(fault, BaseException):
                raise fault
        return len(claimed)

    async def behind(self) -> list[Behind]:
        async with answering():
            return [
                Behind(channel, *await messages.behind(self._database.primary, channel)) for channel in self._carriers
            ]

    async def unplanned(self) -> int:
        """Changes that wait for a worker to plan what is told of them; 10,000: or more."""
        async with answering():
            return await messages.to_plan(self._database.primary, COUNTED_MAX)

    async def close(self) -> None:
        for carrier in self._carriers.values():
            await carrier.close()

    async def _links(self, tx: Connection, going: Sequence[Claimed]) -> dict[str, str]:
        new = {one.letter.to.lower(): token_urlsafe(24) for one in going if one.letter.stop_token is None}
        return await sending.make_links(tx, new) if new else {}

    async def _try(self, one: Claimed, letter: Letter, last_call: float) -> None:
        """One call, and what came of it. Whatever is not written down is found by the lease and asked about."""
        tries, key, carrier = one.due.tries + 1, letter.message_key, self._carriers[letter.channel]
        pool = self._database.primary
        try:
            if one.unknown and carrier.asks_first and await self._arrived(one, letter):
                return
            if asyncio.get_running_loop().time() > last_call:
                self._note(letter, "retried", "this worker was held up; another takes it over")
                return
            if one.unknown and not await self._still_ours(letter, tries):
                return
            accepted = await carrier.send(letter)
        except NotSent as fault:
            # This one did not go; a try before it may have, and be listed only later.
            await self._again(letter, tries, Why.RETRYING, str(fault), unknown=one.unknown)
        except OutcomeUnknown as fault:
            await self._again(letter, tries, Why.UNKNOWN, str(fault), unknown=True)
        except AddressRefused as fault:
            self._note(letter, "failed", str(fault))
            if fault.stopped:
                await self._stopping.stop(letter.channel, letter.to, "the provider")
            async with answering():
                await sending.failed(pool, key, tries, Why.SMS_STOPPED if fault.stopped else Why.REFUSED)
        else:
            await self._accepted(letter, tries, accepted)

    async def _still_ours(self, letter: Letter, tries: int) -> bool:
        async with answering():
            return await sending.calls(self._database.primary, letter.message_key, tries, self._clock())

    async def _ask(self, one: Claimed, letter: Letter, what: Judged) -> None:
        """It may have gone and is not to go any more: then it has gone, or `what` becomes of it."""
        assert one.tried_at is not None
        tries = one.due.tries + 1
        try:
            if await self._arrived(one, letter):
                return
        except OutcomeUnknown as fault:
            if self._clock() < one.tried_at + ASKED_FOR:
                await self._again(letter, tries, Why.UNKNOWN, str(fault), unknown=True)
                return
        async with self._database.transaction() as tx:
            await _put_aside(tx, [(letter.message_key, tries, what)])
        self._note_end(letter, what)

    async def _again(self, letter: Letter, tries: int, why: Why, fault: str, *, unknown: bool) -> None:
        self._note(letter, "unknown" if why is Why.UNKNOWN else "retried", fault)
        pause = timedelta(seconds=pause_seconds(tries))
        async with answering():
            await sending.try_again(self._database.primary, letter.message_key, tries, why, pause, unknown=unknown)

    async def _arrived(self, one: Claimed, letter: Letter) -> bool:
        """Whether an earlier try left something at the provider that is no other message's; then that is written down.

        Raises OutcomeUnknown.
        """
        assert one.tried_at is not None
        tries, key = one.due.tries + 1, letter.message_key
        some = [each for each in await self._carriers[letter.channel].find(letter, one.tried_at) if each.provider_id]
        if not some:
            return False
        ids = [each.provider_id for each in some if each.provider_id]
        async with self._database.locked(None, map(locks.delivery, ids)) as tx:
            taken = await sending.known_to_us(tx, ids, key)
            own = next((each for each in some if each.provider_id not in taken), None)
            if own is None:
                return False
            if own.delivery in NOT_DELIVERED:
                await sending.failed(tx, key, tries, Why.UNDELIVERED, own)
            else:
                await sending.found(tx, key, tries, own)
        self._observe(letter.rule, letter.channel, "failed" if own.delivery in NOT_DELIVERED else "sent")
        return True

    async def _accepted(self, letter: Letter, tries: int, accepted: Accepted) -> None:
        """The provider's own answer; what was taken for another's by its text is taken back."""
        if accepted.provider_id is None:
            async with answering():
                await sending.sent(self._database.primary, letter.message_key, accepted)
            self._observe(letter.rule, letter.channel, "sent")
            return
        failed = accepted.delivery in NOT_DELIVERED
        async with self._database.locked(None, [locks.delivery(accepted.provider_id)]) as tx:
            if failed:
                await sending.take_back(tx, accepted.provider_id, letter.message_key)
                await sending.failed(tx, letter.message_key, tries, Why.UNDELIVERED, accepted)
            else:
                await sending.sent(tx, letter.message_key, accepted)
        self._observe(letter.rule, letter.channel, "failed" if failed else "sent")

    def _note_end(self, letter: Letter, what: Judged) -> None:
        if what.verdict in ENDED:
            self._observe(letter.rule, letter.channel, ENDED[what.verdict].value)

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


async def _put_aside(tx: Connection, some: Sequence[Aside]) -> None:
    """Nothing of those that were settled meanwhile."""
    waits = [
        (key, tries, what.why, what.at)
        for key, tries, what in some
        if what.verdict is Verdict.WAIT and what.why and what.at
    ]
    ends = [
        (key, tries, ENDED[what.verdict], what.why, what.verdict in (Verdict.PASS, Verdict.FAIL))
        for key, tries, what in some
        if what.verdict in ENDED and what.why
    ]
    if waits:
        await sending.put_off(tx, waits)
    if ends:
        await sending.give_up(tx, ends)
