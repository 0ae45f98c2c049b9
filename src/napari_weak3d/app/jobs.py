"""The one job that runs at a time, in a child process: requests in, Qt signals out."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import numpy as np
from qtpy.QtCore import QCoreApplication, QObject, Qt, Signal

from napari_weak3d.app.child import Child, child_command
from napari_weak3d.errors import Weak3DError
from napari_weak3d.messages import (
    Advanced,
    Failed,
    Finished,
    Hello,
    Pause,
    PreviewSlice,
    Propose,
    Report,
    Request,
    Resume,
    Segment,
    SegmentFiles,
    Shown,
    Stop,
    Suggest,
    Train,
    WireCommand,
)
from napari_weak3d.types import IntLabels, Preview, SliceIndex

_NAMES: dict[type, str] = {
    Train: "the training",
    Segment: "the segmentation",
    SegmentFiles: "the segmentation of files",
    Suggest: "the search for the next slice",
    Propose: "the search for more cells",
}
_CRASHES = {
    *(-getattr(signal, name) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE") if hasattr(signal, name)),
    *(0xC0000005, 0xC0000409, 3),  # Windows: access violation, stack overrun, abort()
}
_KILLED = -9
_ASKED_TO_END = -15


class JobState(StrEnum):
    """What is going on: STARTING until the job's first report, STOPPING from Stop to its end."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"


def new_job_id() -> str:
    """Make an id that no other job has."""
    return uuid.uuid4().hex[:12]


