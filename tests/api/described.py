"""Whether an application keeps its OpenAPI document: schemathesis with all its checks, over any application."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema


def findings(*, app: Any = None, url: str | None = None, max_examples: int = 20) -> list[str]:
    """Return what schemathesis finds wrong with an ASGI application, or with the server at this address.

    Data that fits its schema may still be refused by a rule that no schema can state (422, 409, 404), a stale
    condition (412) or none where one is needed (428), or because a position has not been reached (503); 400 because it
    sends ``If-Match: 0``. Positions are made up, so nobody waits for them.
    """
    config = SchemathesisConfig.from_dict(
        {
            "headers": {"Prefer": "wait=0"},
            "generation": {"max-examples": max_examples, "deterministic": True, "database": "none"},
            "checks": {
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "400", "404", "409", "412", "422", "428", "503"]
                },
            },
        }
    )
    schema = (
        schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
        if url is None
        else schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    )
    found, asked = [], 0
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                asked += len(recorder.cases)
                found += [
                    f"{recorder.label}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                    for checks in recorder.checks.values()
                    for check in checks
                    if check.status is Status.FAILURE and check.failure_info is not None
                ]
            case events.NonFatalError() | events.FatalError():
                found.append(str(vars(event)))
            case _:
                pass
    return found if asked else ["nothing was asked"]
