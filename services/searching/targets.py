"""What keeps an index true needs from others: the log by its members, and the place where documents are kept."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Protocol

from domain.indexing import Batch, Kept
from domain.search import Document, Pair

Write = Callable[[str, Sequence[Document]], Awaitable[int]]


class Member(Protocol):
    """One of a group that reads the log: what is not done when it ends, another gets."""

    def batches(self) -> AsyncGenerator[Batch, None]:
        """Raises Unavailable where the log is away; called again, it begins after what was done."""
        ...

    async def done(self, batch: Batch) -> None:
        """This batch is handled, with all before it."""
        ...


class Target(Protocol):
    """Where documents are kept. Each raises Unavailable while it is away, and then nothing is lost by asking again."""

    @property
    def name(self) -> str: ...

    @property
    def in_place(self) -> bool:
        """What is made anew is written over what is searched: then what other members write meanwhile is not lost."""
        ...

    async def epoch(self) -> str | None:
        """Of what is kept; None where nothing was ever made whole: then all is made anew."""
        ...

    async def write(self, epoch: str, documents: Sequence[Document]) -> int:
        """Keeps those whose `seq` is not below that of what is there, of another epoch all. Answers how many were kept."""
        ...

    async def kept(self, epoch: str, pairs: Collection[Pair]) -> Mapping[Pair, Kept]:
        """What is kept of these pairs in that epoch; what is not there is left out."""
        ...

    async def past(self, day: date, clinic_keys: Collection[int], limit: int) -> list[Pair]:
        """Listed pairs at these clinics with a hint before `day`."""
        ...

    def renewing(self, epoch: str) -> AbstractAsyncContextManager[Write]:
        """Everything anew. Once it is left without an error, what was written in it is searched, and what was not is gone."""
        ...
