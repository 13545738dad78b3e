"""Settings from the environment."""

from pathlib import Path

import pytest

from app.refusal import Refused
from app.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_everything_has_a_default() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path(".data"))
    assert (settings.env, settings.demo_clinics) == ("development", 210)
    assert settings.database_url is settings.redis_url is None


def test_every_setting_says_what_it_is() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


def test_the_environment_counts_and_an_empty_value_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PORT": "9000",
        "ENV": "production",
        "REDIS_CLUSTER": "1",
        "DATABASE_URL": "",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.port, settings.production, settings.redis_cluster) == (9000, True, True)
    assert settings.database_url is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "eighty", "PORT should be a valid integer, unable to parse string as an integer"),
        ("PORT", "70000", "PORT should be less than or equal to 65535"),
        ("ENV", "prod", "ENV should be 'development', 'production' or 'test'"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL must start with postgresql:// or postgres://"),
        ("DATABASE_URL", "postgresql://u:secret@host:port/db", "DATABASE_URL is not a URL: "),
        ("REDIS_URL", "localhost:6379", "REDIS_URL must start with redis:// or rediss:// or unix://"),
        ("PUBLIC_URL", "example.com", "PUBLIC_URL must start with http:// or https://"),
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            "kafka",
            "KAFKA_BOOTSTRAP_SERVERS must be host:port, several with commas between them",
        ),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,kafka://b:2", "KAFKA_BOOTSTRAP_SERVERS must be host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,", "KAFKA_BOOTSTRAP_SERVERS must be host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:66000", "KAFKA_BOOTSTRAP_SERVERS must be host:port"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "KAFKA_SECURITY_PROTOCOL should be 'PLAINTEXT', 'SSL', "),
        ("BOOKING_LOCK", "maybe", "BOOKING_LOCK should be 'on', 'off' or 'always'"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Refused) as refusal:
        load_settings()
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cret@db:5432/clinic?sslmode=require&password=s3cret")
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@cache:6379/0")
    monkeypatch.setenv("KAFKA_PASSWORD", "s3cret")
    settings = load_settings()
    printed = settings.printable()
    assert printed["DATABASE_URL"] == "postgresql://me:***@db:5432/clinic?sslmode=require&password=***"
    assert printed["REDIS_URL"] == "redis://:***@cache:6379/0"
    assert printed["KAFKA_PASSWORD"] == "***"
    assert printed["CACHE"] == "on"
    assert printed["PUBLIC_URL"] == ""
    assert "s3cret" not in f"{printed}{settings}{settings!r}"
