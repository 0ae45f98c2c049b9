"""The only place that touches a viewer's layers.

What is put there is remembered by reference, never by name: a layer may be renamed, moved or removed at any time. What
the user has edited is the user's, and is neither overwritten nor removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.canvas_mark import Mark, draw_mark, erase_mark
from napari_weak3d.app.colours import object_colormap
from napari_weak3d.app.grid import (
    Grid,
    check_fit,
    find_slice,
    grid_of,
    image_on,
    labels_like,
    labels_on,
    lay_like,
    lay_on,
    order_across,
    shape_of,
    world_point,
)
from napari_weak3d.app.own_layer import OwnLayers
from napari_weak3d.app.preview_layer import PreviewLayer
from napari_weak3d.app.time_point import TimePoint
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.types import IntLabels, Preview, SliceIndex

_GRID_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class Layers(QObject):
    """The layers of one viewer, as the app sees and adds them.

    Signals
    -------
    slice_shown()
        The view has moved to another slice, plane, or between 2D and 3D.
    listed()
        A layer was added, removed or renamed.
    removed(layer)
        A layer was removed.
    activated(layer)
        Another layer is the active one.

    Parameters
    ----------
    viewer
        A napari viewer, or its model.
    tools
        Layers of tools, which are of the followed image.
    """

    slice_shown = Signal()
    listed = Signal()
    removed = Signal(object)
    activated = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None, *, tools: ToolLayers | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._tools = viewer, tools
        self._own = OwnLayers(viewer.layers)
        self._followed: Any = None
        self._time = TimePoint(None, None, viewer.dims)
        self._preview = PreviewLayer(self._own)
        self._slots = (
            (viewer.dims.events.point, self._on_dims),
            (viewer.dims.events.order, self._on_dims),
            (viewer.dims.events.ndisplay, self._on_dims),
            (viewer.layers.events.inserted, self._on_listed),
            (viewer.layers.events.renamed, self._on_listed),
            (viewer.layers.events.removed, self._on_removed),
            (viewer.layers.selection.events.active, self._on_active),
        )
        for events, slot in self._slots:
            events.connect(slot)

    def close(self) -> None:
        """Let go of the viewer; its layers stay, the mark goes."""
        self.hide_marks()
        self.follow(None)
        for events, slot in self._slots:
            events.disconnect(slot)

    # ---- what there is

    def image_layers(self) -> list[Any]:
        """List the user's Image layers, whatever their axes, bottom first."""
        return [each for each in self._viewer.layers if isinstance(each, Image) and self._own.of(each) is None]

    def labels_layers(self) -> list[Any]:
        """List the Labels layers to take over from: the user's and results of one volume, bottom first."""
        own = ((each, self._own.of(each)) for each in self._viewer.layers if isinstance(each, Labels))
        return [each for each, known in own if known is None or known.role not in ("paint", "preview", "series")]

    def grid_of(self, layer: Any) -> Grid:
        """Read where a layer's last three axes lie; see :func:`napari_weak3d.app.grid.grid_of`."""
        return grid_of(layer)

    def contains(self, layer: Any) -> bool:
        """Whether the layer is in the viewer."""
        return self._own.holds(layer)

    def is_result(self, layer: Any) -> bool:
        """Whether the layer was shown as a result, be it the user's by now."""
        return layer in self._own.results

    def results_on(self, image_layer: Any) -> list[Any]:
        """List the results of an image, of all time points too, and what came beside them."""
        beside = [own.layer for own in self._own if own.role in ("extra", "series") and own.image_layer is image_layer]
        return [each for each, image in self._own.results.items() if image is image_layer] + beside

    # ---- paint

    def add_paint(self, image_layer: Any, data: IntLabels, *, name: str) -> Any:
        """Add a Labels layer to paint in, on the image's grid, in front of everything and active.

        Parameters
        ----------
        data
            (Z, Y, X) int32; the layer paints into this array.

        Raises
        ------
        AnnotationError
            The shape is not the image's.
        """
        check_fit(image_layer, data.shape, name=name)
        layer = labels_on(grid_of(image_layer), np.ascontiguousarray(data, dtype=np.int32), name=name)
        self._own.append(layer, role="paint", image_layer=image_layer, name=name)
        self.follow(image_layer)
        self.activate(layer)
        return layer

    def take_paint(self, image_layer: Any, labels: IntLabels | None, *, name: str) -> Any:
        """Show these labels to paint on: in the image's paint layer if it holds just them, else in a new one.

        A paint layer of the image that holds other paint becomes the user's, hidden; an empty one goes.

        Parameters
        ----------
        labels
            (Z, Y, X) int32, copied; None: none painted yet.

        Raises
        ------
        AnnotationError
            The shape is not the image's.
        """
        if labels is not None:
            check_fit(image_layer, labels.shape, name=name)
        for own in [own for own in self._own if own.role == "paint" and own.image_layer is image_layer]:
            if self.contains(own.layer) and labels is not None and np.array_equal(own.layer.data, labels):
                self.put_back(own.layer)
                self.follow(image_layer)
                return own.layer
            self.retire_paint(own.layer)
        shape = grid_of(image_layer).shape
        data = np.zeros(shape, np.int32) if labels is None else np.array(labels, dtype=np.int32)
        return self.add_paint(image_layer, data, name=name)

    def labels_of(self, labels_layer: Any, image_layer: Any) -> NDArray[Any]:
        """Give the voxels of a Labels layer, (Z, Y, X), of its finest level.

        Raises
        ------
        AnnotationError
            The shape is not the image's.
        """
        check_fit(image_layer, shape_of(labels_layer), name=labels_layer.name)
        return np.asarray(labels_layer.data[0] if labels_layer.multiscale else labels_layer.data)

    def put_back(self, layer: Any) -> None:
        """Show a paint layer of ours in front of everything, also after the user has removed it from the viewer."""
        layers = self._viewer.layers
        if self.contains(layer):
            layers.move(layers.index(layer), len(layers))
        else:
            layers.append(layer)
        if not layer.visible:  # setting it again would reset the brush
            layer.visible = True
        self.activate(layer)

    def put_away(self, layer: Any) -> None:
        """Take a paint layer out of sight; where its image is gone and nothing else is in sight it stays."""
        self._own.put_away(layer)

    def hide_paint(self, *, but: Any) -> None:
        """Take all paint layers out of sight but one: an image that is gone may have left its own."""
        self._own.hide_paint(but=but)

    def retire_paint(self, layer: Any) -> None:
        """Stop using a paint layer: it becomes the user's, hidden; one without paint is removed."""
        self._own.let_go(layer)
        layer.visible = False
        if self.contains(layer) and not np.any(layer.data):
            self._viewer.layers.remove(layer)

    def activate(self, layer: Any) -> None:
        """Make a layer the active one, that keys and brushes act on."""
        if self.contains(layer):
            self._viewer.layers.selection.active = layer

    # ---- previews, results

    def show_preview(self, image_layer: Any, preview: Preview, *, colormap: Any = None) -> None:
        """Show a slice as the model sees it, in the one layer for that; only this slice of it is filled.

        Parameters
        ----------
        preview
            Labels (rows, columns) of the slice: the lower of the two axes comes first. Of another shape than the
            image's slice, it is left out: it came too late, for another image.
        colormap
            Of the classes, where classes are painted; None: many colours in turn.
        """
        self._preview.show(image_layer, preview, colormap=colormap)

    def preview_of(self, which: SliceIndex) -> IntLabels | None:
        """Give the labels of the preview that is shown, if it is of this slice."""
        return self._preview.labels_of(which)

    def result_of(self, image_layer: Any) -> IntLabels | None:
        """Give the labels of the topmost result of an image, as the user corrected it; None: none is in sight."""
        shown = [each for each in self._viewer.layers if each.visible and self._own.results.get(each) is image_layer]
        return np.asarray(shown[-1].data) if shown else None

    def hide_preview(self) -> None:
        """Remove the preview layer, unless the user has edited it."""
        self._preview.hide()

    def show_result(
        self, image_layer: Any, labels: IntLabels, *, name: str, check: int | None = None, corrected: bool = False
    ) -> Any:
        """Show labels in front of the image, in the layer of the last result of this name unless the user has that.

        Parameters
        ----------
        labels
            (Z, Y, X) int32, not copied: from now on the layer's.
        check
            Their checksum, where a thread has made it: over large ones it takes longer than a frame.
        corrected
            Whether the user has changed them already: then the next result leaves them alone.

        Returns
        -------
        The layer.
        """
        check_fit(image_layer, labels.shape, name=name)
        own = self._own.find("result", image_layer=image_layer, name=name)
        if own is not None:
            own.refill(labels, check=check)
            if not own.layer.visible:  # setting it again would reset the brush
                own.layer.visible = True
        else:
            layer = labels_on(grid_of(image_layer), labels, name=name)
            own = self._own.insert(layer, role="result", image_layer=image_layer, name=name, check=check)
        own.painted = corrected
        return own.layer

    def refill_result(self, layer: Any, labels: IntLabels, *, check: int, corrected: bool) -> None:
        """Show the result that is in this layer otherwise; as :meth:`show_result`."""
        own = self._own.of(layer)
        if own is None:
            layer.data = labels
        else:
            own.refill(labels, check=check)
            own.painted = corrected

    def show_series(self, image_layer: Any, labels: Any, *, name: str) -> Any:
        """Show the labels of all time points of an image in one layer, to look at; returns the layer.

        ``labels``: (T, Z, Y, X) int32, of any array kind; what of them is in view is read at each call, and as the view
        moves.
        """
        own = self._own.find("series", image_layer=image_layer)
        if own is not None:
            own.layer.refresh(extent=False)
            return own.layer
        layer = labels_like(image_layer, labels, name=name)
        own = self._own.insert(layer, role="series", image_layer=image_layer, name=name)
        layer.editable = False  # a brush has nothing to write into
        return own.layer

    def has_own_labels(self, image_layer: Any) -> bool:
        """Whether a result of one volume, or a preview, lies on an image."""
        return any(own.role in ("result", "preview") and own.image_layer is image_layer for own in self._own)

    def show_extra(self, image_layer: Any, voxels: NDArray[Any], *, name: str, colormap: Any = None) -> Any:
        """Show what came beside a result: whole numbers as labels, else shares, (Z, Y, X); returns the layer.

        What the user has changed or renamed is left alone, and the next comes as a new layer.
        """
        check_fit(image_layer, voxels.shape, name=name)
        own = self._own.find("extra", image_layer=image_layer, name=name)
        if own is not None:
            own.refill(voxels)
            return own.layer
        layer = (labels_on if voxels.dtype.kind in "iu" else image_on)(grid_of(image_layer), voxels, name=name)
        if voxels.dtype.kind in "iu":
            layer.colormap = colormap or object_colormap()
        return self._own.insert(layer, role="extra", image_layer=image_layer, name=name).layer

    def hide_extra(self, name: str | None = None) -> None:
        """Remove what came beside a result and has this name, None: all of it; what the user has changed stays."""
        self._own.remove("extra", name=name)

    # ---- the view

    def follow(self, layer: Any, *, time_index: int | None = None) -> None:
        """Count slices in this image's voxels from now on, and keep our layers of it on its grid; None: nothing.

        With ``time_index`` they count at this index of its first axis, and at others our layers are out of sight.
        """
        if layer is not self._followed or time_index is not None:
            self._time = TimePoint(layer, time_index, self._viewer.dims)
        if layer is not self._followed:
            for each, act in ((self._followed, "disconnect"), (layer, "connect")):
                for name in _GRID_EVENTS if each is not None else ():
                    getattr(getattr(each.events, name), act)(self._on_grid)
        self._followed = layer
        self.slice_shown.emit()

    def shown_slice(self) -> SliceIndex | None:
        """Tell which slice of the followed layer is shown; None in 3D, in an oblique view, or outside of the layer."""
        found = self._followed is not None and self._time.is_shown()
        return find_slice(self._followed, self._viewer.dims) if found else None

    def other_time(self) -> str:
        """Say that another time point is in view than the one that is annotated; "": it is that one."""
        return self._time.refusal()

    def show_annotated_time(self) -> None:
        """Go to the time point that is annotated."""
        self._time.show()

    def go_to(self, which: SliceIndex, image_layer: Any) -> None:
        """Show a slice of an image, turning the view only if it shows another plane."""
        dims = self._viewer.dims
        dims.ndisplay = 2
        shown = find_slice(image_layer, dims)
        if shown is None or shown[0] != which[0]:
            dims.order = order_across(dims, which[0])
        time_index = self._time.index if image_layer is self._time.layer else None
        dims.point = world_point(image_layer, dims, which, time_index=time_index)

    def show_marks(self, paint_layer: Any, mark: Mark | None) -> None:
        """Say in the canvas whether the shown slice is complete: a line of words, and a frame around the paint layer.

        Neither is a layer: there is nothing to paint into by mistake.
        """
        draw_mark(self._viewer, paint_layer, mark)

    def hide_marks(self) -> None:
        """Take the mark out of the canvas."""
        erase_mark(self._viewer)
        for own in self._own:
            own.layer.bounding_box.visible = False

    # ---- inside

    def _on_dims(self) -> None:
        own = [own.layer for own in self._own if own.image_layer is self._time.layer and own.role != "series"]
        self._time.follow_view(own + ([] if self._tools is None else self._tools.layers))
        self.slice_shown.emit()

    def _on_active(self, event: Any) -> None:
        self.activated.emit(event.value)

    def _on_listed(self) -> None:
        self.listed.emit()

    def _on_grid(self) -> None:
        """The user has corrected the image's spacing, or moved it."""
        for own in self._own:
            if own.image_layer is self._followed and own.role == "series":
                lay_like(self._followed, own.layer)
            elif own.image_layer is self._followed:
                lay_on(grid_of(self._followed), own.layer)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        own = self._own.of(layer)
        if own is not None and own.role != "paint":  # paint may be put back
            self._own.let_go(layer)
            if own.role == "preview":
                self._preview.forget()
        self.removed.emit(layer)
        self.listed.emit()
