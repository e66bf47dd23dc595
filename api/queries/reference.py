"""The reference at /docs: every operation of the OpenAPI document on one page that needs nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from starlette.responses import HTMLResponse, Response

from api.routing import Router

_CODE: Final = re.compile(r"`([^`]+)`")
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-size:.95em}summary{cursor:pointer}details{margin:.5rem 0}b{display:inline-block;min-width:4.5rem}"
    "pre{background:#f4f4f4;padding:.5rem 1rem;overflow-x:auto;font-size:.85em}code{white-space:nowrap}"
    "table{border-collapse:collapse;margin:.5rem 0 1rem 1rem}td{padding:.1rem 1rem .1rem 0;vertical-align:top}"
)


def routes(document: Callable[[], Mapping[str, Any]]) -> Router:
    """Return the router of the page; ``document`` gives the OpenAPI document."""
    router = Router()

    @router.get("/docs", include_in_schema=False)
    async def get_reference() -> Response:
        csp = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(_page(document()), headers={"Content-Security-Policy": csp})

    return router


def _page(document: Mapping[str, Any]) -> str:
    info = document["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{_text(info['description'])}</p><p>The whole of it for programs: "
        f'<a href="/openapi.json">/openapi.json</a>; what can go wrong: <a href="/problems">/problems</a>.</p>'
        f"{''.join(operations)}</html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (parameter["in"], parameter["name"], parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    rows += [("answer", status, answer["description"]) for status, answer in sorted(operation["responses"].items())]
    cells = "".join(f"<tr><td>{place}<td><code>{escape(name)}</code><td>{_text(text)}" for place, name, text in rows)
    name = f"<b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
    return (
        f"<details><summary>{name}</summary>"
        f"<p>{_text(operation.get('description', ''))}</p>{_bodies(operation)}<table>{cells}</table></details>"
    )


def _bodies(operation: Mapping[str, Any]) -> str:
    """Return the examples of the request's body and of the answers when it goes well, each under its name."""
    asked = operation.get("requestBody", {})
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    shown = []
    for what, holder in [("body", asked), *(("answer", answer) for answer in answers)]:
        for name, example in holder.get("content", {}).get("application/json", {}).get("examples", {}).items():
            text = json.dumps(example["value"], indent=2, ensure_ascii=False, default=str)
            shown.append(f"<p>{what}: {escape(name.replace('_', ' '))}</p><pre>{escape(text)}</pre>")
    return "".join(shown)


def _text(description: str) -> str:
    """Return a description as HTML, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(description))
