"""What every channel's adapter can do."""

from datetime import datetime
from typing import Protocol

from domain.letters import Accepted, Letter


class Carrier(Protocol):
    """Takes letters to where they belong. `asks_first`: after a try whose outcome is unknown, `find` comes before another."""

    asks_first: bool

    async def send(self, letter: Letter) -> Accepted:
        """At most 10 s. Raises NotSent, AddressRefused or OutcomeUnknown."""
        ...

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        """What the provider got of this very text by a call at about then, by the clock of this machine. Raises OutcomeUnknown."""
        ...

    async def close(self) -> None: ...
