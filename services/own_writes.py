"""What this process keeps in memory hears of its own writes at once, before the streams tell."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol


class OwnWrites(Protocol):
    """Called after a commit."""

    def wrote(self, versions: Mapping[int, int]) -> None:
        """Calendars of these resources are at least that new now."""
        ...

    def saved(self, clinic_keys: Sequence[int] | None = None, provider_key: int | None = None) -> None:
        """A record was saved: these clinics, this provider of theirs, or (without clinics) what any clinic may offer."""
        ...


class _NothingKept:
    def wrote(self, _versions: Mapping[int, int]) -> None:
        return

    def saved(self, _clinic_keys: Sequence[int] | None = None, _provider_key: int | None = None) -> None:
        return


NOTHING_KEPT: Final[OwnWrites] = _NothingKept()
