"""Weak labels made from a dense truth, as a person would have given them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_weak3d.errors import AnnotationError
from napari_weak3d.metrics import compact_ids
from napari_weak3d.types import Boxes, Centroids, PaintClass, SliceIndex, Slices, nearest_voxels

OBJECT_CLASSES = (
    PaintClass(value=0, name="background", color="#000000", background=True),
    PaintClass(value=1, name="object", color="#ff8c00"),
)
"""What :func:`paint_slices` paints as classes. Its slices are complete, so 0 is background there, and nowhere else."""


def paint_slices(
    labels: NDArray[Any],
    *,
    slices_per_axis: tuple[int, int, int] = (3, 0, 0),
    paint: Literal["classes", "objects"] = "classes",
) -> Slices:
    """Paint a few evenly spaced slices completely.

    Parameters
    ----------
    labels
        (Z, Y, X) integer ids of the true objects; <= 0 is background.
    slices_per_axis
        How many slices across z, y and x. Of k slices over n voxels, the i-th is numpy.round((i + 0.5) * n / k); where
        k > n some coincide, and are painted once.
    paint
        "classes": 1 is object; "objects": the ids of ``labels``.

    Raises
    ------
    AnnotationError
        No slice is asked for, or a number of slices is negative.
    """
    if min(slices_per_axis) < 0 or sum(slices_per_axis) == 0:
        raise AnnotationError(
            f"{slices_per_axis} slices per axis (z, y, x) paint nothing: ask for at least one, and for none below 0",
            where="slices_per_axis",
            value=slices_per_axis,
        )
    annotated = tuple(
        (axis, index)
        for axis, (n, k) in enumerate(zip(labels.shape, slices_per_axis, strict=True))
        for index in _spread(n, k=k)
    )
    painted = np.zeros(labels.shape, dtype=np.int32)
    for plane in map(_plane, annotated):
        painted[plane] = np.maximum(labels[plane], 0) if paint == "objects" else labels[plane] > 0
    return Slices(painted, paint=paint, annotated=annotated, classes=OBJECT_CLASSES if paint == "classes" else ())


def click_centroids(
    labels: NDArray[Any], *, rng: np.random.Generator, jitter: float = 0.0, missing: float = 0.0, double: float = 0.0
) -> Centroids:
    """Click every object once, in its middle.

    Parameters
    ----------
    labels
        (Z, Y, X) integer ids of the true objects; <= 0 is background.
    rng
        Source of jitter, and of which objects are missed or clicked twice.
    jitter
        Standard deviation of the clicks about the middle, over the object's size along each axis. Clicks stay inside
        the volume, not always inside the object.
    missing
        Share of the objects that get no click, 0..1.
    double
        Share of the clicked objects that get a second click, anywhere inside, 0..1.

    Returns
    -------
    Centroids
        In ascending order of id, second clicks last. Without jitter a click is the object's centre of mass, or its
        voxel nearest to that where the centre lies outside (a ring).
    """
    compact, ids = compact_ids(labels)
    boxes = ndi.find_objects(compact)
    n_clicked = len(ids) - round(missing * len(ids))
    clicked = np.sort(rng.choice(len(ids), n_clicked, replace=False))
    twice = np.sort(rng.choice(clicked, round(double * n_clicked), replace=False)) if n_clicked else clicked
    points = np.array([_middle(compact, boxes[k], number=k + 1) for k in clicked]).reshape(-1, 3)
    sizes = np.array([[s.stop - s.start for s in boxes[k]] for k in clicked]).reshape(-1, 3)
    points = points + jitter * sizes * rng.standard_normal(points.shape)
    points = np.clip(points, 0, np.array(labels.shape) - 1)
    seconds = np.array([rng.choice(_voxels(compact, boxes[k], number=k + 1)) for k in twice]).reshape(-1, 3)
    return Centroids(np.concatenate([points, seconds]).astype(np.float64))


def draw_boxes(labels: NDArray[Any], *, rng: np.random.Generator, fraction: float = 0.2) -> Boxes:
    """Draw the tight box of every object, and the mask of some.

    Parameters
    ----------
    labels
        (Z, Y, X) integer ids of the true objects; <= 0 is background.
    rng
        Chooses the objects that get a mask.
    fraction
        Share of the objects with a mask, 0..1, rounded; at least one object gets one.

    Returns
    -------
    Boxes
        A row per object in ascending order of id, all of class 1; no rows where nothing is labelled.
    """
    compact, ids = compact_ids(labels)
    boxes = ndi.find_objects(compact)
    corners = np.array([[[s.start for s in box], [s.stop for s in box]] for box in boxes], dtype=np.int64)
    n_masks = min(len(ids), max(1, round(fraction * len(ids))))
    has_mask = np.zeros(len(ids), dtype=np.bool_)
    has_mask[rng.choice(len(ids), n_masks, replace=False)] = True
    shown = np.concatenate([[False], has_mask])[compact]
    return Boxes(
        corners=corners.reshape(-1, 2, 3),
        classes=np.ones(len(ids), dtype=np.int64),
        masks=np.where(shown, compact, 0).astype(np.int32),
        has_mask=has_mask,
    )


def _spread(n: int, *, k: int) -> list[int]:
    """Up to k evenly spaced indices of n, ascending, each once."""
    indices = np.round((np.arange(k) + 0.5) * n / max(k, 1)).astype(int)
    return sorted(set(np.clip(indices, 0, n - 1).tolist()))


def _plane(which: SliceIndex) -> tuple[slice | int, ...]:
    axis, index = which
    return (slice(None),) * axis + (index,)


def _voxels(compact: NDArray[np.int32], box: tuple[slice, ...], *, number: int) -> NDArray[np.intp]:
    """(V, 3) voxels of an object, in the frame of the volume."""
    corner = [s.start for s in box]
    return np.asarray(np.argwhere(compact[box] == number) + corner, dtype=np.intp)


def _middle(compact: NDArray[np.int32], box: tuple[slice, ...], *, number: int) -> NDArray[np.float64]:
    """(3,) centre of mass, or the object's voxel nearest to it if the centre lies in no voxel of the object."""
    voxels = _voxels(compact, box, number=number)
    centre = voxels.mean(axis=0)
    if compact[tuple(nearest_voxels(centre))] == number:
        return np.asarray(centre, dtype=np.float64)
    nearest = ((voxels - centre) ** 2).sum(axis=1).argmin()
    return np.asarray(voxels[nearest], dtype=np.float64)
