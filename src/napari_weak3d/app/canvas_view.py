"""What a tool that clicks needs of the view: where the mouse is, what is in sight, and how thick a slice is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray

from napari_weak3d.app.grid import N_SPATIAL, shape_of, time_shown, to_voxels, to_world

_EDGE = 0.05
"""A point this near to the edge of what is in sight, of its size, is not looked at."""


class CanvasView:
    """The view of a viewer.

    Parameters
    ----------
    viewer
        A napari viewer, or its model.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._depth: float | None = None

    # ---- how thick a slice is

    def see_deep(self, reach: float) -> None:
        """Let layers that can, such as clicks, show what lies this far to both sides of the slice, in world units.

        Images stay as they are. What the user has set by hand is left alone.
        """
        dims = self._viewer.dims
        if self._is_ours():
            self._depth = reach
            dims.margin_left = dims.margin_right = (reach,) * dims.ndim

    def see_plain(self) -> None:
        """See the slice alone again."""
        dims = self._viewer.dims
        if self._depth is not None and self._is_ours():
            dims.margin_left = dims.margin_right = (0.0,) * dims.ndim
        self._depth = None

    def _is_ours(self) -> bool:
        now = {*self._viewer.dims.margin_left, *self._viewer.dims.margin_right}
        return now <= {0.0, self._depth or 0.0}

    # ---- where things are

    def mouse_on(self, layer: Any) -> NDArray[np.float64]:
        """Tell where the mouse is, or was last, in voxels (z, y, x) of a layer."""
        return to_voxels(layer, self._viewer.dims, self._viewer.cursor.position)

    def in_sight(self, image_layer: Any) -> NDArray[np.float64]:
        """Give the part of an image that the canvas shows, (2, 3) voxels: lowest and highest, half-open."""
        corners = np.asarray(image_layer.corner_pixels, dtype=float)[:, -N_SPATIAL:]
        return np.stack([corners[0], corners[1] + 1])

    def look_at(self, image_layer: Any, point: Sequence[float]) -> None:
        """Move the view in its plane to a point (z, y, x), in voxels of an image, unless it is in sight."""
        dims, (low, high) = self._viewer.dims, self.in_sight(image_layer)
        plane = [axis - (dims.ndim - N_SPATIAL) for axis in dims.displayed]
        edge = _EDGE * (high - low)
        inside = (np.asarray(point) >= low + edge) & (np.asarray(point) <= high - edge)
        if dims.ndisplay == 2 and not inside[plane].all():
            camera = self._viewer.scene.camera
            place = to_world(image_layer, dims, point)[list(dims.displayed)]
            camera.center = (*camera.center[:-2], *(float(part) for part in place))

    def first_shown(self, image_layer: Any) -> int | None:
        """Tell which index of an image's first axis, of four, is in view; None: it has three axes."""
        if image_layer.ndim == N_SPATIAL:
            return None
        size = shape_of(image_layer)[0]
        return min(max(time_shown(image_layer, self._viewer.dims) or 0, 0), size - 1)

    # ---- what else there is

    def points_layers(self, *, but: Sequence[Any]) -> list[Any]:
        """List the Points layers, bottom first, but for some."""
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Points) and not any(layer is each for each in but)
        ]
