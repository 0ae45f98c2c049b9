"""The one layer that shows slices as the model in training sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_weak3d.app.colours import object_colormap
from napari_weak3d.app.grid import N_SPATIAL, grid_of, labels_on, shape_of
from napari_weak3d.app.own_layer import OwnLayer, OwnLayers
from napari_weak3d.app.tools.planes import plane_index
from napari_weak3d.types import IntLabels, Preview, SliceIndex


class PreviewLayer:
    """One preview at a time, of one slice; ``own`` are the layers of the viewer that are ours."""

    def __init__(self, own: OwnLayers) -> None:
        self._own = own
        self._shown: Preview | None = None
        self._colours: Any = None

    def show(self, image_layer: Any, preview: Preview, *, colormap: Any) -> None:
        """Show a slice over an image, in these colours, None: many in turn; one that does not fit is left out."""
        if preview.labels.shape != tuple(np.delete(shape_of(image_layer)[-N_SPATIAL:], preview.slice[0])):
            return
        own = self._own.find("preview", image_layer=image_layer) or self._add(image_layer)
        if self._shown is not None:
            own.layer.data[plane_index(self._shown.slice)] = 0
        own.layer.data[plane_index(preview.slice)] = preview.labels
        self._shown = preview
        if self._colours is not colormap:
            self._colours = colormap
            own.layer.colormap = colormap or object_colormap()
        own.layer.refresh(extent=False)

    def labels_of(self, which: SliceIndex) -> IntLabels | None:
        """Give the labels that are shown, if they are of this slice."""
        shown = self._shown
        return shown.labels if shown is not None and shown.slice == which else None

    def hide(self) -> None:
        """Remove the layer, unless the user has edited it."""
        self._shown = None
        self._own.remove("preview")

    def forget(self) -> None:
        """Nothing is shown: the layer was removed."""
        self._shown = None

    def _add(self, image_layer: Any) -> OwnLayer:
        """That of another image goes."""
        self.hide()
        for own in self._own:  # it could not be told from what lies over it
            if own.role == "result" and own.image_layer is image_layer and not own.painted:
                own.layer.visible = False
        grid = grid_of(image_layer)
        layer = labels_on(grid, np.zeros(grid.shape, dtype=np.int32), name="preview")
        layer.opacity = 0.5
        self._colours = None
        own = self._own.insert(layer, role="preview", image_layer=image_layer, name="preview")
        layer.editable = False  # so that no brush lands in it
        return own
