"""A client as others would write one: GraphQL over HTTP, nothing of the product imported but its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from app.auth import development_token
from app.settings import Settings
from domain import ids

CODES = {
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "BAD_USER_INPUT",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "LIMIT_EXCEEDED",
    "RATE_LIMITED",
    "REQUEST_IN_PROGRESS",
    "TIMEOUT",
    "UNAVAILABLE",
    "INTERNAL",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]
    raw: bytes
    headers: httpx2.Headers

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]

    @property
    def data(self) -> dict[str, Any]:
        """What was asked for, where nothing at all went wrong."""
        assert self.body.get("errors") is None, self.body["errors"]
        found: dict[str, Any] = self.body["data"]
        return found


class Client:
    """`ask` also checks what holds for every answer: JSON, a request id, known codes, never a 5xx."""

    def __init__(self, http: httpx2.AsyncClient, settings: Settings) -> None:
        self.http = http
        self.settings = settings

    async def ask(
        self, query: str, variables: dict[str, Any] | None = None, token: str | None = None, **headers: str
    ) -> Answer:
        named = {"Authorization": f"Bearer {token}"} if token is not None else {}
        response = await self.http.post(
            "/graphql", json={"query": query, "variables": variables or {}}, headers=named | headers
        )
        return read(response)

    def patient(self, key: int, subject: str | None = None) -> str:
        return development_token(self.settings, role="patient", patient=ids.node(ids.PATIENT, key), subject=subject)

    def staff(self, clinics: Sequence[int], subject: str = "staff") -> str:
        named = [ids.node(ids.CLINIC, key) for key in clinics]
        return development_token(self.settings, role="staff", clinics=named, subject=subject)

    def admin(self, subject: str = "admin") -> str:
        return development_token(self.settings, role="admin", subject=subject)


def read(response: httpx2.Response) -> Answer:
    assert response.status_code < 500, response.text
    assert len(response.headers["x-request-id"]) >= 16
    body = response.json()
    for error in body.get("errors", []):
        assert error["extensions"]["code"] in CODES, error
        assert isinstance(error["message"], str)
        assert error["message"]
    return Answer(response.status_code, body, response.content, response.headers)
