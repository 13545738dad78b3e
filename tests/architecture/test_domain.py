"""The rules are pure: no clock, no chance, no I/O, no waiting. `now` and keys come in as arguments."""

import ast
import subprocess
import sys
from typing import Final

from tests.architecture import sources

DOMAIN: Final = sources.code("domain")
READS_THE_WORLD: Final = frozenset({"now", "utcnow", "today", "uuid1", "uuid4", "monotonic", "perf_counter", "time_ns"})
TOUCHES_THE_WORLD: Final = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
# Not `io`: its StringIO reads a text that is in memory already, and `open` is looked for by name.
OUTSIDE: Final = {
    *("asyncio", "concurrent", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "socket"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}


def test_domain_is_pure() -> None:
    found = [
        f"{path}:{node.lineno} {what}"  # type: ignore[attr-defined]
        for path in DOMAIN
        for node in ast.walk(sources.tree(path))
        if (what := _impure(node))
    ]
    assert found == []


def _impure(node: ast.AST) -> str | None:
    """What makes this node one that the domain may not have, or None."""
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Global):
        return type(node).__name__
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        return next((one for one in modules if one.split(".")[0] in OUTSIDE), None)
    if not isinstance(node, ast.Call):
        return None
    called = ast.unparse(node.func)
    if called == "zones.today":  # ours: `now` comes in
        return None
    last = called.rpartition(".")[2]
    return called if last in READS_THE_WORLD or called in TOUCHES_THE_WORLD else None


def test_zones_come_from_the_pinned_package_alone() -> None:
    """Seen in a process of its own, where nobody but the domain can have done it."""
    program = "import zoneinfo, domain.zones; print(zoneinfo.TZPATH)"
    done = subprocess.run([sys.executable, "-c", program], cwd=sources.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "()"


def test_nobody_else_makes_a_zone_of_a_name() -> None:
    """domain/zones.py sets the path before the first zone is made, and knows which names count."""
    makers = {
        path.as_posix()
        for path in sources.code(*sources.FOLDERS)
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"ZoneInfo", "zoneinfo.ZoneInfo"}
    }
    assert makers == {"domain/zones.py"}
