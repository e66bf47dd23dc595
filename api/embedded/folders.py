"""Where things lie in a data folder, who owns it, and where the sockets go."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from api.embedded.errors import EmbeddedError
from api.embedded.identity import Identity
from api.embedded.process import alive, wait_until

_LONGEST_SOCKET = 100  # bytes; the systems' limits are 107 (Linux) and 103 (macOS)
_LONGEST_BASE = 50
_MOMENTS = 0.5  # seconds for which a folder may seem to be taken
_CLEARING = 10.0  # the same where the one who has taken it is gone, or has not said who it is
_PLAIN = re.compile(r"/[\w./+-]*", re.ASCII)  # needs no quoting in a setting, a connection string or a URL


@dataclass(frozen=True)
class Layout:
    """The paths inside one data folder."""

    root: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own folder."""
        return self.root / "postgres"

    @property
    def settings(self) -> Path:
        """PostgreSQL's settings, written by us at each start."""
        return self.root / "postgresql.conf"

    @property
    def logs(self) -> Path:
        """One log a server."""
        return self.root / "log"

    @property
    def sockets(self) -> Path:
        """The sockets, where their path is short enough."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Locked by the owner for as long as it lives."""
        return self.root / "owner.lock"

    @property
    def state(self) -> Path:
        """What the owner runs, for those who join."""
        return self.root / "servers.json"


@dataclass(frozen=True)
class State:
    """What an owner says about itself; valid while the lock file holds the same token."""

    token: str
    owner: int
    database_url: str | None
    redis_url: str | None
    postgres_pid: int | None = None
    valkey_pid: int | None = None


def make(data_dir: Path) -> Layout:
    """The data folder, made if it is not there; modes of folders that exist are never changed."""
    root = data_dir.absolute()
    try:
        if root.exists() and not root.is_dir():
            raise EmbeddedError(f"the data folder {root} is a file: choose another --data-dir")
        if not root.is_dir():
            root.parent.mkdir(parents=True, exist_ok=True)
            root.mkdir(exist_ok=True)
            root.chmod(0o711 if os.geteuid() == 0 else 0o700)  # root's servers may have to pass through as another user
        layout = Layout(root.resolve())
        layout.logs.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unusable(root, error) from error
    return layout


def unusable(root: Path, error: OSError) -> EmbeddedError:
    """What is said of a data folder in which something could not be done."""
    at = f", {error.filename}" if error.filename else ""
    return EmbeddedError(
        f"the data folder {root} cannot be used ({error.strerror or error}{at}): choose another --data-dir"
    )


class Ownership:
    """The lock on a data folder: taken at once or refused, held until `release` or the end of this process.

    The file is never deleted (a lock on a deleted file guards nothing), and its descriptor is closed in the servers:
    they may outlive a killed owner by moments without keeping the folder taken.
    """

    def __init__(self, layout: Layout) -> None:
        self.token = secrets.token_hex(8)
        try:
            self._descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(layout.root, error) from error
        # the moments: a `running()` that looks just now, or a killed owner that the system is still clearing away
        if not wait_until(self._taken, _MOMENTS):
            wait_until(lambda: self._taken() or self._living(), _CLEARING)
            if not self._taken():
                pid = self._named() or "unknown"
                os.close(self._descriptor)
                raise EmbeddedError(
                    f"the data folder {layout.root} is in use by process {pid}: stop that one, "
                    "or choose another --data-dir"
                )
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {self.token}".encode(), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise unusable(layout.root, error) from error

    def _named(self) -> str:
        """Return the number of the process that was the last to say that the folder is its own; empty if none did."""
        return os.pread(self._descriptor, 100, 0).decode(errors="replace").partition(" ")[0]

    def _living(self) -> bool:
        pid = self._named()
        return pid.isdecimal() and alive(int(pid))

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let others have the folder."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def live_state(layout: Layout) -> State | None:
    """What a live owner of the folder runs; None when there is no owner, or it is still starting."""
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        token = os.pread(descriptor, 100, 0).decode(errors="replace").partition(" ")[2]
        state = read_state(layout)
        return state if state and state.token == token else None
    finally:
        os.close(descriptor)
    return None


def read_state(layout: Layout) -> State | None:
    """What the last owner said, alive or not."""
    try:
        return State(**json.loads(layout.state.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_state(layout: Layout, state: State) -> None:
    """Say what runs, at once and whole."""
    replace(layout.state, json.dumps(asdict(state)), 0o600)


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file so that a reader sees all of the old or all of the new."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, mode)
    os.replace(name, path)


def socket_folder(layout: Layout, identity: Identity) -> Path:
    """A private folder for the sockets: in the data folder, or under the runtime folder when that path is too long."""
    folder = layout.sockets
    if len(os.fsencode(folder / ".s.PGSQL.5432")) > _LONGEST_SOCKET or not _PLAIN.fullmatch(str(folder)):
        name = hashlib.sha256(os.fsencode(layout.root)).hexdigest()[:12]
        folder = _runtime_folder(identity) / f"foliolog-{os.geteuid()}-{name}"
    with contextlib.suppress(FileExistsError):  # no folder, as said below
        folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    ours = found.st_uid in (os.geteuid(), identity.outer_uid) or (folder == layout.sockets and os.geteuid() == 0)
    if not (private and ours):
        raise EmbeddedError(
            f"{folder} must be a folder that only user {os.geteuid()} can enter, and it is not: "
            "remove it, or choose another --data-dir"
        )
    identity.give(folder)
    return folder


def _runtime_folder(identity: Identity) -> Path:
    """The session's own folder if the servers can use it, else the system's folder for temporary files."""
    session = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    candidates = [Path(tempfile.gettempdir())]
    if identity.how != "switch" and session.is_dir() and os.access(session, os.W_OK | os.X_OK):
        candidates.insert(0, session)
    fitting = (path for path in candidates if _PLAIN.fullmatch(str(path)) and len(os.fsencode(path)) <= _LONGEST_BASE)
    return next(fitting, Path("/tmp"))  # noqa: S108  the folder made in it is checked
