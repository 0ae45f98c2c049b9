"""The verbs: train, segment, evaluate, suggest.

The long ones are generators of Progress that take commands and return their result: pull them with ``send``, or to
their end with :func:`napari_weak3d.follow`. torch is imported when a method is first needed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d import methods
from napari_weak3d.config import TrainConfig
from napari_weak3d.errors import AnnotationError, ConfigError, ModelError, VolumeError, Weak3DError
from napari_weak3d.io.annotations import (
    check_apart,
    check_clicks,
    check_drawn,
    check_indices,
    check_sample,
)
from napari_weak3d.io.labels import check_same_shape
from napari_weak3d.io.models import check_model_out, read_method
from napari_weak3d.io.spacing import GIVEN, SpacingWarning, check_spacing
from napari_weak3d.io.volumes import check_image
from napari_weak3d.measure import measure_objects
from napari_weak3d.messages import Command
from napari_weak3d.metrics import box_scores, instance_scores, marker_scores
from napari_weak3d.nn.voxels import compare_voxels
from napari_weak3d.types import (
    RELATIVE,
    Boxes,
    Centroids,
    IntLabels,
    Prediction,
    Progress,
    Proposals,
    Sample,
    SliceIndex,
    Slices,
    Spacing,
    Volume,
)

Job = Generator[Progress, Command | None, Any]
Folder: TypeAlias = str | os.PathLike[str]
"""Of a model."""

_ALIKE = 2.0
"""Voxels of training volumes that differ more than this are worth a word, as when segmenting (ours)."""


def train(
    method: str, samples: Sequence[Sample], *, config: TrainConfig, out: Folder, start: Folder | None = None
) -> Job:
    """Train a model on annotated volumes and keep it in a folder.

    Parameters
    ----------
    method
        A name in ``methods.METHODS``.
    samples
        At least one; annotations of the method's kind.
    config
        Settings of this method, as ``methods.load_config`` makes them.
    out
        The model folder; made where it is missing, never over a folder that holds anything but a model of this method.
    start
        A model of the same method to go on from; may be ``out``.

    Yields
    ------
    Progress
        Send a command of ``messages``, or None.

    Returns
    -------
    The model.

    Raises
    ------
    Weak3DError
        Before the first step: whatever is wrong with what came in. Nothing is written then.

    Warns
    -----
    SpacingWarning
        Voxels of a volume are more than twice as large or small as those of the first.
    """
    info = methods.find_method(method)
    _check_config(config, method=method)
    if not samples:
        raise AnnotationError("there is nothing to train on: give an image and its annotation")
    if not isinstance(samples, Sequence):
        raise AnnotationError(f"the samples are a {type(samples).__name__}: give a list of them, [sample]")
    for sample in samples:
        check_sample(sample, kind=info.annotation)
    if info.annotation == "Centroids":
        check_clicks(samples)
    if info.annotation == "Boxes":
        check_drawn(samples)
    folder = Path(out)
    check_model_out(folder, method=method)
    if unlike := _name_unlike([sample.volume for sample in samples]):
        warnings.warn(SpacingWarning(unlike), stacklevel=2)
    # Only now: with torch it takes seconds, and what is wrong should be said at once.
    model_class = methods.load_object(info.model)
    beginning = None if start is None else _load(start, method=method)
    return (yield from model_class.fit(samples, config=config, folder=folder, start=beginning))


def segment(
    model: Folder,
    volume: Volume,
    *,
    settings: Mapping[str, Any] | None = None,
    wanted: Sequence[str] = (),
    clicks: Centroids | None = None,
    annotated: Sample | None = None,
) -> Generator[Progress, Command | None, Prediction]:
    """Segment a volume with a trained model.

    Parameters
    ----------
    model
        A model folder.
    volume
        The image.
    settings
        Settings of the method to change for this once, by name.
    wanted
        Fields of the prediction that must not be None: "classes", "uncertainty", "probabilities".
    clicks
        Centres of cells that are known, for a model of centroids; None: what the model knows of this volume.
    annotated
        The volume with what is clicked or boxed in it by now, for a model that learns from such. It counts instead of
        what the model knows of this volume, unless the settings leave that out. Its region is where it is complete;
        None: where it was in the training, else nowhere.

    Raises
    ------
    Weak3DError
        The model cannot be read, the volume, the clicks or what is annotated do not suit it, or it does not give what
        is wanted.
    """
    loaded = _load(model)
    for name in wanted:
        if name not in loaded.outputs:
            raise ModelError(f"this model gives no {name}: leave out --{name}", where=f"--{name}", value=str(model))
    check_image(volume)
    if clicks is not None:
        _require_clicks(model, option="--clicks")
        check_apart(clicks, volume)
    known: dict[str, Any] = {} if clicks is None else {"clicks": clicks}
    if annotated is not None:
        _check_known(annotated, model=model)
        known["annotated"] = annotated
    prediction: Prediction = yield from loaded.predict(volume, settings=settings, **known)
    return prediction


def find_centres(
    model: Folder,
    prediction: Prediction,
    volume: Volume,
    *,
    settings: Mapping[str, Any] | None = None,
    clicks: Centroids | None = None,
) -> tuple[Centroids, NDArray[np.float64]]:
    """Give the centres that a model of centroids found, and their scores (N,) in 0..1.

    Parameters
    ----------
    model, volume, settings, clicks
        As :func:`segment` got them.
    prediction
        What it gave.

    Raises
    ------
    ModelError
        The model is of a method that finds no centres.
    """
    _require_clicks(model, option="--centres-out")
    centres: tuple[Centroids, NDArray[np.float64]] = _load(model).find_centres(
        prediction, volume, settings=settings, clicks=clicks
    )
    return centres


def suggest(
    model: Folder, sample: Sample, *, count: int
) -> Generator[Progress, Command | None, tuple[SliceIndex, ...]]:
    """Say what to annotate next, best first.

    Parameters
    ----------
    model
        A model folder.
    sample
        The volume with its annotation so far, which may be empty.
    count
        How many suggestions.

    Raises
    ------
    Weak3DError
        The model cannot be read, or the sample does not suit it.
    """
    loaded = _load(model)
    kind = method_of(model).annotation
    if isinstance(sample.annotation, Slices) and not sample.annotation.labels.any():
        # Nothing to learn from is no mistake here.
        check_image(sample.volume)
        check_same_shape(sample.annotation.labels.shape, sample.volume, name="the paint")
        check_indices(sample.annotation.annotated, sample.volume.shape, name="annotated slice", of=sample.volume.name)
    else:
        check_sample(sample, kind=kind)
    chosen: tuple[SliceIndex, ...] = yield from loaded.suggest(sample, count=count)
    return chosen


def propose(sample: Sample, *, model: Folder | None = None) -> Generator[Progress, Command | None, Proposals]:
    """Find cells like those that are clicked and that have no click.

    Parameters
    ----------
    sample
        A volume with at least one click; with a region, cells are looked for there.
    model
        A model folder of centroids; None: blobs of the clicked cells' size are looked for.

    Raises
    ------
    Weak3DError
        The model cannot be read or knows no clicks, or the sample does not suit.
    """
    check_sample(sample, kind="Centroids")
    if model is not None:
        _require_clicks(model, option="model")
    find = methods.load_object("napari_weak3d.methods.centroids.proposing:propose")
    proposals: Proposals = yield from find(sample, None if model is None else _load(model))
    return proposals


def suggest_boxes(model: Folder, sample: Sample, *, count: int) -> Generator[Progress, Command | None, tuple[int, ...]]:
    """Say which boxed objects to mask next, best first, as rows of the sample's boxes.

    Raises
    ------
    Weak3DError
        The model cannot be read or knows no boxes, or the sample does not suit it.
    """
    loaded = _load(model, method="boxes")
    check_sample(sample, kind="Boxes")
    chosen: tuple[int, ...] = yield from loaded.suggest_boxes(sample, count=count)
    return chosen


def evaluate(
    predicted: IntLabels | Centroids | Boxes,
    truth: IntLabels | Centroids | Boxes,
    *,
    ignore_slices: Sequence[SliceIndex] = (),
    spacing: Spacing = (1.0, 1.0, 1.0),
) -> dict[str, float]:
    """Score a prediction against the truth: labels, points or boxes against the same, or labels against points.

    Parameters
    ----------
    predicted, truth
        (Z, Y, X) int32 labels, points, or boxes. Of labels that meet points their centres count.
    ignore_slices
        Slices of labels that do not count: those that were painted.
    spacing
        Of the voxels; distances between points are measured by it.

    Returns
    -------
    Scores by name, as ``metrics`` defines them.

    Raises
    ------
    VolumeError
        The shapes differ, or the spacing is not three positive numbers.
    AnnotationError
        A slice to ignore is none, or out of range.
    """
    check_spacing(spacing, where=GIVEN)
    if isinstance(predicted, Centroids) != isinstance(truth, Centroids):
        predicted, truth = _as_points(predicted), _as_points(truth)
    if isinstance(predicted, Centroids) and isinstance(truth, Centroids):
        return asdict(marker_scores(predicted.points_vox, truth.points_vox, spacing=spacing))
    if isinstance(predicted, Boxes) and isinstance(truth, Boxes):
        return asdict(box_scores(predicted.corners, truth.corners))
    if isinstance(predicted, Centroids | Boxes) or isinstance(truth, Centroids | Boxes):
        raise Weak3DError("boxes cannot be scored against labels or points: give boxes twice")
    if predicted.shape != truth.shape:
        raise VolumeError(
            f"the prediction has the shape {predicted.shape}, the truth {truth.shape}: they must be equal"
        )
    check_indices(ignore_slices, truth.shape, name="slice", of="the truth", where="ignore_slices")
    ignore = np.zeros(truth.shape, bool)
    for axis, index in ignore_slices:
        np.moveaxis(ignore, axis, 0)[index] = True
    return asdict(instance_scores(predicted, truth, ignore=ignore if ignore_slices else None))


def method_of(model: Folder) -> methods.MethodInfo:
    """Return the method of a model.

    Raises
    ------
    ModelError
        The folder holds no model, or one of a method that is not there.
    """
    return methods.find_method(_read_known_method(Path(model)))


def _as_points(scored: IntLabels | Centroids | Boxes) -> Centroids | Boxes:
    """Labels -> the centres of their objects; anything else as it is."""
    if isinstance(scored, Centroids | Boxes):
        return scored
    rows = measure_objects(scored, spacing=(1.0, 1.0, 1.0), unit=RELATIVE)
    return Centroids(np.array([row.centroid for row in rows], np.float64).reshape(-1, 3))


def _check_config(config: TrainConfig, *, method: str) -> None:
    wanted = methods.load_config(method)
    if not isinstance(config, wanted):
        raise ConfigError(
            f"the settings are {type(config).__name__}, those of {method} are {wanted.__name__}: make them with "
            f"load_config({method!r}).from_settings({{...}})",
            where="config",
            value=config,
        )


def _name_unlike(volumes: Sequence[Volume]) -> str:
    """Say which volumes have other voxels than the first, whose spacing a model keeps; "" where none has."""
    first, *others = volumes
    factors = [(volume.name, compare_voxels(volume, spacing=first.spacing, unit=first.unit)) for volume in others]
    unlike = [f"{name} {factor:.2g} times" for name, factor in factors if factor > _ALIKE]
    return f"voxels differ from those of {first.name}: {', '.join(unlike)}; check the spacing" if unlike else ""


def _check_known(annotated: Sample, *, model: Folder) -> None:
    """Check what is to be used of a volume that is segmented; nothing at all is no mistake here."""
    found = annotated.annotation
    if isinstance(found, Slices):
        raise AnnotationError("painted slices are only learned from: leave them out", where="annotated")
    if len(found.points_vox if isinstance(found, Centroids) else found.corners):
        check_sample(annotated, kind=method_of(model).annotation)
    if isinstance(found, Centroids):
        check_apart(found, annotated.volume)
    if isinstance(found, Boxes) and len(found.corners):
        # That no box lies in the region is a mistake of a training only: here it is the answer that nothing is there.
        check_drawn([replace(annotated, region=None)])


def _require_clicks(model: Folder, *, option: str) -> None:
    if method_of(model).annotation != "Centroids":
        raise ModelError(f"this model knows no clicks: leave out {option}", where=option, value=str(model))


def _read_known_method(folder: Path) -> str:
    found = read_method(folder)
    if found not in methods.METHODS:
        raise ModelError(
            f"the model in {folder} is of the method {found!r}, which this version does not know: there is "
            f"{', '.join(methods.METHODS)}",
            where=str(folder),
            value=found,
        )
    return found


def _load(model: Folder, *, method: str | None = None) -> Any:
    """Load a model of any method, or of this one only."""
    folder = Path(model)
    found = _read_known_method(folder)
    if method is not None and found != method:
        raise ModelError(
            f"the model in {folder} is of the method {found}, not {method}", where=str(folder), value=found
        )
    return methods.load_object(methods.find_method(found).model).load(folder)
