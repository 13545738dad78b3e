"""The proofs at full size: `python -m tests.prove`, from `make prove`. Writes docs/proofs.md.

`python -m tests.prove --without NAME …` leaves some out, and the report says which.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as Xml

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "proofs.md"
FILES = [
    "booking",
    "changing",
    "contention",
    "guard",
    "race",
    "model",
    "actors",
    "crash",
    "live_simulation",
    "live_stored",
    "messages_year",
    "waitlist_mix",
    "zero_gap",
    "indexing",
    "soonest",
    "search_failures",
    "search_race",
]
PROOFS = [
    "tests/domain",
    *(f"tests/services/test_{name}.py" for name in FILES),
    "tests/adapters/test_groups.py",
    "tests/live",
    "tests/relevance",
]
HEAD = """# Proofs

What `make prove` tried and what it found: the tests of `make test`, the same code, at the sizes in `tests/sizes.py`.

| | |
|---|---|
| Result | {result} |
| Tests | {tests} in {seconds} s |
| Commit | `{commit}` |
| Date | {date} |
| Machine | {machine} |
| Left out | {without} |
| Versions | Python {python}, PostgreSQL 18 and Redis as embedded |

"""
LIMITS = """## What they do not show

- SIGKILL leaves the system's page cache alone: a power cut is not tested. `fsync`, `full_page_writes` and
  `synchronous_commit` are on.
- The three processes of the races are three sets of services with pools of their own in one process; the crashes
  use real ones.
- The live calendar's processes, broker and clients share one machine: no network between them is cut or slow.
- In the model holds run out by the clock alone; no sweeper runs beside it.
"""


def said(*command: str) -> str:
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def machine() -> str:
    name = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        name = next(
            (line.split(":")[1].strip() for line in cpus.read_text().splitlines() if "model name" in line), name
        )
    return f"{os.cpu_count()} processors ({name}), {platform.system()}"


def sentence(line: dict[str, object]) -> str:
    counts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in line.items() if key != "name")
    return f"- **{line['name']}**: {counts}\n"


def commit() -> str:
    changed = " with changes" if said("git", "status", "--porcelain", "-uno") else ""
    return said("git", "rev-parse", "--short", "HEAD") + changed


def report(lines: list[dict[str, object]], suite: Xml.Element, seconds: float, at: str, without: list[str]) -> str:
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    head = HEAD.format(
        result="all held" if not failed else f"{len(failed)} FAILED: {', '.join(failed)}",
        tests=sum(1 for _ in suite.iter("testcase")),
        seconds=round(seconds),
        commit=at,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=machine(),
        without=", ".join(without) or "nothing",
        python=platform.python_version(),
    )
    tried = (
        "## What was tried, and what was found\n\nA line stands here only if its test held to the end.\n\n"
        + "".join(map(sentence, lines))
        + "\n"
    )
    slowest = sorted(suite.iter("testcase"), key=lambda case: -float(case.get("time", "0")))[:5]
    long = "".join(f"- {case.get('name')}: {float(case.get('time', '0')):.0f} s\n" for case in slowest)
    return head + tried + LIMITS + "\n## What took longest\n\n" + long


def main() -> int:
    """0 where everything held. The tests show their progress themselves."""
    at = commit()  # before the report itself is a change
    without = sys.argv[2:] if sys.argv[1:2] == ["--without"] else []
    proofs = [one for one in PROOFS if not any(name in one for name in without)]
    with tempfile.TemporaryDirectory(prefix="proofs-") as folder:
        counts, results = Path(folder, "counts.jsonl"), Path(folder, "results.xml")
        counts.touch()
        environment = {**os.environ, "PROVE": "1", "PROOFS_FILE": str(counts)}
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadfile"]
        command += ["--no-loadscope-reorder", "--timeout=3600", f"--junitxml={results}", *proofs]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if not results.exists():
            return code
        lines = [json.loads(line) for line in counts.read_text("utf-8").splitlines()]
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(report(lines, Xml.parse(results).getroot(), time.monotonic() - started, at, without), "utf-8")
    sys.stdout.write(f"{REPORT.relative_to(ROOT)} written\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
