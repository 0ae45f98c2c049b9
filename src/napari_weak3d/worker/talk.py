"""The talk between a running job and the app: what to obey next, and what to tell, not too often."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_weak3d.messages import Advanced, Pause, PreviewSlice, Resume, Shown, Stop, WireCommand
from napari_weak3d.types import Preview, Progress
from napari_weak3d.worker.wire import Wire

_log = logging.getLogger(__name__)

_REPORT_S = 0.25
"""Reports are no closer than this, unless the message is another one: at each the app draws its window anew."""
_STANDSTILL_S = 1.0
"""The same for reports in which nothing has advanced."""


class Talk:
    """Commands to one job, and its reports.

    Parameters
    ----------
    wire
        To the app.
    job
        Its id.
    folder
        For previews.
    clock
        Seconds that never run backwards.

    Attributes
    ----------
    stopped
        Whether Stop has come, or the app is gone.
    """

    def __init__(self, wire: Wire, *, job: str, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.stopped = False
        self._wire, self._job, self._folder, self._clock = wire, job, folder, clock
        self._pending: deque[WireCommand] = deque()
        self._told: Advanced | None = None
        self._held_back: Advanced | None = None
        self._told_at = 0.0
        self._shown = 0

    def next_command(self) -> WireCommand | None:
        """Take the next command: Stop before all others, and of several slices to show the newest only.

        Stop is given again and again until the job ends: it may reach a job at a moment when it does not listen.
        """
        self._collect(wait=False)
        if self.stopped:
            return Stop()
        return self._pending.popleft() if self._pending else None

    def should_end(self) -> bool:
        """Do what commands ask of a job that itself knows none: wait while paused, and say whether to end."""
        self._collect(wait=False)
        paused = False
        while not self.stopped:
            for command in self._pending:
                paused = isinstance(command, Pause) or (paused and not isinstance(command, Resume))
            self._pending.clear()
            if not paused:
                return False
            self._collect(wait=True)
        return True

    def advance(self, progress: Progress, *, note: str = "") -> None:
        """Tell how far the job is; ``note`` is added to the message."""
        message = "; ".join(filter(None, (progress.message, note)))
        report = Advanced(
            self._job, progress.step, progress.total, message, dict(progress.metrics), progress.seconds_left
        )
        if self._is_due(report):
            self._tell(report)
        else:
            self._held_back = report

    def show(self, preview: Preview, *, images: Sequence[str]) -> None:
        """Show a slice of one of the job's images. A disk that is full costs the preview, not the job."""
        self._shown += 1
        file = self._folder / f"{self._job}-{self._shown}.npy"
        try:
            np.save(file, preview.labels)
        except OSError as error:
            _log.error("the preview is lost: %s", error)
            return
        boxes = None if preview.boxes is None else preview.boxes.tolist()
        self._wire.send(Shown(self._job, preview.slice, images[preview.sample], str(file), boxes))

    def flush(self) -> None:
        """Tell the last progress, if it was held back."""
        if self._held_back is not None:
            self._tell(self._held_back)

    def _collect(self, *, wait: bool) -> None:
        for command in self._wire.commands(wait=wait):
            if isinstance(command, PreviewSlice):
                self._pending = deque(each for each in self._pending if not isinstance(each, PreviewSlice))
            self._pending.append(command)
        self.stopped = self.stopped or self._wire.ended or Stop() in self._pending

    def _is_due(self, report: Advanced) -> bool:
        if self._told is None or report.message != self._told.message:
            return True
        apart = _REPORT_S if report.step != self._told.step else _STANDSTILL_S
        return self._clock() - self._told_at >= apart

    def _tell(self, report: Advanced) -> None:
        self._told, self._held_back, self._told_at = report, None, self._clock()
        self._wire.send(report)
