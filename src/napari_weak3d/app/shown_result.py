"""One result in the viewer: what of it is known, and the work on it that a thread does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.corrections import Marks, lay_over
from napari_weak3d.app.own_layer import checksum
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import (
    AnnotationStore,
    CorrectedState,
    ImageEntry,
    Project,
    StoredPrediction,
    read_prediction,
    read_project_image,
)
from napari_weak3d.retouch import Retouch, Retoucher
from napari_weak3d.types import IntLabels, Volume

if TYPE_CHECKING:
    from napari_weak3d.measure import ObjectMeasures


@dataclass(frozen=True, eq=False)
class Decided:
    """A result as it is decided now.

    Attributes
    ----------
    retoucher
        Decides it otherwise.
    settings
        How it is decided.
    labels
        (Z, Y, X) int32: what the model says, so decided.
    marks
        What the user has corrected in it.
    """

    retoucher: Retoucher
    settings: Retouch
    labels: IntLabels
    marks: Marks

    @property
    def state(self) -> CorrectedState:
        """What is kept beside the corrections."""
        return CorrectedState(
            self.settings.threshold, self.settings.smallest, self.settings.fill_holes, self.settings.least_score
        )


@dataclass(frozen=True, eq=False)
class Filled:
    """Labels for a layer, an array of their own, and their checksum."""

    labels: IntLabels
    check: int


@dataclass(eq=False)
class Result:
    """A prediction that is shown: of which image, over which layer, in which layer.

    Attributes
    ----------
    folder
        The project's.
    store
        Where its corrections are kept.
    decided
        None: not prepared yet, or not any more, for it takes as much memory as the layer several times.
    settings
        How it is to be decided when it is prepared; None: as on disk, or else as predicted.
    is_saved
        Whether all that the user had corrected in it could be written when it was left.
    wishes
        Settings to take over from the result before once it is prepared, by name.
    """

    prediction: StoredPrediction
    entry: ImageEntry
    folder: Path
    image_layer: Any
    layer: Any
    store: AnnotationStore
    decided: Decided | None = None
    settings: Retouch | None = None
    is_saved: bool = True
    wishes: dict[str, Any] = field(default_factory=dict)
    rows: Sequence[ObjectMeasures] = ()
    volume: Volume | None = None
    is_told: bool = False


@dataclass(frozen=True, eq=False)
class Opened:
    """A prediction read from disk, to be shown; ``decided`` only where the user has corrected it."""

    prediction: StoredPrediction
    store: AnnotationStore
    filled: Filled
    decided: Decided | None


def open_prediction(project: Project, prediction_id: str) -> Opened:
    """Read a prediction, with the user's corrections. Without any this is quick: nothing is prepared."""
    prediction = read_prediction(project.prediction_folder(prediction_id))
    store = project.corrections(prediction_id, prediction.image_id)
    if store.painted_planes():
        decided = decide(prediction, store, settings=None)
        return Opened(prediction, store, _fill(lay_over(decided.labels, decided.marks)), decided)
    return Opened(prediction, store, _fill(np.array(prediction.labels, np.int32)), None)


def decide(prediction: StoredPrediction, store: AnnotationStore, *, settings: Retouch | None) -> Decided:
    """Prepare a result for other settings; takes seconds. It is decided by ``settings``, None: as it was corrected."""
    labels = np.array(prediction.labels, np.int32)
    scores = {} if prediction.least_score is None else {row.id: row.score for row in prediction.objects}
    retoucher = Retoucher(labels, prediction.probabilities, scores=scores)
    marks, state = store.read_planes(), store.state()
    if settings is None and isinstance(state, CorrectedState):
        settings = Retouch(state.threshold, state.smallest, state.fill_holes, state.least_score)
    if settings is None or settings == retoucher.as_predicted:
        return Decided(retoucher, retoucher.as_predicted, labels, marks)
    return Decided(retoucher, settings, retoucher.apply(settings), marks)


def decide_otherwise(decided: Decided, *, settings: Retouch, marks: Marks) -> tuple[Decided, Filled]:
    """Decide a result by other settings; what the user has corrected in it, ``marks``, stays."""
    labels = decided.retoucher.apply(settings)
    return Decided(decided.retoucher, settings, labels, marks), _fill(lay_over(labels, marks))


def wishes_of(result: Result | None, settings: Retouch) -> dict[str, Any]:
    """What the user has set otherwise than a result was predicted, by name: wanted of the next one, too.

    Not how sure objects must be: the next result is made with a certainty of its own.
    """
    if result is None or result.decided is None:
        return {}
    usual = result.decided.retoucher.as_predicted
    names = ("threshold", "smallest", "fill_holes")
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(usual, name)}


def hide_earlier(results: Iterable[Result], newest: Result) -> None:
    """Take earlier results of an image out of sight, which stay as they are; not one that could not be saved."""
    for result in results:
        is_earlier = result is not newest and result.entry.id == newest.entry.id
        if is_earlier and result.is_saved and result.layer.visible:
            result.layer.visible = False


def measure(result: Result, shown: IntLabels) -> Sequence[ObjectMeasures]:
    """Measure the objects in ``shown``, the voxels of a result's layer; with intensities if the image can be read."""
    from napari_weak3d.measure import measure_objects  # noqa: PLC0415  # scipy, which the dock opens without

    if result.volume is None:
        try:
            result.volume = read_project_image(result.folder, result.entry.id)
        except Weak3DError:  # it is gone, or another
            result.volume = None
    names = object_classes(result.prediction)
    return measure_objects(
        np.array(shown),  # a copy, for the user may be painting
        volume=result.volume,
        classes=result.prediction.classes if len(names) > 1 else None,
        class_names=names,
        spacing=result.entry.spacing,
        unit=result.entry.unit,
    )


def extras_of(prediction: StoredPrediction) -> dict[str, NDArray[Any]]:
    """What can be shown beside the labels, by name; classes only where there is more to see than the labels show."""
    extras: dict[str, NDArray[Any]] = {}
    if prediction.uncertainty is not None:
        extras["uncertainty"] = prediction.uncertainty
    if prediction.classes is not None and len(object_classes(prediction)) > 1:
        extras["classes"] = prediction.classes
    return extras | dict(prediction.images)


def object_classes(prediction: StoredPrediction) -> dict[int, str]:
    """Names of the classes that have objects, by value."""
    return {row.value: row.name for row in prediction.class_table if not row.background}


def _fill(labels: IntLabels) -> Filled:
    return Filled(labels, checksum(labels))
