"""`appointments import`: what it prints where, and how it ends."""

from pathlib import Path

import pytest

from tests.app.test_cli import run

HEADER = "id,name,city,state,zip,phone\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clinics.csv"


def test_everything_in_is_exit_0_with_the_summary_on_stdout(database_url: str, file: Path) -> None:
    file.write_text(f"{HEADER}1,One,Millville,NJ,8332,12\n")
    for verb in ("added", "unchanged"):
        answer = run("import", "clinics", str(file), DATABASE_URL=database_url)
        assert answer.returncode == 0
        assert answer.stderr == f"warning: {file}:2: phone '12' is not valid: left out\n"
        lines = [line.split() for line in answer.stdout.splitlines()]
        assert ["clinics", verb, "1"] in lines
        assert ["warnings", "1"] in lines


def test_a_refused_line_is_exit_1_and_stands_on_stderr(database_url: str, file: Path) -> None:
    file.write_text(f"{HEADER}2,Two,Millville,NJ,8332,\n3,,Millville,NJ,8332,\n")
    answer = run("import", "clinics", str(file), "--dry-run", DATABASE_URL=database_url)
    assert (answer.returncode, answer.stderr) == (1, f"{file}:3: the name is empty\n")
    assert answer.stdout.startswith("dry run: nothing was written\n")


@pytest.mark.parametrize("text", ["", "name\nOne\n", None])
def test_nothing_to_read_is_exit_2(database_url: str, file: Path, text: str | None) -> None:
    if text is not None:
        file.write_text(text)
    for command in (["clinics"], ["providers"], ["slots"]):
        answer = run("import", *command, str(file), DATABASE_URL=database_url)
        assert answer.returncode == 2
        assert answer.stderr.startswith(f"{file}: ")
        assert answer.stderr.count("\n") == 1
        assert answer.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["slots"], ["slots", "m.json", "--shift-weeks", "much"], ["clinics", "c.csv", "--wrong"]]
)
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert run("import", *arguments).returncode == 2


def test_a_database_that_does_not_answer_is_exit_1(file: Path) -> None:
    file.write_text(f"{HEADER}1,One,Millville,NJ,8332,\n")
    answer = run("import", "clinics", str(file), DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert answer.returncode == 1
    assert answer.stderr.startswith("appointments: PostgreSQL does not answer")
