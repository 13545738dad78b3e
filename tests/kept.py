"""What is downloaded for tests once and kept between runs: one process fetches it, the others wait and find it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def kept(name: str) -> Iterator[Path]:
    """The folder of that name, which nobody else fills meanwhile."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # Let go of when the file is closed, also by a kill.
        yield folder
