"""Clicks of one image: what napari's own points tools do to them, and every other step, can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers.base import ActionType
from qtpy.QtCore import QObject, QTimer, Signal

from napari_weak3d.app.tools.centroids.clicks import Clicks, Points, find_doubles, find_near, find_outside
from napari_weak3d.app.tools.centroids.wording import count, place
from napari_weak3d.app.tools.history import History, Step
from napari_weak3d.types import Spacing

_NAMES = {ActionType.ADDED: "click", ActionType.REMOVED: "remove", ActionType.CHANGED: "move"}


class ClickSession(QObject):
    """A layer of clicks, one of proposals, and the history of both.

    Signals
    -------
    changed()
        By the user in the layer, by a step, undo or redo.
    message(text)
        What the user did and cannot stand.

    Parameters
    ----------
    layer, proposals
        Points layers of three axes, in voxels of the image.
    clicks
        What they show.
    shape, spacing
        Of the image.
    may_click
        Says why nothing can be clicked now; "": it can.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(
        self,
        layer: Any,
        proposals: Any,
        clicks: Clicks,
        *,
        shape: tuple[int, int, int],
        spacing: Spacing,
        may_click: Callable[[], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.layer, self.proposals, self.clicks = layer, proposals, clicks
        self.shape, self.spacing = shape, spacing
        self.history: History[Clicks] = History()
        self.reach = 0.0
        self._may_click = may_click
        self._writing = False
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self._show)
        layer.events.data.connect(self._on_data)
        self._show()

    def close(self) -> None:
        """Let go of the layers."""
        self._later.stop()
        self.layer.events.data.disconnect(self._on_data)

    def step(self, name: str, clicks: Clicks) -> None:
        """Change anything, as one step of the history; nothing if nothing differs."""
        if not clicks.is_like(self.clicks):
            self.history.push(Step(name, self.clicks, clicks, voxels=False))
            self._set(clicks)

    def undo(self) -> None:
        """Take back the last step."""
        step = self.history.undo()
        if step is not None:
            self._set(step.before)

    def redo(self) -> None:
        """Make the last step that was taken back again."""
        step = self.history.redo()
        if step is not None:
            self._set(step.after)

    def _set(self, clicks: Clicks) -> None:
        self.clicks = clicks
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        """Let the layers show what there is."""
        self._later.stop()
        self._writing = True
        try:
            for layer, points in ((self.layer, self.clicks.points), (self.proposals, self.clicks.proposed)):
                if not np.array_equal(layer.data, points):
                    layer.selected_data = set()
                    layer.data = points.copy()
        finally:
            self._writing = False

    def _on_data(self, event: Any) -> None:
        """It comes before and after what the user does, at times twice, and for what we do ourselves."""
        if self._writing or event.action not in _NAMES:
            return
        points = np.array(self.layer.data, dtype=np.float64).reshape(-1, 3)
        if event.action == ActionType.ADDED:
            points = self._admit(points)
        if not np.array_equal(points, self.clicks.points):
            name, n = _NAMES[event.action], abs(len(points) - len(self.clicks.points))
            clicks = self._without_met(replace(self.clicks, points=points), before=len(self.clicks.points))
            self.history.push(Step(f"{name} {count(n, 'cell')}" if n else name, self.clicks, clicks, voxels=False))
            self.clicks = clicks
            self.changed.emit()
        self._later.start()  # napari is not done with the layer before

    def _admit(self, points: Points) -> Points:
        """Leave out what was just clicked and cannot stand."""
        n_before = len(self.clicks.points)
        why_not = self._may_click()
        if why_not:
            self.message.emit(why_not)
            return points[:n_before]
        outside = [row for row in find_outside(points, self.shape) if row >= n_before]
        doubles = [row for row in find_doubles(points) if row >= n_before]
        if outside:
            self.message.emit(f"There is no image at {place(points[outside[0]])}: click inside of it")
        elif doubles:
            self.message.emit(f"There is a click at {place(points[doubles[0]])} already")
        return np.delete(points, sorted({*outside, *doubles}), axis=0)

    def _without_met(self, clicks: Clicks, *, before: int) -> Clicks:
        """A new click takes the place of what is proposed for the same cell."""
        near = find_near(clicks.proposed, clicks.points[before:], spacing=self.spacing, distance=self.reach)
        return replace(clicks, proposed=clicks.proposed[~near], scores=clicks.scores[~near])
