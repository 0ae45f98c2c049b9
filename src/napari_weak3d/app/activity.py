"""The job's progress in napari's own activity dock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QApplication, QLabel, QStatusBar

from napari_weak3d.messages import Advanced

_EVERY_S = 0.5
"""Between two updates: napari handles pending events at each, which takes longer than all else here."""
_SIGN_SPEED = 20
"""Of the sign that napari turns in its status bar meanwhile, per cent. At each of its 33 frames a second the whole
window is put together anew: drawn by the processor, that takes a third of a core from the training, and delays the
brush."""


class Activity:
    """Mirrors the reports of a job as a bar in the activity dock; there is a bar only while a job runs.

    napari handles pending events whenever its bar changes, so that the next report, or the job's end, may arrive in
    the middle of an update: such a report is left out, and such an end is heeded after it.

    Parameters
    ----------
    title
        Stands before the bar.
    clock
        Seconds; for tests.
    """

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._title, self._clock = title, clock
        self._bar: Any = None
        self._job = self._ended_job = ""
        self._updated = 0.0
        self._is_updating = self._is_closing = False

    def show(self, progress: Advanced) -> None:
        """Show how far the job is; the first report makes the bar. A report that comes after the end is left out."""
        too_soon = self._bar is not None and self._clock() - self._updated < _EVERY_S
        if self._is_updating or too_soon or progress.job == self._ended_job:
            return
        self._is_updating, self._updated, self._job = True, self._clock(), progress.job
        try:
            self._update(progress)
        finally:
            self._is_updating = False
        if self._is_closing:
            self.close()

    def close(self) -> None:
        """Remove the bar, at the job's end however it came; nothing happens where there is none."""
        if self._is_updating:
            self._is_closing = True
            return
        self._is_closing = False
        bar, self._bar = self._bar, None
        if bar is not None:
            self._ended_job = self._job
            bar.close()
            _turn_signs(100)

    def _update(self, progress: Advanced) -> None:
        total = max(progress.total, 0)  # 0: not known, and the bar runs to and fro
        if self._bar is None:
            self._bar = _make_bar(self._title, total=total)
            _turn_signs(_SIGN_SPEED)
        if self._bar.total != total:
            self._bar.total = total
        text = f"{self._title} ({progress.message})" if progress.message else self._title
        if self._bar.desc.removesuffix(": ") != text:
            self._bar.set_description(text)
        self._bar.update(progress.step - self._bar.n)


def _make_bar(title: str, *, total: int) -> Any:
    from napari.utils import progress  # noqa: PLC0415  # tqdm, only when there is something to show

    return progress(total=total, desc=title)


def _turn_signs(speed: int) -> None:
    """Set the speed of whatever moves in a status bar, per cent."""
    for window in QApplication.topLevelWidgets():
        for status in window.findChildren(QStatusBar):
            for label in status.findChildren(QLabel):
                if label.movie() is not None:
                    label.movie().setSpeed(speed)
