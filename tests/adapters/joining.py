"""A member of a group in a process of its own, there to be killed. Says on stdout what it did.

Run as `python -m tests.adapters.joining kafka|outbox ADDRESS GROUP EPOCH`; of Kafka's shared topic EPOCH alone is ours.
"""

import asyncio
import sys
from contextlib import aclosing, suppress
from functools import partial

from adapters.kafka.connection import Broker
from adapters.kafka.group import KafkaGroup
from adapters.postgres.database import connect
from adapters.postgres.outbox_group import OutboxGroup
from domain.faults import Unavailable
from services.searching.targets import Member


async def join(kind: str, address: str, group: str, epoch: str) -> None:
    kafka = kind == "kafka"
    member: Member = KafkaGroup(Broker(address), group) if kafka else OutboxGroup(partial(connect, address), group)
    _say("joining")
    while True:  # As an indexer does it.
        with suppress(Unavailable):
            async with aclosing(member.batches()) as batches:
                async for batch in batches:
                    if batch.lost:
                        _say("lost")
                    mine = [event.outbox_id for event in batch.events if not kafka or event.epoch == epoch]
                    await asyncio.sleep(0.01 if mine else 0)
                    for one in mine:  # Handled, and then noted: killed in between, it comes again to another.
                        _say(f"done {one}")
                    await member.done(batch)
        _say("out")
        await asyncio.sleep(0.5)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    asyncio.run(join(*sys.argv[1:]))


if __name__ == "__main__":
    main()
