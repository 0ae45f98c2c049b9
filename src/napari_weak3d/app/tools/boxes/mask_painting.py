"""Painting the mask of one box, in a layer that is no larger than the box."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine
from qtpy.QtCore import QObject, QTimer

from napari_weak3d.app.grid import Grid, labels_on
from napari_weak3d.app.tools.boxes.crops import inside_of, painted_axis, slices_left
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.app.tools.runs import find_runs
from napari_weak3d.types import AXES, SliceIndex

_OTHERS = "#808080"
_FRAME_PX = 3
_STROKES = 8
"""A stroke of the first brush is this part of the box wide."""


class MaskPainting(QObject):
    """The paint layer of one box. Its voxels are those of the session's masks: a stroke is in both at once.

    Parameters
    ----------
    session
        Keeps boxes and masks.
    box_id
        Whose mask is painted.
    grid
        Of the image.

    Attributes
    ----------
    layer
        The Labels layer; it is in no viewer by itself.
    """

    def __init__(self, session: BoxSession, box_id: int, *, grid: Grid, parent: QObject | None = None) -> None:
        super().__init__(parent)
        box = session.table.corners_of(box_id)
        assert box is not None
        self._session, self.box_id, self._box = session, box_id, box
        self._crop = session.masks[inside_of(box)]
        self._before = self._crop.copy()
        self.layer = labels_on(self._place(grid), self._crop, name=f"mask of box {box_id}")
        self._mode: str | None = None  # of the mouse, where it waits for a slice of the box
        self._set_up()
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self.settle)
        self.layer.events.paint.connect(self._on_paint)
        self.layer.events.selected_label.connect(self._keep_label)
        session.masks_changed.connect(self._on_masks)

    def close(self) -> None:
        """Let go of layer and session."""
        if self.is_valid:
            self.settle()
        self._later.stop()
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.selected_label.disconnect(self._keep_label)
        self._session.masks_changed.disconnect(self._on_masks)

    @property
    def is_valid(self) -> bool:
        """Whether the box is still there, and where it was."""
        box = self._session.table.corners_of(self.box_id)
        return box is not None and np.array_equal(box, self._box)

    def describe(self, shown: SliceIndex | None) -> str:
        """Say in a line what is still to be painted."""
        mask = self._session.mask_of(self.box_id)
        axis = painted_axis(mask) if mask.any() else (0 if shown is None else shown[0])
        left = [index + int(self._box[0, axis]) for index in slices_left(mask, axis=axis)]
        if not mask.any():
            first, last = left[0], left[-1]
            return f"Box {self.box_id}: paint its object in some slices of {AXES[axis]} {first} to {last}, its ends too"
        if not left:
            return f"Box {self.box_id}: every slice is painted"
        return f"Box {self.box_id}: slices left: {AXES[axis]} {spell(left)}"

    def follow(self, shown: SliceIndex | None) -> None:
        """Lay the brush down where a slice beside the box is shown: napari would raise an error at every stroke."""
        is_inside = shown is not None and self._box[0, shown[0]] <= shown[1] < self._box[1, shown[0]]
        if not is_inside and self._mode is None:
            self._mode = str(self.layer.mode)
            self.layer.mode = "pan_zoom"
        elif is_inside and self._mode is not None:
            self.layer.mode, self._mode = self._mode, None

    def interpolate(self) -> bool:
        """Fill the slices between painted ones, in one step; False where there is nothing between."""
        from napari_weak3d.app.tools.boxes.masks import interpolate  # noqa: PLC0415  # scipy

        self.settle()
        mask = self._session.mask_of(self.box_id)
        added = interpolate(mask, axis=painted_axis(mask))
        session = self._session
        session.step(f"interpolate box {self.box_id}", session.table, voxels=session.painting(self.box_id, added))
        return bool(added.any())

    def middle(self, axis: int) -> SliceIndex:
        """Give the slice through the box's middle."""
        return axis, int(self._box[:, axis].sum() - 1) // 2

    def _place(self, grid: Grid) -> Grid:
        """The box's own grid, within the image's."""
        along = Affine(scale=grid.scale, rotate=grid.rotate, shear=grid.shear, ndim=3).linear_matrix
        z, y, x = (int(n) for n in self._box[1] - self._box[0])
        return replace(grid, shape=(z, y, x), translate=grid.translate + along @ self._box[0])

    def lay_on(self, grid: Grid) -> None:
        """Follow the image."""
        place = self._place(grid)
        self.layer.scale, self.layer.translate = place.scale, place.translate
        self.layer.rotate, self.layer.shear, self.layer.affine = place.rotate, place.shear, place.affine

    def _set_up(self) -> None:
        table = self._session.table
        row = table.row(int(table.classes[table.find([self.box_id])[0]]))
        colour = _OTHERS if row is None else row.color
        self.layer.colormap = DirectLabelColormap(color_dict={None: _OTHERS, 0: "transparent", self.box_id: colour})
        self.layer.opacity = 0.6
        frame = self.layer.bounding_box
        frame.points, frame.line_thickness, frame.line_color = False, _FRAME_PX, colour
        self.layer.n_edit_dimensions = 2
        self.layer.selected_label = self.box_id
        self.layer.brush_size = max(1, int(min(sorted(self._crop.shape)[1:])) // _STROKES)
        self.layer.mode = "paint"

    def settle(self) -> None:
        """Take what was painted last into the history."""
        self._later.stop()
        if np.array_equal(self._crop, self._before):
            return
        if self._session.note_stroke(self.box_id, self._before):
            self.layer.refresh(extent=False)
        self._before = self._crop.copy()

    def _on_paint(self) -> None:
        """A stroke has ended; what other plugins set comes just after its event."""
        self.settle()
        self._later.start()

    def _on_masks(self) -> None:
        """Undo, redo or a step have changed voxels."""
        self._before = self._crop.copy()
        self.layer.refresh(extent=False)

    def _keep_label(self, event: Any = None) -> None:
        """There is one object in here; erasing has a tool of its own."""
        if self.layer.selected_label != self.box_id:
            self.layer.selected_label = self.box_id


def spell(indices: list[int]) -> str:
    """Write ascending numbers, runs of them short: "3, 5 to 9"."""
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in find_runs(indices)]
    return ", ".join(words)
