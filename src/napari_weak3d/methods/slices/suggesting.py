"""Which slice to paint next: where the model is least sure and that is not near what is painted already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.types import Prediction, Sample, SliceIndex, Slices

_REACH_SHARE = 0.5
"""A painted slice makes others less worth painting up to this share of the mean distance between slices (ours)."""


def rank_slices(prediction: Prediction, sample: Sample, *, scheme: Scheme, count: int) -> tuple[SliceIndex, ...]:
    """Choose slices by uncertainty, spread out.

    The worth of a slice is its mean uncertainty, less near complete slices along the same axis and near those already
    chosen: what is learned from one slice holds for its neighbours too. Where nothing is painted, the first one goes by
    uncertainty alone.

    Parameters
    ----------
    prediction
        Of the sample's volume.
    sample
        With ``Slices``; its complete slices are never chosen.
    scheme
        The model's: slices are along its stack axis, and where classes are painted also along the other axes in which
        slices are complete. (Objects are learned along the stack only.)
    count
        How many at most.

    Returns
    -------
    (axis, index), best first; fewer than ``count`` where there are no more.
    """
    assert prediction.uncertainty is not None
    assert isinstance(sample.annotation, Slices)
    complete = sample.annotation.annotated
    axes = {scheme.stack_axis} | ({axis for axis, _ in complete} if scheme.paint == "classes" else set())
    worths = {axis: _mean_along(prediction.uncertainty, axis) for axis in sorted(axes)}
    taken = {axis: sorted({index for along, index in complete if along == axis}) for axis in axes}
    chosen: list[SliceIndex] = []
    while len(chosen) < count and any(len(taken[axis]) < len(worth) for axis, worth in worths.items()):
        left = {axis: _worth_left(worth, taken[axis]) for axis, worth in worths.items()}
        axis = max(left, key=lambda axis: left[axis].max())  # ties: the first axis
        index = int(left[axis].argmax())
        taken[axis].append(index)
        chosen.append((axis, index))
    return tuple(chosen)


def _mean_along(uncertainty: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Mean of each slice along an axis."""
    others = tuple(other for other in range(3) if other != axis)
    means: NDArray[np.float64] = uncertainty.mean(axis=others, dtype=np.float64)
    return means


def _worth_left(worth: NDArray[np.float64], taken: list[int]) -> NDArray[np.float64]:
    """What slices are worth when these are painted; -inf for these."""
    left = worth * _novelty(len(worth), taken, reach=_REACH_SHARE * len(worth) / (len(taken) + 1))
    left[taken] = -np.inf
    return left


def _novelty(depth: int, taken: list[int], *, reach: float) -> NDArray[np.float64]:
    """0 on slices that are taken, towards 1 beyond ``reach`` slices from them."""
    if not taken:
        return np.ones(depth)
    distance = np.abs(np.arange(depth)[:, None] - np.array(taken)).min(axis=1)
    novelty: NDArray[np.float64] = 1 - np.exp(-((distance / max(reach, 1.0)) ** 2))
    return novelty
