"""How code is written here: small, nothing swallowed, nothing left for later, no naive time. Each test names all offenders."""

import ast
import re
from pathlib import Path
from typing import Final

from tests.architecture import sources

FUNCTION_LINES_MAX: Final = 60
MODULE_LINES_MAX: Final = 400
PYTHON: Final = sources.code()
EVERYWHERE: Final = [one for one in sources.files() if one.suffix == ".py"]
LATER: Final = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
BAD_NAMES: Final = re.compile(r"(?:^|_)(?:utils?|helpers?|common|base|managers?|impl|misc)(?:_|$)")


def test_modules_are_small() -> None:
    assert [path for path in PYTHON if len(sources.text(path).splitlines()) > MODULE_LINES_MAX] == []


def test_functions_are_small() -> None:
    found = []
    for path in PYTHON:
        for one in sources.functions(path):
            first = min([one.lineno, *(decorator.lineno for decorator in one.decorator_list)])
            if (one.end_lineno or 0) - first >= FUNCTION_LINES_MAX:
                found.append(f"{path}:{one.lineno} {one.name}")
    assert found == []


def test_nothing_is_swallowed() -> None:
    """Who catches everything raises it again, or says in a comment why not."""
    found = []
    for path in EVERYWHERE:
        lines = sources.text(path).splitlines()
        for node in ast.walk(sources.tree(path)):
            if isinstance(node, ast.ExceptHandler) and _catches_everything(node):
                raises = any(isinstance(one, ast.Raise) for one in ast.walk(node))
                said = any("#" in line for line in lines[node.lineno - 2 : node.body[0].lineno])
                if not raises and not said:
                    found.append(f"{path}:{node.lineno}")
    assert found == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(one is None or ast.unparse(one) in {"Exception", "BaseException"} for one in caught)


def test_nothing_is_left_for_later() -> None:
    assert [path for path in EVERYWHERE if LATER.search(sources.text(path))] == []


def test_annotations_are_real() -> None:
    """Strawberry reads them at run time."""
    found = [
        f"{path}:{node.lineno}"
        for path in EVERYWHERE
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert found == []


def test_every_instant_has_a_zone() -> None:
    """A naive datetime stands only where the line says why. Ruff's DTZ rules find them; this test finds the bare noqa."""
    reason = re.compile(r"noqa: DTZ\d+ (?:\(|- )\w+")
    found = [
        f"{path}:{node.lineno}"
        for path in EVERYWHERE
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.Call) and _is_naive(node) and not reason.search(sources.line(path, node))
    ]
    assert found == []


def _is_naive(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    has_zone = any(one.arg in {"tzinfo", "tz"} for one in call.keywords)
    if called in {"datetime", "datetime.datetime"}:
        return not has_zone and len(call.args) < 8
    if called in {"datetime.now", "datetime.fromtimestamp"}:
        return not has_zone and len(call.args) < (1 if called.endswith("now") else 2)
    return called in {"datetime.utcnow", "datetime.today", "date.today", "datetime.utcfromtimestamp"}


def test_names_say_what_is_inside() -> None:
    assert [path for path in PYTHON if any(BAD_NAMES.search(part) for part in path.with_suffix("").parts)] == []


def test_modules_say_what_lives_in_them() -> None:
    def silent(path: Path) -> bool:
        return bool(sources.text(path).strip()) and not ast.get_docstring(sources.tree(path))

    assert [path for path in PYTHON if silent(path)] == []
