"""The OpenAPI document: complete for people and client generators, and kept by the application (schemathesis)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from api.app import create_app
from api.envelope import OF_SEED_000
from api.seed_001 import of_seed_001
from tests.api.described import findings
from tests.api.doubles import Behind
from tests.api.memory_log import NOW


def test_the_application_keeps_its_document(app: FastAPI) -> None:
    assert findings(app=app) == []


def operations(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_has_a_name_a_summary_and_examples(app: FastAPI) -> None:
    names = [operation["operationId"] for _, operation in operations(app)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names), names
    for name, operation in operations(app):
        assert operation["summary"], name
        assert operation["description"], name
        if "requestBody" in operation:
            assert len(operation["requestBody"]["content"]["application/json"]["examples"]) >= 3, name


def test_every_error_is_a_problem_or_the_seed_s_own_body_with_an_example(app: FastAPI) -> None:
    for name, operation in operations(app):
        own = any(seed.covers(name.partition(" ")[2]) for seed in (OF_SEED_000, of_seed_001(lambda: NOW)))
        expected = "application/json" if own else "application/problem+json"
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == [expected], (name, status)
                assert answer["content"][expected]["examples"], (name, status)


def test_every_example_of_an_answer_has_the_members_of_its_schema(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for name, operation in operations(app):
        for answer in operation["responses"].values():
            content = answer.get("content", {}).get("application/json", {})
            shape = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2])
            for example in content.get("examples", {}).values() if shape is not None else ():
                assert set(shape.get("required", [])) <= set(example["value"]), name


def test_the_document_is_3_1_and_knows_no_body_of_the_framework(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in str(document)


def test_a_process_without_commands_documents_none(behind: Behind) -> None:
    paths = create_app(replace(behind.deps(), commands=None)).openapi()["paths"]
    assert "/api/v1/portfolio/{portfolio_id}/update" not in paths
    assert list(paths["/api/v1/portfolios"]) == ["get"]
