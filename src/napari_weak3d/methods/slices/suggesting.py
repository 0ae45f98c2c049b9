"""Which slice to paint next: where the model is least sure and that is not near what is painted already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.types import Prediction, Sample, SliceIndex, Slices

_REACH_SHARE = 0.5
"""A painted slice makes others less worth painting up to this share of the mean distance between slices (ours)."""


def rank_slices(prediction: Prediction, sample: Sample, *, scheme: Scheme, count: int) -> tuple[SliceIndex, ...]:
    """Choose slices along the stack by uncertainty, spread out.

    The worth of a slice is its mean uncertainty, less near complete slices and near those already chosen: what is
    learned from one slice holds for its neighbours too.

    Parameters
    ----------
    prediction
        Of the sample's volume.
    sample
        With ``Slices``; its complete slices are never chosen.
    count
        How many at most.

    Returns
    -------
    (axis, index), best first; fewer than ``count`` where there are no more.
    """
    assert prediction.uncertainty is not None
    assert isinstance(sample.annotation, Slices)
    axis = scheme.stack_axis
    others = tuple(other for other in range(3) if other != axis)
    worth = prediction.uncertainty.mean(axis=others, dtype=np.float64)
    taken = [index for along, index in sample.annotation.annotated if along == axis]
    depth = len(worth)
    chosen: list[SliceIndex] = []
    for _ in range(min(count, depth - len(set(taken)))):
        left = worth * _novelty(depth, taken, reach=_REACH_SHARE * depth / (len(taken) + 1))
        left[taken] = -np.inf
        index = int(left.argmax())
        taken.append(index)
        chosen.append((axis, index))
    return tuple(chosen)


def _novelty(depth: int, taken: list[int], *, reach: float) -> NDArray[np.float64]:
    """0 on slices that are taken, towards 1 beyond ``reach`` slices from them."""
    if not taken:
        return np.ones(depth)
    distance = np.abs(np.arange(depth)[:, None] - np.array(taken)).min(axis=1)
    novelty: NDArray[np.float64] = 1 - np.exp(-((distance / max(reach, 1.0)) ** 2))
    return novelty
