"""Where and when a patient may be reached: addresses, channels in their order, quiet hours in the patient's zone (rule 49)."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

from domain import fields, zones
from domain.faults import BadInput

QUIET: Final = (21 * 60, 8 * 60)
BEFORE_QUIET: Final = timedelta(hours=1)
LANGUAGE: Final = "en"


class Channel(Enum):
    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class NotificationPreferences:
    """Channels by first choice; quiet hours in minutes of the zone's wall clock, both None for none."""

    channels: tuple[Channel, ...]
    time_zone: str
    quiet_from: int | None
    quiet_to: int | None
    language: str

    def changed(self, asked: dict[str, Any]) -> "NotificationPreferences":
        """With what `asked` holds of channels, time_zone, quiet_from, quiet_to, language; what is absent stays. Raises BadInput."""
        new = replace(self, **asked)
        if not new.channels or len(set(new.channels)) != len(new.channels):
            raise BadInput("channels", "Name at least one channel, each once.")
        if new.time_zone not in zones.NAMES:
            raise BadInput("timeZone", "That is not a time zone of the IANA database.")
        if "quiet_from" in asked and asked["quiet_from"] is None:
            new = replace(new, quiet_to=None)
        elif new.quiet_from is None and new.quiet_to is not None:
            raise BadInput("quietFrom", "Quiet hours need a beginning.")
        elif new.quiet_from is not None and new.quiet_to is None:
            raise BadInput("quietTo", "Quiet hours need an end.")
        if new.quiet_from is not None and new.quiet_to is not None:
            new = replace(new, quiet_from=new.quiet_from % 1440, quiet_to=new.quiet_to % 1440)
            if new.quiet_from == new.quiet_to:
                raise BadInput("quietTo", "Quiet hours end at another time than they begin.")
        return replace(new, language=fields.language("language", new.language))


@dataclass(frozen=True, slots=True)
class Recipient:
    """`channels` None: nothing chosen, then e-mail if there is an address, else SMS."""

    patient_key: int
    email: str | None
    phone: str | None
    channels: tuple[Channel, ...] | None
    zone: ZoneInfo
    quiet: tuple[int, int] | None = QUIET
    language: str = LANGUAGE
    stopped: frozenset[Channel] = frozenset()

    @property
    def order(self) -> tuple[Channel, ...]:
        if self.channels is not None:
            return self.channels
        return (Channel.EMAIL,) if self.email else (Channel.SMS,)

    @property
    def preferences(self) -> NotificationPreferences:
        quiet_from, quiet_to = self.quiet or (None, None)
        return NotificationPreferences(self.order, self.zone.key, quiet_from, quiet_to, self.language)

    def address(self, channel: Channel) -> str | None:
        """As stops name it: e-mail in small letters, E.164."""
        if channel is Channel.EMAIL:
            return self.email.lower() if self.email else None
        return self.phone or None

    def quiet_around(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Beginning and end of the quiet hours that `at` lies in, in UTC, or None."""
        if self.quiet is None:
            return None
        begins, ends = self.quiet
        at = at.astimezone(UTC)
        today = at.astimezone(self.zone).date()
        for day in (today - timedelta(days=1), today):
            first = _instant(self.zone, day, begins)
            last_day = day if begins < ends else day + timedelta(days=1)
            last = _instant(self.zone, last_day, ends)
            if first <= at < last:
                return first, last
        return None

    def before_quiet(self, at: datetime) -> datetime:
        """The last allowed moment an hour before the quiet hours around `at`; `at` itself where none are."""
        around = self.quiet_around(at)
        while around is not None:
            at = around[0] - BEFORE_QUIET
            earlier = self.quiet_around(at)
            # Nearly the whole day is quiet: then the end of the quiet hours before, if anything lies between.
            if earlier is not None and earlier[1] < around[0]:
                return earlier[1]
            around = earlier
        return at


def _instant(zone: ZoneInfo, day: date, minute: int) -> datetime:
    return datetime.fromtimestamp(zones.instant(zone, day, minute) * 60, UTC)
