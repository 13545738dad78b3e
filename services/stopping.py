"""Stopping a channel and going on with it: by the link in an e-mail, by an answer to an SMS, by what the provider says."""

import re
from typing import Final

from adapters.postgres import changes, locks, messages, preferences, sending
from adapters.postgres.database import Database, answering
from domain import ids
from domain.access import Role, Viewer
from domain.messages import NOT_DELIVERED, further, stops
from domain.recipients import Channel

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")


class Stopping:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def linked(self, token: str) -> tuple[Channel, str, bool] | None:
        """Channel, address and whether it is stopped, for the token of a link; None for one that we never gave out."""
        if not TOKEN.fullmatch(token):
            return None
        async with answering():
            return await preferences.linked(self._database.primary, token)

    async def stop(self, channel: Channel, address: str, by: str) -> None:
        """From when this answers nothing more goes there, but for what is on its way."""
        await self._set(channel, address, by, stopped=True)

    async def go_on(self, channel: Channel, address: str, by: str) -> None:
        await self._set(channel, address, by, stopped=False)

    async def answered(self, phone: str, text: str) -> None:
        """An SMS came from `phone`. STOP and START count, and nothing else."""
        wish = stops(text)
        if wish is not None:
            await self._set(Channel.SMS, phone, "an answer", stopped=wish)

    async def delivered(self, provider_id: str, message_id: str | None, delivery: str) -> bool:
        """How far an SMS came. Never backwards; False for one that is not ours."""
        key = ids.key(message_id, ids.MESSAGE) if message_id else None
        async with self._database.locked(None, [locks.delivery(provider_id)]) as tx:
            found = await sending.named(tx, provider_id, key)
            if found is not None and found.provider_id is None:
                await sending.take_back(tx, provider_id, found.key)
            if found is not None and further(found.delivery, delivery):
                await sending.delivered(tx, found.key, provider_id, delivery, failed=delivery in NOT_DELIVERED)
        return found is not None

    async def _set(self, channel: Channel, address: str, by: str, *, stopped: bool) -> None:
        address = address.lower()
        viewer = Viewer(Role.SYSTEM, by, request_id="stopping")
        async with self._database.transaction() as tx:
            if stopped:
                await preferences.stop(tx, channel, address, await changes.now(tx))
            else:
                await preferences.go_on(tx, channel, address)
            patients = await preferences.patients_at(tx, channel, address)
            await changes.audit_reads(tx, viewer, "stopMessages" if stopped else "resumeMessages", patients)
            await messages.plan_again(tx, patients)
