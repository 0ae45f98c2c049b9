"""Only one napari writes to a project: a lock that the system releases when the process ends, however it ends."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import filelock

from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import atomic_file

_LOCK, _OWNER = ".lock", ".owner.json"


@dataclass(frozen=True)
class Owner:
    """Who writes to a project: host, user, process id, and since when (ISO 8601, UTC)."""

    host: str
    user: str
    pid: int
    since: str


class ProjectLock:
    """The right to write to a project; ask for it once, keep it as long as the project is open.

    Attributes
    ----------
    held
        Whether this process may write.
    locked_by
        Who else does, in words; "" where nobody.
    reason
        Why this process may not write, as a sentence; "" where it may.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # not bound to a thread: what opens a project need not be what closes it
        self._lock = filelock.FileLock(folder / _LOCK, timeout=0, thread_local=False)
        self.locked_by = ""
        self.reason = ""
        try:
            self._lock.acquire()
            _write_owner(folder)
        except filelock.Timeout:
            self.locked_by = _describe(_read_owner(folder))
            self.reason = (
                f"the project {folder} is open for writing by {self.locked_by}: close it there, or work in a copy"
            )
        except (OSError, StorageError, NotImplementedError) as error:
            self._lock.release()
            self.reason = (
                f"the project {folder} cannot be written to ({_words(error)}): copy it to a place where you may write"
            )
        self.held = not self.reason

    def release(self) -> None:
        """Let others write; a second call does nothing."""
        if self.held:
            self.held = False
            (self._folder / _OWNER).unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> ProjectLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _write_owner(folder: Path) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    owner = Owner(host=socket.gethostname(), user=_user(), pid=os.getpid(), since=since)
    with atomic_file(folder / _OWNER) as temporary:
        temporary.write_text(json.dumps(asdict(owner)), encoding="utf-8")


def _read_owner(folder: Path) -> Owner | None:
    """Who wrote it; None in the moment between taking the lock and saying so."""
    try:
        return Owner(**json.loads((folder / _OWNER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _describe(owner: Owner | None) -> str:
    if owner is None:
        return "another napari"
    since = datetime.fromisoformat(owner.since).astimezone().strftime("%Y-%m-%d %H:%M")
    if owner.host == socket.gethostname() and owner.pid == os.getpid():
        return f"another window of this napari (since {since})"
    return f"{owner.user} on {owner.host} (process {owner.pid}, since {since})"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        return "somebody"


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)
