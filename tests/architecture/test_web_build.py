"""What is committed in app/web/static is what its sources build, and names no other host."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "app" / "web"
STATIC = WEB / "static"
SOURCES = ["src", "build.mjs", "licences.mjs", "package-lock.json"]
MANIFEST = json.loads((STATIC / "manifest.json").read_text("utf-8"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sources_hash() -> str:
    found = [path for name in SOURCES for path in [WEB / name, *(WEB / name).rglob("*")] if path.is_file()]
    names = sorted(path.relative_to(WEB).as_posix() for path in found)
    lines = "".join(f"{_sha256(WEB / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def test_static_was_built_from_these_sources() -> None:
    assert MANIFEST["sources"] == _sources_hash(), "run `make web` and commit app/web/static"


def test_static_holds_exactly_what_was_built() -> None:
    present = {path.name: _sha256(path) for path in STATIC.iterdir() if path.name != "manifest.json"}
    assert present == MANIFEST["sha256"]


def test_rebuilding_gives_the_same_bytes() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: only hashes were compared")
    if not (WEB / "node_modules" / "esbuild").is_dir():
        pytest.skip("app/web/node_modules is not installed (`make web`): only hashes were compared")
    done = subprocess.run(
        [node, "build.mjs", "--check"], cwd=WEB, capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_scripts_hold_their_types() -> None:
    node, checker = shutil.which("node"), WEB / "node_modules" / "typescript" / "bin" / "tsc"
    if node is None or not checker.is_file():
        pytest.skip("node and app/web/node_modules are not installed (`make web`): types were not checked")
    done = subprocess.run([node, checker], cwd=WEB, capture_output=True, check=False, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_pages_load_nothing_from_another_host() -> None:
    for page in STATIC.glob("*.html"):
        assert not re.findall(r"""(?:src|href|action)=["'](?:[a-z]+:)?//""", page.read_text("utf-8")), page.name
    for sheet in STATIC.glob("*.css"):
        assert not re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", sheet.read_text("utf-8")), sheet.name


def test_lock_names_no_download_address() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    unpinned = [name for name, package in lock["packages"].items() if name and "integrity" not in package]
    assert unpinned == []


def test_every_bundled_package_has_its_licence() -> None:
    text = (STATIC / "THIRD_PARTY_LICENSES.txt").read_text("utf-8")
    for name in [
        "graphiql",
        "react",
        "monaco-editor",
        "graphql",
        "graphql-ws",
        "graphql-sse",
        "preact",
        "@preact/signals",
    ]:
        assert re.search(rf"^{name} \d", text, re.MULTILINE), name
