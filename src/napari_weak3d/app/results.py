"""Results: from a prediction on disk to layers, the table of objects, other thresholds, and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_weak3d.app import preferences
from napari_weak3d.app.colours import class_colormap
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import new_job_id
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.export import export_result
from napari_weak3d.io.project import ImageEntry, StoredPrediction, read_prediction, read_project_image
from napari_weak3d.messages import Segment
from napari_weak3d.types import IntLabels

if TYPE_CHECKING:
    from napari_weak3d.measure import ObjectMeasures
    from napari_weak3d.retouch import Retouch, Retoucher

_KEPT = 3
"""Predictions of an image that stay in the project."""
_FILES = {
    "csv": ("Export the table of objects", "Tables (*.csv)", ".csv"),
    "tiff": ("Export the labels", "TIFF (*.tif *.tiff)", ".tif"),
    "zarr": ("Export the labels", "OME-Zarr (*.zarr)", ".zarr"),
}


@dataclass(frozen=True)
class Result:
    """A prediction that is shown: of which image, over which layer, in which layer."""

    prediction: StoredPrediction
    entry: ImageEntry
    project: Path
    image_layer: Any
    layer: Any


class Results(QObject):
    """Segments images of the project and shows what came out.

    Signals
    -------
    shown()
        A result is in the viewer.

    Attributes
    ----------
    result
        The one that the panel is about, or None.
    """

    shown = Signal()

    def __init__(self, desk: Desk, images: Images, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._images = desk, images
        self.result: Result | None = None
        self._retoucher: Retoucher | None = None
        self._rows: list[ObjectMeasures] = []
        self._wanted: Retouch | None = None
        self._busy = False
        self._when_settled: Callable[[], None] | None = None
        images.settled.connect(self._on_settled)
        panel = desk.panels.result
        panel.retouch_requested.connect(self.retouch)
        panel.object_chosen.connect(self.go_to_object)
        panel.take_over_requested.connect(self.take_over)
        panel.extra_toggled.connect(self._toggle_extra)
        panel.export_requested.connect(self._choose_export)

    # ---- from a model to a layer

    def segment(self, model_id: str, *, images: tuple[str, ...]) -> None:
        """Segment images of the project with a model, one after the other, and show each that is in the viewer."""
        desk, project = self._desk, self._desk.writable_project()
        if project is None or not images:
            return
        first, rest = images[0], images[1:]
        if self._images.waiting and first in desk.unsettled:
            self._when_settled = lambda: self.segment(model_id, images=images)
            desk.say("The image is still being copied into the project; it is segmented when it is there")
            return
        request = Segment(
            job=new_job_id(),
            project=str(project.folder),
            image=first,
            model=model_id,
            settings={"device": preferences.read().device},
        )

        def done(result: dict[str, Any]) -> None:
            if result["prediction"] is None:
                desk.say("The segmentation was stopped; nothing of it is kept")
                return
            self.show(str(result["prediction"]))
            desk.background.run(
                lambda: project.delete_old_predictions(first, keep=_KEPT),
                done=lambda _: None,
                failed=lambda _: None,  # they take up space, no more
            )
            self.segment(model_id, images=rest)

        desk.submit(request, done=done)

    def segment_chosen(self, model_id: str) -> None:
        """Segment the image that is chosen in step 1, which gets into the project if it is not there yet."""
        self._images.begin_unless_begun()
        if self._desk.work is None:
            self._desk.say("Choose an image in step 1 first", "warning")
        else:
            self.segment(model_id, images=(self._desk.work.image_id,))

    def _on_settled(self) -> None:
        go_on, self._when_settled = self._when_settled, None
        if go_on is not None:
            go_on()

    def show(self, prediction_id: str) -> None:
        """Read a prediction on a thread, then show it."""
        project = self._desk.project
        if project is not None:
            folder = project.prediction_folder(prediction_id)
            self._desk.background.run(
                lambda: _read(folder), done=lambda read: self._show(*read), failed=self._desk.complain
            )

    def forget(self) -> None:
        """Let go of what is shown: another project is open. The layers stay."""
        self.result, self._retoucher, self._rows, self._wanted = None, None, [], None
        self._desk.panels.result.clear()

    def _show(self, prediction: StoredPrediction, labels: IntLabels) -> None:
        project = self._desk.project
        if project is None:
            return
        try:
            entry = project.image(prediction.image_id)
            image_layer = self._images.layer_of(entry.id)
            if image_layer is None:
                self._desk.say(f"{entry.name} is segmented, but not in the viewer: the result is kept in the project")
                return
            layer = self._desk.layers.show_result(image_layer, labels, name=f"{image_layer.name} result")
        except Weak3DError as error:
            self._desk.complain(error)
            return
        self.forget()
        result = Result(prediction, entry, project.folder, image_layer, layer)
        self.result = result
        self._desk.layers.hide_preview()
        self._desk.layers.hide_extra()  # of the result before
        self._desk.background.run(
            lambda: (_make_retoucher(labels, prediction), _measure(labels, result)),
            done=lambda prepared: self._prepare(result, *prepared),
            failed=self._desk.complain,
        )
        self.shown.emit()

    def _prepare(self, result: Result, retoucher: Retoucher, rows: list[ObjectMeasures]) -> None:
        """Offer what needs some seconds of preparation: sliders and table."""
        if self.result is not result:
            return
        self._retoucher = retoucher
        self._desk.panels.result.show_result(
            retoucher.as_predicted,
            has_threshold=retoucher.has_threshold,
            extras=tuple(_extras_of(result.prediction)),
        )
        self._show_rows(rows)
        n = f"{len(rows)} object{'' if len(rows) == 1 else 's'}"
        self._desk.say(f"{result.entry.name}: {n}. Thresholds, table and export are under Result")

    def _show_rows(self, rows: list[ObjectMeasures]) -> None:
        assert self.result is not None
        self._rows = rows
        self._desk.panels.result.show_objects(rows, self.result.entry.spacing, self.result.entry.unit)

    # ---- look, decide otherwise, correct

    def retouch(self, settings: Retouch) -> None:
        """Decide the result otherwise, on a thread; of wishes that come meanwhile the last counts."""
        self._wanted = settings
        if self._busy or self.result is None or self._retoucher is None:
            return
        result, retoucher, self._wanted, self._busy = self.result, self._retoucher, None, True

        def work() -> tuple[IntLabels, list[ObjectMeasures]]:
            labels = retoucher.apply(settings)
            return labels, _measure(labels, result)

        self._desk.background.run(work, done=lambda made: self._show_retouched(result, *made), failed=self._give_up)

    def _show_retouched(self, result: Result, labels: IntLabels, rows: list[ObjectMeasures]) -> None:
        self._busy = False
        if self.result is not result:
            return
        if self._desk.layers.contains(result.image_layer):
            name = f"{result.image_layer.name} result"
            layer = self._desk.layers.show_result(result.image_layer, labels, name=name)
            self.result = Result(result.prediction, result.entry, result.project, result.image_layer, layer)
            self._show_rows(rows)
        if self._wanted is not None:
            self.retouch(self._wanted)

    def _give_up(self, error: Weak3DError) -> None:
        self._busy = False
        self._desk.complain(error)

    def go_to_object(self, object_id: int) -> None:
        """Show the slice through the middle of an object, in the plane that is shown."""
        row = next((each for each in self._rows if each.id == object_id), None)
        if row is None or self.result is None or not self._desk.layers.contains(self.result.image_layer):
            return
        shown = self._desk.layers.shown_slice()
        axis = shown[0] if shown else 0
        middle = round(row.centroid[axis] / self.result.entry.spacing[axis])
        self._desk.layers.go_to((axis, middle), self.result.image_layer)
        self.result.layer.selected_label = object_id

    def take_over(self) -> None:
        """Use the shown slice of the result, as the user corrected it, as annotation."""
        work = self._desk.work
        if self.result is None or work is None or work.image_id != self.result.entry.id:
            self._desk.say("Choose the image of this result in step 1 first", "warning")
            return
        self._desk.tool.take_over(self.result.layer)
        self._desk.layers.activate(self._desk.tool.layer)

    def _toggle_extra(self, name: str, on: bool) -> None:
        """Show what came beside the labels, or take it out of the viewer."""
        result = self.result
        if not on or result is None:
            self._desk.layers.hide_extra(name)
            return
        stored = _extras_of(result.prediction)[name]
        colormap = class_colormap(result.prediction.class_table) if name == "classes" else None

        def show(voxels: NDArray[Any]) -> None:
            if self.result is not None and self._desk.layers.contains(result.image_layer):
                self._desk.layers.show_extra(result.image_layer, voxels, name=name, colormap=colormap)

        kind = np.int32 if stored.dtype.kind in "iu" else np.float32
        self._desk.background.run(lambda: np.array(stored, dtype=kind), done=show, failed=self._desk.complain)

    # ---- export

    def _choose_export(self, kind: str) -> None:
        if self.result is None:
            return
        title, kinds, ending = _FILES[kind]
        start = f"{self.result.entry.name} {'objects' if kind == 'csv' else 'labels'}{ending}"
        path, _ = QFileDialog.getSaveFileName(self._desk.panels.result, title, start, kinds)
        if path:
            self.export(kind, Path(path) if Path(path).suffix else Path(path + ending))

    def export(self, kind: str, path: Path) -> None:
        """Write the result as it is in the viewer, corrections included: "csv", "tiff" or "zarr"."""
        result = self.result
        if result is None:
            return
        labels = np.array(result.layer.data)

        def write() -> None:
            from napari_weak3d.measure import write_measures  # noqa: PLC0415  # scipy, which the dock opens without

            if kind == "csv":
                write_measures(path, _measure(labels, result))
            else:
                export_result(path, labels, image=result.entry)

        self._desk.background.run(write, done=lambda _: self._desk.say(f"Written: {path}"), failed=self._desk.complain)


def _extras_of(prediction: StoredPrediction) -> dict[str, NDArray[Any]]:
    """What can be shown beside the labels, by name; classes only where there is more to see than the labels show."""
    extras: dict[str, NDArray[Any]] = {}
    if prediction.uncertainty is not None:
        extras["uncertainty"] = prediction.uncertainty
    if prediction.classes is not None and len(_object_classes(prediction)) > 1:
        extras["classes"] = prediction.classes
    return extras | dict(prediction.images)


def _object_classes(prediction: StoredPrediction) -> dict[int, str]:
    """Names of the classes that have objects, by value."""
    return {row.value: row.name for row in prediction.class_table if not row.background}


def _read(folder: Path) -> tuple[StoredPrediction, IntLabels]:
    prediction = read_prediction(folder)
    return prediction, np.array(prediction.labels)


def _make_retoucher(labels: IntLabels, prediction: StoredPrediction) -> Retoucher:
    from napari_weak3d.retouch import Retoucher  # noqa: PLC0415  # scipy, which the dock opens without

    return Retoucher(labels, prediction.probabilities)


def _measure(labels: NDArray[Any], result: Result) -> list[ObjectMeasures]:
    """Measure objects, with intensities where the image can be read."""
    from napari_weak3d.measure import measure_objects  # noqa: PLC0415  # scipy, which the dock opens without

    try:
        volume = read_project_image(result.project, result.entry.id)
    except Weak3DError:
        volume = None
    names = _object_classes(result.prediction)
    return measure_objects(
        labels,
        volume=volume,
        classes=result.prediction.classes if len(names) > 1 else None,
        class_names=names,
        spacing=result.entry.spacing,
        unit=result.entry.unit,
    )
