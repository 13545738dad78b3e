"""Where Kafka is and how one speaks to it. The clients' own retries are kept short: who calls decides how to go on."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final

REQUEST_SECONDS: Final = 5.0


class KafkaUnavailable(Exception):
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
            "security_protocol": self.security,
        }
        if self.security.endswith("SSL"):
            options["ssl_context"] = ssl.create_default_context()
        if self.security.startswith("SASL"):
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.user
            options["sasl_plain_password"] = self.password
        return options
