"""Painting in one layer: its voxels and its state change together, in steps that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.colours import class_colormap, object_colormap
from napari_weak3d.app.tools.edits import Edit
from napari_weak3d.app.tools.history import History, Step
from napari_weak3d.app.tools.paint_state import PaintState
from napari_weak3d.app.tools.planes import holds_paint, name_of, plane_of, values_in
from napari_weak3d.app.tools.survey import Found
from napari_weak3d.types import IntLabels, SliceIndex


class PaintSession(QObject):
    """A paint layer, what its paint means, and the history of both.

    Voxels are undone by the layer's own history, everything else by ours; each of our steps knows whether it has an
    item there, so both stay in step.

    Signals
    -------
    changed()
        Paint or state has changed, by a stroke, a step, undo or redo.

    Parameters
    ----------
    layer
        A Labels layer, (Z, Y, X) int32.
    state
        What its paint means.
    shown
        Tells which slice is in view: what a stroke belongs to.
    """

    changed = Signal()

    def __init__(
        self,
        layer: Any,
        state: PaintState,
        *,
        shown: Callable[[], SliceIndex | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.layer = layer
        self.state = state
        self.history: History[PaintState] = History()
        self._shown = shown
        self._writing = False
        self._has_item = False
        self._show_colours()
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Let go of the layer."""
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.data.disconnect(self._on_data)

    @property
    def labels(self) -> IntLabels:
        """(Z, Y, X) int32, the layer's own array where it has this type."""
        return np.asarray(self.layer.data, dtype=np.int32)

    def look(self, which: SliceIndex) -> Found:
        """See what a slice holds; a few milliseconds."""
        has_paint = holds_paint(self.labels, which, complete=self.state.complete)
        return Found(has_paint, frozenset(values_in(plane_of(self.labels, which))))

    def step(self, name: str, state: PaintState, *, edit: Edit | None = None, brush: int | None = None) -> None:
        """Change state and voxels at once, as one step of the history.

        Parameters
        ----------
        name
            What is done, as undo says it: "delete z 3".
        edit
            Voxels to change; None: none.
        brush
            What is painted with from then on; None: as before.
        """
        has_item = edit is not None and self._write(edit)
        before = int(self.layer.selected_label)
        if brush is not None:
            self.layer.selected_label = brush
        if state != self.state or has_item:
            self._push(name, state, has_item=has_item, brush=None if brush is None else (before, brush))

    def undo(self) -> None:
        """Take back the last stroke or step."""
        step = self.history.undo()
        if step is not None:
            if step.voxels:
                self.layer.undo()
            if step.brush is not None:
                self.layer.selected_label = step.brush[0]
            self._set(step.before)

    def redo(self) -> None:
        """Make the last stroke or step that was taken back again."""
        step = self.history.redo()
        if step is not None:
            if step.voxels:
                self.layer.redo()
            if step.brush is not None:
                self.layer.selected_label = step.brush[1]
            self._set(step.after)

    def _write(self, edit: Edit) -> bool:
        """Change voxels; say whether the layer's history has an item of it. In mid-stroke it becomes the stroke's."""
        self._writing, self._has_item = True, False
        try:
            self.layer.data_setitem(*edit)
        finally:
            self._writing = False
        return self._has_item

    def _on_paint(self) -> None:
        if self._writing:
            self._has_item = True
            return
        painted, erases = self._painted_now(), self.layer.mode == "erase"
        state = self.state.with_painted(painted)
        if state.paint == "classes" and not erases:
            state = state.with_values([int(self.layer.selected_label)])
        where = f" {name_of(painted[0])}" if len(painted) == 1 else ""
        self._push(("erase" if erases else "paint") + where, state, has_item=True)

    def _painted_now(self) -> list[SliceIndex]:
        """Which slices the stroke that has just ended belongs to."""
        shown = self._shown()
        if shown is not None and self.layer.n_edit_dimensions < 3:
            return [shown]
        axis = 0 if shown is None else shown[0]  # a brush that paints in depth, or into the 3D view
        across = np.any(self.layer.data, axis=tuple(a for a in range(3) if a != axis))
        return [(axis, int(index)) for index in np.flatnonzero(across)]

    def _on_data(self) -> None:
        self.changed.emit()

    def _push(self, name: str, state: PaintState, *, has_item: bool, brush: tuple[int, int] | None = None) -> None:
        self.history.push(Step(name, self.state, state, voxels=has_item, brush=brush))
        self._set(state)

    def _set(self, state: PaintState) -> None:
        recolour = (state.paint, state.classes) != (self.state.paint, self.state.classes)
        self.state = state
        if recolour:
            self._show_colours()
        self.changed.emit()

    def _show_colours(self) -> None:
        is_objects = self.state.paint == "objects"
        self.layer.colormap = object_colormap() if is_objects else class_colormap(self.state.classes)
