"""The box in which all cells are clicked, in the canvas: its outline in the shown slice, which can be drawn anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes
from napari.layers.base import ActionType
from qtpy.QtCore import QObject, QTimer, Signal

from napari_weak3d.app.grid import Grid
from napari_weak3d.types import Region, SliceIndex

_COLOR = "#00c8ff"
_PER_VIEW = 300
"""The line is this part of the image wide."""


class RegionBox(QObject):
    """A Shapes layer with one rectangle, or none; it is not in any viewer by itself.

    Signals
    -------
    drawn(axis, spans)
        The user has drawn a rectangle or moved the one there is, in a slice across this axis: ((low, high), (low,
        high)) along the two others, voxels, half-open.
    """

    drawn = Signal(int, object)

    def __init__(self, grid: Grid, *, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.layer = Shapes(
            None,
            ndim=3,
            name=name,
            scale=grid.scale,
            translate=grid.translate,
            rotate=grid.rotate,
            shear=grid.shear,
            affine=grid.affine,
            units=grid.units,
            axis_labels=grid.axis_labels,
        )
        self._shown: tuple[Region | None, SliceIndex | None] = (None, None)
        self._axis: int | None = None
        self._writing = False
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self._tell)
        self.layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Let go of the layer."""
        self._later.stop()
        self.layer.events.data.disconnect(self._on_data)

    def show(self, region: Region | None, which: SliceIndex | None) -> None:
        """Show where a region crosses a slice; None: it is everywhere, or no slice is shown."""
        self._shown, self._axis = (region, which), which[0] if which else None
        crosses = region is not None and which is not None and region[which[0]][0] <= which[1] < region[which[0]][1]
        self._writing = True
        try:
            if self.layer.nshapes:
                self.layer.data = []
            if crosses and region is not None and which is not None:
                corners = _rectangle(region, which)
                width = max(np.ptp(corners, axis=0)) / _PER_VIEW
                self.layer.add_rectangles(
                    corners, edge_color=_COLOR, face_color="transparent", edge_width=max(width, 0.3)
                )
        finally:
            self._writing = False

    def draw(self) -> None:
        """Let the user draw a rectangle."""
        self.layer.mode = "add_rectangle"

    def _on_data(self, event: Any) -> None:
        if not self._writing and event.action in (ActionType.ADDED, ActionType.CHANGED, ActionType.REMOVED):
            self._later.start()  # napari is not done with the shape before

    def _tell(self) -> None:
        self.layer.mode = "pan_zoom"
        if self.layer.nshapes and self._axis is not None:
            corners = np.delete(np.asarray(self.layer.data[-1]), self._axis, axis=1)
            low, high = np.rint(corners.min(axis=0) + 0.5), np.rint(corners.max(axis=0) + 0.5)
            spans = tuple((int(a), int(b)) for a, b in zip(low, np.maximum(high, low + 1), strict=True))
            axis = self._axis
            self.show(*self._shown)
            self.drawn.emit(axis, spans)
        else:
            self.show(*self._shown)


def _rectangle(region: Region, which: SliceIndex) -> Any:
    """(4, 3) corners; voxel i covers i - 0.5 to i + 0.5."""
    axis, index = which
    (a0, a1), (b0, b1) = (span for each, span in enumerate(region) if each != axis)
    flat = np.array([[a0, b0], [a0, b1], [a1, b1], [a1, b0]], dtype=np.float64) - 0.5
    return np.insert(flat, axis, index, axis=1)
