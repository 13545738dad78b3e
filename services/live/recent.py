"""What was made for those who join a shape, for a second at most: 1,000 that come back are one read."""

from dataclasses import dataclass, field
from typing import Final

from domain.frames import Delta, Heartbeat, Snapshot, SnapshotReason
from services.live.pace import HubPace
from services.live.reading import Change, Content

FRAMES_MAX: Final = 256


@dataclass(slots=True)
class View:
    """All times as they stood at `seq` or later; and what was made of them for those who join."""

    content: Content
    epoch: str
    seq: int
    made_at: float
    snapshots: dict[tuple[SnapshotReason, str], Snapshot] = field(default_factory=dict)


class Recent:
    """A view; and for those who resume: changes by the first event's number, frames by the client's own cursor."""

    __slots__ = ("_changes", "_frames", "_pace", "_view")

    def __init__(self, pace: HubPace) -> None:
        self._pace = pace
        self._view: View | None = None
        self._changes: dict[int, tuple[float, Change]] = {}
        self._frames: dict[str, tuple[float, Delta | Heartbeat]] = {}

    def __len__(self) -> int:
        return (self._view is not None) + len(self._changes) + len(self._frames)

    def view(self) -> View | None:
        return self._view if self._view is not None and self._is_fresh(self._view.made_at) else None

    def keep_view(self, view: View) -> None:
        self._view = view

    def change(self, seq: int) -> Change | None:
        made_at, change = self._changes.get(seq, (0.0, None))
        return change if change is not None and self._is_fresh(made_at) else None

    def keep_change(self, seq: int, made_at: float, change: Change) -> None:
        self._changes[seq] = (made_at, change)

    def frame(self, after: str, cursor: str) -> Delta | Heartbeat | None:
        made_at, frame = self._frames.get(after, (0.0, None))
        return frame if frame is not None and frame.cursor == cursor and self._is_fresh(made_at) else None

    def keep_frame(self, after: str, made_at: float, frame: Delta | Heartbeat) -> None:
        if len(self._frames) >= FRAMES_MAX:
            self._frames.clear()
        self._frames[after] = (made_at, frame)

    def trim(self) -> None:
        """Called now and then, so that a quiet shape keeps no times."""
        if self._view is not None and not self._is_fresh(self._view.made_at):
            self._view = None
        if self._changes:
            self._changes = {key: one for key, one in self._changes.items() if self._is_fresh(one[0])}
        if self._frames:
            self._frames = {key: one for key, one in self._frames.items() if self._is_fresh(one[0])}

    def forget(self) -> None:
        self._view = None
        self._changes.clear()
        self._frames.clear()

    def _is_fresh(self, made_at: float) -> bool:
        return self._pace.monotonic() - made_at < self._pace.fresh_seconds
