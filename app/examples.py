"""Ids and tokens that make GraphiQL's example tabs and the README work as they are. In development only."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from adapters.postgres import calendars, examples
from adapters.postgres.calendars import Offering
from app.auth import development_token
from app.wiring import Product
from domain import ids, zones
from domain.appointments import Slot

SLOTS_LOOKED_AT = 50


def endpoint(product: Product) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        body = await found(product)
        return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})

    return answer


async def found(product: Product) -> dict[str, Any]:
    """Where to begin: a clinic, provider and visit type with two free slots that may still be changed, a patient who is free
    then, tokens."""
    reader = product.database.primary
    patient = await examples.first_patient(reader)
    patient_id = ids.node(ids.PATIENT, patient) if patient else None
    tokens = {
        "patient": development_token(product.settings, role="patient", patient=patient_id) if patient_id else None,
        "staff": development_token(product.settings, role="staff"),
        "admin": development_token(product.settings, role="admin"),
    }
    body: dict[str, Any] = {"patientId": patient_id, "tokens": tokens}
    engaged = await examples.engaged(reader, patient) if patient else []
    offerings = await calendars.offerings_now(reader, await examples.candidates(reader))
    for one, now in offerings.values():
        slots = await _slots(product, one, now, engaged)
        if len(slots) > 1:
            today = zones.today(now, one.zone)
            return {
                **body,
                "clinicId": ids.node(ids.CLINIC, one.clinic_key),
                "providerId": ids.node(ids.PROVIDER, one.provider_key),
                "visitTypeId": one.visit_type.id,
                "from": today.isoformat(),
                "to": (today + timedelta(days=6)).isoformat(),
                "slotId": slots[0].id,
                "newSlotId": slots[1].id,
            }
    return body


async def _slots(
    product: Product, one: Offering, now: datetime, engaged: list[tuple[datetime, datetime]]
) -> list[Slot]:
    """Free times that a patient with these appointments may book now and still change afterwards."""
    today = zones.today(now, one.zone)
    key = (one.provider_key, one.clinic_key, one.visit_type.key)
    times = await product.open_times.free(
        product.database.primary, [key], today, today + timedelta(days=6), binding=True, limit=SLOTS_LOOKED_AT
    )
    soonest = now + timedelta(minutes=max(one.visit_type.cancel_until_minutes, 1440) + 60)
    return [
        slot
        for slot in times[key]
        if slot.starts_at > soonest
        and not any(slot.starts_at < ends and starts < slot.ends_at for starts, ends in engaged)
    ]
