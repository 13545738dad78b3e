"""The project's own files as these tests read them: names, texts and syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("app", "schema", "subscriptions", "resolvers", "dataloaders", "services", "adapters", "domain")
_BUILT: Final = frozenset({"node_modules", "__pycache__", "build", "dist"})


@lru_cache
def files() -> tuple[Path, ...]:
    """Everything that is or would be committed, relative to the root. From an unpacked archive: whatever is not built."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        found = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        kept = [one for one in found if not _BUILT & set(one.parts) and not one.parts[0].startswith(".")]
    else:
        kept = [Path(name) for name in done.stdout.decode().split("\0") if name]
    return tuple(sorted(one for one in kept if (ROOT / one).is_file()))


def code(*folders: str) -> list[Path]:
    """Python files under the folders; none named: all but the tests."""
    python = [one for one in files() if one.suffix == ".py"]
    if folders:
        return [one for one in python if any(one.is_relative_to(folder) for folder in folders)]
    return [one for one in python if one.parts[0] != "tests"]


@cache
def text(path: Path) -> str:
    return (ROOT / path).read_text("utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), str(path))


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def strings(node: ast.AST) -> Iterator[ast.Constant]:
    """String constants, parts of f-strings included, docstrings not."""
    docstrings = {
        id(one.body[0].value)
        for one in ast.walk(node)
        if isinstance(one, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and one.body
        and isinstance(one.body[0], ast.Expr)
    }
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in docstrings:
            yield one


def line(path: Path, node: ast.AST) -> str:
    """The source line where a node begins."""
    return text(path).splitlines()[node.lineno - 1]  # type: ignore[attr-defined]
