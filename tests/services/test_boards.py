"""What stands on a board goes with any change, and with the clock."""

from zoneinfo import ZoneInfo

import pytest

from domain.clinics import Modality, VisitType
from domain.search_crowd import Ask
from domain.soonest import FOREVER, Earliest, Start
from services.live import altered
from services.live.altered import Altered
from services.searching import boards
from services.searching.boards import Board, Boards

KIND = VisitType(1, 1, True, "Visit", 30, 0, 0, None, 0, 90, 0, Modality.IN_PERSON)
ONE: Ask = ((1, 1), (1,))
ELSEWHERE: Ask = ((1, 2), (1,))
TWO: Ask = ((2, 1), (1,))
NONE: Ask = ((3, 1), (1,))
ALL = [ONE, ELSEWHERE, TWO, NONE]


def put(board: Board, ask: Ask, until: float = 1000.0, since: float = 0.0, ends: float = float(FOREVER)) -> None:
    start = None if ask is NONE else Start(ask[0][0], KIND, ZoneInfo("UTC"), until)
    board.put(ask, Earliest(since, ends, [start] if start else [], none=start is None), start)


@pytest.fixture
def noted() -> Altered:
    return Altered()


@pytest.fixture
def full(noted: Altered) -> Boards:
    found = Boards(noted)
    for ask in ALL:
        put(found.board("q", 10.0), ask)
    return found


def test_the_same_list_is_had_again_while_nothing_changes(full: Boards) -> None:
    first = full.board("q", 10.0).look(ALL)
    assert first is not None
    assert [one and one.at for one in first] == [1, 1, 2, None]
    assert full.board("q", 20.0).look(ALL) is first
    assert full.board("another", 20.0).look(ALL) is None


def test_whoever_changes_goes_with_all_places_and_nobody_else(full: Boards, noted: Altered) -> None:
    noted.note(1)
    noted.note(77)
    board = full.board("q", 10.0)
    assert board.look(ALL) is None
    assert board.missing(ALL) == [ONE, ELSEWHERE]
    put(board, ONE)
    put(board, ELSEWHERE)
    assert full.board("q", 10.0).look(ALL) is not None
    noted.everybody()
    assert full.board("q", 10.0).missing(ALL) == ALL


def test_who_was_put_while_others_changed_stays_until_the_next_change(full: Boards, noted: Altered) -> None:
    board = full.board("q", 10.0)
    noted.note(2)
    assert full.board("q", 10.0).missing(ALL) == [TWO]
    put(board, TWO)
    noted.note(2)
    assert full.board("q", 10.0).missing(ALL) == [TWO]


def test_what_has_passed_goes_and_so_does_what_a_clock_set_back_would_make_another(full: Boards) -> None:
    board = full.board("q", 999.9)
    assert board.missing(ALL) == []
    assert full.board("q", 1000.0).missing(ALL) == [ONE, ELSEWHERE, TWO]
    put(board, TWO, until=3000.0, since=1000.0, ends=2000.0)
    assert full.board("q", 1999.0).missing(ALL) == [ONE, ELSEWHERE]
    assert full.board("q", 2000.0).missing(ALL) == [ONE, ELSEWHERE, TWO]
    assert full.board("q", 999.0).missing(ALL) == ALL


def test_who_missed_changes_believes_nothing(full: Boards, noted: Altered, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(altered.KNOWN_MAX + 1):
        noted.note(99)
    assert full.board("q", 10.0).missing(ALL) == ALL
    assert noted.since(noted.count) == set()
    put(full.board("q", 10.0), ONE)
    monkeypatch.setattr(boards, "BOARDS_MAX", 2)
    for name in "abq":
        full.board(name, 10.0)
    assert full.board("q", 10.0).missing(ALL) == ALL
