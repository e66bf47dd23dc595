"""All servers the application can use, real and empty at the first start, for work by hand: `./run servers`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from api.embedded import EmbeddedError, EmbeddedServers
from tests.servers.daemon import Daemon
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.java import Missing
from tests.servers.kafka import Kafka


def main() -> int:
    """Start them, say where each is as soon as it answers, and stay until SIGTERM or Ctrl-C.

    Returns 0 after those, and 1 when a server cannot be had or has ended by itself.
    """
    parser = argparse.ArgumentParser(
        prog="./run servers", description="PostgreSQL, Valkey, Kafka and Elasticsearch, until SIGTERM or Ctrl-C"
    )
    parser.add_argument("--env", action="store_true", help="say where they are as NAME=value, and nothing else")
    parser.add_argument("--data-dir", type=Path, default=Path(".data/servers"), help="kept between runs (%(default)s)")
    options = parser.parse_args()
    _on_a_signal(signal.default_int_handler)
    try:
        _run(options.data_dir, as_settings=options.env)
    except KeyboardInterrupt:
        return 0
    except (EmbeddedError, Missing, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
    return 1


def _run(data_dir: Path, *, as_settings: bool) -> None:
    embedded = EmbeddedServers(data_dir)
    with ExitStack() as stack:
        try:
            stack.callback(embedded.stop)
            addresses = embedded.start()
            _say("DATABASE_URL", addresses.database_url or "", as_settings)
            _say("REDIS_URL", addresses.redis_url or "", as_settings)
            kafka, elasticsearch = Kafka(data_dir / "kafka"), Elasticsearch(data_dir / "elasticsearch")
            servers: list[Daemon] = [kafka, elasticsearch]
            for server in servers:
                stack.callback(server.stop)
                server.launch()
            for server in _in_order_of_readiness(servers):
                if server is kafka:
                    _say("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers, as_settings)
                else:
                    _say("ELASTICSEARCH_URL", elasticsearch.url, as_settings)
            if not as_settings:
                _say("data and logs", f"{data_dir} (Ctrl-C stops all of them)", as_settings)
            _watch(embedded, servers)
        finally:
            _on_a_signal(signal.SIG_IGN)  # nothing interrupts the stop


def _watch(embedded: EmbeddedServers, servers: list[Daemon]) -> None:
    """Never returns; raises RuntimeError when one of them has ended."""
    while True:
        time.sleep(1)
        embedded.watch()
        for server in servers:
            if not server.running():
                raise RuntimeError(f"{server.name} has ended: see {server.log}")


def _in_order_of_readiness(servers: list[Daemon]) -> Iterator[Daemon]:
    waiting = list(servers)
    while waiting:
        time.sleep(0.1)
        for server in list(waiting):
            if server.ready():
                waiting.remove(server)
                yield server


def _say(name: str, place: str, as_setting: bool) -> None:
    """One line, at once."""
    sys.stdout.write(f"{name}={place}\n" if as_setting else f"{name:<25}{place}\n")
    sys.stdout.flush()


def _on_a_signal(action: signal.Handlers | Callable[[int, FrameType | None], object]) -> None:
    """Do this at SIGTERM and Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, action)


if __name__ == "__main__":
    sys.exit(main())
