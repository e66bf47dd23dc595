"""A worker program for the tests of the pool: it does what its first argument says, from its second task on if so.

Every task is answered with the deepest piece of each line taken in full, unless told otherwise.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def say(message: Any) -> None:
    sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    sys.stdout.flush()


def found(task: dict[str, Any], **changed: Any) -> dict[str, Any]:
    deepest = {piece[0]: [index, piece[4]] for index, piece in enumerate(task["pieces"])}
    words = {"method": "fake", "solver": f"fake {os.getpid()}"}
    return {"id": task["id"], "taken": [*deepest.values()], "bound": 1, **words, **changed}


def misbehave(how: str, task: dict[str, Any]) -> None:
    before_it_begins(how, task)
    say({"id": task["id"], "begun": True})
    while_it_solves(how, task)
    say(found(task))
    say({"id": task["id"], "done": True})


def before_it_begins(how: str, task: dict[str, Any]) -> None:
    match how:
        case "die":
            os._exit(3)
        case "hang":
            signal.pause()
        case "hang-after-one":  # both at once, so that no time lies between them
            say("\n".join(map(json.dumps, ({"id": task["id"], "begun": True}, found(task)))))
            signal.pause()
        case "garbage":
            say("*** solver says hello ***")
        case "no-object":
            say("[1, 2]")
        case "long-line":
            say('"' + "x" * (1 << 21) + '"')
        case "out-of-turn":
            say({"id": task["id"] - 1, "begun": True})
        case "deaf":
            os.close(0)
        case _:
            pass


def while_it_solves(how: str, task: dict[str, Any]) -> None:
    match how:
        case "die-begun":
            os._exit(3)
        case "hang-begun":
            signal.pause()
        case "garbage-begun":
            say("{")
        case "other-id":
            say(found(task, id=task["id"] + 1))
        case "no-cover":
            say(found(task, taken=[]))
        case "no-piece":
            say(found(task, taken=[[99, 0]]))
        case "floats":
            say(found(task, taken=[[0, 1.0]]))
        case "proves-too-much":
            say(found(task, bound=task["known"] * 2))
        case "no-bound":
            say({"id": task["id"], "taken": [[0, 0]]})
        case "answers-twice":
            say(found(task))
            say({"id": task["id"], "done": True})
        case _:
            pass


def main() -> None:
    how, _, log = sys.argv[1].partition("@")
    later = how.startswith("later-")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
    if how == "never-ready":
        signal.pause()
    say({"ready": how != "not-ready"})
    for at, line in enumerate(sys.stdin):
        misbehave(how.removeprefix("later-") if not later or at else "", json.loads(line))


if __name__ == "__main__":
    main()
