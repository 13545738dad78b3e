"""Every setting of the product: one class, read from the environment, each with a default."""

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.refusal import Refused


def _url_of(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        try:
            parts = urlsplit(url)
            _ = parts.port  # computed on access: a port that is no number is an error here, not in a driver
        except ValueError as error:
            raise ValueError(f"is not a URL: {error}") from None
        if parts.scheme not in schemes:
            raise ValueError(f"must start with {' or '.join(scheme + '://' for scheme in schemes)}")
        return url

    return AfterValidator(check)


def _servers(text: str) -> str:
    for server in text.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or "/" in server or not port.isdecimal() or int(port) > 65535:
            raise ValueError("must be host:port, several with commas between them")
    return text


def _sender(text: str) -> str:
    address = parseaddr(text)[1]
    if not text.isprintable() or not re.fullmatch(r"[!-?A-~]+@[A-Za-z0-9.-]+", address):
        raise ValueError("must be an address, or NAME <ADDRESS>")
    return text


def _urls(text: str) -> str:
    for url in text.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must start with http:// or https://; several have commas between them")
    return text


def _index(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", text):
        raise ValueError("must be lower-case letters, digits, dots, dashes and underscores, a letter or digit first")
    return text


PostgresUrl = Annotated[str, _url_of("postgresql", "postgres")]
RedisUrl = Annotated[str, _url_of("redis", "rediss", "unix")]
WebUrl = Annotated[str, _url_of("http", "https")]
Sender = Annotated[str, AfterValidator(_sender)]
SmtpUrl = Annotated[str, _url_of("smtp", "smtps")]
WebUrls = Annotated[str, AfterValidator(_urls)]
IndexPrefix = Annotated[str, AfterValidator(_index)]
KafkaServers = Annotated[str, AfterValidator(_servers)]


class Settings(BaseSettings):
    """Read once by `load_settings`; the environment variable is the field's name in upper case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    env: Literal["development", "production", "test"] = Field(
        default="development", description="production: no development tokens, no demo data"
    )
    worker_port: int | None = Field(
        default=None, ge=1, le=65535, description="port on HOST where `appointments work` shows /metrics; unset: none"
    )
    public_url: WebUrl | None = Field(default=None, description="where people reach this server; unset: HOST and PORT")

    data_dir: Path = Field(
        default=Path(".data"), description="where the embedded PostgreSQL and Redis keep their files"
    )
    database_url: PostgresUrl | None = Field(default=None, description="PostgreSQL 18; unset: the embedded one")
    database_replica_url: PostgresUrl | None = Field(
        default=None, description="a read replica; unset: reads go to the primary"
    )
    database_connections: int = Field(
        default=10, ge=1, le=500, description="connections a process may open to each PostgreSQL"
    )
    redis_url: RedisUrl | None = Field(default=None, description="Redis; unset: the embedded one")
    redis_cluster: bool = Field(default=False, description="REDIS_URL is a node of a cluster")

    kafka_bootstrap_servers: KafkaServers | None = Field(
        default=None, description="Kafka, as host:port,host:port; unset: processes hear of changes from PostgreSQL"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how Kafka is spoken to; SASL: with KAFKA_USER and KAFKA_PASSWORD"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="how KAFKA_USER proves itself"
    )
    kafka_user: str | None = Field(default=None, description="name at Kafka")
    kafka_password: SecretStr | None = Field(default=None, description="its password")
    kafka_partitions: int = Field(
        default=8, ge=1, le=1000, description="partitions of a topic that `appointments migrate` makes"
    )
    kafka_replication: int = Field(default=1, ge=1, le=15, description="copies of such a topic; 3 in production")

    elasticsearch_url: WebUrls | None = Field(
        default=None,
        description="Elasticsearch 9, as http://HOST:9200, several by commas; unset: PostgreSQL answers searches",
    )
    elasticsearch_user: str | None = Field(default=None, description="name at Elasticsearch")
    elasticsearch_password: SecretStr | None = Field(default=None, description="its password")
    elasticsearch_api_key: SecretStr | None = Field(
        default=None, description="an API key of Elasticsearch, instead of name and password"
    )
    elasticsearch_ca: Path | None = Field(
        default=None, description="a file of certificates to trust at Elasticsearch, beside the system's"
    )
    elasticsearch_index: IndexPrefix = Field(
        default="appointments", description="what names there begin with: appointments-providers is what is searched"
    )

    demo_clinics: int = Field(default=210, ge=0, le=100_000, description="clinics of the demo data; 0: none")
    auth_jwks: str | None = Field(default=None, description="file or URL of the JWK set whose tokens count")
    auth_issuer: str | None = Field(default=None, description="the iss that a token must carry")
    auth_audience: str | None = Field(default=None, description="the aud that a token must carry")

    smtp_url: SmtpUrl | None = Field(
        default=None, description="where e-mail goes, as smtp://USER:PASSWORD@HOST:PORT; unset: files under DATA_DIR"
    )
    mail_from: Sender = Field(
        default="Appointments <appointments@localhost>", description="who e-mail comes from; keep it: calendars know it"
    )
    sms_url: WebUrl | None = Field(
        default=None, description="an SMS provider that speaks Twilio's REST; unset: files under DATA_DIR"
    )
    sms_account: str | None = Field(default=None, description="our account there (SID)")
    sms_token: SecretStr | None = Field(default=None, description="its token; signs what the provider calls back with")
    sms_from: str | None = Field(default=None, description="the number SMS come from, or a messaging service (MG…)")

    cache: bool = Field(default=True, description="keep calendars in Redis too; answers are the same without")
    cache_from: int = Field(
        default=6,
        ge=1,
        le=1000,
        description="providers in one read from which Redis is asked; fewer come sooner without",
    )
    process_calendars: bool = Field(
        default=True,
        description="keep calendars in the process while their stream is alive; answers are the same without",
    )
    booking_lock: Literal["on", "off", "always"] = Field(
        default="on",
        description="Redis lock before a booking: where contended, always or never; all book right",
    )
    offer_seconds_max: int = Field(
        default=14_400, ge=1, le=14_400, description="seconds that an offer of the waitlist lasts at most"
    )
    request_seconds: float = Field(
        default=10, gt=0, le=300, description="an operation over HTTP is given up after this"
    )
    drain_seconds: float = Field(
        default=10, ge=0, le=300, description="how long open requests may finish when stopping"
    )
    limits: bool | None = Field(default=None, description="limits per client address; unset: in production only")
    limit_rate: float = Field(
        default=50,
        gt=0,
        le=100_000,
        description="requests to /graphql and to pages that ask there, a second from one address",
    )
    limit_burst: int = Field(
        default=500, ge=1, le=1_000_000, description="as many at once from an address that was silent"
    )
    limit_sockets: int = Field(
        default=200, ge=1, le=100_000, description="WebSockets at a time from one address, in each process"
    )
    forwarded_allow_ips: str = Field(
        default="127.0.0.1",
        description="proxies whose X-Forwarded-For names the client: addresses and networks, by commas",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least important log line shown"
    )

    @model_validator(mode="after")
    def _sms_is_whole(self) -> Self:
        if self.sms_url and not (self.sms_account and self.sms_token and self.sms_from):
            raise ValueError("SMS_URL needs SMS_ACCOUNT, SMS_TOKEN and SMS_FROM beside it")
        return self

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def limited(self) -> bool:
        return self.production if self.limits is None else self.limits

    def printable(self) -> dict[str, str]:
        """Environment name to value, passwords replaced by ***; an unset one is empty."""
        return {name.upper(): _without_secret(value) for name, value in self.model_dump().items()}

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return list(self.printable().items())


def _without_secret(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, SecretStr):
        return "***"
    if not isinstance(value, str) or "://" not in value:
        return str(value)
    several = value.split(",")
    if len(several) > 1 and all("://" in one for one in several):
        return ",".join(map(_without_secret, several))
    parts = urlsplit(value)
    address = parts.netloc
    if parts.password:
        address = f"{parts.username or ''}:***@{address.rpartition('@')[2]}"
    pairs = (pair.partition("=")[0::2] for pair in parts.query.split("&") if pair)
    query = "&".join(f"{key}={'***' if key.lower() in _SECRET_KEYS else text}" for key, text in pairs)
    return urlunsplit((parts.scheme, address, parts.path, query, ""))


_SECRET_KEYS = frozenset({"password", "passfile", "sslpassword", "token", "key", "secret", "api_key", "access_token"})


def load_settings() -> Settings:
    """The environment's settings. A value that cannot be used is a Refused naming its variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise Refused("; ".join(map(_sentence, error.errors()))) from None


def _sentence(problem: ErrorDetails) -> str:
    said = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{str(problem['loc'][0]).upper()} {said}" if problem["loc"] else said
