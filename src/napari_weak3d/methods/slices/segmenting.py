"""From the networks' probabilities to labels: neighbouring paint, classes, objects, uncertainty."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.messages import Command, Stop
from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.ensemble import Ensemble, view_volume
from napari_weak3d.methods.slices.instances import find_instances
from napari_weak3d.methods.slices.neighbours import add_evidence
from napari_weak3d.methods.slices.scheme import Calibration, KnownPaint, Scheme
from napari_weak3d.methods.slices.scoring import as_object_maps
from napari_weak3d.methods.slices.targets import BACKGROUND, make_class_targets, paint_planes
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import IntLabels, ObjectRow, Prediction, Progress, Volume

T = TypeVar("T", bound=np.generic)

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
    notices = ["segmenting"]
    for done, total in ensemble.predict(view, out=out, on_shrink=notices.append):
        command = yield Progress(done, total, notices[-1])
        if isinstance(command, Stop):
            out[BACKGROUND, ~out[: scheme.n_classes].any(axis=0)] = 1
            break
    if scheme.paint == "objects":
        return _make_objects(out, volume, scheme=scheme, calibration=calibration, config=config, paint=paint)
    return _make_classes(out, volume, scheme=scheme, calibration=calibration, config=config, paint=paint)


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
    indices = scores.argmax(axis=0).astype(np.int16)
    shares = _softmax(scores)
    if known is not None:
        indices = np.where(known == UNLABELLED, indices, known)
    uncertainty = _entropy(shares)
    if known is not None:
        uncertainty[known != UNLABELLED] = 0
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
        probabilities=np.moveaxis(shares, 1, 1 + scheme.stack_axis).astype(np.float16),
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
    known: dict[int, IntLabels] | None = None
    # Paint of a region is no whole plane of objects: it has taught the networks, and says no more here.
    if paint is not None and paint.region is None:
        known = paint_planes(paint.slices, stack_axis=scheme.stack_axis)
    spacing = scheme.stacked(volume.spacing)
    labels = find_instances(
        as_object_maps(outputs, biases=calibration.biases),
        spacing=spacing,
        settings=calibration.instances,
        painted=known,
    )
    labels[(np.bincount(labels.ravel()) < config.smallest_object)[labels]] = 0
    uncertainty = _entropy(outputs[: scheme.n_classes])
    for plane in known or ():
        uncertainty[plane] = 0
    in_order = _unstack(labels, scheme)
    return Prediction(
        labels=in_order,
        objects=list_objects(in_order, classes=None),
        uncertainty=_unstack(uncertainty, scheme),
        images={"core": _unstack(outputs[-1], scheme)},
        probabilities=np.moveaxis(outputs, 1, 1 + scheme.stack_axis).astype(np.float16),
    )


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


def list_objects(labels: IntLabels, *, classes: IntLabels | None) -> tuple[ObjectRow, ...]:
    """Describe each object of a label image; the class of its first voxel stands for all, 1 where there are none."""
    boxes = ndimage.find_objects(labels)
    ids = [index + 1 for index, box in enumerate(boxes) if box is not None]
    centres = ndimage.center_of_mass(np.ones(labels.shape, np.uint8), labels, ids) if ids else []
    rows = []
    for number, centre in zip(ids, centres, strict=True):
        box = boxes[number - 1]
        value = 1 if classes is None else int(classes[box][labels[box] == number][0])
        low, high = ((int(z), int(y), int(x)) for z, y, x in ([s.start for s in box], [s.stop for s in box]))
        z, y, x = (float(part) for part in centre)
        rows.append(ObjectRow(number, value, 1.0, (z, y, x), (low, high)))
    return tuple(rows)


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
    """Turn the stack axis back to its place: (Z, Y, X) again."""
    return np.ascontiguousarray(np.moveaxis(volume, 0, scheme.stack_axis))
