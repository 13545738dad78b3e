"""How Elasticsearch 9 is spoken to. Its own words go to the log at most: what leaves this package is its own errors."""

import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlencode

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch, OrjsonSerializer, UnsupportedProductError

from domain.faults import Unavailable

REQUEST_SECONDS: Final = 30.0  # Of writes and of an index being made; a search has a deadline of its own.
CONNECTIONS: Final = 32
# The version of the API that is asked for: a server of another one refuses. The client puts them on its own methods only.
_MEDIA: Final = "application/vnd.elasticsearch+json; compatible-with=9"
_HEADERS: Final = {"accept": _MEDIA, "content-type": _MEDIA}
_MISSING: Final = re.compile(r"index_not_found_exception|alias(es)? \[.*\] missing")

for _name in ("elastic_transport.transport", "elastic_transport.node_pool", "elastic_transport.node"):
    logging.getLogger(_name).propagate = False  # Who calls us logs once, with the reason.
    logging.getLogger(_name).addHandler(logging.NullHandler())


class ElasticsearchUnavailable(Unavailable):
    """It does not answer, refuses us, is of another version or no Elasticsearch at all."""


class IndexMissing(ElasticsearchUnavailable):
    """There is no such alias."""


class OtherDocuments(ElasticsearchUnavailable):
    """The index was made by another version of this program, is of another epoch, or was not made to its end."""


@dataclass(frozen=True, slots=True)
class Address:
    """`urls` may carry a user and password. `ca`: a file of certificates that count beside those the system trusts."""

    urls: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca: str | None = None


class Connection:
    """Requests to one server or cluster, of many tasks at once. `sent` counts them."""

    def __init__(self, address: Address) -> None:
        serializer = OrjsonSerializer()
        credentials: dict[str, Any] = {}
        if address.api_key:
            credentials["api_key"] = address.api_key
        elif address.user:
            credentials["basic_auth"] = (address.user, address.password or "")
        if any(url.startswith("https:") for url in address.urls):
            context = ssl.create_default_context()
            if address.ca:
                context.load_verify_locations(address.ca)
            credentials["ssl_context"] = context
        self.client = AsyncElasticsearch(
            list(address.urls),
            connections_per_node=CONNECTIONS,
            max_retries=0,  # Who calls decides how to go on.
            request_timeout=REQUEST_SECONDS,
            serializers={kind: serializer for kind in ("application/json", "application/vnd.elasticsearch+json")},
            **credentials,
        )
        self.sent = 0

    async def ask(
        self, method: str, path: str, body: Any = None, params: Mapping[str, str | int] | None = None
    ) -> dict[str, Any]:
        """The decoded answer. A client's own methods cost half a millisecond more in each search."""
        self.sent += 1
        target = f"{path}?{urlencode(params)}" if params else path
        try:
            answer = await self.client.perform_request(method, target, headers=_HEADERS, body=body)
        except (ApiError, TransportError) as error:
            raise fault(error) from error
        return cast(dict[str, Any], answer.body)

    async def close(self) -> None:
        await self.client.close()


def fault(error: ApiError | TransportError) -> ElasticsearchUnavailable:
    """Ours for the client's, with a reason for people that repeats no document."""
    if isinstance(error, UnsupportedProductError):
        return ElasticsearchUnavailable("what answers there is no Elasticsearch")
    if isinstance(error, ApiError):
        if error.status_code == 404 and _MISSING.match(error.error):
            return IndexMissing("there is no such index")
        return ElasticsearchUnavailable(f"it answers {error.status_code} {error.error}"[:200])
    return ElasticsearchUnavailable(f"{type(error).__name__}: {error.message}"[:200])
