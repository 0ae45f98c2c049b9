"""The slice of a result in view, as it is about to be, while a thread decides the whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_weak3d.app.tools.planes import plane_index
from napari_weak3d.types import IntLabels, SliceIndex

LARGE = 2**23
"""Voxels from which on deciding a result otherwise may take longer than a moment."""


class Sketch:
    """One slice of one Labels layer at a time; what the user paints on it stays."""

    def __init__(self) -> None:
        self._layer: Any = None
        self._where: tuple[slice | int, ...] = ()
        self._before = self._drawn = np.zeros((0, 0), np.int32)

    @property
    def is_shown(self) -> bool:
        """Whether a slice is not as the result is decided."""
        return self._layer is not None

    def show(self, layer: Any, which: SliceIndex, labels: IntLabels) -> None:
        """Put labels (rows, columns) into a slice of a layer, instead of the sketch that is there."""
        self.undo()
        self._layer, self._where, self._drawn = layer, plane_index(which), labels
        self._before = layer.data[self._where].copy()
        layer.data[self._where] = labels
        layer.refresh(extent=False)

    def undo(self) -> None:
        """Put back what was there, but for what was painted since."""
        if self._layer is not None:
            now = self._layer.data[self._where]
            self._layer.data[self._where] = np.where(now == self._drawn, self._before, now)
            self._layer.refresh(extent=False)
        self.forget()

    def forget(self) -> None:
        """Leave the layer as it is: it was filled anew."""
        self._layer = None
