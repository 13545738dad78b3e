"""The earliest times of everybody who was asked about, by question: a look into memory for thousands at once."""

from collections import OrderedDict
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

from domain.search_crowd import Ask
from domain.soonest import Earliest, Start
from services.live.altered import Altered

BOARDS_MAX: Final = 8
ASKS_MAX: Final = 60_000
LISTS_MAX: Final = 4  # Of each board: whole answers, for who asks about the same again.
Starts = Sequence[Start | None]  # None: no time at all.


class Board:
    """Of one question. What stands here was worked out of what the process keeps, and goes as soon as that changes, or as the clock
    passes it: `renew` sees to that, and is called before each look."""

    def __init__(self, count: int) -> None:
        self._begin(count)

    def _begin(self, count: int) -> None:
        self._count = count
        self._since = float("-inf")
        self._starts: dict[Ask, Start | None] = {}
        self._asks: dict[int, list[Ask]] = {}
        self._ending: dict[float, set[int]] = {}  # Providers, by when something of them ends.
        self._ends: list[float] = []
        self._lists: dict[int, tuple[Sequence[Ask], Starts]] = {}

    def renew(self, altered: Altered, seconds: float) -> None:
        """Forgets what does not count any more. `seconds` of the clock by which times pass."""
        gone = altered.since(self._count)
        if gone is None or seconds < self._since or len(self._starts) > ASKS_MAX:
            self._begin(altered.count)
            return
        self._count = altered.count
        while self._ends and self._ends[0] <= seconds:
            gone |= self._ending.pop(heappop(self._ends))
        if gone:
            self._forget(gone)

    def _forget(self, provider_keys: set[int]) -> None:
        for key in provider_keys & self._asks.keys():
            self._lists.clear()
            for ask in self._asks.pop(key):
                del self._starts[ask]

    def put(self, ask: Ask, earliest: Earliest, start: Start | None) -> None:
        """What was worked out just now, without waiting since: should something change from here on, it will be heard of."""
        if ask in self._starts:
            return
        end = earliest.until if start is None else min(earliest.until, start.until)
        provider_key = ask[0][0]
        self._starts[ask] = start
        self._asks.setdefault(provider_key, []).append(ask)
        self._since = max(self._since, earliest.since)
        if end not in self._ending:
            self._ending[end] = set()
            heappush(self._ends, end)
        self._ending[end].add(provider_key)

    def look(self, asked: Sequence[Ask]) -> Starts | None:
        """Beside those asked about; None where not all of them stand here. The very same list while nothing has changed."""
        known = self._lists.get(id(asked))
        if known is not None and known[0] is asked:
            return known[1]
        try:
            starts = list(map(self._starts.__getitem__, asked))
        except KeyError:
            return None
        if len(self._lists) >= LISTS_MAX:
            self._lists.clear()
        self._lists[id(asked)] = asked, starts
        return starts

    def missing(self, asked: Sequence[Ask]) -> list[Ask]:
        return [ask for ask in asked if ask not in self._starts]

    def known(self, asked: Sequence[Ask]) -> list[Start | None]:
        """None too for those who do not stand here."""
        return list(map(self._starts.get, asked))


class Boards:
    """Of the questions that were asked last."""

    def __init__(self, altered: Altered) -> None:
        self._altered = altered
        self._boards: OrderedDict[str, Board] = OrderedDict()

    def board(self, question: str, seconds: float) -> Board:
        """As it stands at this moment."""
        board = self._boards.get(question)
        if board is None:
            if len(self._boards) >= BOARDS_MAX:
                self._boards.popitem(last=False)
            board = self._boards[question] = Board(self._altered.count)
        self._boards.move_to_end(question)
        board.renew(self._altered, seconds)
        return board
