"""What the OpenAPI document says about answers: errors as problem details with examples, and the common headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi.routing import APIRoute

from api.problems import CATALOGUE, MEDIA_TYPE

PROBLEM_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457). `GET /problems/{code}` explains a code.",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "enum": sorted(CATALOGUE)},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body"},
                    "parameter": {"type": "string", "description": "a path or query parameter"},
                    "header": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

_HEADERS: Final[Mapping[str, str]] = {
    "X-Position": "Log position that the command reached: give it as `at_least` to read your own writes.",
    "ETag": "Version of the resource, quoted: give it as `If-Match`.",
    "Location": "Where the new resource is.",
    "Idempotency-Replayed": "`true` when this is the first answer again.",
    "WWW-Authenticate": "What is missing (RFC 6750): a key, or the scope that it names.",
    "Retry-After": "Seconds after which to try again.",
}

Responses = dict[int | str, dict[str, Any]]
COMMAND_PROBLEMS: Final = (
    "not-json", "malformed-if-match", "stale-version", "body-too-large", "unsupported-media-type", "invalid-request",
    "idempotency-key-reused", "idempotency-key-in-flight", "internal-error", "overloaded", "store-unavailable",
    "outcome-unknown",
)  # fmt: skip
"""What every command can be refused with."""
BODILESS_PROBLEMS: Final = tuple(
    code for code in COMMAND_PROBLEMS if code not in {"not-json", "body-too-large", "unsupported-media-type"}
)
"""What every command without a body can be refused with."""


def problems(*codes: str, **details: str) -> Responses:
    """Return the responses for these problems, by status; ``details`` are examples by code (``-`` written ``_``)."""
    found: Responses = {}
    for code in codes:
        kind = CATALOGUE[code]
        response = found.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        if kind.title not in response["description"]:
            response["description"] += f"; or: {kind.title[0].lower()}{kind.title[1:]}"
        if kind.status == 503:
            response["headers"] = headers("Retry-After")
        response["content"][MEDIA_TYPE]["examples"][code] = {
            "summary": kind.title,
            "value": {
                "type": f"/problems/{code}",
                "title": kind.title,
                "status": kind.status,
                "detail": details.get(code.replace("-", "_"), kind.description),
                "instance": "/api/v1/portfolio/ACC-1/update",
                "code": code,
            },
        }
    return found


def headers(*names: str) -> dict[str, Any]:
    """Return the description of these response headers."""
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}


def examples(**values: Any) -> dict[str, Any]:
    """Return named examples for the OpenAPI document: the summary is the name with blanks."""
    return {name: {"summary": name.replace("_", " "), "value": value} for name, value in values.items()}


def answered(
    description: str, *header_names: str, schema: Mapping[str, Any] | None = None, **named_examples: Any
) -> dict[str, Any]:
    """Return a successful JSON response with its headers, its schema where no model has it, and named examples."""
    content: dict[str, Any] = {} if schema is None else {"schema": schema}
    response: dict[str, Any] = {"description": description, "content": {"application/json": content}}
    if header_names:
        response["headers"] = headers(*header_names)
    if named_examples:
        response["content"]["application/json"]["examples"] = examples(**named_examples)
    return response


def tidied(document: dict[str, Any]) -> None:
    """Take from FastAPI's document what is not so here: its own error bodies, and parameters that may be null."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    for methods in document["paths"].values():
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            for parameter in operation.get("parameters", ()):
                schema = parameter["schema"]
                kinds = [kind for kind in schema.pop("anyOf", ()) if kind.get("type") != "null"]
                parameter["schema"] = {**kinds[0], **schema} if len(kinds) == 1 else schema


def with_whole_examples(document: dict[str, Any], routes: Iterable[APIRoute]) -> None:
    """Put back the examples of answers as they were given: FastAPI leaves out members that are null."""
    for route in routes:
        for method in route.methods or () if route.include_in_schema else ():
            described = document["paths"][route.path_format][method.lower()]["responses"]
            for status, response in route.responses.items():
                for media_type, content in response.get("content", {}).items():
                    if "examples" in content:
                        described[str(status)]["content"][media_type]["examples"] = content["examples"]
