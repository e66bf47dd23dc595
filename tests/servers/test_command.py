"""`./run servers`: says where each server is, keeps the data folder to itself, and takes all with it when it ends."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import psycopg
import pytest
from redis import Redis

from tests.api.embedded.support import eventually, processes_under
from tests.servers.application import ROOT
from tests.servers.daemon import PATIENCE
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.java import Missing
from tests.servers.kafka import Kafka


def test_the_servers_are_said_one_by_one_and_end_with_the_command(tmp_path: Path) -> None:
    for server in (Kafka(tmp_path / "kafka"), Elasticsearch(tmp_path / "elasticsearch")):
        try:
            server.command()
        except Missing as error:
            pytest.skip(str(error))
    command = [sys.executable, "-m", "tests.servers", "--env", "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            lines = [running.stdout.readline().strip() for _ in range(4)]
            assert shlex.split(" ".join(lines), posix=True) == lines  # a shell takes them as they are
            assert not set("&;|<>()$`") & set("".join(lines))
            places = dict(line.split("=", 1) for line in lines)
            with psycopg.connect(places["DATABASE_URL"]) as connection:
                connection.execute("select 1")
            with Redis.from_url(places["REDIS_URL"]) as redis:
                assert redis.ping()
            assert httpx2.get(f"{places['ELASTICSEARCH_URL']}/_cluster/health", timeout=60).status_code == 200
            assert places["KAFKA_BOOTSTRAP_SERVERS"].startswith("127.0.0.1:")
            second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert (second.returncode, second.stdout) == (1, "")
            assert "is in use by process" in second.stderr
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE) == 0
        finally:
            running.kill()
    eventually(lambda: not processes_under(tmp_path))
