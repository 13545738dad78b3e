"""The loops that plan and send messages, one a channel: an SMS provider that hangs keeps no e-mail waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import Counter, Gauge

from app.workers.loops import again
from domain.messages import MessageRule
from domain.recipients import Channel
from services.messaging import Messaging

IDLE_SECONDS: Final = 0.5
WATCH_SECONDS: Final = 5.0
OUTCOMES: Final = Counter(
    "appointments_messages_total",
    "Messages by what became of a try: sent, retried, unknown, failed, skipped.",
    ["rule", "channel", "outcome"],
)
WAITING: Final = Gauge("appointments_messages_waiting", "Messages that should have gone by now.", ["channel"])
OLDEST: Final = Gauge("appointments_messages_oldest_due_seconds", "For how long the oldest of them.", ["channel"])
UNPLANNED: Final = Gauge(
    "appointments_messages_unplanned", "Changes that wait for a worker to plan what is told of them; 10,000: or more."
)


def observe(rule: MessageRule, channel: Channel, outcome: str) -> None:
    OUTCOMES.labels(rule.value, channel.value, outcome).inc()


async def watch(messaging: Messaging) -> None:
    """Runs until it is cancelled, wherever there is a /metrics: both grow where no worker plans and sends."""

    async def look() -> int:
        for one in await messaging.behind():
            WAITING.labels(one.channel.value).set(one.waiting)
            OLDEST.labels(one.channel.value).set(one.seconds)
        UNPLANNED.set(await messaging.unplanned())
        return 0

    await again("watching", look, WATCH_SECONDS)


async def message(messaging: Messaging) -> None:
    """Runs until it is cancelled."""

    def sends(channel: Channel) -> Callable[[], Awaitable[int]]:
        return lambda: messaging.send(channel)

    await asyncio.gather(
        again("planning", messaging.plan, IDLE_SECONDS),
        *(again(channel.value, sends(channel), IDLE_SECONDS) for channel in messaging.channels),
    )
