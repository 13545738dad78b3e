"""`python -m benchmarks.commits`: `appointments serve` that notes when it commits, and each execution for a change.

Into the file named by BENCHMARK_NOTES, ten microseconds each.
"""

import asyncio
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOTE = struct.Struct("<cd")
COMMIT, EXECUTION = b"C", b"E"
WHERE = "BENCHMARK_NOTES"


class Notes:
    """What is noted while it is open: seconds of the clock that all processes of a machine share."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._from = 0
        file.touch()

    @contextmanager
    def read(self) -> Iterator[dict[bytes, list[float]]]:
        found: dict[bytes, list[float]] = {COMMIT: [], EXECUTION: []}
        self._from = self._file.stat().st_size
        yield found
        for kind, at in NOTE.iter_unpack(self._file.read_bytes()[self._from :]):
            found[kind].append(at)


def main() -> None:
    import uvloop

    from app import serving
    from schema import subscribing
    from services.relaying import Relay

    file = os.open(os.environ[WHERE], os.O_WRONLY | os.O_APPEND)
    wake, to_json = Relay.wake, subscribing._json

    def woken(self: Relay) -> None:
        os.write(file, NOTE.pack(COMMIT, time.monotonic()))
        wake(self)

    def written(result: Any) -> bytes:
        if result.data and result.data.get("availability", {}).get("__typename") == "AvailabilityDelta":
            os.write(file, NOTE.pack(EXECUTION, time.monotonic()))
        return to_json(result)

    Relay.wake, subscribing._json = woken, written  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving.serve())


if __name__ == "__main__":
    main()