class Jobs(QObject):
    """Supervises the child process. Every method returns at once; every signal arrives on this object's thread.

    A child that has served leaves after a while, so that a GPU's memory comes back; a fresh one takes its place.

    Parameters
    ----------
    parent
        Qt's.
    command
        What to start instead of :func:`~napari_weak3d.app.child.child_command`.
    log
        File that takes what the child prints; None: a temporary one for each.
    """

    state_changed = Signal(object)  # JobState
    hello = Signal(object)  # messages.Hello
    advanced = Signal(object)  # messages.Advanced
    shown = Signal(object, str)  # types.Preview, id of the image
    finished = Signal(object)  # messages.Finished
    failed = Signal(object)  # messages.Failed
    _arrived = Signal(object, object, object)
    _ended = Signal(object, object, str)  # the code as an object: Windows' do not fit into Qt's int

    def __init__(
        self, parent: QObject | None = None, *, command: Sequence[str] | None = None, log: Path | None = None
    ) -> None:
        super().__init__(parent)
        self._command, self._log = command or child_command(), log
        self._state = JobState.IDLE
        self._child: Child | None = None
        self._request: Request | None = None
        self._heard = False  # whether the child has said anything of the job
        self._arrived.connect(self._on_arrived, Qt.ConnectionType.QueuedConnection)
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)
        app = QCoreApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(self.close)

    @property
    def state(self) -> JobState:
        """What is going on."""
        return self._state

    @property
    def request(self) -> Request | None:
        """The job that runs, or None."""
        return self._request

    def start(self) -> None:
        """Start a child, if there is none, before anything is asked of it: the first job then begins sooner.

        Raises
        ------
        Weak3DError
            The system refuses.
        """
        self._ensure_child()

    def submit(self, request: Request) -> None:
        """Run a job.

        Raises
        ------
        Weak3DError
            Another runs, or the system refuses to start a process.
        """
        if self._request is not None:
            raise Weak3DError(f"{_name(self._request)} is still running: stop it, or wait for its end", where="job")
        child = self._ensure_child()
        self._request, self._heard = request, False
        child.send(request)
        self._set_state(JobState.STARTING)

    def stop(self) -> None:
        """End the job after its current step; a training's model is kept."""
        if self._request is not None and self._state is not JobState.STOPPING:
            self._send(Stop())
            self._set_state(JobState.STOPPING)

    def kill(self) -> None:
        """End the job now, and its process with it; ``failed`` tells so, with the kind "killed"."""
        request, child = self._request, self._child
        if request is None or child is None:
            return
        child.kill()
        self._child = None
        self._end(Failed(request.job, "killed", f"{_name(request)} was ended at once{_what_is_kept(request)}"))
        if child.greeted:
            self._prepare()

    def pause(self) -> None:
        """Let the job wait, its memory kept, until :meth:`resume`."""
        if self._state is JobState.RUNNING:
            self._send(Pause())
            self._set_state(JobState.PAUSED)

    def resume(self) -> None:
        """Let a paused job go on."""
        if self._state is JobState.PAUSED:
            self._send(Resume())
            self._set_state(JobState.RUNNING)

    def preview(self, slice: SliceIndex, image: str) -> None:
        """Ask for a slice as the model in training sees it now; ``shown`` brings it.

        Nothing happens where no training runs on this image.
        """
        if isinstance(self._request, Train) and image in self._request.images:
            self._send(PreviewSlice(slice, self._request.images.index(image)))

    def close(self) -> None:
        """Let go of the child: a training still gets some seconds to write its model, and nobody waits for it."""
        if self._child is not None:
            self._child.close()
        self._child = self._request = None
        self._set_state(JobState.IDLE)

    def _ensure_child(self) -> Child:
        if self._child is None:
            try:
                self._child = Child(self._command, log=self._log, on_report=self._tell_arrived, on_end=self._tell_ended)
            except OSError as error:
                raise Weak3DError(
                    f"the process that trains and segments cannot be started: {error}", where="job"
                ) from error
        return self._child

    def _prepare(self) -> None:
        """Have a fresh child ready; that it cannot be started is said when one is needed."""
        with suppress(Weak3DError):
            self._ensure_child()

    def _tell_arrived(self, child: Child, report: Report, labels: IntLabels | None) -> None:
        """Run in the child's thread."""
        with suppress(RuntimeError):  # this object is gone, and nobody listens
            self._arrived.emit(child, report, labels)

    def _tell_ended(self, child: Child, code: int, tail: str) -> None:
        """Run in the child's thread."""
        with suppress(RuntimeError):
            self._ended.emit(child, code, tail)

    def _send(self, command: WireCommand) -> None:
        if self._child is not None:
            self._child.send(command)

    def _set_state(self, state: JobState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)

    def _on_arrived(self, child: Child, report: Report, labels: IntLabels | None) -> None:
        if child is not self._child:
            return
        if isinstance(report, Hello):
            child.greeted = True
            self.hello.emit(report)
        elif self._request is not None and report.job == self._request.job:
            self._heard = True
            if isinstance(report, Finished | Failed):
                child.served = True
                self._end(report)
            else:
                self._pass_on(report, labels)

    def _pass_on(self, report: Advanced | Shown, labels: IntLabels | None) -> None:
        if self._state is JobState.STARTING:
            self._set_state(JobState.RUNNING)
        if isinstance(report, Advanced):
            self.advanced.emit(report)
        elif labels is not None and isinstance(self._request, Train):
            boxes = None if report.boxes is None else np.array(report.boxes, np.int64).reshape(-1, 2, 3)
            preview = Preview(report.slice, labels, self._request.images.index(report.image), boxes)
            self.shown.emit(preview, report.image)

    def _end(self, report: Finished | Failed) -> None:
        self._request = None
        # First, so that whoever hears of the end can submit the next job.
        self._set_state(JobState.IDLE)
        (self.finished if isinstance(report, Finished) else self.failed).emit(report)

    def _on_ended(self, child: Child, code: int, tail: str) -> None:
        if child is not self._child:
            return
        self._child = None
        request = self._request
        if request is None:
            if not child.greeted:
                self.failed.emit(Failed("", "crashed", _explain(code, tail, request=None), log_tail=tail))
            elif child.served:
                self._prepare()
        elif code == 0 and child.served and not self._heard:
            self._hand_over(request)
        else:
            why = _explain(code, tail, request=request if child.greeted else None)
            self._end(Failed(request.job, "crashed", why, log_tail=tail))
            if child.greeted and self._state is JobState.IDLE:
                self._prepare()

    def _hand_over(self, request: Request) -> None:
        """Give a job to a fresh child: the old one was leaving just when it was sent."""
        try:
            child = self._ensure_child()
        except Weak3DError as error:
            self._end(Failed(request.job, type(error).__name__, error.message, error.where))
            return
        child.send(request)
        if self._state is JobState.STOPPING:
            child.send(Stop())


def _name(request: Request) -> str:
    return _NAMES[type(request)]


def _what_is_kept(request: Request) -> str:
    if isinstance(request, Train):
        return "; its model is as it was last saved"
    return "; the files written so far are kept" if isinstance(request, SegmentFiles) else ""


def _explain(code: int, tail: str, *, request: Request | None) -> str:
    """Say in plain words why a child is gone; ``request``: what it worked on, None if it never got ready."""
    if request is None:
        last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), f"exit code {code}")
        return f"the process that trains and segments could not start: {last}"
    if code == _KILLED:
        why = (
            "was ended by the system, most likely because memory ran out: close other programs, or choose a smaller "
            "patch or tile in the advanced settings"
        )
    elif code == _ASKED_TO_END:
        why = "was ended by the system or by another program: start it again"
    elif code in _CRASHES:
        why = "crashed in a library below it: try again, and please report it with the details if it does so again"
    else:
        why = f"ended without a word (exit code {code}): please report it with the details"
    return f"{_name(request)} {why}{_what_is_kept(request)}"
