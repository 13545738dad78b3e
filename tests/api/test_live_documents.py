"""What is shared is what each would have got alone: one set of bytes for a frame and a document, against Strawberry's own way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest

from app.wiring import Product, product
from domain import ids
from domain.access import ANONYMOUS, Role, Viewer
from domain.frames import Delta, Heartbeat, Snapshot
from schema import root
from schema.subscribing import Refused, Subscribed, understood
from tests.api.scripted import ScriptedLive, ScriptedWatch, now, open_slot

ASK = f'filter: {{ clinicId: "{ids.node(ids.CLINIC, 1)}", visitTypeId: "{ids.node(ids.VISIT_TYPE, 1)}", '
ASK += 'from: "2026-03-02", to: "2026-03-04" }'
WHOLE = """__typename ... on AvailabilityFrame { cursor serverTime }
    ... on AvailabilitySnapshot { reason timeZone through slots {
        id providerId startsAt endsAt localDate left bookableUntil __typename } }
    ... on AvailabilityDelta { previousCursor opened { id left } removed }
    ... on AvailabilityHeartbeat { previousCursor }"""
DOCUMENTS: list[tuple[str, dict[str, Any]]] = [
    (f"subscription {{ availability({ASK}) {{ {WHOLE} }} }}", {}),
    (f"subscription {{ times: availability({ASK}) {{ kind: __typename }} }}", {}),
    (f"subscription Q {{ __typename: availability({ASK}) {{ __typename }} }}", {}),
    (
        f"subscription {{ ...A }} fragment A on Subscription {{ availability({ASK}) {{ ...B ...C }} }} "
        "fragment B on AvailabilityFrame { at: serverTime } fragment C on AvailabilityDelta { gone: removed ...B }",
        {},
    ),
    *(
        (
            f"subscription ($on: Boolean!, $off: Boolean = false, $after: StreamCursor) {{ availability({ASK}, after: $after) {{ "
            "... on AvailabilityFrame @include(if: $on) { cursor } ... on AvailabilitySnapshot { "
            "slots @skip(if: $off) { id left @include(if: $on) } } ... on AvailabilityDelta { opened { id } } } }",
            variables,
        )
        for variables in (
            {"on": True},
            {"on": False},
            {"on": True, "off": True},
            {"on": False, "off": False, "after": "x"},
        )
    ),
    (f"subscription {{ availability({ASK}) {{ ... on AvailabilityDelta {{ removed }} }} }}", {}),
    (
        f"subscription {{ availability({ASK}) {{ ... {{ ... on AvailabilitySnapshot {{ a: slots {{ x: id x: id }} }} }} }} }}",
        {},
    ),
]


class OneOfEach(ScriptedLive):
    def __init__(self, frames: list[Any]) -> None:
        super().__init__()
        self.frames = frames

    async def availability(self, shape: Any, after: str | None) -> ScriptedWatch:
        return ScriptedWatch(self, "times", [*self.frames, StopAsyncIteration()])


@pytest.fixture(scope="module")
async def built(live_server: Any) -> AsyncIterator[Product]:
    async with product(live_server.settings, live_server.addresses) as opened:
        yield opened


def _frames() -> list[Snapshot | Delta | Heartbeat]:
    some = [open_slot(number) for number in range(3)]
    return [
        Snapshot("a", now(), "America/New_York", date(2026, 3, 3), some),
        Delta("a", "b", now(), some[:1], ["x", "y"]),
        Delta("b", "c", now(), [], []),
        Heartbeat("c", "d", now()),
    ]


async def _shared(built: Product, text: str, variables: dict[str, Any], viewer: Viewer = ANONYMOUS) -> list[bytes]:
    known = understood(root.schema, text, viewer)
    subscribed = Subscribed(root.schema, known, text, variables, None, built.context(viewer))
    found = []
    async for frame in await subscribed.source():
        encoded = subscribed.shared(frame)
        assert encoded is not None
        found.append(encoded)
    return found


@pytest.mark.parametrize(("text", "variables"), DOCUMENTS)
async def test_shared_bytes_are_what_strawberry_would_answer(
    built: Product, text: str, variables: dict[str, Any]
) -> None:
    frames = _frames()
    live = OneOfEach(frames)
    with_live = replace(built, services=replace(built.services, live=live))
    alone = await root.schema.subscribe(text, variable_values=variables, context_value=with_live.context(ANONYMOUS))
    expected = [orjson.loads(orjson.dumps({"data": one.data})) async for one in alone]  # type: ignore[union-attr]
    shared = await _shared(with_live, text, variables)
    assert [orjson.loads(one) for one in shared] == expected
    assert len(shared) == len(frames)
    staff = Viewer(Role.STAFF, "someone", clinic_keys=None)
    again = await _shared(with_live, text, variables | {"after": "elsewhere"} if "$after" in text else variables, staff)
    assert [id(one) for one in again] == [id(one) for one in shared], "encoded once, whoever asks and from where"
    assert all(len(frame.encoded) == 1 for frame in frames)
    assert live.watching == 0


async def test_what_the_answer_depends_on_is_not_shared(built: Product) -> None:
    frames = _frames()
    with_live = replace(built, services=replace(built.services, live=OneOfEach(frames)))
    for text, variables in DOCUMENTS:
        await _shared(with_live, text, variables)
    assert [len(frame.encoded) for frame in frames] == [len(DOCUMENTS)] * len(frames)


async def test_what_is_personal_is_never_shared(built: Product) -> None:
    text = "subscription { myAppointments { __typename } }"
    known = understood(root.schema, text, ANONYMOUS)
    subscribed = Subscribed(root.schema, known, text, {}, None, built.context(ANONYMOUS))
    assert subscribed.shared(_frames()[0]) is None


async def test_a_skipped_field_is_refused(built: Product) -> None:
    text = f"subscription ($no: Boolean!) {{ availability({ASK}) @include(if: $no) {{ __typename }} }}"
    with pytest.raises(Refused):
        await _shared(built, text, {"no": False})
