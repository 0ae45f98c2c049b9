"""Which objects of two label images share how many voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import VolumeError

Labels: TypeAlias = NDArray[Any]
Ints: TypeAlias = NDArray[np.intp]
Floats: TypeAlias = NDArray[np.float64]

_LARGEST_TABLE = 1 << 24
"""Entries of the largest table counted in one go (128 MiB); above it the pairs are sorted instead."""


@dataclass(frozen=True)
class Overlaps:
    """Which predicted object shares how many voxels with which true one.

    Attributes
    ----------
    predicted_ids, true_ids
        (P,), (T,) the label values, ascending.
    predicted_sizes, true_sizes
        (P,), (T,) voxels of each object.
    predicted, true
        (M,) row numbers of the two sides of each pair that shares a voxel, ordered by predicted, then by true.
    shared
        (M,) voxels that the pair shares, >= 1.
    """

    predicted_ids: Ints
    true_ids: Ints
    predicted_sizes: Ints
    true_sizes: Ints
    predicted: Ints
    true: Ints
    shared: Ints

    @property
    def iou(self) -> Floats:
        """(M,) intersection over union of each pair, in (0, 1]."""
        union = self.predicted_sizes[self.predicted] + self.true_sizes[self.true] - self.shared
        return np.asarray(self.shared / union, dtype=np.float64)


def iou_matrix(predicted: Labels, truth: Labels) -> Floats:
    """(P, T) IoU of every predicted with every true object, both in ascending order of id.

    Dense: for thousands of objects take :func:`overlap_table`, which holds the pairs that touch only.
    """
    overlaps = overlap_table(predicted, truth)
    matrix = np.zeros((len(overlaps.predicted_ids), len(overlaps.true_ids)))
    matrix[overlaps.predicted, overlaps.true] = overlaps.iou
    return matrix


def overlap_table(predicted: Labels, truth: Labels) -> Overlaps:
    """Count the voxels that objects share.

    Parameters
    ----------
    predicted, truth
        (Z, Y, X) integer ids, any values; <= 0 is background.

    Raises
    ------
    VolumeError
        The shapes differ.
    """
    check_shapes(predicted, truth)
    ours, predicted_ids = compact_ids(predicted)
    theirs, true_ids = compact_ids(truth)
    n_true = len(true_ids)
    both = (ours > 0) & (theirs > 0)
    codes = (ours[both].astype(np.int64) - 1) * n_true + (theirs[both] - 1)
    if len(predicted_ids) * n_true <= _LARGEST_TABLE:
        counts = np.bincount(codes)
        pairs = np.flatnonzero(counts)
        shared = counts[pairs]
    else:
        pairs, shared = np.unique(codes, return_counts=True)
    rows, columns = np.divmod(pairs, max(n_true, 1))
    return Overlaps(
        predicted_ids=predicted_ids,
        true_ids=true_ids,
        predicted_sizes=np.bincount(ours.ravel(), minlength=len(predicted_ids) + 1)[1:],
        true_sizes=np.bincount(theirs.ravel(), minlength=n_true + 1)[1:],
        predicted=rows,
        true=columns,
        shared=shared,
    )


def compact_ids(labels: Labels) -> tuple[NDArray[np.int32], Ints]:
    """Number the objects 1, 2, 3 ... in ascending order of id.

    Parameters
    ----------
    labels
        Integer or bool, any shape; <= 0 is background.

    Returns
    -------
    compact, ids
        int32 of the shape of ``labels``, 0 for background; and the (N,) ids: object ``k`` was ``ids[k - 1]``.
    """
    highest = int(labels.max(initial=0))
    positive = np.maximum(labels, 0).astype(np.int64, copy=False)
    # Counting is ten times faster than sorting, as long as the ids do not outnumber the voxels by far.
    if highest <= 4 * max(labels.size, 1 << 16):
        ids = np.flatnonzero(np.bincount(positive.ravel(), minlength=1)[1:]) + 1
        numbers = np.zeros(highest + 1, dtype=np.int32)
        numbers[ids] = np.arange(1, len(ids) + 1)
        return numbers[positive], ids
    ids = np.unique(positive)
    ids = ids[ids > 0]
    compact = np.searchsorted(ids, positive) + 1
    return np.where(positive > 0, compact, 0).astype(np.int32), ids


def check_shapes(predicted: Labels, truth: Labels, *, mask: NDArray[np.bool_] | None = None) -> None:
    """Refuse arrays of different shapes.

    Raises
    ------
    VolumeError
        They differ; the message names them.
    """
    shapes = [predicted.shape, truth.shape] + ([] if mask is None else [mask.shape])
    if len(set(shapes)) > 1:
        raise VolumeError(
            f"cannot score a prediction of shape {predicted.shape} against a truth of shape {truth.shape}"
            + (f" within a mask of shape {mask.shape}" if mask is not None else "")
            + ": give arrays of one shape",
            where="prediction",
            value=predicted.shape,
        )
