"""The pages a browser gets: the start page, search, GraphiQL and the built files of app/web/static."""

import gzip
import json
import mimetypes
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

STATIC: Final = Path(__file__).parent / "web" / "static"
LICENCES: Final = "THIRD_PARTY_LICENSES.txt"
# Names with a hash never change their content; the rest is asked for again after five minutes.
FOR_EVER: Final = "public, max-age=31536000, immutable"
FOR_A_WHILE: Final = "public, max-age=300"
SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
HOME_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The editor writes styles into the page as it measures text; scripts stay our own files alone.
EXPLORER_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes() -> list[Route]:
    return [
        Route("/", home, name="home"),
        Route("/static/{name}", static_file, name="static"),
    ]


def home(request: Request) -> Response:
    return HTMLResponse(page("home.html"), headers={**SECURITY, "Content-Security-Policy": HOME_POLICY})


def explorer(request: Request, *, development: bool) -> Response:
    """GraphiQL. In development it asks /dev/examples.json for ids and tokens, in production it does not."""
    html = page("explorer.html").replace("{{mode}}", "development" if development else "production")
    headers = {**SECURITY, "Content-Security-Policy": EXPLORER_POLICY, "Vary": "Accept"}
    return HTMLResponse(html, headers=headers)


# Not async: Starlette runs it in a thread, so reading and packing a file keeps nobody waiting.
def static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in public_names():
        raise HTTPException(404)
    headers = {
        "Cache-Control": FOR_A_WHILE if name == LICENCES else FOR_EVER,
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    return built_file(request, name, headers)


def built_file(request: Request, name: str, headers: Mapping[str, str]) -> Response:
    """A file of static/, packed for who takes that. The name is one of ours."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed(name), media_type=media_type(name), headers={**headers, "Content-Encoding": "gzip"})
    return Response((STATIC / name).read_bytes(), media_type=media_type(name), headers=dict(headers))


def media_type(name: str) -> str:
    # Not left to the machine's own table, which may call a script plain text.
    known: Mapping[str, str] = {
        ".js": "text/javascript",
        ".css": "text/css",
        ".svg": "image/svg+xml",
        ".ttf": "font/ttf",
    }
    return known.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


@lru_cache
def page(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


@lru_cache
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STATIC / "manifest.json").read_text("utf-8"))
    return found


@lru_cache
def public_names() -> frozenset[str]:
    return frozenset([*manifest()["hashed"], LICENCES])


@lru_cache
def embedded_names() -> frozenset[str]:
    """The calendar element's script and what it loads, by their hashed names."""
    return frozenset(manifest()["embed"])


def entries() -> dict[str, str]:
    """Built files by the name they have without a hash."""
    found: dict[str, str] = manifest()["entries"]
    return found


@lru_cache(maxsize=64)
def packed(name: str) -> bytes:
    return gzip.compress((STATIC / name).read_bytes(), compresslevel=6, mtime=0)
