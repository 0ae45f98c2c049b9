"""The child process as the app holds it: a pipe each way, and a thread for each, so that the window never waits."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np

from napari_weak3d.messages import Message, Report, Shown, WireError, decode, encode
from napari_weak3d.types import IntLabels

_log = logging.getLogger(__name__)

_TAIL_BYTES = 8000

Arrived: TypeAlias = Callable[["Child", Report, IntLabels | None], None]
Ended: TypeAlias = Callable[["Child", int, str], None]


class Child:
    """A running child process. No Qt: what arrives is told in a thread of its own.

    Parameters
    ----------
    command
        To start; the folder for previews is added to it.
    log
        File that takes what the process prints, appended; None: a temporary one.
    on_report
        Called with this, a report, and for Shown the slice's labels: 2D int32.
    on_end
        Called once with this, the exit code (negative: the signal) and the end of the log.

    Attributes
    ----------
    greeted, served
        Kept by the owner: whether it has said Hello, and whether it was given a job.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self, command: Sequence[str], *, log: Path | None, on_report: Arrived, on_end: Ended) -> None:
        self.greeted = self.served = False
        self._on_report, self._on_end = on_report, on_end
        self._muted = False
        self._folder = Path(tempfile.mkdtemp(prefix="napari-weak3d-"))
        self._log = log or self._folder / "log.txt"
        self._outbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        try:
            self._process = self._spawn(command)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        for target in (self._write, self._read):
            threading.Thread(target=target, daemon=True, name=f"weak3d child {target.__name__}").start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: Message) -> None:
        """Send a message; returns at once."""
        self._outbox.put(encode(message))

    def close(self) -> None:
        """Let it end by itself: a job gets some seconds to write its model. Nothing more is told of it."""
        self._muted = True
        self._outbox.put(None)

    def kill(self) -> None:
        """End it now. Nothing more is told of it."""
        self.close()
        self._process.kill()

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[str]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                errors="replace",
                creationflags=_flag("BELOW_NORMAL_PRIORITY_CLASS") | _flag("CREATE_NO_WINDOW"),
            )

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(OSError):
            while (line := self._outbox.get()) is not None:
                stdin.write(line + "\n")
                stdin.flush()
        with suppress(OSError):
            stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._take(line)
        code = self._process.wait()
        self._outbox.put(None)
        tail = self._read_tail()
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self._muted:
            self._on_end(self, code, tail)

    def _take(self, line: str) -> None:
        try:
            message = decode(line)
        except WireError as error:
            _log.warning("%s", error)
            return
        labels = None
        if isinstance(message, Shown):
            labels = _load_once(Path(message.file))
            if labels is None:
                return
        if isinstance(message, Report) and not self._muted:
            self._on_report(self, message, labels)

    def _read_tail(self) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
                return log.read().decode("utf-8", errors="replace")
        except OSError:
            return ""


def child_command() -> list[str]:
    """Give the command line of the child: the Python that runs napari, without the user's folder on its path."""
    python = Path(sys.executable)
    # pythonw, as a shortcut on Windows starts napari, has no streams of its own.
    if os.name == "nt" and python.name.lower() == "pythonw.exe" and python.with_name("python.exe").exists():
        python = python.with_name("python.exe")
    return [str(python), "-P", "-m", "napari_weak3d.worker"]


def _flag(name: str) -> int:
    """A flag of Windows for new processes, 0 elsewhere."""
    return int(getattr(subprocess, name, 0))


def _load_once(file: Path) -> IntLabels | None:
    """Read the labels of a preview and delete their file."""
    try:
        labels: IntLabels = np.load(file, allow_pickle=False)
        file.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        _log.warning("a preview is lost: %s", error)
        return None
    return labels
