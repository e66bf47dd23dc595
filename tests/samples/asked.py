"""How the tests ask the sample trade service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

PATH = "/api/v2/executions"


@contextmanager
def asking(url: str, timeout: float | httpx2.Timeout = 60) -> Iterator[httpx2.Client]:
    """Ask what is at this address while the block runs."""
    with httpx2.Client(base_url=url, timeout=timeout, trust_env=False) as made:
        yield made


def ask(client: httpx2.Client, service_id: int = 7) -> httpx2.Response:
    """Ask whose execution this is."""
    return client.get(PATH, params={"executionServiceId": service_id})


def portfolio_of(response: httpx2.Response) -> Any:
    """Return the portfolio of the one execution that was answered."""
    assert response.status_code == 200
    (execution,) = response.json()["executions"]
    return execution["tradeOrder"]["portfolio"]


def well(response: httpx2.Response) -> bool:
    """Return whether it is the portfolio p-7."""
    return bool(portfolio_of(response) == {"portfolioId": "p-7", "name": "p-7"})
