"""One service of somebody else over HTTP: bounded in time, tried again, and left alone for a while when it is down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Self

import httpx2
import stamina
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from domain.errors import Unavailable

MAX_DIGITS: Final = 60
"""A number with more is none that could be a price, a quantity or money."""
_OF_THE_QUESTION: Final = frozenset({400, 406, 409, 410, 414, 422})
"""Refusals of what was asked for; the others are about who asks, or about the service."""


class ServiceUnavailable(Unavailable):
    """Another service does not answer, or not with what it should."""

    code = "service-unavailable"


class OddAnswer(ServiceUnavailable):
    """Another service answers, but not with what it should: asking for something else may be well."""


class _Failed(Exception):
    """One call failed in a way that may be otherwise the next time."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How patient one is with a service.

    ``timeout`` bounds a question in seconds, with all its ``retries``, of which the first follows after ``delay``
    seconds (then twice that, with jitter), ``call`` each of its calls (None: only the question is bounded). Tried again
    is what goes wrong on the way, also by a time-out, after 5xx, and after the statuses of ``retried``. After
    ``failures`` such calls in a row nothing is asked for ``reset`` seconds. ``at_once`` questions at most are under
    way; the time of one that waits for others has not begun.
    """

    timeout: float = 10.0
    call: float | None = None
    retried: frozenset[int] = frozenset({429})
    retries: int = 3
    delay: float = 0.1
    failures: int = 10
    reset: float = 10.0
    at_once: int = 20


@dataclass
class Service:
    """A service by its address; what it answers is JSON whose numbers are Decimals."""

    name: str
    client: httpx2.AsyncClient
    limits: Limits
    _breakers: AsyncCircuitBreakerFactory = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=self.limits.failures, default_ttl=self.limits.reset
        )
        self._slots = asyncio.Semaphore(self.limits.at_once)

    @classmethod
    def at(cls, name: str, url: str, limits: Limits) -> Self:
        """Return the service at this address; nothing is asked yet."""
        pool = httpx2.Limits(max_connections=limits.at_once, max_keepalive_connections=limits.at_once)
        patience = limits.call or limits.timeout
        client = httpx2.AsyncClient(base_url=url.rstrip("/"), timeout=patience, limits=pool, trust_env=False)
        return cls(name, client, limits)

    async def close(self) -> None:
        """Close its connections."""
        await self.client.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON at this path, None for a 404.

        Tried again as the ``limits`` say; not after other answers, which are no failures of the service. Raises
        ``ServiceUnavailable`` when there is no good answer within the time limit, or while the service is left alone;
        ``OddAnswer`` where it refuses just this question, or answers it with numbers that are none.
        """
        question = f"{self.name} at GET {path}"
        try:
            async with self._slots, asyncio.timeout(self.limits.timeout) as limit:
                async for attempt in stamina.retry_context(
                    on=_Failed, attempts=self.limits.retries + 1, timeout=None, wait_initial=self.limits.delay,
                    wait_jitter=self.limits.delay,
                ):  # fmt: skip
                    with attempt:
                        return await self._once(path, params, limit)
        except TimeoutError:
            raise ServiceUnavailable(f"{question}: no answer within {self.limits.timeout:g} s") from None
        except OpenedState:
            raise ServiceUnavailable(
                f"{question}: not asked, after {self.limits.failures} failures in a row it is left alone for "
                f"{self.limits.reset:g} s"
            ) from None
        except _Failed as error:
            raise ServiceUnavailable(f"{question}: {error}") from None
        raise AssertionError("a retry ends with an answer or an error")

    @asynccontextmanager
    async def _counted(self, limit: asyncio.Timeout) -> AsyncIterator[None]:
        """Let the breaker count one call; one that is cancelled before its limit says nothing of the service."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(await self._breakers.get_breaker(self.name))
            try:
                yield
            except asyncio.CancelledError:
                if not limit.expired():
                    stack.pop_all()
                raise

    async def _once(self, path: str, params: Mapping[str, str] | None, limit: asyncio.Timeout) -> Any:
        async with self._counted(limit):
            try:
                async with asyncio.timeout(self.limits.call):
                    response = await self.client.get(path, params=params)
            except httpx2.RequestError as error:
                raise _Failed(f"{type(error).__name__}: {error}") from error
            except TimeoutError:
                raise _Failed(f"no answer within {self.limits.call:g} s") from None
            if response.status_code >= 500 or response.status_code in self.limits.retried:
                raise _Failed(f"answered {response.status_code}")
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            refused = OddAnswer if response.status_code in _OF_THE_QUESTION else ServiceUnavailable
            raise refused(f"{self.name} at GET {path}: answered {response.status_code}, expected 200")
        try:
            return json.loads(response.content, parse_float=_decimal, parse_int=_decimal, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            # what is no JSON at all comes from something else in its place
            unread = ServiceUnavailable if isinstance(error, json.JSONDecodeError) else OddAnswer
            raise unread(f"{self.name} at GET {path}: the answer is not JSON: {error}") from None


def decimal_of(value: Any) -> Decimal | None:
    """Return a number that another service has sent as JSON number or text; None for anything else."""
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        return None
    try:
        return _decimal(value.strip())
    except ValueError:
        return None


def _decimal(text: str) -> Decimal:
    """Return the number; raises ``ValueError`` where it is none, not finite, or absurdly long or large."""
    try:
        number = Decimal(text) if len(text) <= MAX_DIGITS and text.isascii() and "_" not in text else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
        raise ValueError(f"{text[:40]!a} is not a number of up to {MAX_DIGITS} digits")
    return number


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is not a number")
