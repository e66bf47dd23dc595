"""What the OpenAPI document says of API keys: the scheme, the scope of every operation, and its 401 and 403."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fastapi.routing import APIRoute

from api import envelope, seed_001
from api.documented import Responses, headers, problems
from api.errors import OwnBody
from api.security.routes import needed

_SCHEME: Final[Mapping[str, Any]] = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "An API key, where the server has any. Its scopes stand by themselves: `read` for what is asked, `write` for "
        "commands, `admin` for the operators' commands. The caller is the key's name."
    ),
}
_REFUSALS: Final = {401: ("unauthorized", "Unauthorized"), 403: ("forbidden", "Forbidden")}


def secured(document: dict[str, Any], routes: Iterable[APIRoute], *, guarded: bool) -> None:
    """Add the scheme to the document and to each operation what it needs; where it is ``guarded``, its refusals too.

    Without keys the scheme is named as one that may be used and need not. The refusals stand once for each kind of body
    under ``components``, and operations refer to them.
    """
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"bearer": _SCHEME}
    for route in routes:
        needs = needed(route)
        for method in route.methods or () if route.include_in_schema else ():
            operation = document["paths"][route.path_format][method.lower()]
            if needs is None:
                operation["security"] = []
                continue
            operation["security"] = [{"bearer": [str(needs)]}, *([] if guarded else [{}])]
            if guarded:
                told = operation.get("parameters", [])
                operation["parameters"] = [each for each in told if each["name"] != "x-user"]  # which is ignored
                operation["responses"] |= _refusals(route.path, components.setdefault("responses", {}))


def _refusals(path: str, told: dict[str, Any]) -> Responses:
    """Return references to the 401 and 403 of this path; what they refer to is put into ``told``."""
    suffix, refusals = next(((name, say) for name, own, say in _own_bodies() if own.covers(path)), ("", problems))
    found: Responses = {}
    for status, (code, name) in _REFUSALS.items():
        response = refusals(code)[status]
        told[name + suffix] = {**response, "headers": headers("WWW-Authenticate")}
        found[str(status)] = {
            "$ref": f"#/components/responses/{name}{suffix}",
            "description": response["description"],
        }
    return found


def _own_bodies() -> Iterable[tuple[str, OwnBody, Callable[..., Responses]]]:
    yield "Of000", envelope.OF_SEED_000, envelope.refusals
    yield "Of001", seed_001.of_seed_001(lambda: datetime.now(UTC)), seed_001.refusals
