"""Kafka as the settings name it."""

from adapters.kafka import topics
from adapters.kafka.connection import Broker, KafkaUnavailable
from app.refusal import Refused
from app.settings import Settings


def broker(settings: Settings) -> Broker | None:
    """None where Kafka is not set: then processes hear of changes from PostgreSQL."""
    if settings.kafka_bootstrap_servers is None:
        return None
    secret = settings.kafka_password
    if settings.kafka_security_protocol.startswith("SASL") and (settings.kafka_user is None or secret is None):
        raise Refused(f"KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs KAFKA_USER and KAFKA_PASSWORD")
    return Broker(
        settings.kafka_bootstrap_servers,
        settings.kafka_security_protocol,
        settings.kafka_sasl_mechanism,
        settings.kafka_user,
        secret.get_secret_value() if secret else None,
    )


async def make_topics(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Names of those made, or that would be."""
    found = broker(settings)
    if found is None:
        return []
    try:
        if dry_run:
            return await topics.missing(found)
        return await topics.create(found, partitions=settings.kafka_partitions, replication=settings.kafka_replication)
    except KafkaUnavailable as error:
        raise Refused(str(error)) from error
