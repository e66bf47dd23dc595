"""Problem details (RFC 9457): the catalogue of everything that can be wrong, and one problem as it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, its title, and what a caller can do about it."""

    status: int
    title: str
    description: str


CATALOGUE: Mapping[str, Kind] = {
    "not-json": Kind(400, "The body is not JSON", "Send one JSON text (RFC 8259) in UTF-8, without a member twice."),
    "malformed-if-match": Kind(
        400, "If-Match cannot be read", 'Send one entity tag as an ETag header gave it, for example "3", or *.'
    ),
    "bad-request": Kind(400, "The request cannot be read", "The request is not understood; its detail says why."),
    "unauthorized": Kind(
        401, "An API key is needed", "Send one that this server knows: Authorization: Bearer and the key."
    ),
    "forbidden": Kind(
        403,
        "The API key does not open this",
        "WWW-Authenticate names the scope that is needed: read, write or admin. None of them contains another.",
    ),
    "not-found": Kind(404, "There is no such thing", "Nothing has this name, or it is not visible yet where you read."),
    "no-model": Kind(
        404, "The portfolio follows no such model", "Add it to a model, or name one that it follows by model_id."
    ),
    "unknown-path": Kind(404, "There is no such path", "The OpenAPI document at /openapi.json lists every path."),
    "method-not-allowed": Kind(405, "The path does not take this method", "The Allow header lists those it takes."),
    "rule-violated": Kind(
        409, "A rule does not allow it", "The request is well formed but does not fit the present state of the thing."
    ),
    "already-exists": Kind(409, "The name is taken", "Choose another name, or read the one that is there."),
    "ambiguous-model": Kind(
        409, "The portfolio follows several models", "Choose one of those that the detail names by model_id."
    ),
    "version-conflict": Kind(
        409, "It has another version than the request names", "Read it again, decide again, and send its new version."
    ),
    "batch-in-progress": Kind(
        409, "Another run is sending batches", "Only one at a time does; look at GET /api/v1/batches for it."
    ),
    "idempotency-key-in-flight": Kind(
        409, "The first request with this key is being answered", "Repeat the request to get the first one's answer."
    ),
    "stale-version": Kind(
        412, "It has changed since you read it", "Read it again, decide again, and send its new ETag as If-Match."
    ),
    "body-too-large": Kind(413, "The body is too large", "Send smaller bodies: split the request."),
    "uri-too-long": Kind(414, "The path and query are too long", "Ask for less in one request."),
    "unsupported-media-type": Kind(
        415, "The body has a type that is not taken", "Send Content-Type: application/json, or none."
    ),
    "invalid-request": Kind(
        422, "The request does not fit", "Every fault is listed in errors; correct them all. Nothing was changed."
    ),
    "last-portfolio": Kind(
        422, "It is the last portfolio of the model", "Add another portfolio first, or delete the model."
    ),
    "missing-price": Kind(
        422, "There is no price of a security", "Upload prices of all that securities names; none is ever left out."
    ),
    "short-holding": Kind(
        422, "A security is held short", "Cover what securities names: only what is held long can be rebalanced."
    ),
    "non-positive-market-value": Kind(
        422, "The portfolio is worth nothing", "Cash and holdings together have to be worth more than 0."
    ),
    "no-feasible-solution": Kind(
        422,
        "no feasible solution exists",
        "No whole numbers of shares fit bands, cash and options. Each of the fixes was tried; or ask for the nearest "
        "by on_infeasible.",
    ),
    "idempotency-key-reused": Kind(
        422, "The idempotency key belongs to another request", "Use a new key for each new request."
    ),
    "precondition-required": Kind(
        428, "A version is needed", "Give the version you have read: If-Match with its ETag, or the parameter version."
    ),
    "head-too-large": Kind(431, "The headers are too large", "Send fewer or shorter headers."),
    "internal-error": Kind(500, "Something is wrong here", "It is not your request. Report the correlation id."),
    "file-not-written": Kind(
        500, "The file cannot be written", "The batch is FAILED and goes first next time. Look at OUTPUT_DIR."
    ),
    "not-delivered": Kind(
        502, "It could not be handed on", "It is kept, and goes first next time. GET /api/v1/batches has the reason."
    ),
    "cli-failed": Kind(
        502,
        "The accounting CLI has failed",
        "The batch is FAILED and goes first next time, with the same file. GET /api/v1/batches/{id} has its output.",
    ),
    "unavailable": Kind(503, "Not available now", "The same request may succeed later; see Retry-After."),
    "service-unavailable": Kind(
        503,
        "Another service is not available",
        "Holdings, tickers or prices come from it; the detail names it. The same request may succeed later.",
    ),
    "overloaded": Kind(503, "Too much is waiting", "The command was not taken. Repeat it; see Retry-After."),
    "store-unavailable": Kind(
        503, "The event log cannot be reached", "The command was not stored. Repeat it; see Retry-After."
    ),
    "outcome-unknown": Kind(
        503,
        "The command may have been stored or not",
        "The event log was lost during the commit. Repeat the request with the same Idempotency-Key, or look first.",
    ),
    "projection-behind": Kind(
        503,
        "The view has not reached the position asked for",
        "Repeat the request, wait longer (Prefer: wait=N), or ask without a position.",
    ),
    "rebalance-pending": Kind(
        503,
        "Rebalances asked for are not booked yet",
        "Repeat the request, wait longer (Prefer: wait=N), or ask without settled.",
    ),
    "not-ready": Kind(503, "A part is not ready", "The member parts names every part and its state."),
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """One fault: in the body (a JSON pointer), in a query or path parameter, or in a header."""

    place: Literal["pointer", "parameter", "header"]
    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem as it is answered; ``code`` is a name in the catalogue."""

    code: str
    detail: str
    errors: tuple[Misfit, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the body, for problems that have their own."""

    @property
    def status(self) -> int:
        """The HTTP status of its kind."""
        return CATALOGUE[self.code].status

    def body(self, instance: str) -> bytes:
        """Return the problem as JSON; ``instance`` is the path of the request."""
        kind = CATALOGUE[self.code]
        members: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "instance": quote(instance, safe="/:@!$&'()*+,;=~"),
            "code": self.code,
        }
        if self.errors:
            members["errors"] = [{fault.place: fault.name, "detail": fault.detail} for fault in self.errors]
        return msgspec.json.encode(members | dict(self.members))

    def response(self, instance: str) -> Response:
        """Return the problem as an answer."""
        return Response(self.body(instance), self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


class RequestProblem(Exception):
    """Raised by the HTTP layer itself where a request cannot be taken; carries what is answered."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def unfit(*faults: Misfit) -> Problem:
    """Return the 422 for these faults."""
    told = [f"{fault.name}: {fault.detail}" if fault.name else f"the body {fault.detail}" for fault in faults[:10]]
    if len(faults) > len(told):
        told.append(f"and {len(faults) - len(told)} more")
    return Problem(code="invalid-request", detail="; ".join(told), errors=faults)


def pointer(path: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a place in the body; empty for the whole; long names are cut."""
    return "".join("/" + str(step)[:100].replace("~", "~0").replace("/", "~1") for step in path)
