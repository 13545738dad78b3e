"""Interim until the staff branch lands."""

from collections.abc import Sequence

from adapters.postgres.database import Reader
from domain.access import Viewer
from domain.appointments import Patient


async def patients(reader: Reader, viewer: Viewer, keys: Sequence[int]) -> dict[int, Patient]:
    raise NotImplementedError


async def search(
    reader: Reader, viewer: Viewer, looked_for: str, after: tuple[str, int], limit: int
) -> list[tuple[str, Patient]]:
    raise NotImplementedError
