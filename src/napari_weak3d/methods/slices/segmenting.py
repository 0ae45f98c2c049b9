"""From the networks' probabilities to labels: neighbouring paint, classes, objects, uncertainty.

What ``Prediction.probabilities`` holds, so that thresholds can be moved without the networks: for classes (K, Z, Y, X),
a share per class in the order of the class table (background first, the others by value), with biases and neighbouring
paint counted in and paint itself as 1; ``classes`` is the first of the largest. For objects (1, Z, Y, X), the
foreground, shifted so that the threshold that ``labels`` was made with is 0.5; painted planes are 0 and 1, as painted.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.messages import Command, Stop
from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.ensemble import Ensemble, view_volume
from napari_weak3d.methods.slices.instances import find_instances
from napari_weak3d.methods.slices.neighbours import add_evidence, choose_largest
from napari_weak3d.methods.slices.object_paint import ObjectPaint, name_objects, read_object_paint
from napari_weak3d.methods.slices.scheme import Calibration, KnownPaint, Scheme
from napari_weak3d.methods.slices.targets import BACKGROUND, as_object_maps, make_class_targets
from napari_weak3d.nn.objects import list_objects
from napari_weak3d.nn.voxels import compare_voxels
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import IntLabels, Prediction, Progress, Volume

T = TypeVar("T", bound=np.generic)

_ALIKE = 2.0
"""Voxels that differ more than this from those of training are worth a word: things look other than learned (ours)."""
_LEAST = 1e-6
"""Probabilities are not taken for less: nothing is impossible."""


def segment_volume(
    ensemble: Ensemble,
    volume: Volume,
    *,
    scheme: Scheme,
    calibration: Calibration,
    config: SlicesConfig,
    paint: KnownPaint | None,
) -> Generator[Progress, Command | None, Prediction]:
    """Segment a volume.

    Parameters
    ----------
    config
        Settings of segmenting; those of the networks are ``ensemble.config``.
    paint
        What is known of this very volume, or None.

    Yields
    ------
    Progress
        Per tile. Send Stop to end early: what is not predicted yet comes out as background.
    """
    view = view_volume(volume, scheme=scheme, config=ensemble.config)
    out = np.zeros((ensemble.n_outputs(), *view.shape[1:]), np.float32)
    notes = []
    if (factor := compare_voxels(volume, spacing=scheme.spacing, unit=scheme.unit, along=scheme.stack_axis)) > _ALIKE:
        notes.append(f"voxels differ {factor:.2g} times from those of training: check the spacing")
    notices = ["; ".join(["segmenting", *notes])]
    for done, total in ensemble.predict(view, out=out, on_shrink=notices.append):
        command = yield Progress(done, total, notices[-1])
        if isinstance(command, Stop):
            out[BACKGROUND, ~out[: scheme.n_classes].any(axis=0)] = 1
            break
    make = _make_objects if scheme.paint == "objects" else _make_classes
    prediction = make(out, volume, scheme=scheme, calibration=calibration, config=config, paint=paint)
    return replace(prediction, notes=tuple(notes))


def _make_classes(
    probabilities: NDArray[np.float32],
    volume: Volume,
    *,
    scheme: Scheme,
    calibration: Calibration,
    config: SlicesConfig,
    paint: KnownPaint | None,
) -> Prediction:
    scores = np.log(np.maximum(probabilities, _LEAST, out=probabilities), out=probabilities)
    scores += np.array(calibration.biases, np.float32)[:, None, None, None]
    known: NDArray[np.int16] | None = None
    if paint is not None:
        targets = make_class_targets(
            paint.slices, classes=scheme.classes, stack_axis=scheme.stack_axis, region=paint.region
        )
        known = targets.labels
        add_evidence(
            scores,
            paint={plane: known[plane] for plane in targets.complete},
            spacing=scheme.stacked(volume.spacing)[1:],
            weight=min(config.paint_weight, calibration.paint_weight),
            rng=np.random.default_rng(config.seed),
        )
    shares = _softmax(scores)
    uncertainty = _entropy(shares)
    if known is not None:
        uncertainty[known != UNLABELLED] = 0
        for index, share in enumerate(shares):
            np.copyto(share, known == index, where=known != UNLABELLED)
    rounded = shares.astype(np.float16)
    indices = choose_largest(rounded)
    values = np.array([row.value for row in scheme.classes], np.int32)
    background = np.array([row.background for row in scheme.classes])
    classes, is_background = values[indices], background[indices]
    labels = label_components(np.where(is_background, np.int16(-1), indices), smallest=config.smallest_object)
    labels, classes = _unstack(labels, scheme), _unstack(classes, scheme)
    return Prediction(
        labels=labels,
        classes=classes,
        objects=list_objects(labels, classes=classes),
        uncertainty=_unstack(uncertainty, scheme),
        probabilities=_unstack(rounded, scheme),
    )


def _make_objects(
    outputs: NDArray[np.float32],
    volume: Volume,
    *,
    scheme: Scheme,
    calibration: Calibration,
    config: SlicesConfig,
    paint: KnownPaint | None,
) -> Prediction:
    known = None
    # Paint of a region is no whole plane of objects: it has taught the networks, and says no more here.
    if paint is not None and paint.region is None:
        known = read_object_paint(paint.slices, stack_axis=scheme.stack_axis)
    maps = as_object_maps(outputs, biases=calibration.biases)
    labels = find_instances(
        maps,
        spacing=scheme.stacked(volume.spacing),
        settings=calibration.instances,
        painted=None if known is None else known.planes,
        marks=None if known is None else known.marks,
    )
    if config.smallest_object:
        labels[(np.bincount(labels.ravel()) < config.smallest_object)[labels]] = 0
    uncertainty = _entropy(outputs[: scheme.n_classes])
    foreground = shift_threshold(maps[0], threshold=calibration.instances.foreground)
    names = None
    if known is not None:
        _settle(uncertainty, foreground, known=known)
        names = name_objects(known.ids, count=int(labels.max(initial=0)))
    in_order = _unstack(labels, scheme)
    rows = list_objects(in_order, classes=None)
    if names is not None:
        in_order, rows = names[in_order], tuple(replace(row, id=int(names[row.id])) for row in rows)
    return Prediction(
        labels=in_order,
        objects=tuple(sorted(rows, key=lambda row: row.id)),
        uncertainty=_unstack(uncertainty, scheme),
        images={"core": _unstack(outputs[-1], scheme)},
        probabilities=_unstack(foreground.astype(np.float16)[None], scheme),
    )


def _settle(uncertainty: NDArray[np.float32], foreground: NDArray[np.float32], *, known: ObjectPaint) -> None:
    """Where there is paint nothing is uncertain, and the foreground is as painted; in place."""
    for plane, numbers in known.planes.items():
        uncertainty[plane] = 0
        foreground[plane] = numbers > 0
    if known.marks is not None:
        uncertainty[known.marks >= 0] = 0
        np.copyto(foreground, known.marks > 0, where=known.marks >= 0)


def shift_threshold(probabilities: NDArray[np.float32], *, threshold: float) -> NDArray[np.float32]:
    """Shift log-odds so that ``threshold`` becomes 0.5; 0 and 1 stay."""
    inside = probabilities * (1 - threshold)
    outside = (1 - probabilities) * threshold
    shifted: NDArray[np.float32] = np.divide(inside, inside + outside, dtype=np.float32)
    return shifted


def label_components(classes: NDArray[np.integer], *, smallest: int) -> IntLabels:
    """Number the connected objects (by faces) of each class.

    Parameters
    ----------
    classes
        (Z, Y, X); negative: none.
    smallest
        Components with fewer voxels become 0.

    Returns
    -------
    (Z, Y, X) int32, 1 to the number of objects, class by class.
    """
    labels = np.zeros(classes.shape, np.int32)
    count = 0
    for value in np.flatnonzero(np.bincount(classes[classes >= 0])):  # sorting all voxels takes far longer
        components, found = ndimage.label(classes == value)
        sizes = np.bincount(components.ravel(), minlength=found + 1)
        keep = sizes >= smallest
        keep[0] = False
        numbers = np.where(keep, np.cumsum(keep) + count, 0).astype(np.int32)
        labels += numbers[components]
        count += int(keep.sum())
    return labels


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the first axis, in place: a copy would be as large as all else together."""
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return scores


def _entropy(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the first axis as a share of the largest there can be: 0 sure, 1 no idea."""
    total = np.zeros(shares.shape[1:], np.float32)
    for share in shares:
        total -= share * np.log(np.maximum(share, _LEAST))
    return (total / np.float32(np.log(len(shares)))).clip(0, 1)


def _unstack(volume: NDArray[T], scheme: Scheme) -> NDArray[T]:
    """Turn the stack axis back to its place: (..., Z, Y, X) again."""
    return np.ascontiguousarray(np.moveaxis(volume, -3, scheme.stack_axis - 3))
