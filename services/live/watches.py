"""What subscriptions ask of the live calendar, whoever provides it."""

from typing import Protocol, Self, TypeVar

from domain.frames import Frame, StreamHeartbeat, StreamReset
from domain.shapes import Shape
from domain.streams import VisitEvent

T_co = TypeVar("T_co", covariant=True)


class Watch(Protocol[T_co]):
    """One subscription. `close` ends it at once and may be called again. Raises TooSlow, and Unavailable."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> T_co: ...

    def close(self) -> None: ...


class Watching(Protocol):
    async def availability(self, shape: Shape, after: str | None) -> Watch[Frame]:
        """Raises BadInput for ids that name nothing."""
        ...

    def clinic_day(self, clinic_key: int) -> Watch[VisitEvent | StreamReset | StreamHeartbeat]: ...

    def patient(self, patient_key: int) -> Watch[VisitEvent | StreamReset | StreamHeartbeat]: ...
