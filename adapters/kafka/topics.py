"""The three topics: made once, by `appointments migrate`, and looked at by whoever reads them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from adapters.kafka.connection import REQUEST_SECONDS, Broker, KafkaUnavailable, why
from domain.streams import TOPICS

# Whoever reads begins two minutes ago, and the truth is in PostgreSQL: a day is for people who look into it.
RETENTION_MS: Final = 24 * 3600 * 1000
# The broker's clock, so that "two minutes ago" does not depend on who wrote.
CONFIGS: Final = {"retention.ms": str(RETENTION_MS), "message.timestamp.type": "LogAppendTime"}


async def create(broker: Broker, *, partitions: int, replication: int) -> list[str]:
    """Those that were missing, now there. Several may do it at once; an existing topic stays as it is."""
    async with _admin(broker) as admin:
        absent = _absent(await admin.list_topics())
        if not absent:
            return []
        configs = CONFIGS | {"min.insync.replicas": str(max(1, replication - 1))}
        wanted = [NewTopic(topic, partitions, replication, topic_configs=configs) for topic in absent]
        answer = (await admin.create_topics(wanted)).to_object()
        made = []
        for said in answer["topic_errors"]:
            error = for_code(said["error_code"])
            if said["error_code"] == 0:
                made.append(said["topic"])
            elif error is not TopicAlreadyExistsError:
                raise KafkaUnavailable(f"topic {said['topic']}: {said.get('error_message') or error.__name__}")
        while len(await _described(admin)) < len(TOPICS):  # noqa: ASYNC110 - brokers hear of it one after the other
            await asyncio.sleep(0.05)
        return made


async def missing(broker: Broker) -> list[str]:
    async with _admin(broker) as admin:
        return _absent(await admin.list_topics())


async def partitions(broker: Broker) -> dict[str, list[int]]:
    """The partitions of each of our topics. A topic that is not there is a KafkaUnavailable that says what to do."""
    async with _admin(broker) as admin:
        found = await _described(admin)
    if absent := _absent(found):
        raise KafkaUnavailable(f"Kafka has no topic {', '.join(absent)}: run `appointments migrate`")
    return found


async def _described(admin: AIOKafkaAdminClient) -> dict[str, list[int]]:
    return {
        one["topic"]: sorted(partition["partition"] for partition in one["partitions"])
        for one in await admin.describe_topics(list(TOPICS))
        if one["error_code"] == 0 and one["partitions"]
    }


def _absent(there: list[str] | dict[str, list[int]]) -> list[str]:
    return [topic for topic in TOPICS if topic not in there]


@asynccontextmanager
async def _admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    """Whatever goes wrong inside is a KafkaUnavailable."""
    admin = AIOKafkaAdminClient(**broker.options())
    try:
        async with asyncio.timeout(2 * REQUEST_SECONDS):
            await admin.start()
            yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka at {broker.servers} does not answer: {why(error)}") from error
    finally:
        await admin.close()
