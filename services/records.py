"""What all saves of records have in common: the used key's answer, and the faults of what was typed (rules 10 and 14)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from adapters.postgres import changes
from adapters.postgres.changes import Request
from adapters.postgres.database import Reader
from domain.access import Viewer
from domain.faults import BadInput
from domain.outcomes import IdempotencyMismatch, InvalidInput, NotFound, StaleVersion

# What the stream tells of a change that is more than times opened and closed: read the calendar again.
INVALIDATED: Final = {"invalidated": True}
TRIES: Final = 3  # How often a save starts again because what it has to lock has changed meanwhile (rule 17).
T = TypeVar("T")


async def used(
    reader: Reader, viewer: Viewer, request: Request, again: Callable[[Reader, dict[str, Any]], Awaitable[T]]
) -> T | IdempotencyMismatch | None:
    """None for a new key; else what `again` reads for the stored outcome, or IdempotencyMismatch for another request."""
    remembered = await changes.remembered(reader, viewer.subject, request.key)
    if remembered is None:
        return None
    operation, digest, outcome = remembered
    if operation != request.operation or digest != request.digest:
        return IdempotencyMismatch()
    return await again(reader, outcome)


def stale(version: int | None, current: int) -> StaleVersion | InvalidInput | None:
    """Whether the version that came with an id is not the present one."""
    if version is None:
        return InvalidInput("version", "A version is needed with an id.")
    return None if version == current else StaleVersion(current)


def invalid(fault: BadInput) -> InvalidInput:
    return InvalidInput(fault.field, fault.message)


def unknown(field: str, what: str) -> NotFound:
    """For an id inside what is to be saved (rule 20). `field` is dotted, as in InvalidInput."""
    return NotFound(f"There is no such {what} ({field}).")
