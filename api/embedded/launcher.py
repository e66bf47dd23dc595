"""The child's side of a start: become who the server must run as, tie its life to the owner's, then execute it.

Run by its path in a fresh interpreter (`python -I -S launcher.py OWNER SIGNAL HOW UID GID COMMAND...`) instead of a
`preexec_fn`, which is not safe in a process that has threads. The steps cannot change places: a change of user clears
the death signal, and an owner that died before the signal was set is noticed only by looking at the parent.
"""

import ctypes
import os
import sys

NAMESPACE_FORBIDDEN = 71
UNREACHABLE = 72
ORPHANED = 73
NOT_EXECUTABLE = 74

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Execute COMMAND as asked and never return, or return the exit code that says why not.

    HOW is `direct`, `namespace` (a user namespace in which we are UID:GID) or `switch` (really become UID:GID). The
    command `?` followed by paths executes nothing and prints the first path that cannot be entered or executed.
    """
    owner, death_signal, how, uid, gid, *command = arguments
    if how == "namespace":
        try:
            _enter_user_namespace(int(uid), int(gid))
        except OSError as error:
            print(f"user namespace: {error}", file=sys.stderr)
            return NAMESPACE_FORBIDDEN
    elif how == "switch":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if command[0] == "?":
        return _first_unreachable(command[1:])
    os.umask(0o077)
    if sys.platform == "linux":
        _checked(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0))
        if os.getppid() != int(owner):
            return ORPHANED
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_EXECUTABLE


def _enter_user_namespace(uid: int, gid: int) -> None:
    """As `unshare --user --map-user=UID --map-group=GID`: another name for the same user, who keeps every access."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _checked(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"), ("gid_map", f"{gid} {outer_gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _first_unreachable(paths: list[str]) -> int:
    for path in paths:
        if not os.access(path, os.X_OK):
            print(path)
            return UNREACHABLE
    return 0


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
