"""Owns the servers of one data folder and does what it is told, a word a line; run in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from api.embedded import EmbeddedError, EmbeddedServers, running


def main() -> None:
    """Start, say the addresses, obey; at the end of the input return without a stop, as a forgetful program would."""
    data_dir = Path(sys.argv[1])
    if "--join" in sys.argv:
        addresses = running(data_dir)
        say(database_url=addresses.database_url if addresses else None)
        return
    servers = EmbeddedServers(data_dir, redis="--no-redis" not in sys.argv)
    try:
        addresses = servers.start()
    except EmbeddedError as error:
        say(error=str(error))
        return
    say(database_url=addresses.database_url, redis_url=addresses.redis_url, uid=os.geteuid())
    for line in sys.stdin:
        match line.strip():
            case "stop":
                servers.stop()
            case "watch":
                servers.watch()
            case "watch in a thread that ends":
                thread = threading.Thread(target=servers.watch)
                thread.start()
                thread.join()
            case _:  # fork
                child = os.fork()
                if child == 0:
                    servers.stop()
                    sys.exit(0)  # with everything registered for the exit
                os.waitpid(child, 0)
        say(done=line.strip())


def say(**words: object) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
