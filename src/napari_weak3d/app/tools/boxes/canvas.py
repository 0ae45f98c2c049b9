"""Boxes in napari: rectangles in the slice that is shown, which can be drawn and dragged, and wires in 3D.

A 3D box cannot be one shape of napari: a shape shows in 2D only where it lies wholly in the slice. So an ordinary
Shapes layer holds a rectangle for each box that crosses the shown slice. From slice to slice the layer is moved along,
and only the rectangles are changed that come, go or differ: what stays costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Shapes, Vectors
from napari.layers.base import ActionType
from napari.utils.transforms import Affine
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_weak3d.app.grid import Grid
from napari_weak3d.app.tools.boxes.crossing import Floats, crosses, is_dot, rectangles, spans
from napari_weak3d.app.tools.boxes.table import FIRST_CLASS, BoxTable, Corners
from napari_weak3d.app.tools.boxes.wiring import all_wires, colours_of, flat_wires
from napari_weak3d.types import SliceIndex

_PER_VIEW = 300
"""Lines are this part of the image wide: about two pixels of the screen while all of it is in view."""
_FACE, _FACE_DONE = 0.05, 0.25
"""How opaque a rectangle is, and one whose mask is done."""


@dataclass(frozen=True, eq=False)
class View:
    """What is to be shown.

    Attributes
    ----------
    table, chosen
        The boxes, and those that are chosen.
    which
        The slice; None: none of the image.
    deep
        Whether the view is 3D.
    color
        Of boxes that the user draws now, "#rrggbb".
    found
        Boxes that a model finds in the slice, in 3D all around it, in a preview; None: there is none.
    """

    table: BoxTable
    chosen: frozenset[int]
    which: SliceIndex | None
    deep: bool = False
    color: str = FIRST_CLASS.color
    found: Corners | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        ours, theirs = ((view.chosen, view.which, view.deep, view.color, view.found is None) for view in (self, other))
        return ours == theirs and self.table == other.table and np.array_equal(self.boxes_found, other.boxes_found)

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    @property
    def boxes_found(self) -> Corners:
        """What the preview holds, (N, 2, 3)."""
        return np.zeros((0, 2, 3), np.int64) if self.found is None else self.found


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A shape in the layer.

    Attributes
    ----------
    box_id
        Whose it is; 0: a box's that the tool was told of, and that will be drawn anew.
    look
        To tell whether it must be drawn anew; empty: it must.
    shape
        (V, 3) as it was when we last looked.
    """

    box_id: int
    look: bytes
    shape: Floats


