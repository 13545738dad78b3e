"""graphql-transport-ws: its close codes, tokens, limits and origins, and that nobody costs anything once they are gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import time
from typing import Any

import pytest
from joserfc import jwt
from websockets.exceptions import InvalidStatus

from app.auth import ALGORITHMS, development_key, development_token
from app.embedded import Addresses
from app.settings import Settings
from domain import ids
from tests import sizes
from tests.api.client import Client
from tests.api.scripted import UNKNOWN_CLINIC, Stage, staged, until
from tests.api.talker import AVAILABILITY, opened, talking
from tests.api.town import Town

VISIT_TYPE = ids.node(ids.VISIT_TYPE, 1)
TIMES = AVAILABILITY % VISIT_TYPE
CLINIC = {"c": ids.node(ids.CLINIC, 1)}
INIT = {"type": "connection_init"}
ROLE = "{ viewer { role } }"


@pytest.fixture(scope="module")
async def stage(settings: Settings, embedded: Any, town: Town) -> AsyncIterator[Stage]:
    async with staged(settings, Addresses(str(settings.database_url), None, embedded.redis_url)) as there:
        yield there


@pytest.fixture
def tokens(settings: Settings) -> Client:
    return Client(None, settings)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
async def _nobody_left(stage: Stage) -> AsyncIterator[None]:
    yield
    await until(lambda: stage.live.watching == 0)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (["not JSON"], 4400),
        ([b"\x00"], 4400),
        ([[]], 4400),
        ([{}], 4400),
        ([{"type": 7}], 4400),
        ([{"type": "hello"}], 4400),
        ([{"type": "connection_init", "payload": []}], 4400),
        ([INIT, {"type": "subscribe", "payload": {"query": ROLE}}], 4400),
        ([INIT, {"type": "subscribe", "id": [], "payload": {"query": ROLE}}], 4400),
        ([INIT, {"type": "subscribe", "id": "", "payload": {"query": ROLE}}], 4400),
        ([INIT, {"type": "subscribe", "id": "x" * 256, "payload": {"query": ROLE}}], 4400),
        ([INIT, {"type": "subscribe", "id": "1"}], 4400),
        ([INIT, {"type": "subscribe", "id": "1", "payload": {"query": 7}}], 4400),
        ([INIT, {"type": "subscribe", "id": "1", "payload": {"query": ROLE, "variables": []}}], 4400),
        ([INIT, {"type": "subscribe", "id": "1", "payload": {"query": ROLE, "operationName": 1}}], 4400),
        ([INIT, {"type": "complete"}], 4400),
        ([INIT, INIT], 4429),
        ([{"type": "subscribe", "id": "1", "payload": {"query": ROLE}}], 4401),
        (["[" * 50_000], 4400),
        (["x" * 65_537], 1009),
    ],
)
async def test_what_breaks_the_protocol_closes_the_socket(stage: Stage, said: list[Any], code: int) -> None:
    async with talking(stage.url) as talker:
        for message in said:
            await talker.say(message)
        assert await talker.closed() == code


async def test_an_id_in_use_is_not_given_twice(stage: Stage) -> None:
    async with talking(stage.url) as talker:
        await talker.begin()
        await talker.subscribe(TIMES, CLINIC)
        await talker.next()
        await talker.subscribe(TIMES, CLINIC)
        assert await talker.closed() == 4409


@pytest.mark.parametrize("protocols", [[], ["graphql-ws"], ["nonsense"]])
async def test_only_one_protocol_is_spoken(stage: Stage, protocols: list[str]) -> None:
    async with talking(stage.url, protocols=protocols) as talker:
        assert await talker.closed() == 4406


async def test_who_says_nothing_is_not_waited_for(settings: Settings, stage: Stage) -> None:
    began = time()
    async with talking(stage.url) as talker:
        assert await talker.closed() == 4408
    assert 4 < time() - began < 7


async def test_pings_are_answered(stage: Stage) -> None:
    async with talking(stage.url) as talker:
        await talker.say({"type": "ping", "payload": {}})
        assert await talker.hear() == {"type": "pong"}
        await talker.say({"type": "pong"})
        await talker.begin()


async def test_tokens(stage: Stage, tokens: Client, town: Town) -> None:
    expired = development_token(stage.settings, role="admin", expires_seconds=-1)
    for authorization, code in ((f"Bearer {expired}", 4403), ("Bearer nonsense", 4401), ("Basic x", 4401), (7, 4401)):
        async with talking(stage.url) as talker:
            await talker.say({"type": "connection_init", "payload": {"authorization": authorization}})
            assert await talker.closed() == code, authorization
    for token, role in (
        (None, "ANONYMOUS"),
        (tokens.patient(town.east.patient), "PATIENT"),
        (tokens.staff([town.east.clinic]), "STAFF"),
        (tokens.admin(), "ADMIN"),
    ):
        async with talking(stage.url) as talker:
            await talker.begin(token)
            await talker.subscribe(ROLE)
            assert await talker.next() == {"viewer": {"role": role}}
            assert await talker.hear() == {"id": "1", "type": "complete"}
            await talker.subscribe("{ specialties }")
            await talker.next()


async def test_a_tokens_end_closes_the_socket_and_a_new_one_resumes(stage: Stage) -> None:
    claims = {"sub": "someone", "role": "admin", "exp": time() + 0.7}
    token = jwt.encode({"alg": "Ed25519"}, claims, development_key(stage.settings), algorithms=ALGORITHMS)
    async with talking(stage.url) as talker:
        await talker.begin(token)
        await talker.subscribe(TIMES, CLINIC)
        cursor = (await talker.next())["availability"]["cursor"]
        assert await talker.closed() == 4403
    async with talking(stage.url) as talker:
        await talker.begin(development_token(stage.settings, role="admin"))
        await talker.subscribe(TIMES, CLINIC | {"after": cursor})
        first = (await talker.next())["availability"]
        assert first["__typename"] == "AvailabilityHeartbeat"
        assert first["previousCursor"] == cursor
        stage.live.change()
        assert (await talker.next())["availability"]["previousCursor"] == first["cursor"]


async def test_frames_come_chained_and_stop_where_they_are_not_wanted(stage: Stage) -> None:
    async with talking(stage.url) as talker:
        await talker.begin()
        await talker.subscribe(TIMES, CLINIC)
        cursor = (await talker.next())["availability"]["cursor"]
        for _ in range(3):
            stage.live.change()
            delta = (await talker.next())["availability"]
            assert delta["previousCursor"] == cursor
            assert delta["removed"] == ["gone"]
            cursor = delta["cursor"]
        await talker.say({"id": "1", "type": "complete"})
        await until(lambda: stage.live.watching == 0)
        await talker.say({"id": "1", "type": "complete"})
        await talker.subscribe(ROLE)
        await talker.next()


async def test_at_most_twenty_operations_at_once(stage: Stage) -> None:
    async with talking(stage.url) as talker:
        await talker.begin()
        for number in range(20):
            await talker.subscribe(TIMES, CLINIC, str(number))
            await talker.next(str(number))
        await talker.subscribe(ROLE, name="more")
        assert await talker.codes("more") == ["LIMIT_EXCEEDED"]
        await talker.say({"id": "7", "type": "complete"})
        await talker.subscribe(TIMES, CLINIC, "7")
        await talker.next("7")


WRONG = [
    ("{", {}, "GRAPHQL_PARSE_FAILED"),
    ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
    (TIMES.replace("}", "") + "}", {}, "GRAPHQL_PARSE_FAILED"),
    ("subscription { __schema { types { name } } }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("subscription A { myAppointments { __typename } } subscription B { myAppointments { __typename } }", {},
     "GRAPHQL_VALIDATION_FAILED"),
    ("subscription { a: myAppointments { __typename } b: myAppointments { __typename } }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("{ " + "clinics { edges { node { providers { edges { node { " * 5 + "id" + " } } } } } }" * 5 + " }", {}, "LIMIT_EXCEEDED"),
    (f"{{ {'viewer { role } ' * 400} }}", {}, "LIMIT_EXCEEDED"),
    ("query ($a: ID!) { node(id: $a) { id } }", {}, "BAD_USER_INPUT"),
    (TIMES, {}, "BAD_USER_INPUT"),
    (TIMES, {"c": 7.5}, "BAD_USER_INPUT"),
    (TIMES, {"c": "nonsense"}, "BAD_USER_INPUT"),
    (TIMES, {"c": ids.node(ids.CLINIC, UNKNOWN_CLINIC)}, "BAD_USER_INPUT"),
    (TIMES.replace("2026-03-04", "2026-04-04"), CLINIC, "BAD_USER_INPUT"),
    (TIMES.replace("availability(", "availability @skip(if: true) ("), CLINIC, None),
    (TIMES.replace("slots { id left", "a: slots { id } slots { id left"), CLINIC, "LIMIT_EXCEEDED"),
    ("subscription { myAppointments { __typename } }", {}, "UNAUTHENTICATED"),
    ('subscription { clinicDay(clinicId: "x", date: "2026-03-02") { __typename } }', {}, "UNAUTHENTICATED"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "variables", "code"), WRONG)
async def test_what_can_not_be_done_is_told_with_a_code(
    stage: Stage, query: str, variables: dict[str, Any], code: str | None
) -> None:
    async with talking(stage.url) as talker:
        await talker.begin()
        await talker.subscribe(query, variables)
        codes = await talker.codes()
        assert set(codes) == ({code} if code else set(codes))
        await talker.subscribe(ROLE)
        await talker.next()


async def test_a_broken_field_is_named(stage: Stage) -> None:
    async with talking(stage.url) as talker:
        await talker.begin()
        await talker.subscribe(TIMES, {"c": "nonsense"})
        assert (await talker.refused())[0]["extensions"]["field"] == "filter.clinicId"


async def test_mutations_and_audit_are_the_same_over_a_socket(stage: Stage, tokens: Client, town: Town) -> None:
    release = 'mutation { releaseHold(input: { holdId: "x", idempotencyKey: "k" }) { __typename } }'
    async with talking(stage.url) as talker:
        await talker.begin(tokens.admin("socket"))
        await talker.subscribe(release)
        assert await talker.next() == {"releaseHold": {"__typename": "NotFound"}}
        await talker.hear()
        await talker.subscribe("query ($p: ID!) { patient(id: $p) { name } }", {"p": town.east.patient_id})
        assert (await talker.next())["patient"] is not None
    rows = [row for row in await town.audits() if row["subject"] == "socket"]
    assert [(row["patient_id"], row["operation"]) for row in rows] == [(town.east.patient, "patient")]


async def test_introspection_in_production_is_for_staff(settings: Settings, embedded: Any, tmp_path: Any) -> None:
    key = development_key(settings)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    production = settings.model_copy(
        update={"env": "production", "auth_jwks": str(keys), "auth_issuer": "us", "auth_audience": "here"}
    )
    claims = {"sub": "someone", "role": "admin", "exp": time() + 100, "iss": "us", "aud": "here"}
    token = jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=ALGORITHMS)
    addresses = Addresses(str(settings.database_url), None, embedded.redis_url)
    async with staged(production, addresses) as there:
        async with talking(there.url) as talker:
            await talker.begin()
            await talker.subscribe("{ __schema { types { name } } }")
            assert set(await talker.codes()) == {"GRAPHQL_VALIDATION_FAILED"}
            await talker.subscribe(TIMES, CLINIC)
            assert (await talker.next())["availability"]["__typename"] == "AvailabilitySnapshot"
        async with talking(there.url) as talker:
            await talker.begin(token)
            await talker.subscribe("{ __schema { types { name } } }")
            assert await talker.next()


@pytest.mark.parametrize(
    ("origin", "taken"),
    [(None, True), ("own", True), ("https://elsewhere.example", False), ("null", False), ("x", False)],
)
async def test_pages_of_strangers_open_no_socket(stage: Stage, origin: str | None, taken: bool) -> None:
    named = stage.url if origin == "own" else origin
    if taken:
        async with talking(stage.url, origin=named) as talker:
            await talker.begin()
    else:
        with pytest.raises(InvalidStatus) as refused:
            async with talking(stage.url, origin=named):
                pass
        assert refused.value.response.status_code == 403


async def test_a_slow_watcher_is_sent_away(stage: Stage) -> None:
    async with talking(stage.url) as talker:
        await talker.begin()
        await talker.subscribe(TIMES, CLINIC)
        await talker.next()
        stage.live.slow()
        assert await talker.closed() == 4430


async def test_who_is_gone_leaves_nothing_behind(stage: Stage) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(sizes.ABRUPT_CLOSES):
        sockets = [await opened(stage.url) for _ in range(100)]
        for talker in sockets:
            await talker.begin()
            await talker.subscribe(TIMES, CLINIC)
            await talker.next()
        assert stage.live.watching == 100
        for talker in sockets:
            talker.connection.transport.abort()
        await until(lambda: stage.live.watching == 0)
        for talker in sockets:
            await talker.connection.wait_closed()
    await until(lambda: len(asyncio.all_tasks()) <= before)
