"""The results of all time points of a series, in one layer, of which nothing is read but what is in view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import QObject

from napari_weak3d.app import exporting
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.results import Results
from napari_weak3d.app.shown_result import Result, open_prediction
from napari_weak3d.io.project import ImageEntry, Project, read_prediction
from napari_weak3d.io.time_stack import TimeStack


@dataclass(frozen=True, eq=False)
class _Kept:
    """The newest result of a time point as it is on disk: labels (Z, Y, X), mapped unless the user has corrected it."""

    image_id: str
    prediction_id: str
    labels: Any


@dataclass(eq=False)
class _Series:
    """The results of a layer's time points, and their own layer: hidden by us, removed by the user, or not."""

    kept: dict[int, _Kept] = field(default_factory=dict)
    layer: Any = None
    hidden: bool = False
    removed: bool = False


class SeriesResults(QObject):
    """Shows the newest result of each time point in one Labels layer (T, Z, Y, X), zeros where there is none.

    The time point that is annotated shows its result in a layer of its own, to be corrected and decided otherwise;
    while it is in view the layer of all time points is out of sight.
    """

    def __init__(self, desk: Desk, results: Results, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._results = desk, results
        self._series: WeakKeyDictionary[Any, _Series] = WeakKeyDictionary()  # by image layer
        self._alone: WeakKeyDictionary[Any, Result] = WeakKeyDictionary()  # by the layer of one time point's result
        results.shown.connect(self._on_shown)
        desk.layers.slice_shown.connect(self._follow_view)
        desk.layers.removed.connect(self._on_removed)
        desk.panels.result.series_export_requested.connect(self._choose_export)

    def predictions_in_use(self) -> frozenset[str]:
        """Name the predictions that the layers of all time points show."""
        return frozenset(kept.prediction_id for series in self._series.values() for kept in series.kept.values())

    def forget(self) -> None:
        """Let go of all: the project is closed. The layers stay, and show what they have shown."""
        self._series = WeakKeyDictionary()
        self._alone.clear()

    def show_again(self, image_layer: Any) -> None:
        """Let the results that come be shown also where the user has removed the layer of earlier ones."""
        if image_layer in self._series:
            self._series[image_layer].removed = False

    def take(self, image_layer: Any, predictions: dict[int, str]) -> None:
        """Read results of time points on a thread, given by their ids, then show them with the others.

        Nothing is shown where the image is not in the viewer any more.
        """
        project = self._desk.project
        if project is not None:
            self._desk.background.run(
                lambda: {time: _read(project, prediction_id) for time, prediction_id in predictions.items()},
                done=lambda found: self._keep(project, image_layer, found),
                failed=self._desk.complain,
            )

    def stack_of(self, image_id: str) -> TimeStack | None:
        """Return the labels of the series that an image is a time point of, as they are now, corrected ones too.

        (T, Z, Y, X) int32; each time point is read when it is asked for. None: no other time point has a result.
        """
        for image_layer, series in self._series.items():
            if len(series.kept) > 1 and image_id in {kept.image_id for kept in series.kept.values()}:
                return _stack_on(image_layer, {time: self._labels_of(kept) for time, kept in series.kept.items()}.get)
        return None

    def export(self, image: ImageEntry, path: Path) -> None:
        """Write the labels of all time points of an image's series into one file, .tif or .zarr."""
        stack = self.stack_of(image.id)
        if stack is not None:
            exporting.export_series(self._desk, stack, image, path)

    def _choose_export(self, kind: str) -> None:
        result = self._results.result
        path = None if result is None else exporting.choose_file(self._desk, result, kind)
        if result is not None and path is not None:
            self.export(result.entry, path)

    def _keep(self, project: Project, image_layer: Any, found: dict[int, _Kept]) -> None:
        if self._desk.project is not project or not self._desk.layers.contains(image_layer):
            return
        series = self._series.setdefault(image_layer, _Series())
        series.kept |= found
        self._show(image_layer, series)
        self._follow_view()

    def _show(self, image_layer: Any, series: _Series) -> None:
        if series.removed:
            return
        stack = _stack_on(image_layer, lambda time: self._labels_of(series.kept.get(time)))
        layer = self._desk.layers.show_series(image_layer, stack, name=f"{image_layer.name} results")
        if layer is not series.layer:
            series.layer, series.hidden = layer, False

    def _labels_of(self, kept: _Kept | None) -> Any | None:
        """The labels of a time point: of the layer that shows its result alone, else as they are on disk."""
        shown = None if kept is None else self._results.open_result(kept.image_id)
        return shown.layer.data if shown is not None else None if kept is None else kept.labels

    def _on_shown(self) -> None:
        """Note what is shown alone: it may be newer than what is known of its time point."""
        for image_layer, series in self._series.items():
            for time, kept in series.kept.items():
                shown = self._results.open_result(kept.image_id)
                if shown is not None:
                    self._alone[shown.layer] = shown
                    labels = kept.labels if shown.prediction.id == kept.prediction_id else shown.prediction.labels
                    series.kept[time] = _Kept(kept.image_id, shown.prediction.id, labels)
            self._show(image_layer, series)
        self._follow_view()

    def _follow_view(self) -> None:
        """Take the layer out of sight where a time point shows its result alone; else bring it back."""
        for image_layer, series in self._series.items():
            if series.layer is None:
                continue
            alone = self._is_alone(image_layer)
            if alone and series.layer.visible:
                series.layer.visible, series.hidden = False, True
            elif not alone and series.hidden:
                series.layer.visible, series.hidden = True, False
        result = self._results.result
        several = result is not None and self.stack_of(result.entry.id) is not None
        self._desk.panels.result.offer_series(several)

    def _is_alone(self, image_layer: Any) -> bool:
        """Whether the time point in view is the annotated one, and has a result or a preview in a layer of its own."""
        work, layers = self._desk.work, self._desk.layers
        annotated = work is not None and work.layer is image_layer and work.time_index is not None
        return annotated and not layers.other_time() and layers.has_own_labels(image_layer)

    def _on_removed(self, layer: Any) -> None:
        for image_layer, series in self._series.items():
            if layer is series.layer:
                series.layer, series.removed = None, True
            alone = self._alone.get(layer)
            times = [time for time, kept in series.kept.items() if alone and kept.prediction_id == alone.prediction.id]
            if times:  # it may have been corrected
                self.take(image_layer, {times[0]: series.kept[times[0]].prediction_id})
        self._follow_view()


def _read(project: Project, prediction_id: str) -> _Kept:
    """On a thread: read a result; one without corrections stays on the disk until it is looked at."""
    prediction = read_prediction(project.prediction_folder(prediction_id))
    corrected = project.corrections(prediction_id, prediction.image_id).painted_planes()
    labels = open_prediction(project, prediction_id).filled.labels if corrected else prediction.labels
    return _Kept(prediction.image_id, prediction_id, labels)


def _stack_on(image_layer: Any, volume_at: Callable[[int], Any | None]) -> TimeStack:
    """Labels on the grid of a layer of time points."""
    n_times, z, y, x = image_layer.data[0].shape if image_layer.multiscale else image_layer.data.shape
    return TimeStack(volume_at, shape=(int(n_times), int(z), int(y), int(x)), dtype=np.int32)
