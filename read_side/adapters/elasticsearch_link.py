"""The client of Elasticsearch that everything here uses, and which of its errors mean that nobody serves us there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from elastic_transport import JsonSerializer, SerializationError, TransportError
from elastic_transport.client_utils import url_to_node_config
from elasticsearch import ApiError, AsyncElasticsearch
from elasticsearch.exceptions import UnsupportedProductError

from domain.errors import StoreUnavailable

_CONNECTIONS: Final = 32
"""So many requests of a process can be under way."""
_LATER: Final = frozenset({401, 403, 408, 429, 502, 503, 504})
"""HTTP codes of a server that does not take our requests now: it is too busy, has lost a shard, or does not know us."""


class _Json(JsonSerializer):
    """JSON as we read and write it: a Decimal is a text and never becomes a float."""

    def json_dumps(self, data: Any) -> bytes:
        return msgspec.json.encode(data)

    def json_loads(self, data: bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except msgspec.MsgspecError as error:
            raise SerializationError("the answer is no JSON", errors=(error,)) from error


def connect(url: str, timeout: float) -> AsyncElasticsearch:
    """Return a client whose every request takes ``timeout`` seconds at most and is sent once; nothing is sent yet.

    The URL may hold a user and a password. Raises ``ValueError`` for one that is none.
    """
    return AsyncElasticsearch(
        [url_to_node_config(url, use_default_ports_for_scheme=True)],
        request_timeout=timeout,
        max_retries=0,
        retry_on_timeout=False,
        retry_on_status=(),
        http_compress=False,
        connections_per_node=_CONNECTIONS,
        serializers={"application/json": _Json()},
    )


@contextmanager
def served() -> Iterator[None]:
    """Raise ``StoreUnavailable`` where Elasticsearch cannot be reached, or does not take our requests now.

    Every other refusal is passed on as the client's ``ApiError``.
    """
    try:
        yield
    except TransportError as error:
        raise StoreUnavailable(f"Elasticsearch cannot be reached: {error.message}") from error
    except UnsupportedProductError as error:
        raise StoreUnavailable("what answers in the place of Elasticsearch is something else") from error
    except ApiError as error:
        if error.status_code not in _LATER:
            raise
        raise StoreUnavailable(f"Elasticsearch does not take requests now: {error}") from error
