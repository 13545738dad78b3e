"""A real Kafka broker: KAFKA_BOOTSTRAP_SERVERS where set, else one of our own, which needs java and mvn and no container."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.kept import kept

VERSION: Final = "4.1.1"
ARTEFACTS: Final = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"),
)
CLUSTER_ID: Final = "YXBwb2ludG1lbnRzLXRlcw"
START_SECONDS: Final = 60
DOWNLOAD_SECONDS: Final = 120
PROPERTIES: Final = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
log.dirs={folder}/data
"""  # A broker that was killed may register again once its old session is over: 9 s otherwise.


@dataclass(slots=True)
class Kafka:
    """A broker. Where it is not ours, `pid` is None: such a one is neither paused nor killed."""

    address: str
    folder: Path | None = None
    jars: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """On the same port and data as before; returns when it accepts."""
        assert self.folder is not None
        with (self.folder / "log").open("ab") as log:
            command = [*_java(self.jars), "kafka.Kafka", self.folder / "server.properties"]
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not _accepts(self.address):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    "Kafka did not start:\n" + (self.folder / "log").read_text("utf-8", "replace")[-2000:]
                )
            time.sleep(0.05)

    def pause(self) -> None:
        """Returns once every thread stands still: until then a loaded machine lets some of them answer."""
        self._send(signal.SIGSTOP)
        assert self.pid is not None
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None, "a broker that is not ours"
        self._process.send_signal(number)


@contextmanager
def broker() -> Iterator[Kafka]:
    """Skips with the reason where there can be none."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield Kafka(given)
        return
    jars = _jars()
    with tempfile.TemporaryDirectory(prefix="appointments-kafka-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port, controller = _free_ports()
        properties = folder / "server.properties"
        properties.write_text(PROPERTIES.format(port=port, controller=controller, folder=folder), "utf-8")
        subprocess.run(
            [*_java(jars), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties],
            check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        kafka = Kafka(f"127.0.0.1:{port}", folder, jars)
        try:
            kafka.start()
            yield kafka
        finally:
            if kafka.running():
                kafka.kill()


def _jars() -> Path:
    """Kafka with all it needs, from Maven's repository, kept between runs."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no Kafka: KAFKA_BOOTSTRAP_SERVERS is not set, and {' and '.join(missing)} not there to start one")
    with kept("appointments-tests") as cache:
        jars = cache / f"kafka-{VERSION}"
        if not jars.exists():
            _download(cache, jars)
        return jars


def _download(cache: Path, jars: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        project = Path(folder) / "pom.xml"
        project.write_text(_project(), "utf-8")
        command = ["mvn", "-q", "-B", "-f", project, "dependency:copy-dependencies", "-DincludeScope=runtime"]
        command.append(f"-DoutputDirectory={folder}/jars")
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=DOWNLOAD_SECONDS
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"no Kafka: its jars did not come within {DOWNLOAD_SECONDS} s")
        except subprocess.CalledProcessError as error:
            said = next((line for line in error.stdout.splitlines() if "ERROR" in line), "mvn failed")
            pytest.skip(f"no Kafka: its jars could not be had: {said}")
        (Path(folder) / "jars").rename(jars)


def _project() -> str:
    parts = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in ARTEFACTS
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{parts}</dependencies></project>"
    )


def _java(jars: Path | None) -> list[str]:
    return ["java", "-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]


def _free_ports() -> tuple[int, int]:
    with closing(socket.socket()) as one, closing(socket.socket()) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.2):
            return True
    except OSError:
        return False
