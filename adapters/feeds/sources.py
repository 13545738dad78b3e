"""Reads what is imported, from a path or over HTTP. Faults are UnusableFile, with a reason for people."""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

import httpx2

from domain.tables import UnusableFile

MOST_BYTES: Final = 100 << 20
TIMEOUT: Final = httpx2.Timeout(30, connect=10)
FILE_SECONDS: Final = 120
ACCEPTED: Final = "application/json, application/fhir+ndjson, */*;q=0.5"
_MOST_REDIRECTS: Final = 5


def is_url(address: str) -> bool:
    return urlsplit(address).scheme in {"http", "https"}


def beside(manifest: str, url: str, *, offline: bool) -> str:
    """Where a file of the manifest is read (rule 41). Raises UnusableFile for what is neither a path nor HTTP."""
    parts = urlsplit(url)
    if parts.scheme and not is_url(url):
        raise UnusableFile(f"{url}: only paths, http: and https: are read")
    if is_url(manifest):
        return urljoin(manifest, url)
    if parts.scheme and not offline:
        return url
    path = unquote(parts.path)
    return str(Path(manifest).parent / (Path(path).name if parts.scheme else path))


async def read(address: str) -> bytes:
    """All of a file, at most 100 MiB. Raises UnusableFile, which names the address."""
    try:
        if is_url(address):
            return await _fetched(address)
        return await asyncio.to_thread(_from_disk, address)
    except UnusableFile as fault:
        raise UnusableFile(f"{address}: {fault}") from fault


def _from_disk(address: str) -> bytes:
    try:
        with Path(address).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UnusableFile(getattr(error, "strerror", None) or str(error)) from error
    _check_size(len(data))
    return data


async def _fetched(address: str) -> bytes:
    data = bytearray()
    try:
        async with (
            asyncio.timeout(FILE_SECONDS),
            httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=True, max_redirects=_MOST_REDIRECTS) as client,
            client.stream("GET", address, headers={"Accept": ACCEPTED}) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                data += piece
                _check_size(len(data))
    except TimeoutError as error:
        raise UnusableFile(f"no complete answer within {FILE_SECONDS} s") from error
    except httpx2.HTTPStatusError as error:
        raise UnusableFile(f"the server answered {error.response.status_code}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise UnusableFile(f"{type(error).__name__}: {error}") from error
    return bytes(data)


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise UnusableFile(f"larger than {MOST_BYTES >> 20} MiB")
