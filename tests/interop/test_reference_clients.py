"""The reference clients, graphql-ws and graphql-sse of npm: they subscribe, resume by cursor, and come back as they should."""

import asyncio
import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any, Final

import pytest
from joserfc import jwt

from app.auth import ALGORITHMS, development_key, development_token
from app.embedded import Addresses
from app.settings import Settings
from domain import ids
from tests.api.scripted import staged
from tests.api.talker import AVAILABILITY
from tests.kept import kept

HERE: Final = Path(__file__).parent
TIMES: Final = AVAILABILITY % ids.node(ids.VISIT_TYPE, 1)


@pytest.fixture(scope="module")
def packages() -> Path:
    """The clients, installed once for each lock file, outside the tree."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no node here")
    names = ("package.json", "package-lock.json", "client.mjs")
    version = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names)).hexdigest()[:16]
    with kept(f"appointments-interop/{version}") as cache:
        if not (cache / "ready").exists():
            _install(names, cache)
        return cache


def _install(names: Sequence[str], cache: Path) -> None:
    for name in names:
        shutil.copy(HERE / name, cache / name)
    try:
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=cache, capture_output=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm could not install the clients in time")
    if done.returncode != 0:
        pytest.skip("npm could not install the clients")
    (cache / "ready").touch()


@pytest.fixture(scope="module")
def settings(database_url: str, embedded: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("interop")
    return Settings(data_dir=folder, database_url=database_url, port=0, env="test", drain_seconds=0.2)


@pytest.fixture
def addresses(settings: Settings, embedded: Any) -> Addresses:
    return Addresses(str(settings.database_url), None, embedded.redis_url)


class Client:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            found: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return found

    async def frame(self) -> dict[str, Any]:
        """The next frame; closes before it are passed over."""
        while "closed" in (said := await self.hear()):
            pass
        assert "next" in said, said
        found: dict[str, Any] = said["next"]["data"]["availability"]
        return found


@asynccontextmanager
async def client(packages: Path, kind: str, url: str, tokens: list[str | None]) -> AsyncIterator[Client]:
    variables = {"c": ids.node(ids.CLINIC, 1)}
    asked = {"kind": kind, "url": f"{url}/graphql", "query": TIMES, "variables": variables, "tokens": tokens}
    process = await asyncio.create_subprocess_exec(
        "node", str(packages / "client.mjs"), json.dumps(asked), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Client(process)
    finally:
        process.kill()
        await process.communicate()


def _ending(settings: Settings, seconds: float) -> str:
    claims = {"sub": "someone", "role": "admin", "exp": time() + seconds}
    return jwt.encode({"alg": "Ed25519"}, claims, development_key(settings), algorithms=ALGORITHMS)


@pytest.mark.parametrize("kind", ["socket", "events"])
async def test_an_ended_token_is_renewed_and_the_stream_resumed(
    packages: Path, settings: Settings, addresses: Addresses, kind: str
) -> None:
    expired = development_token(settings, role="admin", expires_seconds=-1)
    fresh = development_token(settings, role="admin")
    async with staged(settings, addresses) as there:
        tokens: list[str | None] = [_ending(settings, 2), expired, fresh]
        async with client(packages, kind, there.url, tokens) as one:
            assert (await one.frame())["__typename"] == "AvailabilitySnapshot"
            there.live.change()
            delta = await one.frame()
            assert delta["__typename"] == "AvailabilityDelta"
            if kind == "socket":
                assert await one.hear() == {"closed": 4403}
                assert await one.hear() == {"closed": 4403}
            resumed = await one.frame()
            assert (resumed["__typename"], resumed["previousCursor"]) == ("AvailabilityHeartbeat", delta["cursor"])
            assert there.live.afters == [None, delta["cursor"]]
            there.live.change()
            assert (await one.frame())["previousCursor"] == resumed["cursor"]


@pytest.mark.parametrize("kind", ["socket", "events"])
async def test_a_restart_is_survived(packages: Path, settings: Settings, addresses: Addresses, kind: str) -> None:
    async with staged(settings, addresses) as there:
        port = int(there.url.rpartition(":")[2])
        running = client(packages, kind, there.url, [None])
        one = await running.__aenter__()
        await one.frame()
    try:
        async with staged(settings.model_copy(update={"port": port}), addresses) as again:
            if kind == "socket":
                assert await one.hear() == {"closed": 1012}
            assert (await one.frame())["__typename"] == "AvailabilityHeartbeat"
            assert again.live.afters == ["0"]
            again.live.change()
            assert (await one.frame())["__typename"] == "AvailabilityDelta"
    finally:
        await running.__aexit__(None, None, None)


async def test_a_token_that_never_works_is_not_tried_again(
    packages: Path, settings: Settings, addresses: Addresses
) -> None:
    async with staged(settings, addresses) as there, client(packages, "socket", there.url, ["nonsense"]) as one:
        assert await one.hear() == {"closed": 4401}
        assert "error" in await one.hear()
