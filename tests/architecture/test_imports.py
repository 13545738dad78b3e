"""The folders have one direction, and no circles within: the contracts of pyproject.toml."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.sources import FOLDERS, ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]


def test_every_import_contract_holds() -> None:
    """Layers, what the domain and the services may not know, and no import cycle anywhere."""
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts:") :]


def test_the_contracts_speak_of_all_eight_folders_in_their_order() -> None:
    layers = next(one for one in CONTRACTS["contracts"] if one["type"] == "layers")
    circles = next(one for one in CONTRACTS["contracts"] if one["type"] == "acyclic_siblings")
    assert tuple(CONTRACTS["root_packages"]) == tuple(layers["layers"]) == tuple(circles["ancestors"]) == FOLDERS
    assert not CONTRACTS["exclude_type_checking_imports"]


def test_adapters_know_one_another_in_no_direction() -> None:
    independent = next(one for one in CONTRACTS["contracts"] if one["type"] == "independence")["modules"]
    present = [f"adapters.{one.name}" for one in (ROOT / "adapters").iterdir() if (one / "__init__.py").exists()]
    assert sorted(independent) == sorted(present)
