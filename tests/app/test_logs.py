"""What is logged, how, and from which level on."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Literal

import pytest
import structlog

from app.settings import Settings
from tests.logged import logged

MARKER = "Marker-7f3a"
Level = Literal["debug", "info", "warning", "error"]
Env = Literal["development", "production"]
Configured = Callable[..., io.StringIO]


@pytest.fixture
def configured() -> Iterator[Configured]:
    with ExitStack() as stack:

        def begin(level: Level = "info", env: Env = "production") -> io.StringIO:
            return stack.enter_context(logged(Settings(env=env, log_level=level)))

        yield begin


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def failing() -> None:
    raise ValueError(MARKER)


def test_production_writes_json_with_the_request_id_whoever_logs(configured: Configured) -> None:
    out = configured()
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        structlog.get_logger().info("working", part=1)
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    first, second = lines(out)
    assert (first["event"], first["level"], first["part"], first["request_id"]) == ("working", "info", 1, "abc")
    assert (second["event"], second["level"], second["request_id"]) == (
        "Invalid HTTP request received.",
        "warning",
        "abc",
    )
    assert first["timestamp"].endswith("Z")


def test_development_writes_lines_for_people(configured: Configured) -> None:
    out = configured(env="development")
    structlog.get_logger().warning("sweeper waits", reason="away")
    logging.getLogger("uvicorn.error").info("Shutting down")
    assert "sweeper waits" in out.getvalue()
    assert "reason=away" in out.getvalue()
    assert "Shutting down" in out.getvalue()
    with pytest.raises(json.JSONDecodeError):
        lines(out)


@pytest.mark.parametrize(
    ("level", "ours", "uvicorns", "others"),
    [
        ("debug", "debug info warning error", "info warning error", "warning error"),
        ("info", "info warning error", "info warning error", "warning error"),
        ("warning", "warning error", "warning error", "warning error"),
        ("error", "error", "error", "error"),
    ],
)
def test_the_level_counts_for_all(configured: Configured, level: Level, ours: str, uvicorns: str, others: str) -> None:
    out = configured(level)
    for one in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), one)("ours")
        getattr(logging.getLogger("uvicorn.error"), one)("uvicorns")
        getattr(logging.getLogger("httpx2"), one)("others")
    found = {
        name: " ".join(line["level"] for line in lines(out) if line["event"] == name)
        for name in ("ours", "uvicorns", "others")
    }
    assert found == {"ours": ours, "uvicorns": uvicorns, "others": others}


@pytest.mark.parametrize("env", ["development", "production"])
def test_an_exception_is_logged_without_its_message(configured: Configured, env: Env) -> None:
    out = configured(env=env)
    try:
        failing()
    except ValueError as error:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("failed", exc_info=error)
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    assert out.getvalue().count("ValueError") >= 3
    assert out.getvalue().count("in failing") == 3
    assert MARKER not in out.getvalue()


async def test_a_task_that_failed_unseen_is_logged_without_its_message(configured: Configured) -> None:
    out = configured()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.to_thread(failing))
    await asyncio.wait([task])
    loop.call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
    )
    assert [(line["event"], line["fault"]) for line in lines(out)] == [
        ("Task exception was never retrieved", "ValueError")
    ]
    assert MARKER not in out.getvalue()


def test_a_websockets_address_and_query_are_not_logged(configured: Configured) -> None:
    out = configured("debug")
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "203.0.113.1:1", f"/graphql?q={MARKER}")
    logging.getLogger("uvicorn.error").debug("> TEXT '%s'", MARKER)
    assert out.getvalue() == ""
