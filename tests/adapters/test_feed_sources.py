"""Where a manifest's files are read, and the bounds on reading."""

from pathlib import Path

import pytest

from adapters.feeds import sources
from domain.tables import UnusableFile


@pytest.mark.parametrize(
    ("manifest", "url", "offline", "address"),
    [
        ("/feeds/manifest.json", "slots.ndjson", False, "/feeds/slots.ndjson"),
        ("/feeds/manifest.json", "states/NJ.ndjson?locale=en", True, "/feeds/states/NJ.ndjson"),
        ("manifest.json", "two%20words.ndjson", False, "two words.ndjson"),
        ("/feeds/manifest.json", "https://feed.test/a/b.ndjson?x=1", False, "https://feed.test/a/b.ndjson?x=1"),
        ("/feeds/manifest.json", "https://feed.test/a/b.ndjson?x=1", True, "/feeds/b.ndjson"),
        ("https://feed.test/a/manifest.json?x=1", "b.ndjson", False, "https://feed.test/a/b.ndjson"),
        ("https://feed.test/a/manifest.json", "/b.ndjson", False, "https://feed.test/b.ndjson"),
    ],
)
def test_urls_are_resolved_against_the_manifest(manifest: str, url: str, offline: bool, address: str) -> None:
    assert sources.beside(manifest, url, offline=offline) == address


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://feed.test/a", "data:,x"])
@pytest.mark.parametrize("manifest", ["/feeds/manifest.json", "https://feed.test/manifest.json"])
def test_other_schemes_are_not_read(manifest: str, url: str) -> None:
    with pytest.raises(UnusableFile):
        sources.beside(manifest, url, offline=False)


async def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 1 << 20)
    file = tmp_path / "large"
    file.write_bytes(bytes(1 << 20))
    assert len(await sources.read(str(file))) == 1 << 20
    file.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(UnusableFile, match=f"^{file}: larger than 1 MiB$"):
        await sources.read(str(file))
