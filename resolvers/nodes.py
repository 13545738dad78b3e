"""Any thing by its id. What the viewer may not see looks exactly like what does not exist (rule 20)."""

import asyncio
from typing import Any, Final

import strawberry

from domain import ids
from domain.faults import BadInput
from resolvers.context import Context, Info

NODES_MAX: Final = 100


async def node(info: Info, id: strawberry.ID) -> Any:
    return await _node(info.context, id)


async def nodes(info: Info, ids: list[strawberry.ID]) -> list[Any]:
    if len(ids) > NODES_MAX:
        raise BadInput("ids", f"At most {NODES_MAX} ids.")
    return list(await asyncio.gather(*(_node(info.context, one) for one in ids)))


async def _node(context: Context, node_id: str) -> Any:
    kind = ids.kind_of(node_id)
    if kind in (ids.SLOT, ids.OPENING_SLOT):
        slot = ids.slot(node_id)
        return None if slot is None else await context.loaders.slot.load(slot)
    if kind is None:
        return None
    key = ids.key(node_id, kind)
    if key is None:
        return None
    if kind == ids.HOLD:
        return await context.pages.hold(key)
    loaders = context.loaders
    loader: Any = {
        ids.CLINIC: loaders.clinic,
        ids.PROVIDER: loaders.provider,
        ids.VISIT_TYPE: loaders.visit_type,
        ids.PATIENT: loaders.patient,
        ids.APPOINTMENT: loaders.appointment,
        ids.EXCEPTION: loaders.exception,
        ids.WAITLIST_ENTRY: loaders.entry,
        ids.OFFER: loaders.offer,
    }.get(kind)
    return None if loader is None else await loader.load(key)
