"""What to mask next: of the objects without a mask, those whose shape the model is least sure of."""

from __future__ import annotations

import numpy as np

from napari_weak3d.types import Boxes, Prediction, Sample, SliceIndex


def rank_boxes(prediction: Prediction, sample: Sample, *, count: int) -> tuple[int, ...]:
    """Choose boxes whose mask would teach most: by the doubt inside of them.

    Returns
    -------
    Row numbers, best first; fewer than ``count`` where fewer have no mask.
    """
    boxes = sample.annotation
    assert isinstance(boxes, Boxes)
    assert prediction.uncertainty is not None
    worth = [
        float(prediction.uncertainty[tuple(slice(max(0, lo), hi) for lo, hi in zip(low, high, strict=True))].mean())
        for low, high in boxes.corners.tolist()
    ]
    open_rows = np.flatnonzero(~boxes.has_mask)
    best = open_rows[np.argsort([-worth[row] for row in open_rows], kind="stable")]
    return tuple(int(row) for row in best[:count])


def rank_slices(prediction: Prediction, sample: Sample, *, count: int) -> tuple[SliceIndex, ...]:
    """Choose z slices to look at: through the middles of :func:`rank_boxes`, then those of most doubt.

    Returns
    -------
    (0, z), best first; fewer than ``count`` where there are no more slices.
    """
    boxes = sample.annotation
    assert isinstance(boxes, Boxes)
    assert prediction.uncertainty is not None
    depth = prediction.uncertainty.shape[0]
    ranked = rank_boxes(prediction, sample, count=len(boxes.corners))
    middles = [min(depth - 1, max(0, int(boxes.corners[row, :, 0].sum()) // 2)) for row in ranked]
    doubt = prediction.uncertainty.mean(axis=(1, 2), dtype=np.float64)
    order = dict.fromkeys([*middles, *np.argsort(-doubt, kind="stable").tolist()])  # each once, in this order
    return tuple((0, int(z)) for z in list(order)[:count])
