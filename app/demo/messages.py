"""What patients of the demo were told and will be told of visits just over and still to come; some of it waits for a worker."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from adapters.postgres.bulk import History, Message
from domain.messages import MessageRule, MessageStatus, Planned, Version, Why, plan, until
from domain.recipients import Recipient

BEFORE: Final = timedelta(days=1)
AFTER: Final = timedelta(days=30)
UNSENT: Final = 24
OF_USE: Final = timedelta(hours=2)


class Letters:
    """The same rules as for everybody. The first few confirmations lie ready: the worker sends them when it starts."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._unsent = UNSENT

    def told(self, one: History, recipient: Recipient, zone: ZoneInfo) -> Iterator[Message]:
        """`zone` is the clinic's."""
        starts_at = one.appointment.starts_at
        if not self._now - BEFORE <= starts_at <= self._now + AFTER:
            return
        for event, following in zip(one.events, [*one.events[1:], None], strict=True):
            version = Version(
                one.appointment.key, event.version, event.version, event.change, event.status, event.at, starts_at, zone
            )
            last = min(following.at, self._now) if following else self._now
            for planned in plan(version, recipient, frozenset()):
                if planned.status is MessageStatus.SCHEDULED and planned.due_at <= last:
                    if following is None and self._left(planned, starts_at):
                        yield Message(event.version, planned, None)
                    else:
                        sent = replace(planned, status=MessageStatus.SENT, why=None)
                        yield Message(event.version, sent, planned.due_at)
                elif planned.status is MessageStatus.SCHEDULED and following is not None:
                    yield Message(event.version, replace(planned, status=MessageStatus.SKIPPED, why=Why.REPLACED), None)
                else:
                    yield Message(event.version, planned, None)

    def _left(self, planned: Planned, starts_at: datetime) -> bool:
        """Only what is of use for some hours yet."""
        if planned.rule is not MessageRule.CONFIRMATION or not self._unsent:
            return False
        if until(planned.rule, planned.rule_at, starts_at) < self._now + OF_USE:
            return False
        self._unsent -= 1
        return True
