"""The whole application with API keys: read at the start, told in the banner, asked for by the process that answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from api.middleware import MAX_BODY
from tests.api.embedded.support import eventually
from tests.servers.application import ROOT, application
from tests.servers.daemon import PATIENCE


def run(*arguments: str) -> str:
    """Run a command of the command line and return what it prints."""
    command = [sys.executable, "-m", "api", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def test_a_key_that_was_made_opens_the_application(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    desk = run("keys", "create", "desk", "--scope", "read", "--scope", "write", "--file", str(file)).strip()
    scraper = run("keys", "create", "scraper", "--scope", "read", "--file", str(file)).strip()
    with application(tmp_path, API_KEYS_FILE=str(file), LOG_FORMAT="json") as app:
        eventually(lambda: "API keys: 2 (desk, scraper)" in app.log())
        path, opening = "/api/v1/portfolios", {"portfolio_id": "A", "portfolio_name": "Growth"}
        each_alone = httpx2.Limits(max_keepalive_connections=0)
        with httpx2.Client(base_url=app.url, timeout=PATIENCE, limits=each_alone) as client:
            assert client.post(path, json=opening).status_code == 401
            assert client.post(path, content=b" " * MAX_BODY).status_code == 401
            assert client.post(path, json=opening, headers={"Authorization": f"Bearer {scraper}"}).status_code == 403
            assert client.post(path, json=opening, headers={"Authorization": f"Bearer {desk}"}).status_code == 201
            assert client.get("/metrics").status_code == 401
            metrics = client.get("/metrics", headers={"Authorization": f"Bearer {scraper}"})
        assert 'route="/api/v1/portfolios",status="403"' in metrics.text
        assert desk not in app.log()


def test_without_keys_the_banner_says_so(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        eventually(lambda: "no API keys: anyone on this machine may do anything" in app.log())


@pytest.mark.parametrize("role", ["all", "http", "queries"])
def test_a_file_that_does_not_fit_ends_the_start_with_a_sentence(tmp_path: Path, role: str) -> None:
    file = tmp_path / "keys"
    file.write_text("desk read\n")
    done = subprocess.run(
        [sys.executable, "-m", "api", "serve", "--role", role, "--port", "0", "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        env={**os.environ, "API_KEYS_FILE": str(file), "DATABASE_URL": "postgresql://127.0.0.1:9/none"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"foliolog: line 1 of API_KEYS_FILE '{file}' has 2 parts: write `name sha256hex")
    assert "Traceback" not in done.stderr
