"""Owns a Kafka and an Elasticsearch until it is killed; run in a process of its own: `owner.py FOLDER`."""

from __future__ import annotations

import json
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers.daemon import Daemon
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.java import Missing
from tests.servers.kafka import Kafka


def main() -> None:
    """Start both, freeze Elasticsearch, say their process groups in one line, and wait for the end."""
    folder = Path(sys.argv[1])
    servers: list[Daemon] = [Kafka(folder / "kafka"), Elasticsearch(folder / "elasticsearch")]
    with ThreadPoolExecutor() as threads:
        try:
            list(threads.map(Daemon.start, servers))
        except Missing as error:
            say({"missing": str(error)})
            return
    servers[1].freeze()
    say({server.name: server.pid for server in servers})
    signal.pause()


def say(words: dict[str, object]) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