class BoxCanvas(QObject):
    """The two layers of boxes of an image; neither is in any viewer by itself.

    Signals
    -------
    drawn(flat)
        The user has drawn boxes: (N, 2, 3) corners, 0 to 1 along the axis of the slice.
    reshaped(ids, flat)
        The user has moved or resized boxes, in the plane.
    removed(ids)
        The user has deleted boxes.
    chosen(ids)
        The user has selected boxes, none included.
    misplaced()
        The user has drawn where no slice is in view: it is taken away again.

    Parameters
    ----------
    grid
        Of the image.
    name
        Of the layer of rectangles.

    Attributes
    ----------
    layer
        The Shapes layer.
    wires
        The Vectors layer: all boxes in 3D, in both the region and what a preview has found.
    """

    drawn = Signal(object)
    reshaped = Signal(object, object)
    removed = Signal(object)
    chosen = Signal(object)
    misplaced = Signal()

    def __init__(self, grid: Grid, *, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.layer = Shapes(None, ndim=3, name=name)
        self.wires = Vectors(np.zeros((0, 2, 3)), ndim=3, name=f"{name}, wires", vector_style="line")
        self.layer.opacity = self.wires.opacity = 1.0
        self._grid = grid
        self._view: View | None = None
        self._drawn: list[_Drawn] = []
        self._frame: tuple[int, Floats] | None = None  # axis, and layer units per voxel
        self._pencil: tuple[str, float] | None = None
        self._told: frozenset[int] = frozenset()
        self._writing = self._hearing = False
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self._draw)
        self.layer.events.data.connect(self._on_data)
        self.layer.events.highlight.connect(self._on_highlight)
        self.lay_on(grid)

    def close(self) -> None:
        """Let go of the layers."""
        self._later.stop()
        self.layer.events.data.disconnect(self._on_data)
        self.layer.events.highlight.disconnect(self._on_highlight)

    def lay_on(self, grid: Grid) -> None:
        """Follow the image: its spacing was corrected, or it was moved."""
        self._grid = grid
        for each in (self.layer, self.wires):
            each.rotate, each.shear, each.affine = grid.rotate, grid.shear, grid.affine
            each.units, each.axis_labels = grid.units, grid.axis_labels
            each.scale, each.translate = grid.scale, grid.translate
        self._frame = None
        if self._view is not None and not self._writing:
            self._draw()

    def show(self, view: View) -> None:
        """Show boxes; while napari is still busy with what the user or we do, right after it."""
        if self._view is not None and view == self._view:
            return
        self._view = view
        if self._hearing or self._writing:  # what we draw moves the sliders' ends, which may come back as a view
            self._later.start()
        else:
            self._draw()

    # ---- drawing

    def _draw(self) -> None:
        view = self._view
        assert view is not None
        self._later.stop()
        self._writing = True
        try:
            # each event for data would make the viewer measure all layers; moving the layer does, once
            with self.layer.block_thumbnail_update(), self.layer.events.data.blocker():
                self._draw_rectangles(view)
                self._take_pencil(view)
                self._select(view.chosen)
            self._draw_wires(view)
        finally:
            self._writing = False

    def _frame_of(self, which: SliceIndex | None) -> tuple[int, Floats] | None:
        """The axis of a slice, and layer units per voxel: in the plane a unit is the same both ways."""
        if which is None:
            return None
        sizes = np.abs(self._grid.scale)
        along = np.arange(3) == which[0]
        return which[0], sizes / np.where(along, sizes, np.delete(sizes, which[0]).max())

    def _place(self, which: SliceIndex) -> None:
        """Move the layer onto a slice: its coordinate 0 is there."""
        scale = self._grid.scale / self._units
        if not np.array_equal(scale, self.layer.scale):
            self.layer.scale = scale
        self.layer.translate = self._start_of(which)

    def _start_of(self, which: SliceIndex) -> Floats:
        """The world's position of voxel (0, 0, 0), moved along an axis to a slice."""
        along = Affine(scale=self._grid.scale, rotate=self._grid.rotate, shear=self._grid.shear, ndim=3).linear_matrix
        return np.asarray(self._grid.translate + along[:, which[0]] * which[1])

    def _draw_rectangles(self, view: View) -> None:
        self._frame = self._frame_of(view.which)
        wanted = self._wanted(view)
        kept = [each for each in self._drawn if wanted.get(each.box_id, (0, b""))[1] == each.look != b""]
        ids = {each.box_id for each in kept}
        gone = [n for n in range(self.layer.nshapes) if n >= len(self._drawn) or self._drawn[n].box_id not in ids]
        if gone:
            self.layer.selected_data = set()
            self.layer.remove(gone)
        if view.which is not None:
            self._place(view.which)  # between the two: the viewer must never see old shapes in a new frame
        new = {box_id: found for box_id, found in wanted.items() if box_id not in ids}
        if new and view.which is not None:
            shapes = self._add(view, [row for row, _ in new.values()])
            kept += [_Drawn(each, look, shape) for (each, (_, look)), shape in zip(new.items(), shapes, strict=True)]
        self._drawn = kept

    def _take_pencil(self, view: View) -> None:
        """Let the rectangle that the user draws look like the box that it becomes."""
        if view.which is None:
            return
        pencil = view.color, self._line_width(view.which[0])
        if pencil != self._pencil:
            self._pencil = pencil
            self.layer.selected_data = set()  # these settings are those of selected shapes, too
            self.layer.current_edge_color, self.layer.current_edge_width = pencil
            self.layer.current_face_color = "transparent"

    def _wanted(self, view: View) -> Mapping[int, tuple[int, bytes]]:
        """Row and look of each box that crosses the slice, by id."""
        if view.which is None:
            return {}
        table, axis = view.table, view.which[0]
        rows = np.flatnonzero(crosses(table.corners, view.which))
        flat = np.delete(table.corners[rows], axis, axis=2)
        kinds = {row.value: f"{axis} {self._units} {row.color} ".encode() for row in table.rows}
        found = {}
        for row, box_id, value, done, corner in zip(
            rows.tolist(), table.ids[rows].tolist(), table.classes[rows].tolist(), table.done[rows], flat, strict=True
        ):
            found[box_id] = row, kinds[value] + done.tobytes() + corner.tobytes()
        return found

    def _add(self, view: View, rows: list[int]) -> Floats:
        """Add the rectangles of boxes; returns them."""
        assert view.which is not None
        table, (axis, _) = view.table, view.which
        drawn = rectangles(table.corners[rows], axis=axis, scale=self._units)
        lines = colours_of(table, rows)
        faces = lines.copy()
        faces[:, 3] = np.where(table.done[rows], _FACE_DONE, _FACE)
        sizes = np.prod(np.ptp(drawn, axis=1)[:, [each for each in range(3) if each != axis]], axis=1)
        # small boxes lie above large ones: a click finds them
        heights = (-np.log2(np.maximum(sizes, 1e-6)) * 8).astype(int).tolist()
        self.layer.add(
            list(drawn),
            shape_type="rectangle",
            edge_width=self._line_width(axis),
            edge_color=lines,
            face_color=faces,
            z_index=heights,
        )
        return drawn

    def _draw_wires(self, view: View) -> None:
        layer, table = self.wires, view.table
        if len(layer.data):
            layer.data = np.zeros((0, 2, 3))  # before it is moved: napari would count slices where they never were
        if view.deep:
            unit = np.abs(self._grid.scale).max()
            layer.scale, layer.translate = unit * np.sign(self._grid.scale), self._grid.translate
            scale = np.abs(self._grid.scale) / unit
            lines, colours = all_wires(table, view.boxes_found, chosen=view.chosen, scale=scale)
            width = self._longest() / _PER_VIEW / unit
        elif view.which is not None and (table.region is not None or view.found is not None):
            layer.scale, layer.translate = self.layer.scale, self._start_of(view.which)
            lines, colours = flat_wires(table, view.boxes_found, which=view.which, scale=self._units)
            width = 2 * self._line_width(view.which[0])
        else:
            return
        if len(lines):
            layer.data = lines
            layer.edge_color, layer.edge_width = colours, width

    def _select(self, chosen: Collection[int]) -> None:
        self.layer.selected_data = {n for n, each in enumerate(self._drawn) if each.box_id in chosen}
        self._told = frozenset(chosen)

    @property
    def _units(self) -> Floats:
        """(3,) layer units per voxel."""
        assert self._frame is not None
        return self._frame[1]

    def _longest(self) -> float:
        return float((np.abs(self._grid.scale) * self._grid.shape).max())

    def _line_width(self, axis: int) -> float:
        """In layer units; at most a voxel, or small objects are hidden by their boxes."""
        sizes = np.delete(np.abs(self._grid.scale) * self._grid.shape, axis)
        voxels = np.delete(self._units, axis)
        unit = np.delete(np.abs(self._grid.scale), axis).max()
        return float(min(sizes.max() / _PER_VIEW / unit, voxels.min()))

    # ---- hearing what the user does

    def _on_data(self, event: Any) -> None:
        """It comes for what we do ourselves, before and after what the user does, and at times twice."""
        view = self._view
        if self._writing or view is None:
            return
        if event.action not in (ActionType.ADDED, ActionType.CHANGED, ActionType.REMOVED):
            return
        if view.which is None or self._frame is None:
            if event.action == ActionType.ADDED:
                self.misplaced.emit()
            self._later.start()
            return
        self._hearing = True
        try:
            if event.action == ActionType.REMOVED:
                self._on_removed(set(event.data_indices))
            else:
                self._on_edited(axis=view.which[0])
        finally:
            self._hearing = False
        self._later.start()  # also where nothing came of it: the shape is put back

    def _on_removed(self, numbers: Collection[int]) -> None:
        gone = [each.box_id for n, each in enumerate(self._drawn) if n in numbers and each.box_id]
        self._drawn = [each for n, each in enumerate(self._drawn) if n not in numbers]
        if gone:
            self.removed.emit(gone)

    def _on_edited(self, *, axis: int) -> None:
        """Compare all shapes with what was drawn: events do not tell reliably which ones have changed."""
        shapes, old = self.layer.data, self._drawn
        moved = [n for n, each in enumerate(old) if not _same(shapes[n], each.shape)]
        new = range(len(old), len(shapes))
        # noted before anybody hears of it: the same event may come again
        self._drawn = [_Drawn(each.box_id, b"", shapes[n]) if n in moved else each for n, each in enumerate(old)] + [
            _Drawn(0, b"", shapes[n]) for n in new
        ]
        moved = [n for n in moved if old[n].box_id]
        if moved:
            flat = np.array([spans(shapes[n], axis=axis, scale=self._units) for n in moved])
            self.reshaped.emit([old[n].box_id for n in moved], flat)
        boxes = [shapes[n] for n in new if not is_dot(shapes[n], axis=axis, scale=self._units)]
        if boxes:
            self.drawn.emit(np.array([spans(each, axis=axis, scale=self._units) for each in boxes]))

    def _on_highlight(self) -> None:
        if self._writing or self._view is None or self._view.which is None:
            return
        selected = {int(n) for n in self.layer.selected_data}
        if any(n >= len(self._drawn) or not self._drawn[n].box_id for n in selected):
            return  # one that is being drawn
        shown = {each.box_id for each in self._drawn}
        now = frozenset(self._drawn[n].box_id for n in selected)
        if now != self._told & shown:
            self._told = now
            self.chosen.emit(sorted(now))


def _same(shape: NDArray[np.floating[Any]], mine: Floats) -> bool:
    return shape.shape == mine.shape and np.allclose(shape, mine, atol=1e-4)
