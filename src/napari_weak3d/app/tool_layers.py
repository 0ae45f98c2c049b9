"""Layers of a tool that are made anew from what it keeps: they come with it, and go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.grid import N_SPATIAL, grid_of, time_shown

GRID_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class ToolLayers(QObject):
    """Beside :class:`~napari_weak3d.app.layers.Layers`: nothing that a user made is in these layers alone.

    Signals
    -------
    removed(layer)
        The user has removed one of them.
    regridded(grid)
        The image that is followed has another spacing, or was moved.

    Parameters
    ----------
    viewer
        A napari viewer, or its model.
    """

    removed = Signal(object)
    regridded = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layers: list[Any] = []
        self._followed: Any = None
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of the viewer; the layers stay."""
        self.follow(None)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.layers = []

    def follow(self, image_layer: Any) -> None:
        """Tell from now on when this image is moved; None: none."""
        for layer, act in ((self._followed, "disconnect"), (image_layer, "connect")):
            for name in GRID_EVENTS if layer is not None else ():
                getattr(getattr(layer.events, name), act)(self._on_grid)
        self._followed = image_layer

    def put(self, layer: Any) -> Any:
        """Show a layer in front of all others; what was active stays so. Returns it."""
        layers = self._viewer.layers
        active = layers.selection.active
        if not self.has(layer):
            self.layers.append(layer)
        if not any(each is layer for each in layers):
            layers.append(layer)
        if active is not None:
            layers.selection.active = active
        return layer

    def take_away(self, layer: Any) -> None:
        """Remove a layer from the viewer."""
        self.layers = [each for each in self.layers if each is not layer]
        if any(each is layer for each in self._viewer.layers):
            self._viewer.layers.remove(layer)

    def has(self, layer: Any) -> bool:
        """Whether the layer is one of these."""
        return any(each is layer for each in self.layers)

    @property
    def in_3d(self) -> bool:
        """Whether the view is 3D."""
        return bool(self._viewer.dims.ndisplay == 3)

    def read(self, image_layer: Any, region: tuple[slice, ...]) -> NDArray[Any]:
        """Give the voxels of an image within slices (z, y, x): of four axes, the channel or time point in view."""
        data = image_layer.data[0] if image_layer.multiscale else image_layer.data
        if image_layer.ndim == N_SPATIAL:
            return np.asarray(data[region])
        first = time_shown(image_layer, self._viewer.dims) or 0
        return np.asarray(data[(min(max(first, 0), len(data) - 1), *region)])

    def _on_grid(self) -> None:
        self.regridded.emit(grid_of(self._followed))

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if self.has(layer):
            self.layers = [each for each in self.layers if each is not layer]
            self.removed.emit(layer)
