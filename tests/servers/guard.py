"""Leads the process group of one server: runs it, and takes every process of the group along when it is to end.

Run by its path (`python -I -S guard.py FOLDER NAME=VALUE... -- COMMAND...`), as the leader of a session of its own.
SIGINT asks the server to stop. SIGTERM, which its owner's death sends, ends all others by SIGKILL, stopped ones too:
Elasticsearch is two JVMs, and a death signal reaches a direct child only.
"""

import os
import signal
import subprocess
import sys


def main(arguments: list[str]) -> None:
    """Run COMMAND in FOLDER with the settings in its environment; never returns, nothing of the group is left."""
    split = arguments.index("--")
    folder, *settings = arguments[:split]
    environment = os.environ | dict(setting.split("=", 1) for setting in settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    server = subprocess.Popen(arguments[split + 1 :], cwd=folder, env=environment)
    signal.signal(signal.SIGINT, lambda *_: server.terminate())
    server.wait()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
