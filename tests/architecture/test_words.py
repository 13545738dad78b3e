"""The project stands on its own: nothing in it names the place where it was built or a host that serves packages."""

from typing import Final

from tests.architecture import sources

# Put together here, so that this file is none of those that it looks for.
SHARED: Final = ".." + "/sha" + "red"
PLACES: Final = ("/wo" + "rk/", "/ro" + "ot/", SHARED)
HOSTS: Final = (
    "py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "files." + "python", "npm" + "mirror",
    "artifact" + "ory",
)  # fmt: skip
ALLOWED: Final = {
    # Real feeds and lists that are not ours to publish; without them tests that read them say why they skip.
    ".ci/run": SHARED,
}


def test_no_place_and_no_host_is_named() -> None:
    found = []
    for path in sources.files():
        if path.is_relative_to("app/web/static"):  # built; tests/architecture/test_web_build.py looks at it
            continue
        text = (sources.ROOT / path).read_text("utf-8", errors="replace")
        text = text.replace(ALLOWED.get(path.as_posix(), "\0"), "")
        found += [f"{path}: {word}" for word in (*PLACES, *HOSTS) if word in text]
    assert found == []


def test_what_runs_asks_for_no_data_of_this_place() -> None:
    """APPOINTMENTS_DATA is for tests alone."""
    name = "APPOINTMENTS" + "_DATA"
    assert [path for path in sources.code(*sources.FOLDERS) if name in sources.text(path)] == []


def test_what_is_committed_can_be_read() -> None:
    """Text in UTF-8, lines ended by a line feed, no space left at their ends."""
    endings = (".py", ".sql", ".md", ".toml", ".yaml", ".yml", ".graphql")
    found = []
    for path in sources.files():
        if path.suffix in endings and not path.is_relative_to("app/web/static"):
            raw = (sources.ROOT / path).read_bytes()
            text = raw.decode("utf-8")
            crowded = any(line != line.rstrip() for line in text.splitlines())
            if crowded or b"\r" in raw or (text and not text.endswith("\n")):
                found.append(path.as_posix())
    assert found == []
