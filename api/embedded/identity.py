"""As whom the servers run: PostgreSQL refuses to run as root, and initdb refuses a user without an account."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from api.embedded import launcher
from api.embedded.errors import EmbeddedError


@dataclass(frozen=True)
class Identity:
    """How a server becomes somebody PostgreSQL accepts.

    `direct`: as we are. `namespace`: in a user namespace, where we only look like `uid`: files still belong to us, and
    folders that only we may enter stay within reach. `switch`: really as `uid`, who must own the servers' folders.
    """

    how: Literal["direct", "namespace", "switch"]
    uid: int
    gid: int

    @property
    def arguments(self) -> list[str]:
        """For the launcher's command line."""
        return [self.how, str(self.uid), str(self.gid)]

    @property
    def outer_uid(self) -> int:
        """The user who owns the servers' files, as everybody else sees it."""
        return self.uid if self.how == "switch" else os.geteuid()

    def give(self, folder: Path) -> None:
        """Make `folder`, which is ours and private, belong to the servers."""
        if folder.lstat().st_uid != self.outer_uid:
            gid = self.gid if self.how == "switch" else os.getegid()
            os.chown(folder, self.outer_uid, gid, follow_symlinks=False)


def current() -> Identity:
    """As we are."""
    return Identity("direct", os.geteuid(), os.getegid())


def choose(cluster: Path, needed: Sequence[Path]) -> Identity:
    """The identity for PostgreSQL on the data folder `cluster` (which may not exist yet).

    `needed` are the folders and programs it must be able to enter and execute. Raises EmbeddedError when nobody fits.
    """
    me = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if owner not in (None, me) and me != 0:
        raise EmbeddedError(
            f"the data folder {cluster} belongs to user {_name(owner)} and you are {_name(me)}: "
            "run as that user, choose another --data-dir, or set DATABASE_URL"
        )
    if me != 0 and (owner is not None or _account(me)):
        return current()
    blocked = None
    for candidate in _candidates(cluster, owner):
        obstacle = _obstacle(candidate, needed)
        if obstacle is None:
            return candidate
        blocked = obstacle or blocked
    if me != 0:
        raise EmbeddedError(
            f"initdb needs an account for user id {me}, and user namespaces are forbidden here: "
            "add the id to /etc/passwd, run as another user, or set DATABASE_URL"
        )
    if owner == 0:
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root and user namespaces are forbidden here, but {cluster} belongs to root: "
            f"give it away with 'chown -R nobody {cluster}', run where user namespaces are allowed, or set DATABASE_URL"
        )
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, user namespaces are forbidden or no help here, and no other user reaches "
        f"{blocked or cluster.parent}: run as an ordinary user, choose a --data-dir (and an installation) that every "
        "user can enter, or set DATABASE_URL"
    )


def _candidates(cluster: Path, owner: int | None) -> Iterator[Identity]:
    """For root, or for a user without an account: who to try, the best first."""
    if owner:
        account = _account(owner)
        yield Identity("switch", owner, account.pw_gid if account else cluster.stat().st_gid)
        return
    inner = next(filter(None, map(_account, (1000, 65534))), None) or next(_ordinary(pwd.getpwall()), None)
    if sys.platform == "linux" and inner:
        yield Identity("namespace", inner.pw_uid, inner.pw_gid)
    if os.geteuid() == 0 and owner is None:  # sudo in somebody's home; then anybody
        owners = [folder.stat().st_uid for folder in cluster.parents if folder.exists()]
        accounts = [*map(_account, dict.fromkeys(owners)), *(one for one in pwd.getpwall() if one.pw_name == "nobody")]
        for account in _ordinary(accounts):
            yield Identity("switch", account.pw_uid, account.pw_gid)


def _obstacle(identity: Identity, needed: Sequence[Path]) -> str | None:
    """None when `identity` can be had and reaches all of `needed`; else the path out of reach, '' when forbidden."""
    command = [sys.executable, "-I", "-S", launcher.__file__, "0", str(int(signal.SIGKILL)), *identity.arguments, "?"]
    answer = subprocess.run([*command, *map(str, needed)], capture_output=True, text=True, cwd="/", check=False)
    if answer.returncode == 0:
        return None
    return answer.stdout.strip() if answer.returncode == launcher.UNREACHABLE else ""


def _ordinary(accounts: Iterable[pwd.struct_passwd | None]) -> Iterator[pwd.struct_passwd]:
    return (account for account in accounts if account and account.pw_uid != 0)


def _account(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _name(uid: int | None) -> str:
    account = _account(uid) if uid is not None else None
    return account.pw_name if account else str(uid)
