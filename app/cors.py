"""Answers to web sites that a clinic has allowed (rule 39): /graphql and the embedded calendar, without cookies."""

from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# A browser asks again after this: a site that was taken out may still send, unread, for so long.
PREFLIGHT_SECONDS = 60


class AllowedOrigins(CORSMiddleware):
    """`allows` is asked at every request. Other paths, WebSockets and requests without `Origin` pass as they are."""

    def __init__(self, app: ASGIApp, allows: Callable[[str], bool]) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=("X-Request-Id", "Retry-After"),
            max_age=PREFLIGHT_SECONDS,
        )
        self._allows = allows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/graphql" or scope["path"].startswith("/embed/")):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return self._allows(origin)
