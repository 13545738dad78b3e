"""Where Kafka is and how one speaks to it. The clients' own retries are kept short: who calls decides how to go on."""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from domain.faults import Unavailable

REQUEST_SECONDS: Final = 5.0
# Partitions that were added are found so soon, by writers and readers: in between no pulse comes through all of them.
METADATA_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 3.0  # Whoever reads takes up again elsewhere what took longer.


class KafkaUnavailable(Unavailable):
    """Kafka does not answer, refuses us or lacks what is asked for. The one error that leaves this package."""


@dataclass(frozen=True, slots=True)
class Broker:
    """`servers`: host:port, several with commas. Certificates are checked against those the system trusts."""

    servers: str
    security: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """For any client of aiokafka."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "client_id": "appointments",
            "request_timeout_ms": int(REQUEST_SECONDS * 1000),
            "metadata_max_age_ms": int(METADATA_SECONDS * 1000),
            "security_protocol": self.security,
        }
        if self.security.endswith("SSL"):
            options["ssl_context"] = ssl.create_default_context()
        if self.security.startswith("SASL"):
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.user
            options["sasl_plain_password"] = self.password
        return options


class _LastWord(logging.Handler):
    """Why a connection failed, a wrong password say, aiokafka tells only its logger, at each attempt of each client."""

    said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()


_last_word: Final = _LastWord(logging.WARNING)
_logger: Final = logging.getLogger("aiokafka")
_logger.addHandler(_last_word)
_logger.propagate = False  # Who calls us logs once, with `why`.


def why(error: BaseException) -> str:
    """For people: the reason behind an error of the client."""
    if isinstance(error, KafkaConnectionError) and _last_word.said:
        return _last_word.said
    return str(error) or type(error).__name__


async def stop(consumer: AIOKafkaConsumer) -> None:
    """In a task of its own: `stop` awaits tasks that it cancels, and what it awaits may hang."""
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping], timeout=ANSWER_SECONDS)
    if not stopping.done():
        stopping.cancel()
    elif not stopping.cancelled():
        stopping.exception()
