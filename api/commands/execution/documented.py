"""What the OpenAPI document says about the commands on executions."""

from __future__ import annotations

from typing import Any, Final

from api.commands.execution.bodies import NO_ROWS, TOO_MANY
from api.documented import BODILESS_PROBLEMS, COMMAND_PROBLEMS, Responses, answered, examples
from api.seed_001 import refusals
from api.shown_executions import EXECUTION, ID_UNREADABLE

_HEADERS: Final = ("X-Position", "Idempotency-Replayed")
_CREATED: Final[dict[str, Any]] = {"executionServiceId": 4711, "status": "created", "executionId": 42}
_SKIPPED: Final[dict[str, Any]] = {
    "executionServiceId": 4710,
    "status": "skipped",
    "error": "execution already exists",
    "executionId": 41,
}
_ERROR: Final[dict[str, Any]] = {
    "executionServiceId": 4712,
    "status": "error",
    "error": "failed to get portfolio ID: Trade Service at GET /api/v2/executions: answered 500",
}


def _batch(*results: dict[str, Any]) -> dict[str, Any]:
    statuses = [result["status"] for result in results]
    return {
        "processedCount": statuses.count("created"),
        "skippedCount": statuses.count("skipped"),
        "errorCount": statuses.count("error"),
        "results": list(results),
    }


def _refused() -> Responses:
    """Return the refusals of a request; a 400 may also tell what has become of its rows."""
    found = refusals(*COMMAND_PROBLEMS, "not-found", no_rows=NO_ROWS, too_many_rows=TOO_MANY)
    bad = found[400]["content"]["application/json"]
    told = {
        "schema": {"anyOf": [bad["schema"], {"$ref": "#/components/schemas/BatchCreateShown"}]},
        "examples": bad["examples"] | examples(errors_and_nothing_created=_batch(_ERROR)),
    }
    return found | {400: {**found[400], "content": {"application/json": told}}}


RECORDED: Final[Responses] = {
    201: answered("No row is an error", *_HEADERS, created=_batch(_CREATED, _SKIPPED)),
    207: answered("Some rows are errors, some were created", *_HEADERS, in_part=_batch(_CREATED, _ERROR)),
    **_refused(),
}
RETRIED: Final[Responses] = {
    200: answered("None is an error any more", *_HEADERS, created=_batch(_CREATED), nothing=_batch()),
    207: answered("Some are still errors, and still kept", *_HEADERS, in_part=_batch(_CREATED, _ERROR)),
    **refusals(*BODILESS_PROBLEMS, "not-found", "projection-behind"),
}
RESENT: Final[Responses] = {
    200: answered("The execution", *_HEADERS, "ETag", to_be_sent={**EXECUTION, "sendStatus": "PENDING"}),
    **refusals(*BODILESS_PROBLEMS, "not-found", "rule-violated", "projection-behind", no_id=ID_UNREADABLE),
}
BOOKED: Final[Responses] = {
    200: answered("The execution", *_HEADERS, "ETag", booked=EXECUTION),
    **refusals(*BODILESS_PROBLEMS, "not-found", "rule-violated", no_id=ID_UNREADABLE),
}
