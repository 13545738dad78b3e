"""The earliest open time of each of thousands of providers: what this process keeps answers in memory, the rest in batches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Final

from adapters.postgres import changes
from adapters.postgres.calendars import Offering, Pair, Triple
from adapters.postgres.database import Database, Reader, answering
from adapters.postgres.open_times import Looked, OpenTimes
from adapters.postgres.soonest import first_openings
from domain import availability, soonest, zones
from domain.appointments import Slot
from domain.clinics import Modality
from domain.search_crowd import Ask
from domain.soonest import Asked, Opens, Start
from services.live.calendars import ProcessCalendars
from services.searching.boards import Board, Boards, Starts
from services.searching.remembered import Answer, Kinds, Question, Remembered, Unanswered, work_out

PORTION_SECONDS: Final = 0.004  # Then others on the event loop have their turn.
CLOCK_EVERY: Final = 16
BATCH: Final = 64  # What is decoded at once holds others up.
# Days ahead: one look after the other, further for those without a time. The first that this process keeps is what it reads ahead.
KEPT_STEPS: Final = (35, 62, 400, availability.DAYS_AHEAD_MAX + 2)
STEPS: Final = (14, *KEPT_STEPS[1:])


class _Portions:
    """Lets others have their turn while something long is worked out."""

    def __init__(self) -> None:
        self._began = perf_counter()

    async def breathe(self) -> bool:
        """Whether time may have passed."""
        if perf_counter() - self._began < PORTION_SECONDS:
            return False
        await asyncio.sleep(0)
        self._began = perf_counter()
        return True


def _nobody(_provider_key: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Sources:
    database: Database
    open_times: OpenTimes
    process: ProcessCalendars | None
    recent: Callable[[int], bool]


class Soonest:
    """Under the patients' limits for everyone (rule 53): the same times as `nextSlot` and `slots` tell patients.

    No time is answered whose taking was acknowledged here before it was asked. What another process wrote is known with the stream:
    in milliseconds, or else, by what `Trust` believes, within 7 s; booking decides in the database anyway.
    `recent`: whether this process has just written something of a provider that a replica may not know.
    """

    def __init__(
        self,
        database: Database,
        open_times: OpenTimes,
        process: ProcessCalendars | None = None,
        recent: Callable[[int], bool] = _nobody,
    ) -> None:
        self._sources = _Sources(database, open_times, process, recent)
        self._boards = None if process is None else Boards(process.altered)

    async def earliest(
        self,
        asked: Iterable[tuple[Pair, Sequence[int]]],
        opens: Opens | None = None,
        *,
        modality: Modality | None = None,
        primary: bool = False,
    ) -> dict[Pair, Start]:
        """Of each (provider, clinic) the first start over these visit types, those left out that are not offered there.

        `opens`: only between two clinic dates, both included. `primary`: nothing older than this moment. Pairs without a time are
        left out. Raises Unavailable.
        """
        wanted = {pair: tuple(sorted(kinds)) for pair, kinds in asked}  # However they come, they are one question.
        async with answering():
            return await _Search(self._sources, Question.of(Asked(opens, modality)), wanted, primary).run()

    async def starts(self, asked: Sequence[Ask], opens: Opens | None = None) -> Starts:
        """The same of thousands who are asked about again and again, beside each: the very same list while nothing has changed."""
        process = self._sources.process
        now = None if process is None else process.now()
        if self._boards is None or now is None:
            found = await self.earliest(asked, opens)
            return [found.get(pair) for pair, _ in asked]
        question = Question.of(Asked(opens))
        board = self._boards.board(question.name, now.timestamp())
        known = board.look(asked)
        if known is not None:
            return known
        before, missing = board.known(asked), dict(board.missing(asked))
        async with answering():
            found = await _Search(self._sources, question, missing, primary=False, board=board).run()
        return [found.get(ask[0], start) for ask, start in zip(asked, before, strict=True)]

    async def slots(
        self,
        asked: Iterable[tuple[Pair, Sequence[int]]],
        opens: Opens | None = None,
        *,
        modality: Modality | None = None,
        primary: bool = False,
    ) -> dict[Pair, Slot]:
        """The same as slots."""
        found = await self.earliest(asked, opens, modality=modality, primary=primary)
        return {pair: start.slot(*pair) for pair, start in found.items()}


class _Search:
    """One answer in the making."""

    def __init__(
        self,
        sources: _Sources,
        question: Question,
        wanted: dict[Pair, Kinds],
        primary: bool,
        board: Board | None = None,
    ) -> None:
        self._sources = sources
        self._process = sources.process
        self._question = question
        self._wanted = wanted
        self._primary = primary
        self._board = board
        self._portions = _Portions()
        self._found: dict[Pair, Start] = {}
        self._pools: dict[Triple, Offering] = {}

    async def run(self) -> dict[Pair, Start]:
        unknown, later = await self._kept()
        if unknown or later:
            await self._read(unknown, later)
        if self._pools:
            await self._openings()
        return self._found

    def _now(self) -> datetime | None:
        """The database's clock while what this process keeps counts."""
        return None if self._process is None else self._process.now()

    async def _kept(self) -> tuple[list[Pair], list[Pair]]:
        """The pairs that this process does not know, and those of which it knows that they have no time soon."""
        now = self._now()
        if self._process is None or now is None:
            return list(self._wanted), []
        process, found, name, seconds = self._process, self._found, self._question.name, now.timestamp()
        unknown: list[Pair] = []
        later: list[Pair] = []
        for count, (pair, kinds) in enumerate(self._wanted.items(), 1):
            entry = process.kept(pair)
            answer: Answer | None = None if entry is None else entry.derived.get((kinds, name))
            start = None if answer is None or answer.pools else answer.earliest.now(seconds)
            if start is not None:
                found[pair] = start  # Thousands come this way.
            elif answer is None or answer.pools or not (answer.earliest.none and answer.earliest.holds(seconds)):
                self._ask(pair, kinds, now, seconds, unknown, later)
                answer = None
            if answer is not None and self._board is not None:
                self._board.put((pair, kinds), answer.earliest, start)
            if not count % CLOCK_EVERY and await self._portions.breathe():
                now = self._now()
                if now is None:
                    unknown += list(self._wanted)[count:]
                    break
                seconds = now.timestamp()
        return unknown, later

    def _ask(
        self, pair: Pair, kinds: Kinds, now: datetime, seconds: float, unknown: list[Pair], later: list[Pair]
    ) -> None:
        assert self._process is not None
        answer = Remembered(self._process).answer(pair, kinds, self._question, now, seconds)
        if isinstance(answer, Answer):
            self._take(pair, answer, seconds)
            if self._board is not None and not answer.pools:
                self._board.put((pair, kinds), answer.earliest, self._found.get(pair))
        elif answer is Unanswered.UNKNOWN:
            unknown.append(pair)
        else:
            later.append(pair)

    def _take(self, pair: Pair, answer: Answer, seconds: float) -> None:
        start = answer.earliest.first(seconds)
        if start is not None:
            self._found[pair] = start
        for offering in answer.pools:
            self._pools[*pair, offering.visit_type.key] = offering

    # What has to be read.

    async def _read(self, left: list[Pair], later: list[Pair]) -> None:
        """A narrow look first, further ahead only for those that have no time so soon."""
        reader, trusted = self._reader(left), self._now() is not None
        # Every clinic's today lies within a day of this one's.
        now = self._now() or await changes.now(reader)
        yesterday = now.date() - timedelta(days=1)
        for step, days in enumerate(KEPT_STEPS if trusted else STEPS):
            if step == 1:
                left = left + later
            first, last = self._question.asked.within(yesterday, yesterday + timedelta(days=days))
            if left and first <= last:
                left = [pair async for pair in self._look(reader, left, first, last)]

    async def _look(self, reader: Reader, pairs: list[Pair], first: date, last: date) -> AsyncIterator[Pair]:
        """Yields those whose times, if any, come later."""
        pairs = sorted(pairs)  # A provider's together: their time is read once.
        for begin in range(0, len(pairs), BATCH):
            batch = pairs[begin : begin + BATCH]
            wanted = {pair: self._wanted[pair] for pair in batch}
            looked: dict[Pair, list[Looked]] = {pair: [] for pair in batch}
            for one in await self._sources.open_times.look_widely(reader, wanted, first, last):
                looked[one.triple[:2]].append(one)
            for pair, some in looked.items():
                if some and not self._answered(pair, some, (first, last)):
                    yield pair
                await self._portions.breathe()

    def _answered(self, pair: Pair, looked: list[Looked], known: tuple[date, date]) -> bool:
        newest = max(looked, key=lambda one: one.calendar.version)
        offerings = [one.offering for one in looked]
        answer = work_out(offerings, newest.schedule, newest.calendar, known, self._question.asked, newest.now)
        if answer is None:
            return False
        self._take(pair, answer, newest.now.timestamp())
        if self._now() is not None and self._process is not None:
            Remembered(self._process).learn(pair, self._wanted[pair], self._question, looked, answer)
        return True

    async def _openings(self) -> None:
        reader = self._sources.database.primary
        now = self._now() or await changes.now(reader)
        spans = [
            (key, soonest.span(one.visit_type, one.zone, self._question.asked, now)) for key, one in self._pools.items()
        ]
        openings = await first_openings(reader, [one for one in spans if one[1][0] < one[1][1]])
        for key, opening in openings.items():
            offering = self._pools[key]
            start = Start(zones.minutes(opening.starts_at), offering.visit_type, offering.zone, opening=opening)
            self._found[key[:2]] = min(self._found.get(key[:2], start), start, key=lambda one: one.order)

    def _reader(self, pairs: list[Pair]) -> Reader:
        sources = self._sources
        if self._primary or self._now() is not None or any(sources.recent(pair[0]) for pair in pairs):
            return sources.database.primary
        return sources.database.replica
