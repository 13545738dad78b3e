"""The loops that plan and send messages, one a channel: an SMS provider that hangs keeps no e-mail waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from domain.faults import RequestInProgress, Unavailable
from domain.messages import MessageRule
from domain.recipients import Channel
from services.messaging import Messaging

IDLE_SECONDS: Final = 0.5
BACK_OFF_SECONDS: Final = 2.0
WATCH_SECONDS: Final = 5.0
OUTCOMES: Final = Counter(
    "appointments_messages_total",
    "Messages by what became of a try: sent, retried, unknown, failed, skipped.",
    ["rule", "channel", "outcome"],
)
WAITING: Final = Gauge("appointments_messages_waiting", "Messages that should have gone by now.", ["channel"])
OLDEST: Final = Gauge("appointments_messages_oldest_due_seconds", "For how long the oldest of them.", ["channel"])
log = structlog.get_logger()


def observe(rule: MessageRule, channel: Channel, outcome: str) -> None:
    OUTCOMES.labels(rule.value, channel.value, outcome).inc()


async def message(messaging: Messaging) -> None:
    """Runs until it is cancelled."""

    async def watch() -> int:
        for one in await messaging.behind():
            WAITING.labels(one.channel.value).set(one.waiting)
            OLDEST.labels(one.channel.value).set(one.seconds)
        return 0

    def sends(channel: Channel) -> Callable[[], Awaitable[int]]:
        return lambda: messaging.send(channel)

    await asyncio.gather(
        _again("planning", messaging.plan, IDLE_SECONDS),
        _again("watching", watch, WATCH_SECONDS),
        *(_again(channel.value, sends(channel), IDLE_SECONDS) for channel in messaging.channels),
    )


async def _again(what: str, work: Callable[[], Awaitable[int]], idle: float) -> None:
    """At once while there is something to do."""
    while True:
        try:
            if not await work():
                await asyncio.sleep(idle)
        except (Unavailable, RequestInProgress) as fault:
            log.warning("messages wait", loop=what, reason=str(fault))
            await asyncio.sleep(BACK_OFF_SECONDS)
        except Exception:  # Whatever it is: one message that can't be written must not keep all others.
            log.exception("messages failed", loop=what)
            await asyncio.sleep(BACK_OFF_SECONDS)
