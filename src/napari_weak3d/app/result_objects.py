"""The objects of a result: measured when the labels rest, found in the table by a click, and in the image by a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_weak3d.app.canvas_view import CanvasView
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.looking import Clicks, value_under
from napari_weak3d.app.shown_result import Result, measure
from napari_weak3d.errors import Weak3DError

if TYPE_CHECKING:
    from napari_weak3d.measure import ObjectMeasures

_REST_MS = 600
"""How long labels must rest before they are measured: not while a slider moves, nor between two strokes."""


class ResultObjects(QObject):
    """Keeps the table of objects of the result that the panel is about, corrections included."""

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._result: Result | None = None
        self._measuring = False
        self._rest = QTimer(self, singleShot=True, interval=_REST_MS)
        self._rest.timeout.connect(self.measure)
        self._view, self._clicks = CanvasView(desk.viewer), Clicks(desk.viewer, self)
        self._clicks.clicked.connect(self._on_clicked)
        desk.panels.result.object_chosen.connect(self.go_to)

    def turn_to(self, result: Result | None) -> None:
        """Let the table be about another result, or none; nothing is measured yet."""
        self._rest.stop()
        for each, act in ((self._result, "disconnect"), (result, "connect")):
            if each is not None:
                getattr(each.layer.events.selected_label, act)(self._on_label)
        self._result = result

    def close(self) -> None:
        """Let go of the viewer."""
        self._clicks.close()

    def measure_soon(self) -> None:
        """Measure when the labels have rested for a moment."""
        if self._result is not None:
            self._rest.start()

    def measure(self) -> None:
        """Measure on a thread what the layer shows now."""
        result = self._result
        if result is None:
            return
        if self._measuring:
            self._rest.start()
            return
        self._measuring, shown = True, result.layer.data

        def done(rows: Sequence[ObjectMeasures]) -> None:
            self._measuring = False
            if self._result is result:
                self._show(result, rows)

        def failed(error: Weak3DError) -> None:
            self._measuring = False
            self._desk.complain(error)

        self._desk.background.run(lambda: measure(result, shown), done=done, failed=failed)

    def go_to(self, object_id: int) -> None:
        """Show the slice through the middle of an object, in the plane that is shown, and the object in it."""
        result = self._result
        row = None if result is None else next((each for each in result.rows if each.id == object_id), None)
        if row is None or result is None or not self._desk.layers.contains(result.image_layer):
            return
        point = [middle / size for middle, size in zip(row.centroid, result.entry.spacing, strict=True)]
        shown = self._desk.layers.shown_slice()
        axis = shown[0] if shown else 0
        self._desk.layers.go_to((axis, round(point[axis])), result.image_layer)
        self._view.look_at(result.image_layer, point)
        result.layer.selected_label = object_id

    def _show(self, result: Result, rows: Sequence[ObjectMeasures]) -> None:
        result.rows = rows
        self._desk.panels.result.show_objects(rows, result.entry.spacing, result.entry.unit)
        if not result.is_told:
            result.is_told = True
            n = f"{len(rows)} object{'' if len(rows) == 1 else 's'}"
            notes = "".join(f" Note: {note}." for note in result.prediction.notes)
            self._desk.say(f"{result.entry.name}: {n}. Thresholds, table and export are under Result.{notes}")

    def _on_label(self) -> None:
        """An object was picked with napari's own picker."""
        if self._result is not None:
            self._desk.panels.result.select_object(int(self._result.layer.selected_label))

    def _on_clicked(self, event: Any) -> None:
        """The user has clicked into the image, only to look."""
        if self._result is not None and self._result.layer.visible:
            self._desk.panels.result.select_object(value_under(self._result.layer, event))
