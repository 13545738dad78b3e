"""A real Elasticsearch node: ELASTICSEARCH_URL where set, else one of our own, which needs mvn and a JDK of 21 or later."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

VERSION: Final = "9.5.3"
ARTEFACT: Final = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
JAVA_AT_LEAST: Final = 21
START_SECONDS: Final = 120
DOWNLOAD_SECONDS: Final = 240
USERS: Final = ("nobody", "postgres")
SETTINGS: Final = """
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport}
path.data: {folder}/data
path.logs: {folder}/logs
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: true
indices.breaker.total.use_real_memory: false
"""
# Indices are made by a careless write, as by default: that ours make none is to be proved.
# What waits for the collector counts as no memory in use: so small a heap would refuse searches (429) now and then.


@dataclass(slots=True)
class Elasticsearch:
    """A node. Where it is not ours, `pid` is None: such a one is neither paused nor killed."""

    url: str
    folder: Path | None = None
    java: Path | None = None
    options: str = ""
    user: tuple[int, int] | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """On the same port and data as before; returns when it answers searches."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Begins to start."""
        assert self.folder is not None
        uid, gid = self.user or (None, None)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.folder / "elasticsearch/bin/elasticsearch"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                user=uid, group=gid, extra_groups=() if self.user else None, start_new_session=True,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "ES_JAVA_HOME": str(self.java),
                    "ES_JAVA_OPTS": f"-Xms512m -Xmx512m {self.options}",
                    "ES_TMPDIR": str(self.folder / "tmp"),
                },
            )  # fmt: skip

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.healthy():
            if not self.running() or time.monotonic() > deadline:
                raise RuntimeError(f"Elasticsearch did not start:\n{self._said()[-2000:]}")
            time.sleep(0.1)

    def healthy(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/_cluster/health", timeout=5)["status"] in {"yellow", "green"}
        return False

    def pause(self) -> None:
        """It hangs: connections are taken by the kernel, and nobody answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        self._send(signal.SIGTERM)
        self._end()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, method: str, path: str, body: Any = None, *, timeout: float = 30) -> Any:
        """A plain request beside every client. Raises RuntimeError with what the node said."""
        raw = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, raw, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            raise RuntimeError(f"{error.code} {error.read().decode()}") from None

    def block_writes(self, index: str, *, blocked: bool = True) -> None:
        """As it does by itself when its disk is full."""
        self.ask("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": blocked or None})

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None, "a node that is not ours"
        os.killpg(self._process.pid, number)  # The script's java starts another one, which is the server.

    def _end(self) -> None:
        assert self._process is not None
        self._process.wait(timeout=60)
        deadline = time.monotonic() + 60
        while _group_lives(self._process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _said(self) -> str:
        assert self.folder is not None
        return (self.folder / "log").read_text("utf-8", "replace")


@contextmanager
def node(*, lasting: bool = False) -> Iterator[Elasticsearch]:
    """Skips with the reason where there can be none. `lasting`: its code is compiled to the end, which pays after minutes only."""
    if given := os.environ.get("ELASTICSEARCH_URL"):
        yield Elasticsearch(given.rstrip("/"))
        return
    java, user = _java(), _user()
    kept = _kept()
    with tempfile.TemporaryDirectory(prefix="appointments-elasticsearch-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copytree(
            kept, folder / "elasticsearch"
        )  # Its user may not reach the cache; it writes beside its settings.
        port, transport = _free_ports()
        settings = SETTINGS.format(port=port, transport=transport, folder=folder)
        (folder / "elasticsearch/config/elasticsearch.yml").write_text(settings, "utf-8")
        for inside in ("data", "logs", "tmp"):
            (folder / inside).mkdir()
        if user is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, *user)
        options = "" if lasting else "-XX:TieredStopAtLevel=1"
        found = Elasticsearch(f"http://127.0.0.1:{port}", folder, java, options, user)
        try:
            found.start()
            yield found
        finally:
            if found.running():
                found.resume()  # A stopped process can't be waited for.
                found.kill()


def _kept() -> Path:
    """The smallest distribution, from Maven's repository, kept between runs."""
    if shutil.which("mvn") is None:
        pytest.skip("no Elasticsearch: ELASTICSEARCH_URL is not set, and mvn is not there to fetch one")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appointments-tests"
    kept = cache / f"elasticsearch-{VERSION}"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTEFACT}", f"-DoutputDirectory={folder}"]
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                timeout=DOWNLOAD_SECONDS, cwd=folder,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            pytest.skip(f"no Elasticsearch: it did not come within {DOWNLOAD_SECONDS} s")
        except subprocess.CalledProcessError as error:
            said = next((line for line in error.stdout.splitlines() if "ERROR" in line), "mvn failed")
            pytest.skip(f"no Elasticsearch: it could not be had: {said}")
        with zipfile.ZipFile(next(Path(folder).glob("*.zip"))) as archive:
            archive.extractall(folder)
        unpacked = Path(folder) / f"elasticsearch-{VERSION}"
        for program in (unpacked / "bin").iterdir():
            program.chmod(0o755)
        with suppress(OSError):  # Another run was faster.
            unpacked.rename(kept)
    return kept


def _java() -> Path:
    """The home of a JDK that is new enough and whole: a cut runtime lacks what the node asks for."""
    named = [Path(home) for name in ("ES_JAVA_HOME", "JAVA_HOME") if (home := os.environ.get(name))]
    for home in (*named, *sorted(Path("/usr/lib/jvm").glob("*"))):
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(
                [home / "bin/java", "--list-modules"],
                check=True,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
            modules = dict(line.partition("@")[::2] for line in said.stdout.splitlines())
            if "jdk.jdi" in modules and int(modules["java.base"].partition(".")[0]) >= JAVA_AT_LEAST:
                return home
    pytest.skip(f"no Elasticsearch: ELASTICSEARCH_URL is not set, and no JDK {JAVA_AT_LEAST} or later to start one")


def _user() -> tuple[int, int] | None:
    """As whom it runs: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in USERS:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    pytest.skip("no Elasticsearch: it refuses to run as root, and there is no user nobody")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _free_ports() -> tuple[int, int]:
    with closing(socket()) as one, closing(socket()) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
