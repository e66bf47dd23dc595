"""Ports that are given to a server of the tests are nobody else's, also while it does not run."""

from __future__ import annotations

import gc
import socket
import sys
from pathlib import Path

import pytest

from tests.servers import ports
from tests.servers.ports import free_port, listened_to, ports_of


class Owner:
    """Somebody who has ports as long as it is there."""


def bound(port: int, *, beside: bool) -> bool:
    """Return whether a server could be there, ``beside`` as servers bind; it listens for a moment."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, beside)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
        server.listen()
        assert listened_to(port)
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept for a server")
def test_a_port_is_for_its_server_alone_until_its_owner_goes(tmp_path: Path) -> None:
    for _ in range(2):  # whoever comes later has the same
        is_kept_for_its_owner(tmp_path / "ports")


def is_kept_for_its_owner(path: Path) -> None:
    """An owner has a port while it is there, and nobody has it afterwards."""
    owner = Owner()
    [port] = ports_of(owner, path, 1)
    for _ in range(2):  # its server ends and is started again
        assert not bound(port, beside=False)
        assert ports._taken(port, None) is None
        assert bound(port, beside=True)
    assert not listened_to(port)
    del owner
    gc.collect()
    assert bound(port, beside=False)


def test_the_folder_keeps_its_ports(tmp_path: Path) -> None:
    first, second = Owner(), Owner()
    found = ports_of(first, tmp_path / "ports", 3)
    assert ports_of(second, tmp_path / "ports", 3) == found
    assert len({*found, free_port()}) == 4
