"""What the product stands on: each package with its reason, pinned by hash, and none that takes a name of ours."""

import json
import re
import tomllib
from importlib.metadata import packages_distributions
from typing import Any, Final

from tests.architecture import sources

PYPROJECT: Final = (sources.ROOT / "pyproject.toml").read_text("utf-8")
PROJECT: Final[dict[str, Any]] = tomllib.loads(PYPROJECT)
LOCK: Final = (sources.ROOT / "requirements.lock").read_text("utf-8")
ADDRESS: Final = re.compile(r"[a-z]+://")


def test_no_package_installs_a_top_level_name_of_ours() -> None:
    installed = packages_distributions()
    taken = {name: installed[name] for name in sources.FOLDERS if set(installed.get(name, ())) - {"appointments"}}
    assert taken == {}


def test_every_dependency_has_its_reason() -> None:
    """Those that the product needs, each on a line of its own with a comment. Tools of the developers speak for themselves."""
    project = PROJECT["project"]
    needed = [*project["dependencies"], *(one for some in project["optional-dependencies"].values() for one in some)]
    for requirement in needed:
        line = next(line for line in PYPROJECT.splitlines() if f'"{requirement}"' in line)
        assert re.search(r'",\s+# \w.{5,}', line), line


def test_every_direct_dependency_is_locked() -> None:
    project = PROJECT["project"]
    direct = [
        *project["dependencies"],
        *(one for some in project["optional-dependencies"].values() for one in some),
        *PROJECT["dependency-groups"]["dev"],
    ]
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*])?==", LOCK, re.MULTILINE))
    names = {re.sub(r"[._]", "-", re.match(r"[\w.-]+", one)[0]).lower() for one in direct}  # type: ignore[index]
    assert names - locked == set()


def test_every_locked_package_is_pinned_by_hash() -> None:
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_locks_name_no_host() -> None:
    """Each machine takes packages from its own index; a lock that names one would bind it."""
    assert not ADDRESS.search(LOCK)
    packages = json.loads((sources.ROOT / "app/web/package-lock.json").read_text("utf-8"))["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    for package in packages.values():
        for version in (package.get("dependencies") or {}).values():
            assert not ADDRESS.search(version)
