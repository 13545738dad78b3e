"""Published openings: times that come with their own start, end and capacity, booked whole (rule 7)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """Its key is its resource. `taken` counts the live allocations: one lane an appointment."""

    key: int
    provider_key: int
    clinic_key: int
    starts_at: datetime
    ends_at: datetime
    capacity: int
    offered: bool
    taken: int

    @property
    def left(self) -> int:
        return max(0, self.capacity - self.taken) if self.offered else 0
