"""From a request to a command and back: caller, condition and idempotency on the way in, the answer on the way out."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Final, Self

import msgspec
from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from api.problems import Misfit, Problem, RequestProblem, unfit
from api.received import received
from api.security.callers import caller
from domain.base import A, Event
from domain.errors import Broken, NotFound, StaleVersion
from write_side.event_store import Done
from write_side.log import ANY_VERSION, Answer, Context, Remember

MAX_KEY: Final = 255
JSON: Final = "application/json"

_ETAG = re.compile(rb'\s*"(?:([1-9][0-9]{0,17})|[!#-~\x80-\xff]*)"\s*\Z')
_NEVER = -1
"""An expected version that nothing has: of an ETag that is well-formed and none of ours."""
_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


class Call(msgspec.Struct, frozen=True):
    """One call of a command: who asks for it, on which condition, under which idempotency key."""

    request: Request
    actor: str
    correlation_id: str
    expected_version: int | None
    key: str | None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the call; raises ``RequestProblem``: 400 for a malformed ``If-Match``, 422 for the other headers."""
        message = received(request.scope)
        headers = message.headers
        faults: list[Misfit] = []
        actor = ""
        try:
            actor = caller(request.scope)
        except RequestProblem as error:
            faults.extend(error.problem.errors)
        key: str | None = None
        if (raw := headers.get(b"idempotency-key")) is not None:
            key = raw.decode("latin-1").strip()
            if not _KEY.match(key):
                detail = f"has {len(key)} characters, give 1 to {MAX_KEY} of printable ASCII"
                faults.append(Misfit("header", "Idempotency-Key", detail))
        expected = None if (condition := headers.get(b"if-match")) is None else _version(condition)
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(request, actor, message.correlation_id, expected, key)

    async def answer(
        self,
        command: Callable[[Context], Awaitable[Done[A]]],
        render: Callable[[A, Sequence[Event]], Awaitable[bytes]],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        positioned: bool = False,
        versioned: bool = True,
    ) -> Response:
        """Run the command and return its answer, or the first answer again.

        ``render`` makes the body of the aggregate that the command leaves and the events it has triggered; where it is
        ``positioned``, the member ``position`` is put at its end. What is ``versioned`` has an ETag. Raises what the
        command raises; ``If-Match: *`` on something missing is ``NotFound``.
        """

        async def answer(aggregate: A, events: Sequence[Event]) -> Answer:
            return Answer(status, await render(aggregate, events))

        remember: Remember | None = None
        if self.key is not None:
            remember = Remember(caller=self.actor, key=self.key, fingerprint=await self._fingerprint(), answer=answer)
        context = Context(
            actor=self.actor,
            correlation_id=self.correlation_id,
            expected_version=self.expected_version,
            remember=remember,
        )
        try:
            done = await command(context)
        except StaleVersion as error:
            if self.expected_version == ANY_VERSION and error.current == 0:
                raise NotFound("nothing is here that If-Match: * could match") from None
            raise
        told = {"X-Position": str(done.position)}
        if versioned:
            told["ETag"] = f'"{done.version}"'
        if headers is not None:
            told |= headers
        if done.replayed:
            told["Idempotency-Replayed"] = "true"
        answered = done.answer
        if answered is None:
            if done.aggregate is None:
                raise Broken("a replayed command came without its stored answer")
            answered = await answer(done.aggregate, done.events)
        body = with_position(answered.body, done.position) if positioned else answered.body
        return Response(body, answered.status, told, JSON)

    async def _fingerprint(self) -> bytes:
        """Return a digest of the whole request: method, path with query, and body bytes."""
        scope = self.request.scope
        digest = sha256()
        for part in (scope["method"].encode(), scope.get("raw_path") or scope["path"].encode(), scope["query_string"]):
            digest.update(part)
            digest.update(b"\n")
        digest.update(await self.request.body())
        return digest.digest()


def with_position(body: bytes, position: int) -> bytes:
    """Return the JSON object with ``position`` as its last member.

    The answer under an idempotency key is stored in the transaction that gives the command its position, so it cannot
    hold that itself.
    """
    return b'%b%b"position":%d}' % (body[:-1], b"" if body == b"{}" else b",", position)


def _version(condition: bytes) -> int:
    if condition.strip() == b"*":
        return ANY_VERSION
    if (match := _ETAG.match(condition)) is None:
        shown = ascii(condition[:40].decode("latin-1"))
        raise RequestProblem(
            Problem(code="malformed-if-match", detail=f'If-Match is {shown}: give one ETag like "3", or *')
        )
    return int(match[1] or _NEVER)


async def _parameters(
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=MAX_KEY,
            pattern=r"^[!-~]([ -~]*[!-~])?$",
            description="The same request again with the same key gives the first answer again and changes nothing.",
        ),
    ] = None,
    if_match: Annotated[
        str | None,
        Header(
            pattern=r'^("[1-9][0-9]{0,17}"|\*)$',
            examples=['"1"', "*"],
            description="The ETag the caller has decided on, or `*` for any; another version is a 412.",
        ),
    ] = None,
    x_user: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=100,
            pattern=r"^[!-~]([ -~]*[!-~])?$",
            description="Who asks, without API keys; else `anonymous`.",
        ),
    ] = None,
) -> None:
    """What FastAPI documents of ``Call``."""


Calling = Annotated[Call, Depends(_parameters)]
